//! `/api/events`: what a script missed (DESIGN section 4; not in the replaced server).

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::bus::{Missed, Portion};
use crate::domain::{Event, Millis, Published};

use super::super::{
    Hub,
    describe::{does, get, number, text},
    error::RouteError,
    query::{Filter, Param, Params},
    reply::{self, Answer},
    routes::Routes,
};

/// Events in one answer, unless asked for fewer.
const MOST: usize = 1000;
/// Bytes of payloads in one answer; one event always fits.
const BYTES: usize = 8 << 20;

pub(super) fn routes() -> Routes {
    let says = does("The events after number `since`, or where to begin")
        .query(
            "epoch",
            "The epoch that `since` is of; this hub's if left out",
            text(),
        )
        .query(
            "since",
            "The number of the last event that is known",
            number(0, i64::MAX),
        )
        .query("projectId", "Only of this project, and of none", text())
        .query("limit", "At most so many", number(0, MOST as i64))
        .ok::<Told<'_>>();
    Routes::new().route("/api/events", get(list, says))
}

/// What was missed, or the word to begin anew.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Events")]
struct Told<'a> {
    epoch: &'a str,
    seq: u64,
    events: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<Reset>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

/// One event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct Line {
    seq: u64,
    event: String,
    data: Box<RawValue>,
    timestamp: Millis,
}

/// Why everything is to be read anew.
#[derive(Serialize, JsonSchema)]
struct Reset {
    reason: String,
}

async fn list(State(hub): State<Hub>, query: Params) -> Answer {
    let replay = hub.bus().replay();
    let (epoch, newest) = replay.now();
    let since = asked_number(&query, "since", u64::MAX)?;
    let limit = asked_number(&query, "limit", MOST as u64)?;
    let project = query.filter("projectId");
    let known = match query.get("epoch") {
        Param::One(known) if !known.is_empty() => known.to_owned(),
        _ => epoch.to_string(),
    };
    let portion = Portion {
        events: limit.map_or(MOST, |limit| usize::try_from(limit).unwrap_or(MOST)),
        bytes: BYTES,
    };
    // Who knows nothing yet is told where to begin.
    let missed = replay.missed(&known, since.unwrap_or(newest), portion, |event| {
        passes(project, event)
    });
    Ok(match missed {
        Missed::Events {
            epoch,
            seq,
            events,
            more,
        } => reply::ok(&Told {
            epoch: &epoch,
            seq,
            events: events.iter().map(line).collect::<Result<_, _>>()?,
            reset: None,
            more,
        }),
        Missed::Reset { epoch, seq, reason } => reply::ok(&Told {
            epoch: &epoch,
            seq,
            events: Vec::new(),
            reset: Some(Reset {
                reason: reason.to_string(),
            }),
            more: false,
        }),
    })
}

/// Events of no project concern everybody.
fn passes(project: Filter<'_>, event: &Event) -> bool {
    event.project().is_none_or(|id| project.passes(id))
}

fn line(event: &Arc<Published>) -> Result<Line, RouteError> {
    // A spawn is for who owns terminals at that moment; its keys are not told to whoever asks later.
    let text = match &event.event {
        Event::SessionSpawn(_) => Published::new(event.seq, event.at, event.event.without_env())
            .data()
            .clone(),
        _ => event.data().clone(),
    };
    let text = String::from_utf8(text.into()).ok();
    let data = text.and_then(|text| RawValue::from_string(text).ok());
    Ok(Line {
        seq: event.seq,
        event: event.event.name().to_owned(),
        // Payloads are JSON: we have written them, or read them as such.
        data: data.ok_or_else(|| RouteError::Check("an event cannot be read".into()))?,
        timestamp: event.at,
    })
}

fn asked_number(query: &Params, key: &str, most: u64) -> Result<Option<u64>, RouteError> {
    let wrong = || RouteError::check(format!("{key} must be a whole number, at most {most}"));
    match query.get(key) {
        Param::Absent | Param::One("") => Ok(None),
        Param::One(text) => {
            let number: u64 = text.parse().map_err(|_| wrong())?;
            if number > most {
                Err(wrong())
            } else {
                Ok(Some(number))
            }
        }
        Param::Many => Err(wrong()),
    }
}
