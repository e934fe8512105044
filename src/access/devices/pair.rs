//! How a device gets in: a code is made here, shown there, and redeemed once.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::access::{
    Action, AuditError, Code, CodeId, Entry, Fate, Origin, Pass, Refused, book::Row, credential::Halves,
};
use crate::crash;
use crate::domain::{Caller, Device, Millis, Mint, for_terminal};

use super::{DeviceChange, Devices, Kept, MOST};

/// Longest name of a device, in characters.
pub(super) const LONGEST_NAME: usize = 64;

/// A code that can be redeemed now.
#[derive(Clone, Debug)]
pub struct Minted {
    /// Names it without giving it away.
    pub id: CodeId,
    /// What is shown to one person, and kept nowhere.
    pub code: Code,
    /// When it ends by itself.
    pub expires_at: Millis,
    /// What it gives.
    pub pass: Pass,
}

/// Why no code is made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MintRefused {
    /// Nobody is let in now.
    #[error("the hub is locked down")]
    LockedDown,
    /// Enough codes are live.
    #[error("three pairing codes are live already")]
    TooManyCodes,
    /// Enough devices are paired.
    #[error("{MOST} devices are paired already")]
    TooManyDevices,
    /// A device that may do nothing is no device.
    #[error("a device needs a scope at least")]
    NoScope,
    /// The name is empty, or not fit to be shown.
    #[error("a name has 1 to {LONGEST_NAME} characters")]
    BadName,
    /// It was asked for from outside and cannot be written down.
    #[error(transparent)]
    Unaudited(#[from] AuditError),
    /// The system has no random bits.
    #[error("the system gives no random bits: {0}")]
    NoRandomness(String),
}

/// What a phone says of itself when it redeems a code, and what is known of its request.
#[derive(Clone, Debug, Default)]
pub struct Introduction {
    /// The name its owner gave it.
    pub name: Option<String>,
    /// Its `User-Agent`.
    pub user_agent: Option<String>,
    /// Where it is, as the tunnel's edge tells.
    pub from: Origin,
    /// The request's id in the log.
    pub request: Option<String>,
}

/// A device that was paired, with its secrets: they are told this once.
#[derive(Clone)]
pub struct Paired {
    /// The device.
    pub device: Arc<Device>,
    /// The half that belongs into the `__Host-maestro` cookie.
    pub cookie: String,
    /// The half that the page keeps.
    pub token: String,
}

impl std::fmt::Debug for Paired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paired")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Follows one code.
pub struct CodeWatch {
    devices: Devices,
    id: CodeId,
    pulse: watch::Receiver<u64>,
}

impl CodeWatch {
    /// What became of it, once it is not live any more.
    pub async fn end(&mut self) -> Fate {
        loop {
            self.pulse.mark_unchanged();
            let fate = self.devices.state().codes.fate(self.id);
            if fate != Fate::Live {
                return fate;
            }
            if self.pulse.changed().await.is_err() {
                return Fate::Expired; // never: we hold the sender
            }
        }
    }
}

impl Devices {
    /// Makes a code that lets one device in, for ten minutes.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn mint(&self, pass: Pass, by: &Caller) -> Result<Minted, MintRefused> {
        let Some(kept) = &self.shared.kept else {
            return Err(MintRefused::LockedDown);
        };
        if pass.scopes.is_empty() {
            return Err(MintRefused::NoScope);
        }
        let name = pass
            .name
            .as_deref()
            .map(|name| fit(name).ok_or(MintRefused::BadName));
        let pass = Pass {
            name: name.transpose()?,
            ..pass
        };
        let mut random = [0; 5];
        getrandom::fill(&mut random).map_err(|error| MintRefused::NoRandomness(error.to_string()))?;
        let code = Code::of(random);
        let now = kept.clock.now();
        let (id, expires_at) = {
            let mut state = self.state();
            if state.locked.is_some() {
                return Err(MintRefused::LockedDown);
            }
            if state.paired().count() >= MOST {
                return Err(MintRefused::TooManyDevices);
            }
            let minted = state.codes.mint(&code, pass.clone(), now);
            state.burned = None;
            minted.map_err(|_| MintRefused::TooManyCodes)?
        };
        self.shared.sooner.notify_one();
        let entry = Entry::new(Action::MintCode, now).note(&pass.scopes.to_string());
        if let Err(error) = self.witness(entry.by(by), by).await {
            self.state().codes.withdraw(id);
            self.codes_changed();
            return Err(error.into());
        }
        self.codes_changed();
        Ok(Minted {
            id,
            code,
            expires_at,
            pass,
        })
    }

    /// Follows a code until it is not live any more.
    pub fn watch_code(&self, id: CodeId) -> CodeWatch {
        CodeWatch {
            devices: self.clone(),
            id,
            pulse: self.shared.codes.subscribe(),
        }
    }

    /// Takes a code back; false if it was not live any more.
    pub async fn cancel(&self, id: CodeId, by: &Caller) -> bool {
        let withdrawn = self.state().codes.withdraw(id);
        if withdrawn {
            self.codes_changed();
            if let Some(kept) = &self.shared.kept {
                let entry = Entry::new(Action::WithdrawCode, kept.clock.now()).by(by);
                let _told = self.witness(entry, &Caller::Local).await;
            }
        }
        withdrawn
    }

    /// Lets the device in that shows a live code: it is on disk, and in the audit, when this answers. It goes on if
    /// nobody waits for the answer any more.
    ///
    /// # Errors
    /// Why nobody is let in.
    pub async fn redeem(&self, typed: &str, who: Introduction, now: Millis) -> Result<Paired, Refused> {
        let (id, pass) = self.show(typed, &who, now).inspect_err(|refused| {
            if let Some(kept) = &self.shared.kept {
                let entry = told_by(Action::Pair, &who, now);
                kept.audit.refused(entry.refused(refused.code()));
            }
        })?;
        let devices = self.clone();
        // It ends by itself with the write it waits for.
        let finished = tokio::spawn(async move { devices.let_in(id, pass, who, now).await });
        finished
            .await
            .unwrap_or_else(|error| Err(Refused::Unwritten(error.to_string())))
    }

    /// Takes the code that is shown, if there is one.
    fn show(&self, typed: &str, who: &Introduction, now: Millis) -> Result<(CodeId, Pass), Refused> {
        let mut state = self.state();
        if state.locked.is_some() {
            return Err(Refused::LockedDown);
        }
        let too_many = |wait: super::Wait| Refused::TooMany {
            retry_after_s: wait.0,
        };
        state.rates.may_try_code(who.from.ip, now).map_err(too_many)?;
        let code = Code::parse(typed).ok_or(Refused::Malformed)?;
        let burns = state.codes.burns();
        let taken = state.codes.take(&code, now);
        if taken == Err(Refused::Wrong) {
            state.rates.wrong_code(who.from.ip, now);
        }
        let burned = state.codes.burns() > burns;
        if burned {
            state.burned = Some(now);
        }
        drop(state);
        self.codes_changed();
        if burned {
            warn!("all pairing codes were given up: too many wrong ones were tried");
            if let Some(kept) = &self.shared.kept {
                kept.audit
                    .refused(told_by(Action::BurnCodes, who, now).by_itself());
            }
        }
        taken
    }

    async fn let_in(
        &self,
        id: CodeId,
        pass: Pass,
        who: Introduction,
        now: Millis,
    ) -> Result<Paired, Refused> {
        crash::point("pair.taken");
        let _turn = self.shared.turn.lock().await;
        let outcome = match &self.shared.kept {
            Some(kept) => self.write_in(kept, id, pass, &who, now).await,
            None => Err(Refused::Wrong), // never: nobody made a code
        };
        if outcome.is_err() {
            let mut state = self.state();
            state.codes.release(id);
            if state.locked.is_some() {
                // It was held while the others were taken back.
                state.codes.withdraw_all();
            }
        }
        self.codes_changed();
        outcome
    }

    async fn write_in(
        &self,
        kept: &Kept,
        id: CodeId,
        pass: Pass,
        who: &Introduction,
        now: Millis,
    ) -> Result<Paired, Refused> {
        {
            let state = self.state();
            if state.locked.is_some() {
                return Err(Refused::LockedDown);
            }
            if state.paired().count() >= MOST {
                return Err(Refused::TooManyDevices);
            }
        }
        let unwritten = |why: String| Refused::Unwritten(why);
        let noise = getrandom::u64().map_err(|error| unwritten(error.to_string()))?;
        let device = Device {
            id: Mint::new(now, 0, noise).id(),
            name: pass.name.unwrap_or_else(|| called(who)),
            scopes: pass.scopes,
            projects: pass.projects,
            paired_at: now,
            last_seen: now,
        };
        let halves = Halves::new(&device.id).map_err(|error| unwritten(error.to_string()))?;
        let entry = told_by(Action::Pair, who, now)
            .by_device(&device)
            .note(&device.scopes.to_string());
        // Before the device is one: there is never one that the audit does not know.
        let audited = kept.audit.record(entry.clone()).await;
        audited.map_err(|error| unwritten(error.to_string()))?;
        crash::point("pair.audited");
        let row = Row {
            prints: halves.prints(),
            device,
            end: None,
        };
        if let Err(error) = kept.book.add(&row).await {
            let failed = Entry { note: None, ..entry };
            let _tried = kept.audit.record(failed.refused("unwritten")).await;
            return Err(unwritten(error.to_string()));
        }
        crash::point("pair.stored");
        let device = Arc::new(row.device.clone());
        info!(device = %device.id, name = device.name, scopes = %device.scopes, "a device was paired");
        {
            let mut state = self.state();
            state.known.insert(device.id.clone(), row.into());
            state.codes.settle(id, device.id.clone());
        }
        let _nobody_listens = self.shared.changes.send(DeviceChange::Paired(device.clone()));
        crash::point("pair.known");
        Ok(Paired {
            device,
            cookie: halves.cookie,
            token: halves.token,
        })
    }

    /// Something became of codes, or of devices: whoever follows looks again.
    pub(super) fn codes_changed(&self) {
        self.tell_open();
        self.shared.codes.send_modify(|count| *count += 1);
    }

    /// Writes down what is being done. What somebody on this machine does is not kept from happening by a full disk.
    pub(super) async fn witness(&self, entry: Entry, by: &Caller) -> Result<(), AuditError> {
        match self.audit().record(entry).await {
            Err(error) if by.device().is_none() => {
                warn!(%error, "not in the audit");
                Ok(())
            }
            outcome => outcome,
        }
    }
}

fn told_by(action: Action, who: &Introduction, now: Millis) -> Entry {
    let entry = Entry::new(action, now).from(&who.from);
    match &who.request {
        Some(request) => entry.request(request),
        None => entry,
    }
}

/// A name as it can be shown anywhere; `None` if nothing of it can.
pub(super) fn fit(name: &str) -> Option<String> {
    let shown: String = for_terminal(name).chars().filter(|c| !is_invisible(*c)).collect();
    let shown = shown.trim();
    let fits = (1..=LONGEST_NAME).contains(&shown.chars().count());
    fits.then(|| shown.to_owned())
}

/// What would hide in a name, so that two look like one.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

/// What a device is called if nobody here has named it: as it says itself, else by what it is.
fn called(who: &Introduction) -> String {
    if let Some(name) = who.name.as_deref().and_then(fit) {
        return name;
    }
    let agent = who.user_agent.as_deref().unwrap_or_default();
    let kinds = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android phone"),
        ("Macintosh", "Mac"),
        ("Windows", "Windows computer"),
        ("Linux", "Linux computer"),
    ];
    let kind = kinds.into_iter().find(|(sign, _)| agent.contains(sign));
    kind.map_or("Device", |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_called_as_it_says_or_by_what_it_is() {
        let said = |name: &str, agent: &str| {
            called(&Introduction {
                name: Some(name.into()),
                user_agent: Some(agent.into()),
                ..Introduction::default()
            })
        };
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)";
        assert_eq!(said(" iPhone of Anna ", phone), "iPhone of Anna");
        assert_eq!(said("", phone), "iPhone");
        assert_eq!(said("\u{202e}\u{1b}", "curl/8"), "Device");
        assert_eq!(
            said(&"x".repeat(65), "Mozilla/5.0 (Linux; Android 15)"),
            "Android phone"
        );
    }

    #[test]
    fn a_name_cannot_write_on_a_terminal_or_turn_text_around() {
        assert_eq!(fit("\u{1b}[31mred\n").as_deref(), Some("red"));
        assert_eq!(fit("a\u{202e}b").as_deref(), Some("ab"));
        assert_eq!(fit(" \t "), None);
    }
}
