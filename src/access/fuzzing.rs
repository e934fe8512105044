//! What holds for the gate whatever a request calls us and wherever it says it comes from: it is let in only if
//! another reading of both, by the `http` crate, finds one of our names and one of our pages.
//!
//! The input: lines `Host: …` and `Origin: …`; other lines say nothing.

use std::net::IpAddr;

use axum::http::{Uri, uri::Authority};

use super::Gate;

const HOSTS: [&str; 3] = ["host.docker.internal", "box.example", "192.0.2.7"];
const ORIGINS: [&str; 3] = [
    "https://app.example",
    "tauri://localhost",
    "http://tauri.localhost",
];

pub(crate) fn gate(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let values = |name| text.lines().filter_map(move |line| line.strip_prefix(name));
    let (hosts, origins): (Vec<_>, Vec<_>) = (values("Host: ").collect(), values("Origin: ").collect());
    for everywhere in [false, true] {
        let names = HOSTS.into_iter().chain(everywhere.then_some("0.0.0.0"));
        let gate = Gate::local(names.map(str::to_owned), ["https://App.example".to_owned()]);
        let Err(turned) = gate.admit(&hosts, &origins) else {
            assert!(hosts.len() == 1 && origins.len() <= 1, "{hosts:?} {origins:?}");
            assert!(is_ours(hosts[0], everywhere), "{:?} is not our name", hosts[0]);
            assert!(
                origins.iter().all(|origin| is_our_page(origin)),
                "{origins:?} is not our page"
            );
            continue;
        };
        assert!(!turned.to_string().is_empty());
    }
}

fn is_ours(host: &str, everywhere: bool) -> bool {
    let Some(name) = name_of(host) else { return false };
    match address(&name) {
        Some(ip) => ip.is_loopback() || everywhere || HOSTS.contains(&name.as_str()),
        None => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            // Written with a dot at its end an address is still that address.
            name == "localhost"
                || HOSTS.contains(&name)
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback() || everywhere)
        }
    }
}

fn is_our_page(origin: &str) -> bool {
    let lower = origin.to_ascii_lowercase();
    if ORIGINS.contains(&lower.as_str()) {
        return true;
    }
    let Ok(uri) = Uri::try_from(lower.as_str()) else {
        return false;
    };
    let bare = uri.path_and_query().is_none_or(|path| path == "/") && !lower.ends_with('/');
    let name = uri.authority().and_then(|authority| name_of(authority.as_str()));
    bare && uri.scheme_str() == Some("http")
        && name.is_some_and(|name| matches!(name.as_str(), "localhost" | "127.0.0.1" | "[::1]"))
}

/// The host of `host[:port]`, lower case, as the `http` crate reads it.
fn name_of(text: &str) -> Option<String> {
    let authority = Authority::try_from(text).ok()?;
    let port = text
        .rsplit_once(':')
        .map(|(_, port)| port)
        .filter(|port| !port.contains(']'));
    let plain = !text.contains('@') && port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    plain.then(|| authority.host().to_ascii_lowercase())
}

fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => name.parse().ok(),
    }
}
