//! The order of start: configuration, log, lock, store, addresses; then the hub serves, and the rest follows.
//! What can fail, fails before anything is visible.

use std::{io::IsTerminal, net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{net::TcpListener, sync::broadcast};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::{App, MailWaiters, Parts};
use crate::bus::Local;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigArgs, Loaded};
use crate::control::{SOCKET, server::ControlSocket};
use crate::hub::{
    Hub, LocalDoor, Readiness,
    listen::{self, Connections, Listener},
};
use crate::locks::LocalLocks;
use crate::mail::{self, EmbeddedMailbox};
use crate::manifest::Generator;
use crate::ports::Clock;
use crate::service::{
    lock::{DirLock, LockError},
    logging::Logging,
    manager::Owner,
    notify::Notifier,
    rlimit,
    signals::{Signals, Wish},
};
use crate::shutdown::TaskGroup;
use crate::sqlite::Database;
use crate::store;

use super::{
    Daemon,
    exit::StartError,
    greeting::Greeting,
    operator::{Child, Fixed, Operator, Stock},
    redis,
    server_url::ServerUrl,
    settings,
};

/// Transitions of children that may wait for whoever logs them.
const TRANSITIONS: usize = 256;
/// Descriptors that are not for clients: files, children, the store.
const OWN_FILES: u64 = 128;
/// The file that holds everything embedded.
const STORE: &str = "maestro.db";

/// What is there before anything that takes a while.
pub(super) struct Ground {
    pub args: ConfigArgs,
    pub loaded: Loaded,
    pub logging: Logging,
    pub signals: Signals,
    pub owner: Owner,
    pub notifier: Notifier,
}

impl Ground {
    /// Reads the configuration, starts the log, hears signals from now on.
    pub fn prepare(args: ConfigArgs) -> Result<Self, StartError> {
        let loaded = Config::from_process(&args)?;
        let logging = Logging::start(
            settings::log_format(&loaded.config),
            loaded.config.log.level.as_str(),
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
            owner: Owner::detect(),
            notifier: Notifier::from_process(),
        })
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

async fn stop_wished(signals: &mut Signals) {
    while !matches!(signals.next().await, Wish::Stop | Wish::StopNow) {}
}

/// Builds the daemon on `ground` and lets the hub serve.
pub(super) async fn build(ground: Ground, locks: Vec<DirLock>) -> Result<Daemon, StartError> {
    let config = ground.loaded.config.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bus = Local::new();
    let mail_waiters = Arc::new(MailWaiters::default());
    let chapters = [store::CHAPTER, mail::CHAPTER];
    let db = Database::open(&config.data_dir.join(STORE), &chapters)?;
    let heard = mail_waiters.behind(Arc::new(bus.clone()));
    let store = store::Embedded::open(db.clone(), heard, clock.clone())?;

    let (hosts, port) = (&config.listen.host, config.listen.port);
    let sockets = listen::bind(hosts, port)?;
    let addresses = addresses(&sockets, hosts);
    let port = addresses.first().map_or(port, |address| address.port());
    let facts = settings::facts(&config, port);
    let url = facts.server_url.clone();

    let manifests = Arc::new(Generator::new(
        settings::manifests(&config),
        settings::surroundings(&config, &url),
    ));

    let mailbox = Arc::new(EmbeddedMailbox::new(db, clock.clone()));
    let stock = Stock {
        store: store.clone(),
        mail: mailbox.clone(),
    };
    let app = App::new(Parts {
        store: Arc::new(store.clone()),
        mail: mailbox,
        locks: Arc::new(LocalLocks::new(clock.now())),
        mail_waiters,
        manifests: manifests.clone(),
        clock,
        facts,
    });
    let stopping = CancellationToken::new();
    let hub = Hub::new(
        app,
        bus,
        settings::skills(&config),
        settings::limits(&config),
        Readiness::default(),
        stopping,
    );
    let gate = Arc::new(ArcSwap::from_pointee(settings::gate(&config)));
    let connections = Connections::new(connection_limits(&config));
    let listeners = TaskGroup::default();
    let door = LocalDoor::new(hub.clone(), gate.clone());
    for socket in sockets {
        let (connections, door) = (connections.clone(), door.clone());
        listeners.spawn("listener", move |stop| {
            connections.accept(Listener::Tcp(socket), door, stop)
        });
    }
    let server_url = ServerUrl::write(&config.data_dir, &url)
        .map_err(|error| StartError::System("write server-url", error))?;
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    info!(url, addresses = addresses.join(", "), "the hub listens");

    let choice = redis::Choice::make(&config, redis::server(&config));
    info!("redis: {}", choice.told());
    let greeting = Greeting {
        config: &config,
        url: &url,
        addresses: &addresses,
        redis: &choice,
        node_data: hub.app().view().projects().is_empty() && settings::has_node_data(&config.data_dir),
    };
    if greeting.node_data {
        info!("the Node server stored data here: `maestroctl import` takes it over");
    }
    if std::io::stdout().is_terminal() {
        println!("{}", greeting.text());
    }
    let loaded = Arc::new(ArcSwap::from_pointee(ground.loaded.clone()));
    let fixed = Fixed {
        listen: addresses,
        owner: ground.owner.to_string(),
        started_at: hub.app().now().0,
        redis: choice.told(),
    };
    // Before there is a child: what fails from here on would leave it behind.
    let control = ControlSocket::bind(&config.runtime_dir.join(SOCKET)).await?;
    let children = TaskGroup::default();
    let (transitions, seen) = broadcast::channel(TRANSITIONS);
    let redis = match choice {
        redis::Choice::Managed => {
            Some(redis::start(&config, &ground.owner, hub.readiness(), &children, transitions).await?)
        }
        redis::Choice::Off { .. } | redis::Choice::External => None,
    };
    let operated = redis.iter().map(|handle| Child {
        name: redis::NAME,
        required: true,
        handle: handle.clone(),
    });
    let (operator, orders) = Operator::new(
        hub.clone(),
        stock,
        operated.collect(),
        fixed,
        loaded.clone(),
        ground.logging.recent.clone(),
    );
    let background = TaskGroup::default();
    operator.follow(seen, &background);
    control.serve(Arc::new(operator.clone()), &background);
    Ok(Daemon {
        loaded,
        operator,
        orders,
        ground,
        hub,
        gate,
        manifests,
        connections,
        listeners,
        store,
        server_url,
        redis,
        children,
        background,
        _locks: locks,
    })
}

fn addresses(sockets: &[TcpListener], asked: &[IpAddr]) -> Vec<std::net::SocketAddr> {
    let bound: Vec<_> = sockets.iter().filter_map(|s| s.local_addr().ok()).collect();
    for missing in asked.iter().filter(|ip| !bound.iter().any(|a| a.ip() == **ip)) {
        warn!("not listening on {missing}: this machine does not have that address");
    }
    bound
}

fn connection_limits(config: &Config) -> listen::ConnectionLimits {
    let mut limits = settings::connection_limits(config);
    match rlimit::raise_open_files() {
        Ok(files) => {
            let room = usize::try_from(files.now.saturating_sub(OWN_FILES))
                .unwrap_or(usize::MAX)
                .max(16);
            if room < limits.connections {
                warn!(
                    "{} open files allow {room} connections, not {}: raise the limit (ulimit -n, LimitNOFILE=)",
                    files.now, limits.connections
                );
                limits.connections = room;
            }
        }
        Err(error) => warn!("cannot read the limit of open files: {error}"),
    }
    limits
}

/// How long READY=1 waits for what is required.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(10);
