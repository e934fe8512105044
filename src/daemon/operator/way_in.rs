//! The way in from outside, as operators are shown it.

use crate::children::TUNNEL;
use crate::control::protocol::{ChildAct, Component, Problem, State, TunnelCheck, TunnelReport};
use crate::tunnel::{Checked, Refusal, Seen, Standing, Tunnel, Verdict, Wish, told};

use super::report::part;

/// What to do while nobody is paired.
const PAIR: &str = "run maestroctl pair";

/// Carries out an operator's wish.
pub(super) async fn act(tunnel: &Tunnel, act: ChildAct) -> Result<(), Problem> {
    let wish = match act {
        ChildAct::Start => Wish::Start,
        ChildAct::Stop => Wish::Stop,
        ChildAct::Restart => Wish::Restart,
    };
    tunnel.wish(wish).await.map_err(|refusal| problem(&refusal))
}

/// Why not, and what to do.
pub(super) fn problem(refusal: &Refusal) -> Problem {
    let (code, remedy) = match refusal {
        Refusal::NoChild(_) => (
            "no_tunnel",
            Some("set tunnel.mode, or let `maestroctl tunnel setup` do it, and restart maestrod"),
        ),
        Refusal::NobodyPaired => ("nobody_paired", Some(PAIR)),
        Refusal::NoAddress => ("no_address", Some("maestroctl tunnel status")),
        Refusal::Stopping => ("stopping", None),
    };
    let problem = Problem::new(code, refusal.to_string());
    match remedy {
        Some(remedy) => problem.remedy(remedy),
        None => problem,
    }
}

/// Its entry in the status.
pub(super) fn component(seen: &Seen) -> Component {
    let plain = |state, reason: &str, detail: String, remedy: Option<String>| Component {
        name: TUNNEL.into(),
        state,
        reason: Some(reason.to_owned()),
        detail,
        remedy,
        ..Component::default()
    };
    match (&seen.standing, &seen.child) {
        (Standing::Off, _) => plain(State::Off, "off", "tunnel.mode is off".into(), None),
        (Standing::Refused(why), _) => plain(
            State::Blocked,
            &why.code,
            format!("tunnel.mode is {}, and it stays closed", seen.mode),
            Some(why.remedy.clone()),
        ),
        (Standing::NobodyPaired, child) => {
            let closing = child.as_ref().filter(|child| child.pid.is_some());
            let mut entry = plain(
                State::Off,
                "nobody_paired",
                "nobody is paired".into(),
                Some(PAIR.into()),
            );
            entry.pid = closing.and_then(|child| child.pid.and_then(|pid| u32::try_from(pid).ok()));
            entry
        }
        (Standing::External, _) => external(seen),
        (Standing::Held | Standing::Open, Some(status)) => {
            let mut entry = part(TUNNEL, false, status);
            let words = entry
                .reason
                .as_deref()
                .filter(|_| !entry.state.is_fine())
                .and_then(told);
            entry.detail = facts(seen);
            entry.remedy = entry.remedy.or(words.map(said));
            entry
        }
        // Only a tunnel that we run can be held, and it has a child.
        (Standing::Held | Standing::Open, None) => plain(State::Unknown, "no_child", String::new(), None),
    }
}

fn external(seen: &Seen) -> Component {
    let astray = seen.checked.as_ref().and_then(|checked| checked.verdict.code());
    let words = astray.and_then(told);
    let degraded = matches!(
        seen.checked.as_ref().map(|checked| &checked.verdict),
        Some(Verdict::Astray { .. })
    );
    Component {
        name: TUNNEL.into(),
        state: if degraded { State::Degraded } else { State::Ready },
        reason: Some(astray.unwrap_or("external").to_owned()),
        detail: facts(seen),
        remedy: words.map(said),
        ..Component::default()
    }
}

/// What is wrong, and what to do.
fn said((why, remedy): (&str, &str)) -> String {
    format!("{why}: {remedy}")
}

/// Address, kind, connections.
fn facts(seen: &Seen) -> String {
    let connections = seen.connections();
    let kind = match seen.mode {
        "quick" => "quick, trial".to_owned(),
        mode => mode.to_owned(),
    };
    let count = (connections > 0).then(|| match connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    });
    let version = seen.child.as_ref().filter(|child| child.pid.is_some());
    let version = version.and_then(|child| child.facts.get("version"));
    let unreachable = seen.checked.as_ref().and_then(|checked| match &checked.verdict {
        Verdict::Unreachable { .. } => Some("not reachable from here".to_owned()),
        Verdict::Ours | Verdict::Astray { .. } => None,
    });
    [
        seen.public.as_ref().map(ToString::to_string),
        Some(kind),
        count,
        version.map(|version| format!("version {version}")),
        unreachable,
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

/// All about it.
pub(super) fn report(seen: &Seen) -> TunnelReport {
    let entry = component(seen);
    TunnelReport {
        mode: seen.mode.into(),
        state: entry.state,
        url: seen.public.as_ref().map(ToString::to_string),
        trial: seen.trial,
        connections: seen.connections(),
        reason: entry.reason,
        detail: entry.detail,
        remedy: entry.remedy,
        ingress: seen.ingress.display().to_string(),
        checked: seen.checked.as_ref().map(check),
    }
}

fn check(checked: &Checked) -> TunnelCheck {
    let code = checked.verdict.code();
    TunnelCheck {
        at: checked.at_ms,
        took_ms: u64::try_from(checked.took.as_millis()).unwrap_or(u64::MAX),
        ok: checked.verdict == Verdict::Ours,
        code: code.map(str::to_owned),
        seen: match &checked.verdict {
            Verdict::Ours => None,
            Verdict::Astray { seen, .. } | Verdict::Unreachable { seen } => Some(seen.clone()),
        },
        remedy: code.and_then(told).map(|(_, remedy)| remedy.to_owned()),
    }
}
