//! `/mobile`: phones, from here or through the tunnel. What they ask for is answered with an acknowledgement, always.

use std::{future::ready, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::{Value, json};
use socketioxide::{
    SocketIo,
    extract::{Event, SocketRef, TryData},
    handler::ConnectHandler,
};
use tokio::time::timeout;
use tracing::error;

use crate::domain::Scope;
use crate::hub::{listen::OnTrial, page};

use super::{
    Shared,
    admit::{self, Auth, Refused},
    peer::{Item, Peer},
    pump::raw,
    reply::Reply,
    requests::{Request, Taken},
    ui::pump_of,
    verbs::{self, Refusal, Verb},
};

/// Longest time for one request. What it asked for may still happen then: the same `requestId` asks for the outcome.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the namespace.
pub fn open(io: &SocketIo, shared: &Arc<Shared>) {
    let (registering, serving) = (shared.clone(), shared.clone());
    let register = move |socket: SocketRef, TryData(auth): TryData<Auth>| {
        ready(register(&socket, &auth.unwrap_or_default(), &registering))
    };
    io.ns("/mobile", pump_of(serving).with(register));
}

fn register(socket: &SocketRef, auth: &Auth, shared: &Arc<Shared>) -> Result<(), Refused> {
    let seat = admit::phone(socket, auth, shared)?;
    let trial = socket.req_parts().extensions.get::<OnTrial>().is_some();
    greet(seat.peer(), shared, trial);
    let (peer, hub) = (seat.peer().clone(), shared.clone());
    // The body runs as the requests come, one after the other; what they ask for is done in that order too. One handler
    // for all: there are many phones, and each would keep its own of each.
    socket.on_fallback(
        move |Event(name): Event, TryData(data): TryData<Value>, reply: Reply| {
            match Verb::called(&name) {
                Some(verb) => {
                    let data = data.ok();
                    ask(&hub, &peer, Request { verb, data, reply });
                }
                None => {
                    let unknown = Refusal::new("unknown_request", "there is no such request here");
                    acknowledge(&peer, reply, Err(unknown));
                }
            }
            ready(())
        },
    );
    admit::settle(socket, &shared.mobile, seat);
    Ok(())
}

/// Where the phone stands: it compares that with what it knows, and asks for what it missed. `trial`: it comes by an
/// address that will be gone.
fn greet(peer: &Peer, shared: &Shared, trial: bool) {
    let (epoch, seq) = shared.hub.bus().replay().now();
    let caller = peer.caller();
    let scopes: Vec<_> = Scope::ALL
        .into_iter()
        .filter(|scope| caller.may(*scope, None))
        .collect();
    let hello = json!({
        "epoch": &*epoch, "seq": seq, "scopes": scopes, "timestamp": shared.hub.app().now(),
        "projectId": peer.project(), "build": page::build(), "version": env!("CARGO_PKG_VERSION"), "trial": trial,
        "device": caller.device().map(|device| json!({
            "id": device.id, "name": device.name, "scopes": device.scopes, "projects": device.projects,
            "pairedAt": device.paired_at,
        })),
    });
    peer.say(Item::Said("hello", raw(hello)));
}

fn ask(shared: &Arc<Shared>, peer: &Arc<Peer>, request: Request) {
    match peer.requests.take(request) {
        Taken::Queued => {}
        Taken::First => {
            let (peer, shared) = (peer.clone(), shared.clone());
            let tasks = shared.hub.sockets().clone();
            tasks.spawn("requests", move |_| async move {
                while let Some(request) = peer.requests.next() {
                    let answer = answer(&shared, &peer, request.verb, request.data).await;
                    acknowledge(&peer, request.reply, answer);
                }
            });
        }
        Taken::Refused(reply, refusal) => acknowledge(peer, reply, Err(refusal)),
    }
}

async fn answer(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    verb: Verb,
    data: Option<Value>,
) -> Result<Value, Refusal> {
    let data = data.ok_or_else(|| Refusal::invalid("one JSON value is expected, without binary parts"))?;
    let work = AssertUnwindSafe(verbs::carry_out(shared, peer, verb, data)).catch_unwind();
    match timeout(PATIENCE, work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            error!(verb = verb.name(), "a request of a phone panicked"); // the panic hook has logged where and why
            Err(Refusal::new(
                "internal",
                "The hub made a mistake. Its log says more.",
            ))
        }
        Err(_) => Err(Refusal::new(
            "timeout",
            "this takes long: ask again with the same requestId for the outcome",
        )),
    }
}

fn acknowledge(peer: &Peer, reply: Reply, answer: Result<Value, Refusal>) {
    if !reply.is_awaited() {
        return;
    }
    let told = match answer {
        Ok(Value::Object(answer)) => {
            let mut told = serde_json::Map::from_iter([("success".to_owned(), Value::Bool(true))]);
            told.extend(answer);
            told.into()
        }
        Ok(_) => json!({"success": true}),
        Err(refusal) => refusal.told(),
    };
    peer.say(Item::Ack(reply, raw(told)));
}
