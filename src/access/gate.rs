//! The gate of a listener: whose name must a request call us by, and which web pages may speak to us.
//!
//! A page elsewhere can make the user's browser send requests to a loopback port. It cannot choose `Origin`, and a
//! rebound DNS name stands in `Host`: so both are asked on every request, reads and upgrades included. No other header
//! and no peer address counts here.

use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

/// Origins of the desktop application.
const DESKTOP: [&str; 2] = ["tauri://localhost", "http://tauri.localhost"];

/// Who is let in through one listener.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    hosts: Vec<String>,
    any_address: bool,
    origins: Vec<String>,
}

/// Why a request is turned away.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Turned {
    /// It called us by a name that is not ours, or by none.
    #[error(
        "This hub is not called {0:?}. If it is meant to be, add the name to listen.allowed_hosts; \
         a page that rebinds DNS gets nothing here."
    )]
    Host(String),
    /// It comes from a web page that is not listed.
    #[error(
        "Pages of {0:?} may not talk to this hub. If they are yours, add the origin to listen.cors_origins."
    )]
    Origin(String),
}

impl Gate {
    /// The gate of the local listener: loopback names, the desktop application and development servers on this machine
    /// pass; so do `hosts` (names or addresses without a port) and `origins` (as browsers send them).
    pub fn local<H, O>(hosts: H, origins: O) -> Self
    where
        H: IntoIterator<Item = String>,
        O: IntoIterator<Item = String>,
    {
        let lower = |text: String| text.to_ascii_lowercase();
        let hosts: Vec<String> = hosts.into_iter().map(lower).collect();
        let unspecified = |host: &String| host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        Self {
            any_address: hosts.iter().any(unspecified),
            hosts,
            origins: origins.into_iter().map(lower).collect(),
        }
    }

    /// Decides by all `Host` and all `Origin` values of a request. A request without `Origin` is no page's.
    ///
    /// # Errors
    /// Whichever is foreign, missing (`Host`) or there more than once.
    pub fn admit(&self, hosts: &[&str], origins: &[&str]) -> Result<(), Turned> {
        match hosts {
            [host] if self.is_ours(host) => {}
            _ => return Err(Turned::Host(hosts.join(", "))),
        }
        match origins {
            [] => Ok(()),
            [origin] if self.is_listed(origin) => Ok(()),
            _ => Err(Turned::Origin(origins.join(", "))),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else {
            return false;
        };
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        if let Ok(address) = name.parse::<IpAddr>() {
            // An address cannot be rebound.
            return address.is_loopback() || self.any_address || self.knows(name);
        }
        name == "localhost" || self.knows(name)
    }

    fn knows(&self, name: &str) -> bool {
        self.hosts.iter().any(|known| known == name)
    }

    fn is_listed(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        DESKTOP.contains(&origin.as_str())
            || self.origins.contains(&origin)
            || origin
                .strip_prefix("http://")
                .and_then(without_port)
                .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "::1"))
    }
}

/// The host of `host[:port]`, IPv6 addresses without their brackets; `None` if it is neither.
fn without_port(text: &str) -> Option<&str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())?,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port,
        None if port.is_empty() => "",
        None => return None,
    };
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let plain = digits && (port.is_empty() || port.parse::<u16>().is_ok());
    (plain && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::local(
            ["host.docker.internal", "Box.example"].map(str::to_owned),
            ["https://App.example"].map(str::to_owned),
        )
    }

    fn host(host: &str) -> bool {
        gate().admit(&[host], &[]).is_ok()
    }

    fn origin(origin: &str) -> bool {
        gate().admit(&["localhost"], &[origin]).is_ok()
    }

    #[test]
    fn loopback_names_and_configured_names_are_ours_on_any_port() {
        for ours in [
            "localhost",
            "LOCALHOST:3000",
            "localhost.:3000",
            "127.0.0.1:3000",
            "127.9.9.9",
            "[::1]:3000",
            "[::1]",
            "host.docker.internal:3000",
            "box.example",
        ] {
            assert!(host(ours), "{ours}");
        }
    }

    #[test]
    fn any_other_name_is_foreign_however_it_is_dressed() {
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "127.0.0.1.nip.io",
            "user@localhost",
            "localhost@evil.example",
            "localhost:80:80",
            "localhost:x",
            "localhost:65536",
            "[localhost]:80",
            "[127.0.0.1]",
            "[::1",
            "[::1]x",
            "::1",
            "",
            ":3000",
            "192.168.1.5",
            "0.0.0.0",
        ] {
            assert!(!host(foreign), "{foreign}");
        }
        let both = gate().admit(&["localhost", "evil.example"], &[]);
        assert_eq!(both, Err(Turned::Host("localhost, evil.example".into())));
        assert!(gate().admit(&[], &[]).is_err(), "no name at all");
    }

    #[test]
    fn the_desktop_application_development_servers_and_listed_pages_pass() {
        for ours in [
            "tauri://localhost",
            "http://tauri.localhost",
            "http://localhost:5173",
            "http://localhost",
            "http://127.0.0.1:1420",
            "http://[::1]:3000",
            "https://app.example",
        ] {
            assert!(origin(ours), "{ours}");
        }
    }

    #[test]
    fn any_other_page_is_foreign() {
        for foreign in [
            "null",
            "",
            "https://evil.example",
            "http://localhost.evil.example",
            "http://localhost:5173.evil.example",
            "http://evil.example#localhost",
            "https://localhost:5173",
            "tauri://localhost.evil",
            "http://app.example",
            "http://127.0.0.2:80",
            "http://user@localhost",
            "http://[localhost]",
        ] {
            assert!(!origin(foreign), "{foreign}");
        }
        assert!(
            gate()
                .admit(&["localhost"], &["tauri://localhost", "tauri://localhost"])
                .is_err()
        );
    }

    #[test]
    fn listening_everywhere_makes_every_address_ours_but_no_name() {
        let open = Gate::local(["0.0.0.0".to_owned()], []);
        assert!(open.admit(&["192.168.1.5:3000"], &[]).is_ok());
        assert!(open.admit(&["evil.example"], &[]).is_err());
    }
}
