//! How patient we are with cloudflared, and what kind of child that makes of it.

use std::{sync::Arc, time::Duration};

use super::{Cloudflared, Kind, QuickPauses, TUNNEL};
use crate::supervisor::{Backoff, ChildSpec, Policy};

/// The patience that cloudflared gets (SUPERVISION 4.3).
///
/// A lost connection is its own business for longer than its own longest pause (64 s); a quick tunnel gets twice that,
/// because its address is lost with it. A restart for it happens once in five minutes at most. One that is hung is found
/// within 8 s and replaced 10 s later.
pub fn policy(kind: &Kind) -> Policy {
    let secs = Duration::from_secs;
    let quick = *kind == Kind::Quick;
    Policy {
        start_timeout: secs(60),
        ready_probe: vec![
            (secs(2), Duration::from_millis(50)),
            (Duration::MAX, Duration::from_millis(500)),
        ],
        adopt_timeout: secs(10),
        live_interval: secs(5),
        // Above the time for connecting and for two answers.
        probe_timeout: secs(6),
        misses: 3,
        degraded_limit: if quick { secs(180) } else { secs(90) },
        degraded_limit_after_nudge: secs(20),
        hung_limit: secs(10),
        min_restart_interval: secs(300),
        // Above the grace period that it was given.
        kill_after: secs(4),
        backoff: Backoff {
            floor: if quick {
                QuickPauses::default().between
            } else {
                Duration::ZERO
            },
            ..Backoff::default()
        },
        ..Policy::default()
    }
}

/// The spec of cloudflared as a child.
pub fn cloudflared(tunnel: Arc<Cloudflared>) -> ChildSpec {
    let params = tunnel.params.clone();
    let policy = policy(&params.kind);
    let spec = ChildSpec::new(TUNNEL, tunnel, params.state_dir, params.log_dir);
    ChildSpec {
        policy,
        // Rather this than redis: it comes back without losing anything.
        oom_score_adj: Some(300),
        ..spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patience_is_that_of_the_specification() {
        let named = policy(&Kind::Token {
            file: "/t".into(),
            hosts: vec![],
        });
        let quick = policy(&Kind::Quick);
        assert_eq!(
            (named.degraded_limit.as_secs(), quick.degraded_limit.as_secs()),
            (90, 180)
        );
        assert_eq!(named.degraded_limit_after_nudge.as_secs(), 20);
        assert_eq!(named.min_restart_interval.as_secs(), 300);
        assert_eq!(
            (named.backoff.floor.as_secs(), quick.backoff.floor.as_secs()),
            (0, 5)
        );
        assert!(
            named.kill_after > Duration::from_secs(2),
            "longer than the grace period"
        );
    }
}
