//! How redis is doing, as seen by those who use it: a server that runs may still not do its work, and each reason has
//! another remedy.

use std::time::{Duration, Instant};

use crate::control::protocol::{Component, State};
use crate::redis_link::{LinkState, RedisLink, Trouble};

/// A child that was ready a moment ago is connected to in that time.
const CONNECTING: Duration = Duration::from_secs(2);

/// Adds what the link knows to the child's line, or a line if redis is no child of ours.
pub(super) fn complete(parts: &mut Vec<Component>, told: &str, link: Option<&RedisLink>, at: i64) {
    let state = link.map(RedisLink::state);
    let child = parts.iter_mut().find(|part| part.name == "redis");
    match (child, state) {
        (Some(child), Some(state)) => {
            if child.state == State::Ready {
                degrade(child, &state);
            }
        }
        (Some(_), None) => {}
        (None, state) => parts.push(external(told, state.as_ref(), at)),
    }
}

fn degrade(part: &mut Component, state: &LinkState) {
    let trouble = match state {
        LinkState::Up(up) => up.impaired.clone(),
        LinkState::Down(down) if down.since.elapsed() < CONNECTING => None,
        LinkState::Down(down) => Some(down.trouble.clone()),
    };
    if let Some(trouble) = trouble {
        blame(part, &trouble);
    }
}

fn blame(part: &mut Component, trouble: &Trouble) {
    part.state = State::Degraded;
    part.reason = Some(trouble.word().into());
    part.remedy = Some(trouble.remedy().into());
    let text = format!("it {trouble}");
    part.detail = match part.detail.is_empty() {
        true => text,
        false => format!("{}, {text}", part.detail),
    };
}

fn external(told: &str, state: Option<&LinkState>, at: i64) -> Component {
    let mut part = Component {
        name: "redis".into(),
        state: State::Off,
        detail: told.into(),
        ..Component::default()
    };
    let since = |instant: Instant| {
        let ago = i64::try_from(instant.elapsed().as_millis()).unwrap_or(0);
        at.saturating_sub(ago)
    };
    match state {
        None => {}
        Some(LinkState::Up(up)) => {
            part.state = State::Ready;
            part.since = since(up.since);
            part.detail = format!("{told}, {} {}", up.server.name, up.server.version);
            if let Some(trouble) = &up.impaired {
                blame(&mut part, trouble);
            }
        }
        Some(LinkState::Down(down)) => {
            part.since = since(down.since);
            match &down.trouble {
                Trouble::Unknown => part.state = State::Starting,
                trouble => blame(&mut part, trouble),
            }
        }
    }
    part
}
