//! The lock on each route of the ingress: it is part of the route, so no handler can be reached around it.
//!
//! Who asks, may he do this, is his body short enough, was this asked before: only then the handler runs. An action is
//! carried out to its end even if whoever asked for it is gone, and is on disk in the audit before it is acknowledged.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tracing::error;

use crate::access::Origin;
use crate::domain::{Caller, Device, SendKey};
use crate::hub::{
    body,
    deed::{About, Deed},
    phone::refusal::Refused,
    reply,
};

use super::{
    Phone, RequestId,
    guard::Guard,
    once::{Fingerprint, Kept},
    table::Decision,
};

/// Longest body before a device has proved itself: a code and a name.
const STRANGER_BODY: usize = 4 << 10;
/// Longest answer of an action that is kept for repetitions; they are all short.
const KEPT: usize = 64 << 10;

/// One route's lock.
#[derive(Clone)]
pub struct Lock {
    pub phone: Phone,
    pub decision: Decision,
}

/// Answers a request that found its route.
pub async fn check(State(lock): State<Lock>, mut request: Request, next: Next) -> Response {
    match lock.let_in(&mut request).await {
        Ok(None) => next.run(request).await,
        Ok(Some(action)) => lock.carry_out(action, request, next).await,
        Err(refused) => refused.into_response(),
    }
}

/// Something that changes something, asked for by a device.
struct Action {
    device: Arc<Device>,
    from: Origin,
    request: Option<String>,
    repeatable: Option<(SendKey, Fingerprint)>,
}

impl Lock {
    async fn let_in(&self, request: &mut Request) -> Result<Option<Action>, Refused> {
        let device = match self.decision {
            Decision::Open => {
                self.open(request.headers())?;
                None
            }
            Decision::Paired => Some(self.device(request.headers())?),
            Decision::Needs(scope) => {
                let device = self.device(request.headers())?;
                if !device.scopes.allow(scope) {
                    return Err(Refused::scope(scope));
                }
                Some(device)
            }
            Decision::Never => return Err(Refused::missing("page")), // never registered
        };
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        if changes && self.phone.hub.stopping().is_cancelled() {
            return Err(Refused::busy("The hub is stopping"));
        }
        let limits = self.phone.guard.parts.limits;
        let most = match (&device, changes) {
            (Some(_), true) => limits.body_bytes,
            (None, true) => STRANGER_BODY,
            (_, false) => 0,
        };
        let sent = std::mem::take(request.body_mut());
        let sent = body::collect(sent, most, limits.body_time)
            .await
            .map_err(Refused::of_request)?;
        let action = match device {
            Some(device) => {
                let repeatable = repeatable(request, &sent)?;
                request.extensions_mut().insert(Caller::Device(device.clone()));
                let id = request.extensions().get::<RequestId>();
                changes.then(|| Action {
                    from: self.phone.guard.origin(request.headers()),
                    request: id.map(|id| id.0.clone()),
                    device,
                    repeatable,
                })
            }
            None => None,
        };
        *request.body_mut() = Body::from(sent);
        Ok(action)
    }

    /// What is open costs a stranger; who was paired is none.
    fn open(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let guard = &self.phone.guard;
        let cookie = Guard::cookie(headers);
        if cookie.is_some_and(|half| guard.parts.devices.recognises(&half).is_some()) {
            return Ok(());
        }
        guard.stranger(guard.origin(headers).ip)?;
        Ok(())
    }

    /// The device that asks. A valid secret is let in whatever others tried in its name or from its address.
    fn device(&self, headers: &HeaderMap) -> Result<Arc<Device>, Refused> {
        let guard = &self.phone.guard;
        let cookie = Guard::cookie(headers);
        let shown = Guard::shown(headers, cookie.as_deref());
        let (from, now) = (guard.origin(headers), self.phone.hub.app().now());
        match guard.parts.devices.authenticate_from(shown, &from, now) {
            Ok(device) => {
                guard.parts.devices.may_send(&device.id, now)?;
                Ok(device)
            }
            Err(denied) => {
                guard.stranger(from.ip)?;
                Err(denied.into())
            }
        }
    }

    async fn carry_out(&self, mut action: Action, request: Request, next: Next) -> Response {
        let Some((key, asked)) = action.repeatable.take() else {
            return self.to_its_end(action, request, next).await;
        };
        let outcome = self.phone.guard.once.outcome(&action.device.id, key, asked);
        let Ok(outcome) = outcome else {
            let message = "This idempotency key was used for something else";
            return Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", message).into_response();
        };
        // Whoever comes second waits for the first.
        let first = async || keep(self.to_its_end(action, request, next).await).await;
        match outcome.get_or_try_init(first).await {
            Ok(kept) => reply::bytes(kept.status, kept.body.clone()),
            Err(passing) => passing,
        }
    }

    /// Runs the handler and writes down what came of it, even if the client hangs up; the stop waits for it.
    async fn to_its_end(&self, action: Action, request: Request, next: Next) -> Response {
        let phone = self.phone.clone();
        let audited = match self.decision {
            Decision::Needs(scope) => Some(scope),
            // What a device does to itself, the keeper of devices writes down.
            Decision::Open | Decision::Paired | Decision::Never => None,
        };
        let work = self.phone.hub.in_flight().spawn(async move {
            let Some(scope) = audited else {
                return next.run(request).await;
            };
            let deed = Deed {
                device: action.device,
                from: action.from,
                scope,
                request: action.request,
            };
            let recorded = deed.on_record(&phone.hub, next.run(request), told_by).await;
            recorded.unwrap_or_else(|error| Refused::from(error).into_response())
        });
        work.await.unwrap_or_else(|_| {
            // The panic hook has logged where and why.
            error!("an action from outside was not carried out to its end");
            internal()
        })
    }
}

/// What an answer says of the action: what it was about, and why it was refused, if it was.
fn told_by(response: &Response) -> (About, Option<String>) {
    let about = response.extensions().get::<About>().cloned();
    let refused = response.extensions().get::<Refused>();
    (
        about.unwrap_or_default(),
        refused.map(|refused| refused.code.clone()),
    )
}

/// What is told again to who repeats: everything that would not come out otherwise now.
async fn keep(response: Response) -> Result<Kept, Response> {
    let status = response.status();
    let passing = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    );
    if status.is_server_error() || passing {
        return Err(response);
    }
    match to_bytes(response.into_body(), KEPT).await {
        Ok(body) => Ok(Kept { status, body }),
        Err(error) => {
            error!("the answer to an action could not be kept: {error}");
            Err(internal())
        }
    }
}

fn internal() -> Response {
    let message = "The hub failed; its log says why";
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).into_response()
}

fn repeatable(request: &Request, sent: &Bytes) -> Result<Option<(SendKey, Fingerprint)>, Refused> {
    if request.method() != Method::POST {
        return Ok(None);
    }
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = SendKey::parse(value.to_str().unwrap_or_default());
    let key = key.map_err(|error| Refused::invalid(error.to_string()))?;
    let asked = Sha256::new()
        .chain_update(request.uri().path())
        .chain_update([0]) // no path holds one
        .chain_update(sent)
        .finalize();
    Ok(Some((key, asked.into())))
}
