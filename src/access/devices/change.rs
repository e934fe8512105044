//! What becomes of devices: other names and scopes, the end of one or of all. On disk first, then in memory, then told.

use std::{collections::HashSet, sync::Arc, time::Duration};

use thiserror::Error;
use tracing::{info, warn};

use crate::access::{
    Action, AuditError, Entry,
    book::End,
    credential::{self, SLIDING},
};
use crate::domain::{Caller, Device, DeviceId, Millis, Scopes};
use crate::sqlite::SqliteError;

use super::{Denied, DeviceChange, Devices, Kept, REMEMBERED, SWEEP, pair};

/// Why a device did not change.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChangeError {
    /// There is no such device.
    #[error("there is no such device")]
    Gone,
    /// A device that may do nothing is no device.
    #[error("a device needs a scope at least: revoke it instead")]
    NoScope,
    /// The name is empty, or too long.
    #[error("a name has 1 to {} characters", pair::LONGEST_NAME)]
    BadName,
    /// It was asked for from outside and cannot be written down.
    #[error(transparent)]
    Unaudited(#[from] AuditError),
    /// It could not be written, so it did not happen.
    #[error("it could not be written down: {0}")]
    Unwritten(#[from] SqliteError),
}

/// Why a text names no device.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unfound {
    /// None is called so.
    #[error("no device is called {0:?}")]
    None(String),
    /// Several are.
    #[error("{text:?} can mean {}", devices.join(" or "))]
    Several {
        /// What was asked for.
        text: String,
        /// Ids and names.
        devices: Vec<String>,
    },
}

impl Devices {
    /// The device with this id, this name, or an id or name that begins so and is the only one.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, text: &str) -> Result<Arc<Device>, Unfound> {
        let all = self.all();
        let lower = text.to_lowercase();
        let begins = |whole: &str| !lower.is_empty() && whole.to_lowercase().starts_with(&lower);
        // How well it fits, the best first.
        let rank = |device: &Device| {
            if device.id.as_str() == text {
                return Some(0);
            }
            if device.name == text {
                return Some(1);
            }
            (begins(device.id.as_str()) || begins(&device.name)).then_some(2)
        };
        let best = all.iter().filter_map(|device| rank(device)).min();
        let fits = |device: &&Arc<Device>| best.is_some() && rank(device) == best;
        let found: Vec<_> = all.iter().filter(fits).collect();
        match found.as_slice() {
            [] => Err(Unfound::None(text.into())),
            [one] => Ok((*one).clone()),
            several => {
                let told = several
                    .iter()
                    .map(|device| format!("{} ({})", device.id, device.name));
                Err(Unfound::Several {
                    text: text.into(),
                    devices: told.collect(),
                })
            }
        }
    }

    /// Ends a device: what it has open is closed, and nothing it holds proves anything any more.
    ///
    /// # Errors
    /// When it is none of ours, or that could not be written.
    pub async fn revoke(&self, id: &DeviceId, by: &Caller) -> Result<Arc<Device>, ChangeError> {
        let device = self.device(id).ok_or(ChangeError::Gone)?;
        let (id, by) = (id.clone(), by.clone());
        self.in_turn(move |devices, kept| async move { devices.end(&kept, vec![id], &by).await })
            .await?;
        Ok(device)
    }

    /// Ends all devices; how many there were.
    ///
    /// # Errors
    /// When that could not be written.
    pub async fn revoke_all(&self, by: &Caller) -> Result<usize, ChangeError> {
        let by = by.clone();
        self.in_turn(move |devices, kept| async move {
            let ids: Vec<_> = devices.all().iter().map(|device| device.id.clone()).collect();
            let count = ids.len();
            devices.end(&kept, ids, &by).await.map(|()| count)
        })
        .await
    }

    /// Gives a device another name.
    ///
    /// # Errors
    /// When it is none of ours, the name is none, or it could not be written.
    pub async fn rename(&self, id: &DeviceId, name: &str, by: &Caller) -> Result<Arc<Device>, ChangeError> {
        let name = pair::fit(name).ok_or(ChangeError::BadName)?;
        self.edit(id, Action::Rename, by, move |device| device.name = name)
            .await
    }

    /// Gives a device other scopes; the next thing it does is decided by them.
    ///
    /// # Errors
    /// When it is none of ours, they are none, or it could not be written.
    pub async fn set_scopes(
        &self,
        id: &DeviceId,
        scopes: Scopes,
        by: &Caller,
    ) -> Result<Arc<Device>, ChangeError> {
        if scopes.is_empty() {
            return Err(ChangeError::NoScope);
        }
        self.edit(id, Action::Scopes, by, move |device| device.scopes = scopes)
            .await
    }

    /// Ends all devices and all codes, and lets nobody in until [`lift`](Self::lift), whatever is restarted meanwhile;
    /// how many devices there were.
    ///
    /// # Errors
    /// When that could not be written: then nothing has changed.
    pub async fn lockdown(&self, by: &Caller) -> Result<usize, ChangeError> {
        let by = by.clone();
        self.in_turn(move |devices, kept| async move {
            let end = End {
                at: kept.clock.now(),
                expired: false,
            };
            let ids: Vec<_> = devices.all().iter().map(|device| device.id.clone()).collect();
            kept.book.lock(ids.clone(), end).await?;
            {
                let mut state = devices.state();
                state.locked.get_or_insert(end.at);
                state.codes.withdraw_all();
            }
            devices.ended(&ids, end, &Denied::LockedDown);
            warn!(devices = ids.len(), "locked down: nobody comes in from outside");
            let entry = Entry::new(Action::Lockdown, end.at).by(&by);
            let entry = entry.note(&format!("{} devices revoked", ids.len()));
            let _told = devices.witness(entry, &Caller::Local).await;
            Ok(ids.len())
        })
        .await
    }

    /// Lets devices be paired again; false if the hub was not locked down.
    ///
    /// # Errors
    /// When that could not be written.
    pub async fn lift(&self, by: &Caller) -> Result<bool, ChangeError> {
        let by = by.clone();
        self.in_turn(move |devices, kept| async move {
            if devices.locked().is_none() {
                return Ok(false);
            }
            let entry = Entry::new(Action::Lift, kept.clock.now()).by(&by);
            devices.witness(entry, &by).await?;
            kept.book.lift().await?;
            devices.state().locked = None;
            devices.codes_changed();
            info!("the lockdown was lifted");
            Ok(true)
        })
        .await
    }

    /// Ends codes and devices whose time is over, and forgets what ended long ago; how long until it is worth another
    /// look. What could not be written is tried again then.
    pub(super) async fn sweep(&self) -> Duration {
        let Some(kept) = &self.shared.kept else {
            return SWEEP;
        };
        let now = kept.clock.now();
        if self.state().codes.sweep(now) > 0 {
            self.codes_changed();
        }
        let over: Vec<DeviceId> = {
            let state = self.state();
            let over = state
                .paired()
                .filter(|device| credential::holds(device, now).is_err());
            over.map(|device| device.id.clone()).collect()
        };
        let forgotten = self.long_gone(now);
        let changed = self.in_turn(move |devices, kept| async move {
            if !over.is_empty() {
                let end = End {
                    at: now,
                    expired: true,
                };
                kept.book.end(over.clone(), end).await?;
                devices.ended(&over, end, &Denied::Expired);
                for id in &over {
                    let entry = Entry::new(Action::Expire, now).by_itself().of(id);
                    let _told = devices.witness(entry, &Caller::Local).await;
                }
            }
            if !forgotten.is_empty() {
                kept.book.forget(forgotten.clone()).await?;
                let mut state = devices.state();
                for id in &forgotten {
                    state.known.remove(id);
                }
            }
            Ok(())
        });
        if let Err(error) = changed.await {
            warn!(%error, "pairings that are over could not be written off");
        }
        let next = self.state().codes.next_end();
        let until = next.map(|next| u64::try_from(next.0.saturating_sub(now.0)).unwrap_or(0));
        until.map_or(SWEEP, |ms| Duration::from_millis(ms.saturating_add(1)).min(SWEEP))
    }

    fn long_gone(&self, now: Millis) -> Vec<DeviceId> {
        let state = self.state();
        let mut gone: Vec<_> = state
            .known
            .values()
            .filter_map(|known| Some((known.end?.at, known.device.id.clone())))
            .collect();
        gone.sort();
        let beyond = gone.len().saturating_sub(REMEMBERED);
        let old = |at: Millis| now.0.saturating_sub(at.0) >= SLIDING;
        let gone = gone.into_iter().enumerate();
        gone.filter(|(n, (at, _))| *n < beyond || old(*at))
            .map(|(_, (_, id))| id)
            .collect()
    }

    async fn end(&self, kept: &Kept, ids: Vec<DeviceId>, by: &Caller) -> Result<(), ChangeError> {
        let end = End {
            at: kept.clock.now(),
            expired: false,
        };
        kept.book.end(ids.clone(), end).await?;
        self.ended(&ids, end, &Denied::Revoked);
        for id in &ids {
            info!(device = %id, "a device was revoked");
            let entry = Entry::new(Action::Revoke, end.at).by(by).of(id);
            // Whoever it is that asks: a full disk must not keep a lost phone in.
            let _told = self.witness(entry, &Caller::Local).await;
        }
        Ok(())
    }

    /// These have ended, as is on disk already.
    fn ended(&self, ids: &[DeviceId], end: End, why: &Denied) {
        let mut gone = HashSet::new();
        {
            let mut state = self.state();
            for id in ids {
                if let Some(known) = state.known.get_mut(id).filter(|known| known.end.is_none()) {
                    known.end = Some(end);
                    gone.insert(id);
                }
                state.rates.forget(id);
            }
        }
        self.codes_changed();
        for id in ids.iter().filter(|id| gone.contains(id)) {
            let _nobody_listens = self
                .shared
                .changes
                .send(DeviceChange::Gone(id.clone(), why.clone()));
        }
    }

    async fn edit(
        &self,
        id: &DeviceId,
        action: Action,
        by: &Caller,
        change: impl FnOnce(&mut Device) + Send + 'static,
    ) -> Result<Arc<Device>, ChangeError> {
        let (id, by) = (id.clone(), by.clone());
        self.in_turn(move |devices, kept| async move {
            let mut device = (*devices.device(&id).ok_or(ChangeError::Gone)?).clone();
            change(&mut device);
            let words = match action {
                Action::Rename => device.name.clone(),
                _ => device.scopes.to_string(),
            };
            let entry = Entry::new(action, kept.clock.now()).by(&by).of(&id).note(&words);
            devices.witness(entry, &by).await?;
            kept.book.put(&device).await?;
            let device = {
                let mut state = devices.state();
                let known = state.known.get_mut(&id).ok_or(ChangeError::Gone)?;
                // Seen meanwhile, perhaps.
                device.last_seen = known.device.last_seen;
                known.device = Arc::new(device);
                known.device.clone()
            };
            let changed = DeviceChange::Changed(device.clone());
            let _nobody_listens = devices.shared.changes.send(changed);
            Ok(device)
        })
        .await
    }

    /// Does it alone, to its end, even if nobody waits for the answer any more.
    async fn in_turn<T, F>(
        &self,
        work: impl FnOnce(Self, Arc<Kept>) -> F + Send + 'static,
    ) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ChangeError>> + Send,
    {
        let devices = self.clone();
        let kept = self.shared.kept.clone().ok_or(ChangeError::Gone)?;
        let done = tokio::spawn(async move {
            let _turn = devices.shared.turn.lock().await;
            work(devices.clone(), kept).await
        });
        done.await
            .unwrap_or_else(|error| Err(SqliteError::Panicked(error.to_string().into()).into()))
    }
}
