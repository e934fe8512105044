//! What of a fact is kept for those who were away, and what of it leaves this machine.

use std::sync::Arc;

use serde_json::Map;

use crate::domain::{Log, Session};

use super::{Event, SpawnAnnouncement};

impl Event {
    /// The session whose histories are part of the payload.
    pub fn session_told(&self) -> Option<&Session> {
        match self {
            Self::SessionCreated(session) | Self::SessionUpdated(session) => Some(session),
            Self::SessionSpawn(spawn) => Some(&spawn.session),
            _ => None,
        }
    }

    /// The same fact with the same payload, holding nothing that is not part of it but what is new in the timeline:
    /// phones are told that, and nothing else of the histories.
    pub fn lean(&self) -> Self {
        let mut lean = self.clone();
        match &mut lean {
            Self::SessionCreated(session) | Self::SessionUpdated(session) => {
                session.events.mark_saved();
                session.docs.mark_saved();
            }
            Self::NotifySessionCompleted(session)
            | Self::NotifySessionFailed(session)
            | Self::NotifyNeedsInput { session, .. }
            | Self::NotifyProgress { session, .. } => {
                for log in [&mut session.events, &mut session.timeline, &mut session.docs] {
                    *log = Log::default();
                }
            }
            _ => {}
        }
        lean
    }

    /// The same fact with empty environments: what other machines, and whoever asks later, are told. A spawn's holds
    /// the providers' keys.
    pub fn without_env(&self) -> Self {
        let mut bare = self.clone();
        match &mut bare {
            Self::SessionCreated(session) | Self::SessionUpdated(session) => clear(session),
            Self::SessionSpawn(spawn) => {
                let mut session = spawn.session.clone();
                clear(&mut session);
                *spawn = Arc::new(SpawnAnnouncement {
                    session,
                    env_vars: Map::new(),
                    manifest: spawn.manifest.clone(),
                    cwd: spawn.cwd.clone(),
                    task_ids: spawn.task_ids.clone(),
                    parent_session_id: spawn.parent_session_id.clone(),
                    ..**spawn
                });
            }
            _ => {}
        }
        bare
    }
}

fn clear(session: &mut Session) {
    if !session.head.env.is_empty() {
        session.head_mut().env = Map::new();
    }
}
