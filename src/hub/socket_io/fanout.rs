//! From the bus to the sockets: one task per namespace, one rendering per event, one decision per socket.

use std::{cell::OnceCell, sync::Arc};

use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::app::App;
use crate::bus::{Bounds, Cut, Delivery, Kind, Subscription};
use crate::domain::{Event, Published, Remote, SessionId, TaskId};
use crate::hub::phone;

use super::{
    Shared,
    peer::{About, Item, Rendered},
    peers::Peers,
    pump::raw,
};

/// What may wait for a namespace. Events wait as they are, shared, so their number is what counts.
pub const QUEUE: Bounds = Bounds {
    frames: 16_384,
    bytes: usize::MAX,
};
/// When clients are to come back after a stop.
const RECONNECT_MS: u64 = 2_000;
/// Events taken at once; others get a turn in between.
const BATCH: usize = 32;

/// Delivers to one namespace until the stop.
pub async fn run(kind: Kind, mut heard: Subscription, shared: Arc<Shared>, stop: CancellationToken) {
    let peers = shared.peers(kind).clone();
    loop {
        let cut = tokio::select! {
            cut = deliver(kind, &heard, &peers, &shared) => cut,
            () = stop.cancelled() => {
                // What was committed by now is heard, and then why there is no more.
                let mut rest = Vec::new();
                if heard.take(&mut rest, usize::MAX).is_ok() {
                    hand_on(kind, &mut rest, &peers, &shared);
                }
                let words = json!({"reconnect_ms": RECONNECT_MS});
                peers.each(|peer| peer.say_last(Item::Said("server:shutdown", raw(words.clone()))));
                return;
            }
        };
        warn!(?kind, "events came faster than they could be handed on: {cut}");
        // Subscribed before anybody is told: whoever asks then what was missed, misses nothing after.
        heard = shared.hub.bus().subscribe(kind, QUEUE);
        let (epoch, seq) = shared.hub.bus().replay().now();
        let reset = json!({"reason": "missed", "epoch": &*epoch, "seq": seq});
        peers.each(|peer| peer.say(Item::Said("state:reset", raw(reset.clone()))));
    }
}

async fn deliver(kind: Kind, heard: &Subscription, peers: &Peers, shared: &Shared) -> Cut {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if let Err(cut) = heard.next(&mut batch, BATCH).await {
            return cut;
        }
        hand_on(kind, &mut batch, peers, shared);
        yield_now().await;
    }
}

fn hand_on(kind: Kind, batch: &mut Vec<Delivery>, peers: &Peers, shared: &Shared) {
    let (epoch, _) = shared.hub.bus().replay().now();
    for delivery in batch.drain(..) {
        match delivery {
            Delivery::Event(event) if !peers.is_empty() => match kind {
                Kind::Mobile => to_phones(&event, &epoch, peers, shared.hub.app()),
                _ => to_desktops(&event, &epoch, peers),
            },
            Delivery::Event(_) | Delivery::Answer(_) => {}
        }
    }
}

fn to_desktops(event: &Published, epoch: &str, peers: &Peers) {
    let rendered = OnceCell::new();
    let about = About {
        filter: event.event.filter_id(),
        project: None,
        scope: phone::events::scope(&event.event),
    };
    let render = || {
        let text = || {
            std::str::from_utf8(event.data())
                .ok()
                .map(|data| envelope(event, epoch, data))
        };
        rendered.get_or_init(|| text().flatten()).clone()
    };
    peers.each(|peer| peer.offer(about, render));
}

fn to_phones(event: &Published, epoch: &str, peers: &Peers, app: &App) {
    let Some(project) = place(&event.event, app) else {
        return;
    };
    let rendered = OnceCell::new();
    let about = About {
        filter: event.event.filter_id(),
        project: Some(&project),
        scope: phone::events::scope(&event.event),
    };
    let render = || rendered.get_or_init(|| for_phones(event, epoch)).clone();
    peers.each(|peer| peer.offer(about, render));
}

/// An event as phones get it; `None` if they do not.
pub fn for_phones(event: &Published, epoch: &str) -> Option<Arc<Rendered>> {
    envelope(event, epoch, &phone::events::data(&event.event)?.to_string())
}

/// What is sent: the raw protocol's frame with its place in the epoch.
fn envelope(event: &Published, epoch: &str, data: &str) -> Option<Arc<Rendered>> {
    let name = event.event.name();
    let (quoted, epoch) = (json!(name).to_string(), json!(epoch).to_string());
    let text = format!(
        r#"{{"type":{quoted},"event":{quoted},"data":{data},"timestamp":{},"epoch":{epoch},"seq":{}}}"#,
        event.at.0, event.seq
    );
    let body = RawValue::from_string(text)
        .inspect_err(|error| warn!(event = name, "an event is not sent: {error}"))
        .ok()?;
    Some(Arc::new(Rendered {
        name: name.to_owned(),
        body,
    }))
}

/// The project an event belongs to; looked up by its session or task if it does not say so itself.
pub fn place(event: &Event, app: &App) -> Option<String> {
    if let Some(project) = event.project() {
        return Some(project.to_owned());
    }
    match event {
        Event::SessionModalAction(action) => of_session(&action.session_id, app),
        Event::SessionModalClosed(closed) => of_session(&closed.session_id, app),
        Event::Remote(remote) => of_remote(remote, app),
        // Every other event knows its project.
        _ => None,
    }
}

fn of_session(id: &str, app: &App) -> Option<String> {
    let head = app.session_head(&SessionId::parse(id).ok()?)?;
    Some(head.project_id.to_string())
}

/// What another hub's event says of its place.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hints {
    project_id: Option<String>,
    session_id: Option<String>,
    task_id: Option<String>,
    id: Option<String>,
}

fn of_remote(remote: &Remote, app: &App) -> Option<String> {
    let hints: Hints = serde_json::from_slice(&remote.data).unwrap_or_default();
    let of_task = |id: String| {
        let task = app.task(&TaskId::parse(&id).ok()?).ok()?;
        Some(task.project_id.to_string())
    };
    let itself = || {
        let of_project = remote.name.starts_with("project:");
        hints.id.clone().filter(|_| of_project)
    };
    let session = remote.session.clone().or(hints.session_id);
    (hints.project_id)
        .or_else(itself)
        .or_else(|| of_session(&session?, app))
        .or_else(|| of_task(hints.task_id?))
}

#[cfg(test)]
mod tests {
    use crate::domain::{Id, Millis, ModalClosed};

    use super::*;

    #[test]
    fn an_event_is_sent_with_its_place_in_the_epoch() {
        let event = Published::new(7, Millis(5), Event::ProjectDeleted(Id::parse("p").unwrap()));
        let sent = for_phones(&event, "now").unwrap();
        assert_eq!(sent.name, "project:deleted");
        assert_eq!(
            sent.body.get(),
            r#"{"type":"project:deleted","event":"project:deleted","data":{"id":"p"},"timestamp":5,"epoch":"now","seq":7}"#
        );
    }

    #[test]
    fn a_foreign_name_cannot_break_out_of_its_place() {
        let remote = Remote {
            name: r#"x","seq":1,"y":""#.into(),
            data: "{}".into(),
            session: None,
            project: None,
        };
        let event = Published::new(7, Millis(5), Event::Remote(Arc::new(remote)));
        let sent = envelope(&event, "now", "{}").unwrap();
        let read: serde_json::Value = serde_json::from_str(sent.body.get()).unwrap();
        assert_eq!(
            (&read["seq"], read["event"].as_str()),
            (&json!(7), Some(event.event.name()))
        );
        assert!(
            for_phones(&event, "now").is_none(),
            "unknown events are not for phones"
        );
    }

    #[test]
    fn what_is_said_of_a_page_goes_to_phones_without_what_the_person_did() {
        let closed = ModalClosed {
            session_id: "s".into(),
            modal_id: "m".into(),
            timestamp: Millis(1),
        };
        let event = Published::new(1, Millis(1), Event::SessionModalClosed(closed.into()));
        assert!(for_phones(&event, "e").is_some());
    }
}
