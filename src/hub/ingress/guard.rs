//! What stands before the ingress: whom the hub is called by, who was paired, how often strangers may ask.

use std::{net::IpAddr, time::Duration};

use axum::http::{HeaderMap, HeaderName, Method, header};
use cookie::Cookie;
use tokio::sync::watch;

use crate::access::{Credential, Devices, Origin, PublicUrl, nonce::Prover};
use crate::hub::listen::ConnectionLimits;

use super::{
    once::Once,
    rate::{Buckets, Rate, TooOften},
};

/// The cookie that holds one half of a device's credential. Its prefix makes browsers keep it to this very host, to
/// HTTPS, and out of reach of any other page.
pub const COOKIE: &str = "__Host-maestro";
/// The header that holds the other half.
pub const DEVICE: HeaderName = HeaderName::from_static("x-maestro-device");
/// Where Cloudflare says who asks. Counts only if cloudflared is our only visitor.
const CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
/// Where Cloudflare says from which country.
const COUNTRY: HeaderName = HeaderName::from_static("cf-ipcountry");

/// How far the addresses of clients are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Cloudflare tells them.
    Cloudflare,
    /// Not at all: all strangers are one.
    Unknown,
}

/// What somebody from outside may use.
#[derive(Clone, Copy, Debug)]
pub struct IngressLimits {
    /// Longest body of a request, in bytes.
    pub body_bytes: usize,
    /// Longest time for it.
    pub body_time: Duration,
    /// Requests of one client that has not proved itself.
    pub stranger: Rate,
    /// Requests of all of those together.
    pub strangers: Rate,
    /// Connections, apart from those of the local listeners.
    pub connections: ConnectionLimits,
}

impl Default for IngressLimits {
    fn default() -> Self {
        Self {
            body_bytes: 256 << 10,
            body_time: Duration::from_secs(15),
            stranger: Rate {
                per_second: 2.0,
                burst: 60.0,
            },
            strangers: Rate {
                per_second: 50.0,
                burst: 500.0,
            },
            connections: ConnectionLimits {
                connections: 512,
                head_time: Duration::from_secs(10),
                head_bytes: 16 << 10,
                headers: 64,
                write_time: Duration::from_secs(10),
            },
        }
    }
}

/// What a guard is made of. There is no ingress without one.
pub struct Guarding {
    /// Who was paired.
    pub devices: Devices,
    /// By which address the world calls us, once that is known. Without one nobody is let in.
    pub public: watch::Receiver<Option<PublicUrl>>,
    /// Proves to who asks for it that it is this process that answers.
    pub prover: Option<Prover>,
    /// True if that address is ours to keep.
    pub stable: bool,
    /// True if it will be gone: that of a quick tunnel. Phones are told.
    pub trial: bool,
    /// How far clients can be told apart.
    pub addresses: Addresses,
    /// How much they may use.
    pub limits: IngressLimits,
}

/// Decides about each request from outside before anything else sees it.
pub struct Guard {
    pub(super) parts: Guarding,
    pub(super) once: Once,
    each: Buckets,
    all: Buckets,
}

/// Why a request is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwelcome {
    /// It calls us by a name that is not ours, by two, or by none.
    Host,
    /// It comes from another page, or from one that hides.
    Origin,
    /// It would change something, and does not say which page it comes from.
    NoOrigin,
}

impl Guard {
    /// A guard of these parts.
    pub fn new(parts: Guarding) -> Self {
        Self {
            once: Once::default(),
            each: Buckets::new(parts.limits.stranger),
            all: Buckets::new(parts.limits.strangers),
            parts,
        }
    }

    /// The address the world calls us by, as things stand.
    pub fn public(&self) -> Option<PublicUrl> {
        self.parts.public.borrow().clone()
    }

    /// Name first, page second (SECURITY rules 3 and 4).
    pub(super) fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        public: Option<&PublicUrl>,
    ) -> Result<(), Unwelcome> {
        let public = public.ok_or(Unwelcome::Host)?;
        match only(headers, header::HOST) {
            Named::Once(host) if host.eq_ignore_ascii_case(&public.authority()) => {}
            _ => return Err(Unwelcome::Host),
        }
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match only(headers, header::ORIGIN) {
            Named::Once(origin) if origin == public.origin() => Ok(()),
            Named::Never if reads => Ok(()),
            Named::Never => Err(Unwelcome::NoOrigin),
            Named::Once(_) | Named::Strangely => Err(Unwelcome::Origin),
        }
    }

    /// The half of a credential that lies in the cookie.
    pub(super) fn cookie(headers: &HeaderMap) -> Option<String> {
        let texts = headers.get_all(header::COOKIE).iter();
        let mut halves = texts
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .filter(|cookie| cookie.name() == COOKIE);
        let half = halves.next()?;
        // Browsers keep one. Two are somebody's attempt.
        halves.next().is_none().then(|| half.value().to_owned())
    }

    /// What a request shows to prove a device.
    pub(super) fn shown<'a>(headers: &'a HeaderMap, cookie: Option<&'a str>) -> Credential<'a> {
        Credential {
            cookie,
            token: match only(headers, DEVICE) {
                Named::Once(token) => Some(token),
                Named::Never | Named::Strangely => None,
            },
        }
    }

    /// Where it comes from, as far as that can be known. X-Forwarded-For and its like are not even read: a client writes
    /// them.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Origin {
        let told = |name| match (self.parts.addresses, only(headers, name)) {
            (Addresses::Cloudflare, Named::Once(text)) => Some(text.trim()),
            (Addresses::Cloudflare | Addresses::Unknown, _) => None,
        };
        Origin {
            ip: told(CONNECTING_IP).and_then(|text| text.parse().ok()),
            country: told(COUNTRY).filter(|text| text.len() == 2).map(str::to_owned),
        }
    }

    /// A stranger asks for something.
    pub(super) fn stranger(&self, client: Option<IpAddr>) -> Result<(), TooOften> {
        if let Some(client) = client {
            self.each.take(neighbourhood(client))?; // who is refused here does not spend everybody's
        }
        self.all.take(())
    }
}

/// Who has one IPv6 address has 2^64 of them.
fn neighbourhood(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

/// How often a header is there that should be there once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named<'a> {
    Never,
    Once(&'a str),
    /// Twice, or not as text.
    Strangely,
}

fn only(headers: &HeaderMap, name: HeaderName) -> Named<'_> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Named::Never,
        (Some(value), None) => value.to_str().map_or(Named::Strangely, Named::Once),
        (Some(_), Some(_)) => Named::Strangely,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn guard(addresses: Addresses, public: Option<&str>) -> Guard {
        Guard::new(Guarding {
            devices: Devices::default(),
            public: watch::Sender::new(public.and_then(PublicUrl::parse)).subscribe(),
            prover: None,
            stable: false,
            trial: false,
            addresses,
            limits: IngressLimits::default(),
        })
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn admitted(method: Method, list: &[(&'static str, &str)]) -> Result<(), Unwelcome> {
        let guard = guard(Addresses::Unknown, Some("https://hub.example"));
        guard.admit(&method, &headers(list), guard.public().as_ref())
    }

    const OURS: (&str, &str) = ("host", "hub.example");
    const PAGE: (&str, &str) = ("origin", "https://hub.example");

    #[test]
    fn only_the_public_name_is_ours_and_it_is_said_once() {
        assert_eq!(admitted(Method::GET, &[OURS]), Ok(()));
        assert_eq!(admitted(Method::GET, &[("host", "HUB.example")]), Ok(()));
        for foreign in [
            "localhost",
            "127.0.0.1",
            "hub.example:3000",
            "hub.example.",
            "evil.example",
            "x.hub.example",
            "hub.example@evil",
            "",
        ] {
            let answer = admitted(Method::GET, &[("host", foreign)]);
            assert_eq!(answer, Err(Unwelcome::Host), "{foreign}");
        }
        assert_eq!(admitted(Method::GET, &[]), Err(Unwelcome::Host));
        assert_eq!(admitted(Method::GET, &[OURS, OURS]), Err(Unwelcome::Host));
    }

    #[test]
    fn without_a_public_address_nobody_is_let_in() {
        let guard = guard(Addresses::Unknown, None);
        let answer = guard.admit(&Method::GET, &headers(&[OURS]), guard.public().as_ref());
        assert_eq!(answer, Err(Unwelcome::Host));
    }

    #[test]
    fn a_page_is_ours_or_it_gets_nothing_and_a_change_names_its_page() {
        assert_eq!(admitted(Method::POST, &[OURS, PAGE]), Ok(()));
        assert_eq!(admitted(Method::POST, &[OURS]), Err(Unwelcome::NoOrigin));
        assert_eq!(admitted(Method::DELETE, &[OURS]), Err(Unwelcome::NoOrigin));
        for foreign in [
            "null",
            "",
            "http://hub.example",
            "https://hub.example.evil",
            "https://hub.example:8443",
        ] {
            for method in [Method::GET, Method::POST] {
                let answer = admitted(method, &[OURS, ("origin", foreign)]);
                assert_eq!(answer, Err(Unwelcome::Origin), "{foreign}");
            }
        }
        assert_eq!(admitted(Method::GET, &[OURS, PAGE, PAGE]), Err(Unwelcome::Origin));
    }

    #[test]
    fn a_client_s_address_is_what_cloudflare_says_and_nothing_else() {
        let said = headers(&[
            ("cf-connecting-ip", "203.0.113.7"),
            ("x-forwarded-for", "127.0.0.1"),
        ]);
        let forged = headers(&[("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")]);
        let cloudflare = guard(Addresses::Cloudflare, None);
        assert_eq!(cloudflare.origin(&said).ip, "203.0.113.7".parse().ok());
        assert_eq!(cloudflare.origin(&forged).ip, None);
        assert_eq!(guard(Addresses::Unknown, None).origin(&said).ip, None);
        let twice = headers(&[
            ("cf-connecting-ip", "203.0.113.7"),
            ("cf-connecting-ip", "127.0.0.1"),
        ]);
        assert_eq!(cloudflare.origin(&twice).ip, None);
    }

    #[test]
    fn a_network_shares_one_budget_and_leaves_the_others_theirs() {
        let guard = guard(Addresses::Cloudflare, None);
        let from = |text: &str| guard.stranger(text.parse().ok());
        let passed = (0..200u32)
            .filter(|n| from(&format!("2001:db8::{n:x}")).is_ok())
            .count();
        assert!((50..=80).contains(&passed), "{passed}");
        assert!(from("2001:db8:0:1::1").is_ok() && from("203.0.113.7").is_ok());
    }

    #[test]
    fn two_cookies_of_one_name_are_none() {
        let one = headers(&[("cookie", "a=b; __Host-maestro=half; c=d")]);
        assert_eq!(Guard::cookie(&one).as_deref(), Some("half"));
        let two = headers(&[("cookie", "__Host-maestro=half; __Host-maestro=other")]);
        assert_eq!(Guard::cookie(&two), None);
        let apart = headers(&[
            ("cookie", "__Host-maestro=half"),
            ("cookie", "__Host-maestro=other"),
        ]);
        assert_eq!(Guard::cookie(&apart), None);
    }
}
