//! What every answer of the ingress says to a browser (SECURITY rule 19).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::access::PublicUrl;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const CROSS_ORIGIN_OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Adds them. Without a public address nothing may be connected to but ourselves. `stable` is a name that is ours to
/// keep: only then may a browser be told to never speak plain HTTP to it.
pub fn harden(headers: &mut HeaderMap, public: Option<&PublicUrl>, stable: bool) {
    let sockets = public.map_or(String::new(), |url| {
        let scheme = if url.origin().starts_with("https://") {
            "wss"
        } else {
            "ws"
        };
        format!(" {scheme}://{}", url.authority())
    });
    let policy = format!(
        "default-src 'self'; connect-src 'self'{sockets}; object-src 'none'; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            PERMISSIONS_POLICY,
            "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        ),
        (CROSS_ORIGIN_OPENER, "same-origin"),
        (CROSS_ORIGIN_RESOURCE, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if stable {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    // Pages say themselves how long they keep; data and refusals are kept by nobody.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardened(url: &str, stable: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        harden(&mut headers, PublicUrl::parse(url).as_ref(), stable);
        headers
    }

    #[test]
    fn pages_may_talk_to_their_own_hub_and_run_nothing_else() {
        let headers = hardened("https://hub.example:8443", false);
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with(
            "default-src 'self'; connect-src 'self' wss://hub.example:8443; object-src 'none'; \
             base-uri 'none'; frame-ancestors 'none'"
        ));
        assert!(!policy.contains("unsafe"));
        assert_eq!(headers["cache-control"], "no-store");
    }

    #[test]
    fn only_a_name_that_stays_is_bound_to_https() {
        assert!(hardened("https://hub.example", true).contains_key("strict-transport-security"));
        assert!(!hardened("https://hub.example", false).contains_key("strict-transport-security"));
    }
}
