//! Addresses, host names, web origins and URLs: checked for shape, never looked up.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::setting::{Base, Item, Setting, Show, Wrong};

impl Item for IpAddr {
    const MANY: &str = "IP addresses (`localhost` is both loopback addresses)";

    fn parse(text: &str) -> Result<Vec<Self>, Wrong> {
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        bare.parse().map(|ip| vec![ip]).map_err(|_| Wrong::text(text))
    }
}

impl Show for SocketAddr {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for SocketAddr {
    fn kind() -> String {
        "an address with a port such as \"127.0.0.1:9464\"".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        text.trim().parse().map_err(|_| Wrong::text(text))
    }
}

/// A DNS name or an IP address, lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl HostName {
    /// The name, lower case; IPv6 addresses without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        if bare.parse::<IpAddr>().is_ok() || is_dns_name(bare) {
            return Some(Self(bare.to_ascii_lowercase()));
        }
        None
    }
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Item for HostName {
    const MANY: &str = "host names without a port";

    fn parse(text: &str) -> Result<Vec<Self>, Wrong> {
        Self::read(text)
            .map(|name| vec![name])
            .ok_or_else(|| Wrong::text(text))
    }
}

impl Show for HostName {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Setting for HostName {
    fn kind() -> String {
        "a host name".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        Self::read(text.trim()).ok_or_else(|| Wrong::text(text))
    }
}

/// `scheme://host[:port]` cut into its parts.
struct Authority<'a> {
    scheme: &'a str,
    host: HostName,
    port: Option<u16>,
    /// What follows the authority: path, query, fragment.
    rest: &'a str,
}

fn authority(text: &str) -> Option<Authority<'_>> {
    let (scheme, after) = text.split_once("://")?;
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !scheme_ok {
        return None;
    }
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (place, rest) = after.split_at(end);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (place, None),
    };
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    if bare_v6 {
        return None;
    }
    Some(Authority {
        scheme,
        host: HostName::read(host)?,
        port,
        rest,
    })
}

/// A web origin as browsers send it: scheme and host, a port if it is not the scheme's, nothing else. Lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// As the `Origin` header has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl WebOrigin {
    /// The origin, whether it is `https` (or `http`; `None` for others), its host, and the port if it names one.
    pub(super) fn parts(text: &str) -> Result<(Self, Option<bool>, HostName, Option<u16>), Wrong> {
        let wrong = || Wrong::text(text).hint("an origin has a scheme and a host, and no path");
        let origin = authority(text)
            .filter(|a| matches!(a.rest, "" | "/"))
            .ok_or_else(wrong)?;
        let https = match origin.scheme.to_ascii_lowercase().as_str() {
            "https" => Some(true),
            "http" => Some(false),
            _ => None,
        };
        Ok((Self(origin.to_text()), https, origin.host, origin.port))
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Item for WebOrigin {
    const MANY: &str = "web origins such as \"http://localhost:5173\"";

    fn parse(text: &str) -> Result<Vec<Self>, Wrong> {
        if text == "*" {
            return Err(
                Wrong::text(text).hint("every web page could then drive your agents: list the origins")
            );
        }
        Self::parts(text).map(|(origin, ..)| vec![origin])
    }
}

impl Authority<'_> {
    fn to_text(&self) -> String {
        let scheme = self.scheme.to_ascii_lowercase();
        let host = match self.host.as_str() {
            v6 if v6.contains(':') => format!("[{v6}]"),
            name => name.to_owned(),
        };
        let own_port = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        match self.port {
            Some(port) if Some(port) != own_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }
    }
}

/// An `http` or `https` URL without a slash at its end, without user, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    origin: WebOrigin,
    host: HostName,
}

impl HttpUrl {
    /// The URL, for putting a path behind it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The origin a browser names when it shows a page of this URL.
    pub fn origin(&self) -> &WebOrigin {
        &self.origin
    }

    /// The host, without its port.
    pub fn host(&self) -> &HostName {
        &self.host
    }
}

impl Show for HttpUrl {
    fn shown(&self) -> String {
        self.text.clone()
    }
}

impl Setting for HttpUrl {
    fn kind() -> String {
        "an http:// or https:// URL".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let text = text.trim();
        let parts = authority(text).ok_or_else(|| Wrong::text(text))?;
        let scheme = parts.scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(Wrong::text(text));
        }
        let path_ok = parts
            .rest
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"?#\"<>\\".contains(&b));
        if !path_ok {
            return Err(Wrong::text(text).hint("it may have a path, but no query"));
        }
        let origin = WebOrigin(parts.to_text());
        let text = format!("{origin}{}", parts.rest.trim_end_matches('/'));
        Ok(Self {
            text,
            origin,
            host: parts.host,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(text: &str) -> Option<String> {
        WebOrigin::parse(text).ok().map(|all| all[0].to_string())
    }

    #[test]
    fn an_origin_is_written_as_a_browser_sends_it() {
        assert_eq!(
            origin("HTTP://LocalHost:5173/").as_deref(),
            Some("http://localhost:5173")
        );
        assert_eq!(
            origin("https://a.example:443").as_deref(),
            Some("https://a.example")
        );
        assert_eq!(origin("tauri://localhost").as_deref(), Some("tauri://localhost"));
        assert_eq!(origin("http://[::1]:3000").as_deref(), Some("http://[::1]:3000"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "*",
            "null",
            "localhost",
            "http://",
            "http://a/path",
            "http://a b",
            "http://::1",
            "://a",
        ] {
            assert_eq!(origin(text), None, "{text}");
        }
    }

    #[test]
    fn a_url_loses_its_last_slash_and_keeps_its_path() {
        let url = |text| {
            HttpUrl::from_text(text, &Base::default())
                .map(|url| url.text)
                .ok()
        };
        assert_eq!(url("https://Hub.example/"), Some("https://hub.example".into()));
        assert_eq!(url("http://hub:80/base/"), Some("http://hub/base".into()));
        assert_eq!(url("ftp://hub"), None);
        assert_eq!(url("https://user:pw@hub"), None);
        assert_eq!(url("https://hub?token=1"), None);
    }

    #[test]
    fn localhost_means_both_families() {
        let hosts: Vec<IpAddr> = Setting::from_text("localhost, 127.0.0.1", &Base::default()).expect("valid");
        assert_eq!(hosts.shown(), "127.0.0.1, ::1");
    }

    proptest! {
        #[test]
        fn no_text_makes_an_address_panic(text in "\\PC*") {
            let _ = IpAddr::parse(&text);
            let _ = HostName::parse(&text);
            let _ = WebOrigin::parse(&text);
            let _ = HttpUrl::from_text(&text, &Base::default());
        }
    }
}
