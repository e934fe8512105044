//! What comes first: configuration, log, signals, and the locks that make us the only one. Nothing is visible yet.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, ConfigArgs, Loaded};
use crate::service::{
    activation::Activated,
    lock::{DirLock, LockError},
    logging::Logging,
    manager::Owner,
    notify::Notifier,
    signals::{Signals, Wish},
};

use super::{exit::StartError, settings};

/// What is there before anything that takes a while.
pub(super) struct Ground {
    pub args: ConfigArgs,
    pub loaded: Loaded,
    pub logging: Logging,
    pub signals: Signals,
    pub owner: Owner,
    pub notifier: Notifier,
    /// Sockets that systemd opened for us.
    pub activated: Vec<Activated>,
}

impl Ground {
    /// Reads the configuration, starts the log, hears signals from now on.
    pub fn prepare(args: ConfigArgs) -> Result<Self, StartError> {
        let loaded = Config::from_process(&args)?;
        let owner = Owner::detect();
        let own = owner
            .rotates_nothing()
            .then_some(loaded.config.state_dir.as_path());
        let logging = Logging::start(
            settings::log_format(&loaded.config),
            loaded.config.log.level.as_str(),
            own,
        )?;
        let signals = Signals::install().map_err(|e| StartError::System("hear signals", e))?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        Ok(Self {
            args,
            loaded,
            logging,
            signals,
            owner,
            notifier: Notifier::from_process(),
            activated: Vec::new(), // taken before there were threads, and put here by `run`
        })
    }

    /// The same; but launchd answers every exit with the next start, for ever, and has no word for "not until it is
    /// mended". Under it a wrong configuration is waited out here, looked at again at each reload and every few seconds.
    /// `None` if we were told to stop meanwhile.
    pub async fn prepare_in_peace(args: ConfigArgs) -> Result<Option<Self>, StartError> {
        let mut told = String::new();
        loop {
            let error = match Self::prepare(args.clone()) {
                Err(StartError::Config(error)) if Owner::detect().loops() => error.to_string(),
                other => return other.map(Some),
            };
            if error != told {
                // There is no log yet: where it goes is a question of the configuration.
                eprintln!(
                    "maestrod: {error}\n  → maestroctl config edit; it is looked at again every few seconds"
                );
                told = error;
            }
            let mut signals = Signals::install().map_err(|e| StartError::System("hear signals", e))?;
            let look_again = tokio::time::sleep(LOOK_AGAIN);
            tokio::select! {
                () = look_again => {}
                wish = signals.next() => if matches!(wish, Wish::Stop | Wish::StopNow) {
                    return Ok(None);
                },
            }
        }
    }

    /// Makes sure that nobody else uses our directories. Under a manager this waits, because an exit would only be
    /// answered with the next start; `None` if we were told to stop meanwhile.
    pub async fn lock(&mut self) -> Result<Option<Vec<DirLock>>, StartError> {
        let config = &self.loaded.config;
        let mut dirs = vec![&config.data_dir];
        if config.state_dir != config.data_dir {
            dirs.push(&config.state_dir);
        }
        let mut locks = Vec::new();
        for dir in dirs {
            if !self.owner.restarts_us() {
                locks.push(DirLock::acquire(dir)?);
                continue;
            }
            let told = CancellationToken::new();
            let waiting = |held: &LockError| {
                info!("waiting: {held}");
                self.notifier.status(&format!("waiting: {held}"));
            };
            let lock = tokio::select! {
                lock = DirLock::wait(dir, &told, waiting) => lock?,
                () = stop_wished(&mut self.signals) => None,
            };
            match lock {
                Some(lock) => locks.push(lock),
                None => return Ok(None),
            }
        }
        Ok(Some(locks))
    }
}

/// How often a wrong configuration is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

async fn stop_wished(signals: &mut Signals) {
    while !matches!(signals.next().await, Wish::Stop | Wish::StopNow) {}
}

/// How long READY=1 waits for what is required.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(10);
