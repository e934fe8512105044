//! Where mail is kept, and how it gets there when the configuration has changed: what lies elsewhere is brought here
//! first, once and completely, before anybody uses it. What cannot be reached is not waited for for long: mail is open
//! without it, the status says what is left where and how to get it, and it is tried again.
//!
//! A redis of our own that is not to run any more runs once more for as long as its mail takes to be carried home.

mod bring;
mod report;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use crate::app::MailWaiters;
use crate::config::{Config, MailBackend};
use crate::domain::{Mail, ProjectId};
use crate::mail::{Elsewhere, EmbeddedMailbox, Home, Place, StreamMailbox};
use crate::ports::{Clock, MailArchive, MailError, Mailbox, Store};
use crate::redis_link::{RedisLink, Settings};
use crate::service::manager::Owner;
use crate::shutdown::TaskGroup;

use super::{exit::StartError, redis};

use bring::{Bringer, Stuck};

/// How long mail stays closed for the sake of what cannot be reached.
const CLOSED_AT_MOST: Duration = Duration::from_secs(10);
/// Before what could not be reached is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// Before a move into a redis that is there is tried again.
const SOON: Duration = Duration::from_secs(1);

/// What mail stands on.
pub(super) struct Ground<'a> {
    pub config: &'a Config,
    pub owner: &'a Owner,
    pub choice: &'a redis::Choice,
    /// The redis in use, if there is one.
    pub way: Option<&'a Settings>,
    pub link: Option<&'a RedisLink>,
    pub embedded: EmbeddedMailbox,
    pub waiters: Arc<MailWaiters>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    /// Changes whenever events of other hubs were missed.
    pub resyncs: Option<watch::Receiver<(u64, &'static str)>>,
    /// Where an old redis runs for a while.
    pub children: &'a TaskGroup,
}

/// Mail, wherever it is kept. Clones share it.
#[derive(Clone)]
pub(super) struct MailHouse {
    home: Arc<Home>,
    waiters: Arc<MailWaiters>,
    /// The link to where it is kept; none if that is the embedded store.
    link: Option<RedisLink>,
    told: &'static str,
    progress: Arc<Mutex<Progress>>,
}

/// What has happened so far.
#[derive(Default)]
struct Progress {
    moved: u64,
    stuck: Vec<Stuck>,
    /// As last counted.
    mails: Option<u64>,
}

impl MailHouse {
    /// The mailbox the configuration asks for. Closed, until what lies elsewhere was brought: see
    /// [`Self::look_after`].
    pub fn open(ground: Ground<'_>, tasks: &TaskGroup) -> Result<Self, StartError> {
        let old = ground.embedded.elsewhere()?;
        let here = here(&ground)?;
        let streams = here
            .as_ref()
            .zip(ground.link)
            .map(|(place, link)| StreamMailbox::new(link.clone(), place.prefix(), ground.clock.clone()));
        let home: Arc<dyn Place> = match &streams {
            Some(streams) => Arc::new(streams.clone()),
            None => Arc::new(ground.embedded.clone()),
        };
        let house = Self {
            home: Arc::new(Home::closed(home)),
            waiters: ground.waiters.clone(),
            link: ground.link.filter(|_| streams.is_some()).cloned(),
            told: match (&streams, ground.choice) {
                (None, _) => "embedded",
                (Some(_), redis::Choice::Managed) => "in our own redis",
                (Some(_), _) => "in the external redis",
            },
            progress: Arc::default(),
        };
        let caretaker = Caretaker {
            house: house.clone(),
            old: old
                .into_iter()
                .filter(|place| Some(place) != here.as_ref())
                .collect(),
            here: here.zip(streams),
            embedded: ground.embedded.clone(),
            resyncs: ground.resyncs.clone(),
            bringer: Bringer::new(&ground, house.home.clone()),
        };
        tasks.spawn("mail", |stop| async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = caretaker.look_after() => {}
            }
        });
        Ok(house)
    }

    pub fn mailbox(&self) -> Arc<dyn Mailbox> {
        self.home.clone()
    }

    /// The newest mails, of one project or of all, newest first.
    pub async fn newest(&self, project: Option<&ProjectId>, most: usize) -> Result<Vec<Mail>, MailError> {
        self.home.newest(project, most).await
    }

    pub fn archive(&self) -> Arc<dyn MailArchive> {
        self.home.clone()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place in redis where mail is to be kept; none if it is the embedded store.
fn here(ground: &Ground<'_>) -> Result<Option<Elsewhere>, StartError> {
    let prefix = ground.config.mail_key_prefix();
    match (ground.config.mail.backend, ground.way) {
        (MailBackend::Embedded, _) | (MailBackend::Auto, None) => Ok(None),
        (MailBackend::Redis, None) => Err(StartError::MailWithoutRedis),
        (MailBackend::Auto | MailBackend::Redis, Some(way)) => Ok(Some(match ground.choice {
            redis::Choice::Managed => Elsewhere::Ours {
                state_dir: ground.config.state_dir.display().to_string(),
                prefix,
            },
            _ => Elsewhere::Theirs {
                address: way.address(),
                login: way.has_login(),
                prefix,
            },
        })),
    }
}

/// Sees to it that all mail gets where it belongs, and that who waits for mail hears of it.
struct Caretaker {
    house: MailHouse,
    /// Where mail may lie besides.
    old: Vec<Elsewhere>,
    /// Where it belongs, if that is a redis.
    here: Option<(Elsewhere, StreamMailbox)>,
    embedded: EmbeddedMailbox,
    resyncs: Option<watch::Receiver<(u64, &'static str)>>,
    bringer: Bringer,
}

impl Caretaker {
    async fn look_after(self) {
        tokio::join!(self.settle(), self.wake_on_return(), self.wake_on_gaps());
    }

    async fn settle(&self) {
        if let Some((place, streams)) = &self.here {
            self.move_out_of_the_database(place, streams).await;
        }
        self.bringer.end_orphan(&self.old).await;
        let deadline = Instant::now() + CLOSED_AT_MOST;
        let mut left = self.old.clone();
        loop {
            let mut stuck = Vec::new();
            let mut still = Vec::new();
            for place in left {
                // Once mail is open there is time.
                let patience = match self.house.home.is_open() {
                    true => CLOSED_AT_MOST,
                    false => deadline.saturating_duration_since(Instant::now()),
                };
                match self.bringer.bring(&place, patience).await {
                    Ok(moved) => self.moved(moved, &place),
                    Err(reason) => {
                        warn!(
                            "mail is left in {}: {} ({})",
                            reason.place, reason.why, reason.remedy
                        );
                        stuck.push(reason);
                        still.push(place);
                    }
                }
            }
            left = still;
            self.house.progress().stuck = stuck;
            self.open().await;
            if left.is_empty() {
                return;
            }
            sleep(AGAIN).await;
        }
    }

    /// Into redis, which has to be there for that.
    async fn move_out_of_the_database(&self, place: &Elsewhere, streams: &StreamMailbox) {
        let mut told = None;
        loop {
            if let Some(link) = &self.house.link {
                let mut state = link.watch();
                if state.wait_for(|state| state.up().is_some()).await.is_err() {
                    return; // we are stopping
                }
            }
            match self.try_to_move(place, streams).await {
                Ok(moved) => return self.moved(moved, place),
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        warn!("mail could not be moved to redis yet: {error}");
                        told = Some(error);
                    }
                    sleep(SOON).await;
                }
            }
        }
    }

    async fn try_to_move(&self, place: &Elsewhere, streams: &StreamMailbox) -> Result<usize, MailError> {
        // Before the first mail is there: whoever starts with another configuration knows where to look.
        self.embedded.note(place.clone()).await?;
        streams.settle_in(&self.embedded.name().await?).await?;
        self.house.home.take_in(&self.embedded).await
    }

    fn moved(&self, mails: usize, place: &Elsewhere) {
        if mails > 0 {
            info!(mails, place = ?bring::name(place), "mail was moved to where it is kept now");
        }
        self.house.progress().moved += mails as u64;
        self.house.waiters.look_again();
    }

    async fn open(&self) {
        while let Err(error) = self.house.home.open().await {
            warn!("mail cannot be opened yet: {error}");
            sleep(SOON).await;
        }
    }

    /// What other hubs sent while redis was away was not heard.
    async fn wake_on_return(&self) {
        let Some(link) = &self.house.link else { return };
        let (mut state, mut seen) = (link.watch(), None);
        loop {
            let times = state.borrow_and_update().up().map(|up| up.times);
            if times.is_some() && times != seen {
                seen = times;
                self.house.waiters.look_again();
            }
            if state.changed().await.is_err() {
                return;
            }
        }
    }

    async fn wake_on_gaps(&self) {
        let Some(mut resyncs) = self.resyncs.clone() else {
            return;
        };
        while resyncs.changed().await.is_ok() {
            self.house.waiters.look_again();
        }
    }
}
