//! Waiting for mail, with every real part between the client's connection and the database, in this process: from
//! outside one cannot see who waits.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::yield_now,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::access::Gate;
use crate::app::{App, Facts, InputWaiters, MailWaiters, Parts};
use crate::bus::Local;
use crate::clock::SystemClock;
use crate::domain::{
    AgentKey, Caller, Mail, MailType, ManifestOrder, Millis, NewMail, ProjectId, SessionId, WaitQuery,
};
use crate::hub::{
    Gateway, Hub, Limits, LocalDoor, Readiness,
    listen::{self, ConnectionLimits, Connections, Listener},
};
use crate::locks::LocalLocks;
use crate::mail::{self, EmbeddedMailbox, StandIn};
use crate::ports::{Clock, MailError, Mailbox, ManifestError, Manifests, Pending};
use crate::shutdown::TaskGroup;
use crate::skills::Skills;
use crate::sqlite::Database;
use crate::store;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

struct NoManifests;

impl Manifests for NoManifests {
    fn generate(&self, _: ManifestOrder, _: PathBuf) -> Pending<'_, Result<Value, ManifestError>> {
        Box::pin(async { Err(ManifestError("none here".into())) })
    }
    fn discard(&self, _: &Path) {}
}

/// Everything but the process around it.
pub(super) struct House {
    pub(super) app: App,
    pub(super) bus: Local,
    pub(super) input_waiters: Arc<InputWaiters>,
    waiters: Arc<MailWaiters>,
    dir: tempfile::TempDir,
}

impl House {
    pub(super) fn build(mailbox: impl FnOnce(EmbeddedMailbox) -> Arc<dyn Mailbox>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let chapters = [store::CHAPTER, mail::CHAPTER];
        let db = Database::open(&dir.path().join("maestro.db"), &chapters).unwrap();
        let (bus, waiters) = (Local::new(), Arc::new(MailWaiters::default()));
        let input_waiters = Arc::new(InputWaiters::default());
        let heard = input_waiters.behind(waiters.behind(Arc::new(bus.clone())));
        let store = store::Embedded::open(db.clone(), heard, clock.clone()).unwrap();
        let app = App::new(Parts {
            store: Arc::new(store),
            mail: mailbox(EmbeddedMailbox::new(db, clock.clone())),
            locks: Arc::new(LocalLocks::new(clock.now())),
            mail_waiters: waiters.clone(),
            input_waiters: input_waiters.clone(),
            desktops: Arc::new(bus.clone()),
            manifests: Arc::new(NoManifests),
            clock,
            facts: Facts {
                hostname: "here".into(),
                platform: "linux",
                server_url: String::new(),
                agent_key: AgentKey::new([0; 32]),
                data_dir: dir.path().to_owned(),
                session_dir: dir.path().to_owned(),
                provider_env: Vec::new(),
            },
        });
        Self {
            app,
            bus,
            input_waiters,
            waiters,
            dir,
        }
    }

    /// The hub over it.
    pub(super) fn hub(&self, stopping: CancellationToken) -> Hub {
        let skills = Skills::new(self.dir.path().to_owned(), None);
        let limits = Limits::default();
        let (app, bus) = (self.app.clone(), self.bus.clone());
        Hub::new(app, bus, skills, limits, Readiness::default(), stopping)
    }

    async fn until_waiting(&self, count: usize) {
        let reached = async {
            while self.waiters.len() != count {
                yield_now().await;
            }
        };
        let waited = timeout(PATIENCE, reached).await;
        waited.unwrap_or_else(|_| panic!("{} wait, not {count}", self.waiters.len()));
    }
}

/// The house with its door open.
pub(super) struct Open {
    pub(super) house: House,
    port: u16,
    pub(super) stopping: CancellationToken,
    _listeners: TaskGroup,
}

impl Open {
    pub(super) fn door() -> Self {
        let house = House::build(|mailbox| Arc::new(mailbox));
        let stopping = CancellationToken::new();
        let hub = house.hub(stopping.clone());
        let gate = Arc::new(ArcSwap::from_pointee(Gate::local(Vec::new(), Vec::new())));
        let door = LocalDoor::new(hub.clone(), gate, Gateway::open(&hub));
        let socket = listen::bind(&[Ipv4Addr::LOCALHOST.into()], 0).unwrap().remove(0);
        let port = socket.local_addr().unwrap().port();
        let (listeners, connections) = (
            TaskGroup::default(),
            Connections::new(ConnectionLimits::default()),
        );
        listeners.spawn("listener", |stop| {
            connections.accept(Listener::Tcp(socket), door, stop)
        });
        Self {
            house,
            port,
            stopping,
            _listeners: listeners,
        }
    }

    /// A client that asked and waits for its answer.
    async fn waiter(&self, session: &str) -> TcpStream {
        self.get(&format!("/api/mail/wait/{session}?projectId=p&timeout=120000"))
            .await
    }

    /// A client that asked for this.
    pub(super) async fn get(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn waiters(&self, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for n in 0..count {
            streams.push(self.waiter(&format!("s{n}")).await);
        }
        self.house.until_waiting(count).await;
        streams
    }
}

/// The JSON of the answer.
pub(super) async fn answer(mut stream: TcpStream) -> Value {
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn wish(to: &str) -> NewMail {
    let body =
        json!({"projectId": "p", "fromSessionId": "a", "toSessionId": to, "type": "query", "subject": "s"});
    NewMail::read(Some(body)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_is_let_go_at_once_and_the_others_go_on_waiting() {
    let open = Open::door();
    let mut clients = open.waiters(50).await;
    let stays = clients.remove(0);
    drop(clients);
    open.house.until_waiting(1).await;
    open.house
        .app
        .send_mail(&Caller::Local, wish("s0"), None)
        .await
        .unwrap();
    assert_eq!(answer(stays).await[0]["subject"], "s");
    open.house.until_waiting(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_when_the_hub_stops_is_answered_with_nothing() {
    let open = Open::door();
    let clients = open.waiters(10).await;
    open.stopping.cancel();
    for client in clients {
        assert_eq!(answer(client).await, json!([]));
    }
    open.house.until_waiting(0).await;
}

/// A mailbox in which mail arrives just while somebody looks.
struct Busy {
    inner: EmbeddedMailbox,
    arrives: Arrives,
    app: std::sync::OnceLock<App>,
}

#[derive(Clone, Copy)]
enum Arrives {
    BeforeTheLook,
    AfterTheLook,
}

impl Busy {
    /// Sent, stored and announced.
    async fn mail_arrives(&self) {
        self.app
            .get()
            .unwrap()
            .send_mail(&Caller::Local, wish("b"), None)
            .await
            .unwrap();
    }
}

impl StandIn for Busy {
    fn mailbox(&self) -> &dyn Mailbox {
        &self.inner
    }
    fn on_inbox<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        since: Millis,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            match self.arrives {
                Arrives::BeforeTheLook => {
                    self.mail_arrives().await;
                    self.inner.inbox(project, session, since).await
                }
                Arrives::AfterTheLook => {
                    let found = self.inner.inbox(project, session, since).await;
                    self.mail_arrives().await;
                    found
                }
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mail_falls_between_looking_and_waiting() {
    for arrives in [Arrives::BeforeTheLook, Arrives::AfterTheLook] {
        let mut busy = None;
        let house = House::build(|inner| {
            let mailbox = Arc::new(Busy {
                inner,
                arrives,
                app: std::sync::OnceLock::new(),
            });
            busy = Some(mailbox.clone());
            mailbox
        });
        let _ = busy.unwrap().app.set(house.app.clone());
        let query = WaitQuery {
            project: ProjectId::parse("p").ok(),
            patience: Duration::from_secs(3600),
            since: Millis(0),
        };
        let session = SessionId::parse("b").unwrap();
        let found = timeout(PATIENCE, house.app.wait_for_mail(&session, query)).await;
        let found = found.expect("the mail is not waited for in vain").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].mail_type, MailType::Query);
        assert!(house.waiters.is_empty());
    }
}
