//! The order of start, after the locks: store, addresses; then the hub serves, and the rest follows. What can fail,
//! fails before anything is visible, and before there is a child that would be left behind.

use std::{io::IsTerminal, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::access::{self, Gate};
use crate::app::{AnswerPauses, App, Facts, InputWaiters, MailWaiters, Parts};
use crate::bus::{Exchange, Local, Outbox, Parties};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::control::{SOCKET, server::ControlSocket};
use crate::hub::{
    Clients, Gateway, Hub, LocalDoor, Readiness, Terminals,
    listen::{self, Connections, Listener},
};
use crate::locks::{LocalLocks, RedisLocks};
use crate::mail::{CHAPTER as MAIL, EmbeddedMailbox};
use crate::manifest::Generator;
use crate::ports::{Clock, Locks, Mailbox};
use crate::presence::{self, Agents, Reconciler};
use crate::push::{self, Push};
use crate::redis_link::RedisLink;
use crate::service::{lock::DirLock, logging::Chain, rlimit};
use crate::shutdown::TaskGroup;
use crate::sqlite::Database;
use crate::store;

use super::{
    Daemon, access as doors,
    exit::StartError,
    greeting::Greeting,
    ingress::Ingress,
    listeners,
    mail::{self, MailHouse},
    metrics::{self, Counted},
    operator::{Child, Fixed, Operator, Parts as Desk, Stock},
    redis,
    server_url::ServerUrl,
    settings,
    start::Ground,
    tunnel,
};

/// Transitions of children that may wait for whoever logs them.
const TRANSITIONS: usize = 256;
/// Descriptors that are not for clients: files, children, the store.
const OWN_FILES: u64 = 128;
/// The file that holds everything embedded.
const STORE: &str = "maestro.db";

/// The file that holds what agents' tokens are signed with.
const AGENT_KEY: &str = "agent.key";

/// Builds the daemon on `ground` and lets the hub serve.
pub(super) async fn build(mut ground: Ground, locks: Vec<DirLock>) -> Result<Daemon, StartError> {
    let config = ground.loaded.config.clone();
    let keeping = Keeping::open(&config)?;
    let agent_key = access::agent_key(&config.data_dir.join(AGENT_KEY))?;
    let sockets = listeners::open(std::mem::take(&mut ground.activated), &config.listen)?;
    let scraped = metrics::bind(config.metrics.listen)?;
    let control = ControlSocket::bind(&config.runtime_dir.join(SOCKET)).await?;
    let addresses: Vec<SocketAddr> = sockets.iter().filter_map(|s| s.local_addr().ok()).collect();
    let port = addresses.first().map_or(config.listen.port, SocketAddr::port);
    let facts = settings::facts(&config, port, agent_key);
    let url = facts.server_url.clone();
    let manifests = Arc::new(Generator::new(
        settings::manifests(&config),
        settings::surroundings(&config, &url),
    ));
    let choice = redis::Choice::make(&config, redis::server(&config));
    let way = redis::way(&config, &choice)?;
    let (background, desk) = (TaskGroup::default(), TaskGroup::default());
    let link = way.as_ref().map(|way| RedisLink::open(way.clone(), &background));
    let exchange = link
        .as_ref()
        .map(|link| keeping.exchange(&config, &choice, link, &background));
    let children = TaskGroup::default();
    let mail = MailHouse::open(
        mail::Ground {
            config: &config,
            owner: &ground.owner,
            choice: &choice,
            way: way.as_ref(),
            link: link.as_ref(),
            embedded: keeping.mail.clone(),
            waiters: keeping.mail_waiters.clone(),
            store: Arc::new(keeping.store.clone()),
            clock: keeping.clock.clone(),
            resyncs: exchange.as_ref().map(Exchange::resyncs),
            children: &children,
        },
        &background,
    )?;
    let stock = Stock {
        store: keeping.store.clone(),
        mail: mail.archive(),
    };
    let claims = keeping.claims(&config, link.as_ref());
    let (agents, presence) = keeping.presence(&config, &facts).unzip();
    let devices = doors::devices(&config, keeping.db.clone(), keeping.clock.clone(), &background)?;
    let (db, outbox) = (keeping.db.clone(), keeping.outbox.clone());
    let hub = keeping.hub(&config, manifests.clone(), facts, mail.mailbox(), agents, claims);
    let hub = hub.with_devices(devices);
    let hub = match Push::open(doors::push(&config, db, &hub), &background).await {
        Ok(push) => hub.with_push(push),
        // The rest runs without; the status says so (SECURITY rule 20).
        Err(error) => {
            error!("phones are not notified: {}", Chain(&error));
            hub
        }
    };
    if choice == redis::Choice::Managed {
        // Before anybody can ask: there is no moment at which it looks ready without it.
        hub.readiness().lacks(redis::NAME, "redis is starting");
    }

    let gate = Arc::new(ArcSwap::from_pointee(settings::gate(&config)));
    let connections = Connections::new(connection_limits(&config));
    let gateway = Gateway::open(&hub);
    // The port is ours, so it does not lie; and nobody was answered yet, should this fail.
    let server_url = ServerUrl::write(&config.data_dir, &url)
        .map_err(|error| StartError::System("write server-url", error))?;
    let listeners = serve(sockets, &hub, &gate, &gateway, &connections);
    let listen: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    info!(url, addresses = listen.join(", "), "the hub listens");

    greet(&config, &hub, &listen, &choice);
    let app = hub.app().clone();
    background.spawn("kept answers", |stop| async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.keep_sending_answers(AnswerPauses::default()) => {}
        }
    });
    let redis_told = choice.told();
    let presence = presence.map(|reconciler| match &way {
        Some(way) => reconciler.over(Arc::new(redis::presence(&config, way, &background))),
        None => reconciler,
    });
    let (transitions, seen) = broadcast::channel(TRANSITIONS);
    let redis = match choice {
        redis::Choice::Managed => {
            let transitions = transitions.clone();
            Some(redis::start(&config, &ground.owner, hub.readiness(), &children, transitions).await?)
        }
        redis::Choice::Off { .. } | redis::Choice::External => None,
    };
    let groups = (&children, &background);
    let may_come_in = hub.devices().open();
    let tunnel = tunnel::start(&config, &ground.owner, &hub, may_come_in, groups, transitions).await?;
    let ingress = Ingress::open(&config, &hub, &gateway, &tunnel).await;
    let fixed = Fixed {
        listen,
        owner: ground.owner.to_string(),
        started_at: hub.app().now().0,
        redis: redis_told,
        link: link.clone(),
        ingress: ingress.standing(),
        metrics: scraped.as_ref().and_then(metrics::address),
    };
    let loaded = Arc::new(ArcSwap::from_pointee(ground.loaded.clone()));
    let operated = redis.iter().map(|handle| Child {
        name: redis::NAME,
        required: true,
        handle: handle.clone(),
    });
    let (operator, orders) = Operator::new(Desk {
        hub: hub.clone(),
        stock: stock.clone(),
        mail,
        children: operated.collect(),
        tunnel: tunnel.clone(),
        fixed,
        loaded: loaded.clone(),
        recent: ground.logging.recent.clone(),
        counted: Counted {
            connections: connections.clone(),
            outside: ingress.connections().clone(),
            outbox,
            resyncs: exchange.as_ref().map(Exchange::resyncs),
        },
    });
    operator.follow(seen, &background);
    operator.follow_devices(&background);
    control.serve(Arc::new(operator.clone()), &desk);
    let scrapes = metrics::serve(scraped, &operator, &gate, &listeners);
    Ok(Daemon {
        scrapes,
        loaded,
        operator,
        orders,
        ground,
        hub,
        gateway,
        gate,
        manifests,
        connections,
        listeners,
        ingress,
        store: stock.store,
        server_url,
        redis,
        tunnel,
        children,
        presence,
        background,
        desk,
        launchd_waits: Arc::default(),
        pulse: mpsc::channel(1),
        _locks: locks,
    })
}

/// What keeps things: the store, mail, and who is told of changes.
struct Keeping {
    clock: Arc<dyn Clock>,
    bus: Local,
    outbox: Outbox,
    mail_waiters: Arc<MailWaiters>,
    input_waiters: Arc<InputWaiters>,
    db: Database,
    store: store::Embedded,
    mail: EmbeddedMailbox,
}

impl Keeping {
    fn open(config: &Config) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let bus = Local::new();
        let mail_waiters = Arc::new(MailWaiters::default());
        let input_waiters = Arc::new(InputWaiters::default());
        let chapters = [
            store::CHAPTER,
            MAIL,
            presence::CHAPTER,
            access::CHAPTER,
            push::CHAPTER,
        ];
        let db = Database::open(&config.data_dir.join(STORE), &chapters)?;
        let outbox = Outbox::default();
        let heard = input_waiters.behind(mail_waiters.behind(Arc::new(bus.clone())));
        let heard = outbox.behind(heard);
        let store = store::Embedded::open(db.clone(), heard, clock.clone())?;
        bus.replay().begin(store.epoch(), store.seq());
        Ok(Self {
            store,
            mail: EmbeddedMailbox::new(db.clone(), clock.clone()),
            db,
            clock,
            bus,
            outbox,
            mail_waiters,
            input_waiters,
        })
    }

    /// Hubs that share a Redis tell each other what happens.
    fn exchange(
        &self,
        config: &Config,
        choice: &redis::Choice,
        link: &RedisLink,
        tasks: &TaskGroup,
    ) -> Exchange {
        let parties = Parties {
            link: link.clone(),
            prefix: config.redis.key_prefix.as_str().to_owned(),
            outbox: self.outbox.clone(),
            store: Arc::new(self.store.clone()),
            epoch: self.store.epoch(),
            shared: *choice == redis::Choice::External,
        };
        Exchange::start(parties, tasks)
    }

    /// Where leases are kept: with Redis, there and nowhere else, or two hubs would give away the same name.
    fn claims(&self, config: &Config, link: Option<&RedisLink>) -> Arc<dyn Locks> {
        match link {
            Some(link) if config.locks.enabled => {
                Arc::new(RedisLocks::new(link.clone(), config.redis.key_prefix.as_str()))
            }
            Some(_) | None => Arc::new(LocalLocks::new(self.clock.now())),
        }
    }

    fn presence(&self, config: &Config, facts: &Facts) -> Option<(Agents, Reconciler)> {
        let options = settings::presence(config, facts)?;
        Some(presence::open(options, self.db.clone()))
    }

    fn hub(
        self,
        config: &Config,
        manifests: Arc<Generator>,
        facts: Facts,
        mail: Arc<dyn Mailbox>,
        agents: Option<Agents>,
        locks: Arc<dyn Locks>,
    ) -> Hub {
        let clients = Clients::default();
        let app = App::new(Parts {
            store: Arc::new(self.store),
            mail,
            locks,
            mail_waiters: self.mail_waiters,
            input_waiters: self.input_waiters,
            desktops: Arc::new(Terminals::new(self.bus.clone(), clients.clone())),
            manifests,
            clock: self.clock,
            facts,
        });
        let app = match agents {
            Some(agents) => app.with_presence(Arc::new(agents)),
            None => app,
        };
        Hub::new(
            app,
            self.bus,
            settings::skills(config),
            settings::limits(config),
            Readiness::default(),
            CancellationToken::new(),
        )
        .with_clients(clients)
    }
}

fn serve(
    sockets: Vec<TcpListener>,
    hub: &Hub,
    gate: &Arc<ArcSwap<Gate>>,
    gateway: &Gateway,
    connections: &Connections,
) -> TaskGroup {
    let listeners = TaskGroup::default();
    let door = LocalDoor::new(hub.clone(), gate.clone(), gateway.clone());
    for socket in sockets {
        let (connections, door) = (connections.clone(), door.clone());
        listeners.spawn("listener", move |stop| {
            connections.accept(Listener::Tcp(socket), door, stop)
        });
    }
    listeners
}

fn greet(config: &Config, hub: &Hub, addresses: &[String], redis: &redis::Choice) {
    info!("redis: {}", redis.told());
    let greeting = Greeting {
        config,
        url: &hub.app().facts().server_url,
        addresses,
        redis,
        node_data: hub.app().view().projects().is_empty() && settings::has_node_data(&config.data_dir),
    };
    if greeting.node_data {
        info!("the Node server stored data here: `maestroctl import` takes it over");
    }
    if std::io::stdout().is_terminal() {
        println!("{}", greeting.text());
    }
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
