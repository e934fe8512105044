//! Agents that were started from outside: so many at work at once, whichever way they were asked for.

use serde_json::{Map, Value};

use crate::access::{Denied, SpawnSlot};
use crate::domain::{DeviceId, Ending, SessionHead};

use super::Hub;

/// In the context of a session: by which device it was started.
const FROM_AFAR: &str = "startedByDevice";

/// A place for one more. To be held until the session is there to be counted.
///
/// # Errors
/// When too many were started, or are at work.
pub fn place(hub: &Hub) -> Result<SpawnSlot, Denied> {
    hub.devices().may_spawn(at_work(hub), hub.app().now())
}

/// Marks the context of a session that `device` starts.
pub fn mark(context: &mut Map<String, Value>, device: &DeviceId) {
    context.insert(FROM_AFAR.to_owned(), device.as_str().into());
}

fn at_work(hub: &Hub) -> usize {
    let from_afar = |head: &SessionHead| {
        let context = head.metadata.value().and_then(|metadata| metadata.get("context"));
        context.is_some_and(|context| context.get(FROM_AFAR).is_some())
    };
    let heads = hub.app().view().session_heads(None);
    heads
        .iter()
        .filter(|head| Ending::of(&head.status).is_none() && from_afar(head))
        .count()
}
