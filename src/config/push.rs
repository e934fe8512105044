//! Where notifications may be sent, and who says he sends them.

use std::{fmt, net::IpAddr};

use super::{
    net::{HostName, WebOrigin},
    setting::{Base, Item, Setting, Show, Wrong},
};

/// A push service: a host (`fcm.googleapis.com`), all hosts below one (`*.push.apple.com`), both by https on port 443 and
/// at public addresses only; or exactly one origin, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PushService {
    /// This host.
    Host(HostName),
    /// All hosts below it.
    Below(HostName),
    /// This origin.
    Origin {
        /// As it was written, for people.
        text: WebOrigin,
        /// `http` is for this machine alone.
        https: bool,
        /// Its host.
        host: HostName,
        /// Its port.
        port: u16,
    },
}

impl fmt::Display for PushService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host.as_str()),
            Self::Below(host) => write!(f, "*.{}", host.as_str()),
            Self::Origin { text, .. } => text.fmt(f),
        }
    }
}

impl Item for PushService {
    const MANY: &str = "push services such as \"*.push.apple.com\"";

    fn parse(text: &str) -> Result<Vec<Self>, Wrong> {
        if text.contains("://") {
            return origin(text).map(|origin| vec![origin]);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let host = HostName::parse(name)?;
        let [host] = host.as_slice() else {
            return Err(Wrong::text(text));
        };
        let is_address = host.as_str().parse::<IpAddr>().is_ok();
        if is_address || !host.as_str().contains('.') {
            return Err(Wrong::text(text).hint(
                "a service has a name in the internet; one on this machine is written as \"https://localhost:8443\"",
            ));
        }
        let host = host.clone();
        Ok(vec![if below {
            Self::Below(host)
        } else {
            Self::Host(host)
        }])
    }
}

fn origin(text: &str) -> Result<PushService, Wrong> {
    let (origin, https, host, port) = WebOrigin::parts(text)?;
    let loopback = host
        .as_str()
        .parse::<IpAddr>()
        .map_or(host.as_str() == "localhost", |ip| ip.is_loopback());
    match https {
        Some(true) => {}
        Some(false) if loopback => {}
        Some(false) => {
            return Err(Wrong::text(text).hint("only a service on this machine may go without https"));
        }
        None => return Err(Wrong::text(text)),
    }
    let https = https == Some(true);
    Ok(PushService::Origin {
        text: origin,
        https,
        host,
        port: port.unwrap_or(if https { 443 } else { 80 }),
    })
}

/// How the operator of a push service can reach whoever sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact(String);

impl Contact {
    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for Contact {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Setting for Contact {
    fn kind() -> String {
        "a contact such as \"mailto:anna@example.net\" or \"https://example.net\"".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let text = text.trim();
        let mail = text.strip_prefix("mailto:");
        let known = match mail {
            Some(mail) => mail
                .split_once('@')
                .is_some_and(|(who, host)| !who.is_empty() && host.contains('.')),
            None => text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()),
        };
        let plain = text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        match known && plain {
            true => Ok(Self(text.to_owned())),
            false => Err(Wrong::text(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> Option<String> {
        PushService::parse(text).ok().map(|all| all[0].to_string())
    }

    #[test]
    fn a_service_is_a_name_in_the_internet_or_an_origin_that_was_named() {
        for text in [
            "fcm.googleapis.com",
            "*.push.apple.com",
            "https://localhost:8443",
            "http://127.0.0.1:8099",
            "https://push.example",
        ] {
            assert_eq!(service(text).as_deref(), Some(text));
        }
        for text in [
            "",
            "*",
            "*.",
            "localhost",
            "127.0.0.1",
            "169.254.169.254",
            "com",
            "http://push.example",
            "http://169.254.169.254",
            "ftp://localhost",
            "https://a/path",
        ] {
            assert_eq!(service(text), None, "{text}");
        }
    }

    #[test]
    fn a_contact_is_a_mail_address_or_a_page() {
        let contact = |text| Contact::from_text(text, &Base::default()).is_ok();
        assert!(contact("mailto:anna@example.net") && contact("https://example.net/about"));
        for text in [
            "anna@example.net",
            "mailto:anna@localhost",
            "mailto:",
            "http://example.net",
            "https://",
        ] {
            assert!(!contact(text), "{text}");
        }
    }
}
