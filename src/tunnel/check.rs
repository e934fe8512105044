//! Asking our own public address, the long way round, whether it leads to this very process.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, Response, Uri, header};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

use crate::access::{
    PublicUrl,
    nonce::{NONCE_PARAMETER, Nonce, PROOF_HEADER, Prover},
};
use crate::outward::{self, told};

/// The whole question: DNS, TLS, Cloudflare, back to us. Below what an operator's command waits for.
const PATIENCE: Duration = Duration::from_secs(8);
/// So much of an answer is looked at, in bytes; a longer one is not ours.
const LOOKED_AT: usize = 4 << 10;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// We answered.
    Ours,
    /// It does not lead to us.
    Astray {
        /// For scripts; `children::tunnel_told` has the words and the remedy.
        code: &'static str,
        /// What was seen, for people.
        seen: String,
    },
    /// Nobody could be asked: no name, no way, no TLS, no answer. That says nothing about the tunnel.
    Unreachable {
        /// Why.
        seen: String,
    },
}

impl Verdict {
    /// The code, if it does not lead to us or could not be asked.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Ours => None,
            Self::Astray { code, .. } => Some(code),
            Self::Unreachable { .. } => Some("unreachable"),
        }
    }
}

/// Asks `url`. Redirects are not followed: whoever sends us elsewhere is not us.
pub async fn ask(url: &PublicUrl, prover: &Prover) -> Verdict {
    let unreachable = |seen: String| Verdict::Unreachable { seen };
    let nonce = match Nonce::fresh() {
        Ok(nonce) => nonce,
        Err(error) => return unreachable(format!("no randomness for a question: {error}")),
    };
    match timeout(PATIENCE, exchange(url, nonce)).await {
        Ok(Ok(answer)) => judge(&answer, nonce, prover),
        Ok(Err(seen)) => unreachable(seen),
        Err(_) => unreachable(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Pure.
fn judge(answer: &Response<Bytes>, nonce: Nonce, prover: &Prover) -> Verdict {
    let astray = |code, seen: String| Verdict::Astray { code, seen };
    let text = String::from_utf8_lossy(answer.body());
    let status = answer.status().as_u16();
    if status == 530 || (status >= 500 && text.contains("error code: 1033")) {
        return astray("no_connector", format!("status {status}"));
    }
    let proof = answer
        .headers()
        .get(PROOF_HEADER)
        .and_then(|proof| proof.to_str().ok());
    match (status, proof) {
        (200, Some(proof)) if prover.is_proof(nonce, proof) => Verdict::Ours,
        (200, Some(_)) => astray("wrong_answer", "a hub answers that is not this one".into()),
        (502, _) => astray("ingress_dead", "status 502".into()),
        (200, None) => astray("wrong_answer", "it answers 200 and proves nothing".into()),
        (_, _) => astray("foreign_answer", format!("status {status}")),
    }
}

async fn exchange(url: &PublicUrl, nonce: Nonce) -> Result<Response<Bytes>, String> {
    let uri: Uri = format!("{}/", url.origin())
        .parse()
        .map_err(|_| "it is no web address".to_owned())?;
    let target = format!("/health?{NONCE_PARAMETER}={}", nonce.to_text());
    let request = Request::get(target)
        .header(header::HOST, url.authority())
        .header(header::USER_AGENT, concat!("maestro/", env!("CARGO_PKG_VERSION")))
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    if uri.scheme_str() == Some("http") {
        let port = uri.port_u16().unwrap_or(80);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| error.to_string())?;
        return outward::ask(TokioIo::new(stream), request, LOOKED_AT)
            .await
            .map_err(|error| told(&error));
    }
    let mut connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| format!("this system has no certificates to trust: {error}"))?
        .https_only()
        .enable_http1()
        .build();
    let stream = connector.call(uri).await.map_err(|error| told(&*error))?;
    outward::ask(stream, request, LOOKED_AT)
        .await
        .map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(
        status: u16,
        proof: Option<&str>,
        body: &str,
        nonce: Nonce,
        prover: &Prover,
    ) -> Option<&'static str> {
        let mut answer = Response::builder().status(status);
        if let Some(proof) = proof {
            answer = answer.header(PROOF_HEADER, proof);
        }
        let answer = answer.body(body.to_owned().into()).expect("an answer");
        judge(&answer, nonce, prover).code()
    }

    #[test]
    fn only_a_proof_of_this_process_for_this_question_counts() {
        let (ours, twin) = (Prover::new().unwrap(), Prover::new().unwrap());
        let (nonce, old) = (Nonce::fresh().unwrap(), Nonce::fresh().unwrap());
        let asked = |proof: Option<&str>| code(200, proof, "{}", nonce, &ours);
        assert_eq!(asked(Some(&ours.prove(nonce))), None);
        assert_eq!(asked(Some(&ours.prove(old))), Some("wrong_answer"), "replayed");
        assert_eq!(
            asked(Some(&twin.prove(nonce))),
            Some("wrong_answer"),
            "a stale twin"
        );
        assert_eq!(asked(None), Some("wrong_answer"), "another program");
    }

    #[test]
    fn cloudflares_own_words_are_understood() {
        let (prover, nonce) = (Prover::new().unwrap(), Nonce::fresh().unwrap());
        let seen = |status, body: &str| code(status, None, body, nonce, &prover);
        assert_eq!(seen(530, "error code: 1033"), Some("no_connector"));
        assert_eq!(seen(530, ""), Some("no_connector"));
        assert_eq!(seen(502, "Bad gateway"), Some("ingress_dead"));
        assert_eq!(seen(302, ""), Some("foreign_answer"), "a login page before it");
        assert_eq!(seen(403, ""), Some("foreign_answer"));
    }

    #[tokio::test]
    async fn nobody_to_ask_is_no_verdict_on_the_tunnel() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let url = PublicUrl::parse(&format!("http://127.0.0.1:{port}")).expect("a url");
        let verdict = ask(&url, &Prover::new().unwrap()).await;
        assert!(matches!(verdict, Verdict::Unreachable { .. }), "{verdict:?}");
    }

    #[tokio::test]
    async fn an_https_address_is_asked_with_tls() {
        // A listener that hears what a client says first.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let url = PublicUrl::parse(&format!("https://127.0.0.1:{port}")).expect("a url");
        let hear = async {
            use tokio::io::AsyncReadExt;
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut first = [0; 3];
            stream.read_exact(&mut first).await.expect("said");
            first
        };
        let prover = Prover::new().unwrap();
        let (verdict, first) = tokio::join!(ask(&url, &prover), hear);
        assert_eq!(first[..2], [0x16, 0x03], "a TLS hello");
        assert!(matches!(verdict, Verdict::Unreachable { .. }), "{verdict:?}");
    }
}
