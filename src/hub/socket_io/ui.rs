//! `/ui`: desktops of this machine. Speaks the raw protocol's words as events (EVENTS.md sections 2 and 3).

use std::{collections::HashSet, future::ready, sync::Arc};

use serde_json::{Value, json};
use socketioxide::{
    SocketIo,
    extract::{SocketRef, TryData},
    handler::ConnectHandler,
};

use crate::domain::Caller;
use crate::hub::listen::Entrance;

use super::{
    Shared, admit,
    peer::{Item, Peer, Wants},
    pump::{self, raw},
    reply::Reply,
    session::Session,
};

/// Opens the namespace.
pub fn open(io: &SocketIo, shared: &Arc<Shared>) {
    let (registering, serving) = (shared.clone(), shared.clone());
    let register = move |socket: SocketRef| ready(register(&socket, &registering));
    io.ns("/ui", pump_of(serving).with(register));
}

/// What is done once the client was told that it is connected.
pub fn pump_of(
    shared: Arc<Shared>,
) -> impl ConnectHandler<socketioxide::adapter::LocalAdapter, (SocketRef,)> {
    move |socket: SocketRef| {
        if let Some(seat) = admit::seat_of(&socket) {
            let (peer, shared) = (seat.peer().clone(), shared.clone());
            let tasks = shared.hub.sockets().clone();
            tasks.spawn("socket", move |stop| pump::run(socket, peer, shared, stop));
        }
        ready(())
    }
}

/// Everything that must not come too late for the first event or for the end: it is done before CONNECT is answered.
fn register(socket: &SocketRef, shared: &Arc<Shared>) -> Result<(), &'static str> {
    let extensions = &socket.req_parts().extensions;
    if extensions.get::<Entrance>() != Some(&Entrance::Local) {
        return Err("not available here");
    }
    let limits = shared.hub.limits();
    let peer = Peer::new(
        socket.id.to_string(),
        Caller::Local,
        Wants::Desktop(None),
        extensions.get::<Session>().cloned(),
        limits.queue,
    );
    let counted = shared.hub.clients().on_ui();
    let seat = shared.ui.seat(peer, limits.sockets, usize::MAX, counted);
    let seat = seat.ok_or("too many sockets are open")?;
    listen(socket, seat.peer(), shared);
    admit::settle(socket, &shared.ui, seat);
    Ok(())
}

fn listen(socket: &SocketRef, peer: &Arc<Peer>, shared: &Arc<Shared>) {
    // The bodies of these run one after the other, as the events came; only what they return would be spawned.
    let (to, hub) = (peer.clone(), shared.hub.clone());
    socket.on("subscribe", move |data: TryData<Value>, reply: Reply| {
        let ids = data.0.ok().and_then(session_ids);
        match ids {
            Some((filter, ids)) => {
                let answer = json!({"sessionIds": ids, "timestamp": hub.app().now()});
                choose(&to, Some(filter), "subscribed", answer, reply);
            }
            None => refuse(&to, reply, "sessionIds must be a list"),
        }
        ready(())
    });
    let (to, hub) = (peer.clone(), shared.hub.clone());
    socket.on("unsubscribe", move |reply: Reply| {
        let answer = json!({"timestamp": hub.app().now()});
        choose(&to, None, "unsubscribed", answer, reply);
        ready(())
    });
    let (to, hub) = (peer.clone(), shared.hub.clone());
    socket.on("ping", move |reply: Reply| {
        let answer = json!({"timestamp": hub.app().now()});
        say(&to, "pong", answer, reply);
        ready(())
    });
    let to = peer.clone();
    socket.on_fallback(move |reply: Reply| {
        refuse(&to, reply, "there is no such request here");
        ready(())
    });
}

/// The ids that are texts, as a set and in order without repeats.
fn session_ids(data: Value) -> Option<(HashSet<String>, Vec<String>)> {
    let list = data.get("sessionIds")?.as_array()?;
    let mut filter = HashSet::new();
    let texts = list.iter().filter_map(Value::as_str);
    let ids = texts
        .filter(|id| filter.insert((*id).to_owned()))
        .map(str::to_owned);
    let ids = ids.collect();
    Some((filter, ids))
}

fn choose(peer: &Peer, filter: Option<HashSet<String>>, name: &'static str, answer: Value, reply: Reply) {
    let answers = answers(name, answer, reply);
    peer.choose(|wants| *wants = Wants::Desktop(filter), answers);
}

fn say(peer: &Peer, name: &'static str, answer: Value, reply: Reply) {
    for item in answers(name, answer, reply) {
        peer.say(item);
    }
}

/// As an event, and as an acknowledgement for who waits for one.
fn answers(name: &'static str, answer: Value, reply: Reply) -> Vec<Item> {
    let mut items = vec![Item::Said(name, raw(answer.clone()))];
    if reply.is_awaited() {
        let mut told = json!({"success": true});
        if let (Some(told), Value::Object(answer)) = (told.as_object_mut(), answer) {
            told.extend(answer);
        }
        items.push(Item::Ack(reply, raw(told)));
    }
    items
}

fn refuse(peer: &Peer, reply: Reply, why: &str) {
    if reply.is_awaited() {
        let told = json!({"success": false, "error": why, "code": "invalid"});
        peer.say(Item::Ack(reply, raw(told)));
    }
}
