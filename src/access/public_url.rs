//! The address under which the world finds the hub: one origin, one host. What the gate of the ingress admits, and what a
//! phone is told at pairing.

use std::fmt;

/// An `http` or `https` origin, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
    port: Option<u16>,
}

impl PublicUrl {
    /// The origin of a URL; a path is dropped. `None` if it is no web address, or names a user.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: axum::http::Uri = url.trim().parse().ok()?;
        let scheme = uri
            .scheme_str()
            .filter(|scheme| matches!(*scheme, "http" | "https"))?
            .to_owned();
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let host = authority.host().to_ascii_lowercase();
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = authority.port_u16().filter(|port| *port != usual);
        let origin = match port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        Some(Self { origin, host, port })
    }

    /// As browsers send it in `Origin`; also the URL itself, without a slash at its end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host without its port, lower case; IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as `Host` has it: with its port, if that is not the usual one.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_origin_and_its_host() {
        let of = |text: &str| PublicUrl::parse(text).map(|url| (url.origin, url.host));
        let pair = |origin: &str, host: &str| Some((origin.to_owned(), host.to_owned()));
        assert_eq!(
            of("https://Hub.Example/"),
            pair("https://hub.example", "hub.example")
        );
        assert_eq!(
            of("https://hub.example:443/a"),
            pair("https://hub.example", "hub.example")
        );
        assert_eq!(
            of("http://127.0.0.1:8080"),
            pair("http://127.0.0.1:8080", "127.0.0.1")
        );
        for text in ["ftp://x", "hub.example", "https://", "https://u:p@x", "/x", ""] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
