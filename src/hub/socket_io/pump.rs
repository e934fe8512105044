//! Feeds one socket from its queue, as fast as its client takes it, and says goodbye.
//!
//! The library's own buffer is kept short: what is in it is a copy, what waits in our queue is shared by all. Its
//! only answer to "full" is an error, so a full one is tried again.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json, value::RawValue};
use socketioxide::{SendError, SocketError, TransportType, extract::SocketRef};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Shared,
    peer::{End, Item, Peer},
};

/// Pause before a full buffer is tried again.
const PAUSE: Duration = Duration::from_millis(5);
/// How long last words may take to get on their way.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Serves `socket` until it ends.
pub async fn run(socket: SocketRef, peer: Arc<Peer>, shared: Arc<Shared>, stop: CancellationToken) {
    let late = async {
        stop.cancelled().await;
        sleep(LAST_WORDS).await;
    };
    let end = tokio::select! {
        end = feed(&socket, &peer) => end,
        () = late => return,
    };
    match end {
        End::Left => {}
        // The gateway closes the transports; what is in their buffers goes first, but who polls must ask for it.
        End::Stopped if socket.transport_type() == TransportType::Polling => sleep(LAST_WORDS).await,
        End::Stopped => {}
        End::Slow(cut) => {
            info!(sid = peer.sid, "a client of Socket.IO was cut off: {cut}");
            shared.hub.clients().note_cut_off();
            let words = json!({"code": "too_slow", "error": cut.to_string(), "resync": true});
            say(&socket, &Item::Said("disconnect:reason", raw(words))).await;
            leave(socket, &peer, &shared).await;
        }
        End::Gone(denied) => {
            info!(
                sid = peer.sid,
                code = denied.code(),
                "a device's socket is closed"
            );
            let words = json!({"code": denied.code(), "error": denied.to_string()});
            say(&socket, &Item::Said("disconnect:reason", raw(words))).await;
            // By the protocol: a client that is told so does not come back by itself.
            let _full = socket.clone().disconnect();
            leave(socket, &peer, &shared).await;
        }
    }
}

/// Sends what is queued until there is a reason to stop.
async fn feed(socket: &SocketRef, peer: &Peer) -> End {
    loop {
        let item = match peer.next().await {
            Ok(item) => item,
            Err(end) => return end,
        };
        while let Err(trouble) = send(socket, &item) {
            match trouble {
                Trouble::Full => sleep(PAUSE).await,
                Trouble::Closed => return End::Left,
                Trouble::Unwritable => break,
            }
            if let Some(end) = peer.ending() {
                return end;
            }
        }
    }
}

enum Trouble {
    Full,
    Closed,
    Unwritable,
}

fn send(socket: &SocketRef, item: &Item) -> Result<(), Trouble> {
    let sent = match item {
        Item::Event(event) => socket.emit(&event.name, &(&*event.body,)),
        Item::Said(name, body) => socket.emit(name, &(&**body,)),
        Item::Ack(reply, body) => reply.send(body),
    };
    sent.map_err(|error| match error {
        SendError::Socket(SocketError::InternalChannelFull) => Trouble::Full,
        SendError::Socket(SocketError::Closed) => Trouble::Closed,
        SendError::Serialize(error) => {
            warn!("something could not be sent: {error}"); // cannot be: it is JSON already
            Trouble::Unwritable
        }
    })
}

/// Last words: tried for a short while, because whoever gets them may not be reading at all.
async fn say(socket: &SocketRef, words: &Item) {
    let until = Instant::now() + LAST_WORDS;
    while let Err(Trouble::Full) = send(socket, words) {
        if Instant::now() >= until {
            debug!("a client does not hear its last words");
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Ends the transport. A WebSocket is cut once its last words have had their time; a client that polls is told by the
/// protocol, and if it does not ask any more, the heartbeat ends it.
async fn leave(socket: SocketRef, peer: &Peer, shared: &Shared) {
    sleep(LAST_WORDS).await;
    if socket.transport_type() == TransportType::Websocket {
        peer.cut(&shared.lines);
    }
    let until = Instant::now() + shared.hub.limits().write_time;
    while socket.connected() && Instant::now() < until {
        if socket.clone().disconnect().is_ok() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// As text. Values are always written.
pub fn raw(value: Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(&value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
