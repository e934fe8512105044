//! Brings home what lies in a redis that mail is not kept in any more.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::config::Config;
use crate::crash;
use crate::mail::{Elsewhere, EmbeddedMailbox, Home, Place, StreamMailbox};
use crate::ports::{Clock, MailError, Store};
use crate::redis_link::{RedisLink, Settings};
use crate::service::manager::Owner;
use crate::shutdown::TaskGroup;
use crate::supervisor::Handle;

use super::super::redis;
use super::Ground;

/// How long an old redis may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// Why mail is left somewhere, and what to do about it.
#[derive(Clone, Debug)]
pub(super) struct Stuck {
    pub place: String,
    pub why: String,
    pub remedy: String,
}

/// A place, for people.
pub(super) fn name(place: &Elsewhere) -> String {
    match place {
        Elsewhere::Ours { state_dir, .. } => format!("the redis in {state_dir}"),
        Elsewhere::Theirs { address, .. } => format!("the redis at {address}"),
    }
}

fn mail_failed(place: &Elsewhere, error: &MailError) -> Stuck {
    Stuck {
        place: name(place),
        why: error.to_string(),
        remedy: "it is tried again every half minute".into(),
    }
}

pub(super) struct Bringer {
    config: Config,
    owner: Owner,
    managed: bool,
    link: Option<RedisLink>,
    address: Option<String>,
    home: Arc<Home>,
    embedded: EmbeddedMailbox,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    children: TaskGroup,
}

/// A redis that can be asked, and what was started for that.
struct Reached {
    link: RedisLink,
    tasks: Option<TaskGroup>,
    helper: Option<Handle>,
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some(tasks) = &self.tasks {
            tasks.stop();
        }
    }
}

impl Bringer {
    pub fn new(ground: &Ground<'_>, home: Arc<Home>) -> Self {
        Self {
            config: ground.config.clone(),
            owner: ground.owner.clone(),
            managed: *ground.choice == redis::Choice::Managed,
            link: ground.link.cloned(),
            address: ground.way.map(Settings::address),
            home,
            embedded: ground.embedded.clone(),
            store: ground.store.clone(),
            clock: ground.clock.clone(),
            children: ground.children.clone(),
        }
    }

    /// Everything of ours in `place` is here afterwards, and nothing of it is there.
    pub async fn bring(&self, place: &Elsewhere, patience: Duration) -> Result<usize, Stuck> {
        let mut reached = self.reach(place).await?;
        let moved = match reached.link.until_up(patience).await {
            Some(_) => self
                .take(&reached.link, place.prefix())
                .await
                .map_err(|error| mail_failed(place, &error)),
            None => Err(Stuck {
                place: name(place),
                why: format!("it {}", reached.link.state().trouble()),
                remedy: "let it run; its mail is brought here as soon as it answers".into(),
            }),
        };
        if let Some(helper) = reached.helper.take() {
            helper.shutdown(ENDING).await;
        }
        let moved = moved?;
        // Last: who is killed before that looks there again, and ends the helper that outlived him.
        let struck = self.embedded.strike(place.clone()).await;
        struck.map_err(|error| mail_failed(place, &error))?;
        crash::point("carry.struck");
        Ok(moved)
    }

    /// Ends a redis of ours that is not to run any more and outlived a daemon, if no mail has to be brought from it.
    pub async fn end_orphan(&self, places: &[Elsewhere]) {
        let needed = |place: &Elsewhere| matches!(place, Elsewhere::Ours { .. });
        if !self.managed && !places.iter().any(needed) {
            redis::end_orphan(&self.config, &self.owner, &self.children, ENDING).await;
        }
    }

    async fn take(&self, link: &RedisLink, prefix: &str) -> Result<usize, MailError> {
        let hub = self.embedded.name().await?;
        let mut streams = StreamMailbox::new(link.clone(), prefix, self.clock.clone());
        if streams.is_shared(&hub).await? {
            // Others stay: their mail stays with them.
            let store = self.store.clone();
            streams = streams.of_projects(move |project| store.view().project(project).is_some());
        }
        let moved = self.home.take_in(&streams).await?;
        crash::point("carry.home");
        streams.move_out(&hub).await?;
        crash::point("carry.moved-out");
        Ok(moved)
    }

    async fn reach(&self, place: &Elsewhere) -> Result<Reached, Stuck> {
        let stuck = |why: String, remedy: &str| Stuck {
            place: name(place),
            why,
            remedy: remedy.to_owned(),
        };
        let running = |link: &RedisLink| Reached {
            link: link.clone(),
            tasks: None,
            helper: None,
        };
        match place {
            Elsewhere::Ours { state_dir, .. } => {
                if *state_dir != self.config.state_dir.display().to_string() {
                    let remedy = "start once with that state directory and without redis, or copy its folder `redis` here";
                    return Err(stuck("another state directory is configured now".into(), remedy));
                }
                if let (true, Some(link)) = (self.managed, &self.link) {
                    return Ok(running(link));
                }
                if redis::server(&self.config).is_none() {
                    let remedy = "install redis-server and start again: its mail is brought here then";
                    return Err(stuck("there is no redis-server here any more".into(), remedy));
                }
                self.start_again()
                    .await
                    .map_err(|error| stuck(error, "mend that and start again"))
            }
            Elsewhere::Theirs { address, login, .. } => {
                if let (Some(link), true) = (&self.link, self.address.as_ref() == Some(address)) {
                    return Ok(running(link));
                }
                let configured = self.config.redis.url.as_ref();
                let configured = configured.and_then(|url| Settings::url(url.expose()).ok());
                let settings = match configured.filter(|settings| settings.address() == *address) {
                    Some(settings) => settings,
                    None if *login => {
                        let remedy = "set redis.url to it, password included, and redis.mode to off: its mail is brought here then";
                        return Err(stuck(
                            "it wants a password, which is not configured any more".into(),
                            remedy,
                        ));
                    }
                    None => Settings::url(address)
                        .map_err(|error| stuck(error.to_string(), "set redis.url to it again"))?,
                };
                Ok(self.call(settings))
            }
        }
    }

    fn call(&self, settings: Settings) -> Reached {
        let tasks = TaskGroup::default();
        let settings = settings.prefix(self.config.redis.key_prefix.as_str());
        Reached {
            link: RedisLink::open(settings, &tasks),
            tasks: Some(tasks),
            helper: None,
        }
    }

    /// Our own redis, which is not to run any more.
    async fn start_again(&self) -> Result<Reached, String> {
        let (transitions, _) = broadcast::channel(16);
        let helper = redis::start_for_a_while(&self.config, &self.owner, &self.children, transitions).await;
        let helper = helper.map_err(|error| error.to_string())?;
        let way = redis::way(&self.config, &redis::Choice::Managed).map_err(|error| error.to_string())?;
        let way = way.ok_or("there is no way to it")?;
        let mut reached = self.call(way);
        reached.helper = Some(helper);
        Ok(reached)
    }
}
