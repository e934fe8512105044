//! Where a push may go (SECURITY rule 14): the address comes from a client, so it is a known service or it is nothing.

use std::fmt;

use axum::http::{Uri, uri::Scheme};
use thiserror::Error;

/// Longest address, in bytes; real ones have up to about 500.
const LONGEST: usize = 2048;

/// One service that may be pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// This host, by https on its usual port, at public addresses.
    Host(String),
    /// Any host below this name, likewise.
    Below(String),
    /// Exactly this origin, wherever it is: the owner of this machine named it.
    Origin {
        /// `https`, or `http` on this machine.
        https: bool,
        /// Name or address, lower case.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// The services that may be pushed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Service>);

/// Why an address is not pushed to.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotAllowed {
    /// It is not what an address looks like.
    #[error("the push endpoint is no https:// address")]
    Form,
    /// Nobody has allowed it.
    #[error("the push endpoint belongs to no push service that this hub knows (`push.allow`)")]
    Unknown,
}

/// An address that may be pushed to. It is a capability: whoever has it can push, so it is never shown whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    host: String,
    port: u16,
    https: bool,
    named: bool,
}

impl AllowList {
    /// These, and no others.
    pub fn new(services: impl IntoIterator<Item = Service>) -> Self {
        Self(services.into_iter().collect())
    }

    /// The address, if it is one of a service in the list.
    pub(super) fn admit(&self, text: &str) -> Result<Endpoint, NotAllowed> {
        if text.len() > LONGEST || text.contains('#') {
            return Err(NotAllowed::Form);
        }
        let uri: Uri = text.parse().map_err(|_| NotAllowed::Form)?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) | None => return Err(NotAllowed::Form),
        };
        let authority = uri.authority().ok_or(NotAllowed::Form)?;
        if authority.as_str().contains('@') {
            return Err(NotAllowed::Form);
        }
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| NotAllowed::Form)?,
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
        };
        let mut endpoint = Endpoint {
            uri,
            host,
            port,
            https,
            named: false,
        };
        let service = self.0.iter().find(|service| service.has(&endpoint));
        endpoint.named = matches!(service.ok_or(NotAllowed::Unknown)?, Service::Origin { .. });
        Ok(endpoint)
    }
}

impl Service {
    fn has(&self, endpoint: &Endpoint) -> bool {
        let usual = endpoint.https && endpoint.port == 443;
        match self {
            Self::Host(name) => usual && endpoint.host == *name,
            Self::Below(name) => {
                let below = endpoint.host.strip_suffix(name.as_str());
                usual && below.is_some_and(|below| below.len() > 1 && below.ends_with('.'))
            }
            Self::Origin { https, host, port } => {
                (endpoint.https, &endpoint.host, endpoint.port) == (*https, host, *port)
            }
        }
    }
}

impl Endpoint {
    /// Path and query: the secret part.
    pub(super) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// Without brackets.
    pub(super) fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// True if the owner of this machine named this very origin: then it may lie anywhere.
    pub(super) fn is_named(&self) -> bool {
        self.named
    }

    /// Host and port as `Host` has them; the service's name for people.
    pub(super) fn authority(&self) -> String {
        match (self.https, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// What a token for it is made out to.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}/…)", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> AllowList {
        AllowList::new([
            Service::Host("fcm.googleapis.com".into()),
            Service::Below("push.apple.com".into()),
            Service::Origin {
                https: false,
                host: "127.0.0.1".into(),
                port: 8099,
            },
        ])
    }

    #[test]
    fn a_known_service_is_admitted_by_https_on_its_usual_port() {
        for text in [
            "https://fcm.googleapis.com/fcm/send/abc:def",
            "https://FCM.googleapis.com:443/x",
            "https://web.push.apple.com/QGuQ?x=1",
            "http://127.0.0.1:8099/push/1",
        ] {
            assert!(list().admit(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "http://169.254.169.254/latest/meta-data/",
            "https://169.254.169.254/",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "http://127.0.0.1:8100/",
            "http://127.0.0.1/",
            "https://127.0.0.1:8099/",
            "http://fcm.googleapis.com/x",
            "https://fcm.googleapis.com:8443/x",
            "https://fcm.googleapis.com./x",
            "https://fcm.googleapis.com@evil.example/x",
            "https://evil.example/fcm.googleapis.com",
            "https://fcm.googleapis.com.evil.example/x",
            "https://evilpush.apple.com.example/",
            "https://evilpush.apple.com/",
            "https://push.apple.com/",
            "https://.push.apple.com/",
            "https://web.push.apple.com/#x",
            "ftp://fcm.googleapis.com/x",
            "//fcm.googleapis.com/x",
            "/x",
            "",
            "https://fcm.googleapis.com\u{0}/x",
            "https://fcm.googleapis.com/\r\nHost: x",
        ] {
            assert!(list().admit(text).is_err(), "{text:?}");
        }
        let long = format!("https://fcm.googleapis.com/{}", "a".repeat(LONGEST));
        assert_eq!(list().admit(&long), Err(NotAllowed::Form));
    }

    #[test]
    fn an_address_is_not_shown_whole() {
        let endpoint = list()
            .admit("https://fcm.googleapis.com/fcm/send/secret")
            .unwrap();
        assert!(!format!("{endpoint:?}").contains("secret"));
        assert_eq!(endpoint.origin(), "https://fcm.googleapis.com");
        assert_eq!(endpoint.target(), "/fcm/send/secret");
    }
}
