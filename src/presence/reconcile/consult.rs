//! What the reconciler reads in the shared registry, and what it leaves there.

use std::time::Duration;

use tracing::debug;

use crate::domain::{Beat, Verdict};

use super::super::{
    registry::Now,
    shared::{Left, Reach, SharedError},
};
use super::{Done, Run, TOLD_AT_ONCE, lost_its_agent};

/// How long agents that write their keys themselves have each heartbeat believed; they renew it every ten seconds.
const UNSAID_TTL: Duration = Duration::from_secs(15);

impl Run {
    pub(super) fn reached(&mut self, reach: Reach) {
        let mut registry = self.registry.lock();
        registry.readable(None); // until it was read once
        if matches!(reach, Reach::Readable(_)) {
            registry.tell_again();
            drop(registry);
            self.consult();
        }
    }

    /// Reads what is there about sessions that expect an agent, and leaves there what we heard ourselves.
    pub(super) fn consult(&mut self) {
        let Some(shared) = self.options.shared.clone() else {
            return;
        };
        if self.reading || !matches!(*shared.reach().borrow(), Reach::Readable(_)) {
            return;
        }
        let now = self.now();
        let signs = self.registry.lock().untold(now.boot, TOLD_AT_ONCE);
        if !signs.is_empty() {
            let shared = shared.clone();
            self.jobs
                .push(Box::pin(async move { Done::Told(shared.write(signs).await) }));
        }
        let heads = self.app.view().session_heads(None);
        let expecting = heads.iter().filter(|head| {
            matches!(head.status.as_str(), "spawning" | "idle" | "working") || !head.failure.is_absent()
        });
        let sessions: Vec<_> = expecting.map(|head| head.id.clone()).collect();
        self.reading = true;
        self.jobs
            .push(Box::pin(async move { Done::Read(shared.read(sessions).await) }));
    }

    pub(super) fn heard(&mut self, outcome: Result<Vec<Left>, SharedError>) {
        let found = match outcome {
            Ok(found) => found,
            Err(error) => {
                debug!("{error}");
                return self.registry.lock().readable(None);
            }
        };
        let now = self.now();
        for left in found {
            let known = self.registry.lock().record(&left.session).is_some();
            if !known {
                self.meet(&left, now);
            }
            let mut registry = self.registry.lock();
            registry.seen(&left.session, left.left, now);
            let lost = lost_its_agent(&self.app, &left.session);
            if lost && registry.verdict(&left.session) == Some(Verdict::Alive) {
                registry.unsettle(&left.session);
            }
        }
        self.registry.lock().readable_from(now.boot);
    }

    /// An agent that we know from the shared registry only.
    fn meet(&mut self, left: &Left, now: Now) {
        let beat = Beat {
            session: left.session.clone(),
            pid: left.pid.filter(|pid| *pid > 1),
            host: left.host.clone(),
            started_at: left.started_at,
            ttl: left.ttl.or(Some(self.options.ttl.min(UNSAID_TTL))),
            watch: false,
        };
        let (record, process, _) = self.introduce(beat, now);
        let Ok(noted) = self.registry.lock().beat(record.clone(), process, false, now) else {
            return;
        };
        if let Some((identity, watch)) = noted.watch {
            self.sensors.watch(left.session.clone(), identity, watch);
        }
        let stored = self.book.put(&record);
        self.jobs
            .push(Box::pin(async move { Done::Stored(stored.await) }));
    }
}
