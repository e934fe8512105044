//! What a phone missed (DESIGN section 4): exactly that, or the word to begin anew. What it may not hear of is left out;
//! the numbers stay those of the hub.

use axum::extract::State;
use serde_json::{Value, json};

use crate::bus::{Missed, Portion};
use crate::domain::{Event, Published};
use crate::hub::{
    phone::{events, refusal::Answer},
    query::{Param, Params},
    reply,
    routes::{Routes, get},
};

use super::super::Phone;
use super::{page, who::Who};

/// Bytes of payloads in one answer, as stored; what phones see of them is less. One event always fits.
const BYTES: usize = 1 << 20;

pub(super) fn routes() -> Routes<Phone> {
    Routes::new().route("/api/events", get(list))
}

/// `?epoch=&since=&limit=`. Who knows nothing yet is told where to begin.
async fn list(State(phone): State<Phone>, who: Who, query: Params) -> Answer {
    let replay = phone.hub.bus().replay();
    let (epoch, newest) = replay.now();
    let since = page::number(&query, "since")?.map(|since| u64::try_from(since).unwrap_or(u64::MAX));
    let known = match query.get("epoch") {
        Param::One(known) if !known.is_empty() => known.to_owned(),
        _ => epoch.to_string(),
    };
    let portion = Portion {
        events: page::limit(&query)?,
        bytes: BYTES,
    };
    let passes = |event: &Event| who.0.may(events::scope(event), event.project());
    Ok(
        match replay.missed(&known, since.unwrap_or(newest), portion, passes) {
            Missed::Events {
                epoch,
                seq,
                events,
                more,
            } => reply::ok(&json!({
                "epoch": &*epoch, "seq": seq, "more": more,
                "events": events.iter().filter_map(|event| line(event)).collect::<Vec<_>>(),
            })),
            Missed::Reset { epoch, seq, reason } => reply::ok(&json!({
                "epoch": &*epoch, "seq": seq, "more": false, "events": [], "reset": {"reason": reason.to_string()},
            })),
        },
    )
}

fn line(event: &Published) -> Option<Value> {
    let data = events::data(&event.event)?;
    let name = event.event.name();
    Some(json!({"seq": event.seq, "type": name, "event": name, "data": data, "timestamp": event.at}))
}
