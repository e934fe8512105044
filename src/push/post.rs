//! Carrying one push to its service: one connection, no redirects, nobody near us, ten seconds (SECURITY rule 14).

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Request, Response, StatusCode, header};
use hyper_rustls::ConfigBuilderExt;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::domain::for_terminal;
use crate::outward;

use super::{address::is_public, endpoint::Endpoint};

/// The whole of it: name, connection, answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of an answer is read, in bytes: services say in it what they did not like.
const READ: usize = 2 << 10;
/// So much of that is shown, in characters.
const SHOWN: usize = 120;

/// What a service is given.
pub struct Parcel {
    pub to: Endpoint,
    pub authorization: String,
    pub content: Vec<u8>,
    pub good_for: Duration,
    pub urgency: &'static str,
    pub topic: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service delivers it.
    Accepted,
    /// There is no such subscription any more.
    Gone(String),
    /// Not now; perhaps after this time.
    Later(Option<Duration>, String),
    /// It will not be taken, however often it is tried.
    Refused(String),
    /// Nobody could be asked.
    Unreachable(String),
}

/// Carries it. Says where to only by the name of the service.
pub async fn carry(parcel: Parcel) -> Outcome {
    match timeout(PATIENCE, exchange(parcel)).await {
        Ok(Ok(answer)) => judge(
            answer.status(),
            answer.headers(),
            answer.body(),
            SystemTime::now(),
        ),
        Ok(Err(failure)) => failure,
        Err(_) => Outcome::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Pure.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Outcome {
    let said = for_terminal(&String::from_utf8_lossy(body));
    let said: String = said.chars().take(SHOWN).collect();
    let told = match said.as_str() {
        "" => format!("status {}", status.as_u16()),
        said => format!("status {}: {said}", status.as_u16()),
    };
    match status.as_u16() {
        200..=299 => Outcome::Accepted,
        404 | 410 => Outcome::Gone(told),
        408 | 425 | 429 | 500..=599 => Outcome::Later(wait(headers, now), told),
        300..=399 => Outcome::Refused(format!("status {}: it points elsewhere", status.as_u16())),
        _ => Outcome::Refused(told),
    }
}

/// `Retry-After`, in either of its forms.
fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

async fn exchange(parcel: Parcel) -> Result<Response<Bytes>, Outcome> {
    let to = &parcel.to;
    let unreachable = |error: &dyn std::error::Error| Outcome::Unreachable(outward::told(error));
    let request = Request::post(to.target())
        .header(header::HOST, to.authority())
        .header(header::AUTHORIZATION, parcel.authorization)
        .header(header::CONTENT_ENCODING, "aes128gcm")
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::USER_AGENT, concat!("maestro/", env!("CARGO_PKG_VERSION")))
        .header("ttl", parcel.good_for.as_secs())
        .header("urgency", parcel.urgency)
        .header("topic", parcel.topic)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(parcel.content)))
        .map_err(|error| Outcome::Refused(error.to_string()))?;
    let stream = connect(to).await?;
    if !to.is_https() {
        return outward::ask(TokioIo::new(stream), request, READ)
            .await
            .map_err(|error| unreachable(&error));
    }
    let name =
        ServerName::try_from(to.host().to_owned()).map_err(|error| Outcome::Refused(error.to_string()))?;
    let stream = TlsConnector::from(tls()?)
        .connect(name, stream)
        .await
        .map_err(|error| unreachable(&error))?;
    outward::ask(TokioIo::new(stream), request, READ)
        .await
        .map_err(|error| unreachable(&error))
}

/// To an address of the public internet, whatever the name says, unless the owner of this machine named this very place.
async fn connect(to: &Endpoint) -> Result<TcpStream, Outcome> {
    let addresses = lookup_host((to.host(), to.port()))
        .await
        .map_err(|error| Outcome::Unreachable(format!("{}: {error}", to.host())))?;
    let mut last = Outcome::Unreachable(format!("{} has no address", to.host()));
    for address in addresses {
        if !to.is_named() && !is_public(address.ip()) {
            last = Outcome::Refused(format!("{} leads to a private address", to.host()));
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Outcome::Unreachable(error.to_string()),
        }
    }
    Err(last)
}

/// What this system trusts, read once.
fn tls() -> Result<Arc<ClientConfig>, Outcome> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Outcome::Unreachable(error.to_string()))?
        .with_native_roots()
        .map_err(|error| Outcome::Unreachable(format!("this system has no certificates to trust: {error}")))?
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_near_is_not_followed_there() {
        use super::super::endpoint::{AllowList, Service};
        for host in ["127.0.0.1", "[::1]", "169.254.169.254", "localhost"] {
            let list = AllowList::new([Service::Host(host.into())]);
            let to = list.admit(&format!("https://{host}/")).unwrap();
            let refused = connect(&to).await.unwrap_err();
            assert!(matches!(refused, Outcome::Refused(_)), "{host}: {refused:?}");
        }
    }

    fn judged(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        judge(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            b"{\"reason\":\"x\"}",
            now,
        )
    }

    #[test]
    fn a_status_says_what_to_do() {
        assert_eq!(judged(201, None), Outcome::Accepted);
        assert!(matches!(judged(404, None), Outcome::Gone(_)));
        assert!(matches!(judged(410, None), Outcome::Gone(_)));
        for status in [301, 302, 307, 308, 400, 401, 403, 413] {
            assert!(matches!(judged(status, None), Outcome::Refused(_)), "{status}");
        }
        for status in [429, 500, 502, 503] {
            assert!(
                matches!(judged(status, None), Outcome::Later(None, _)),
                "{status}"
            );
        }
    }

    #[test]
    fn a_service_says_how_long_to_wait_in_seconds_or_by_the_clock() {
        let waits = |text| match judged(429, Some(text)) {
            Outcome::Later(wait, _) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            waits("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(waits("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(waits("soon"), None);
    }
}
