//! Presence over a real Redis that is killed, stopped and wiped, with every real part between a heartbeat and the record
//! of its session, in this process: from outside nobody can take the registry away alone.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use crate::app::{App, AppError, Facts, InputWaiters, MailWaiters, Parts};
use crate::bus::Local;
use crate::clock::SystemClock;
use crate::domain::{
    AgentKey, Beat, Loss, ManifestOrder, Millis, NewProject, NewSession, Rendered, SessionHead, SessionId,
    Verdict,
};
use crate::locks::LocalLocks;
use crate::mail::{self, EmbeddedMailbox};
use crate::ports::{Clock, ManifestError, Manifests, Pending, PresenceError};
use crate::presence::{self, Options, RedisRegistry};
use crate::redis_link::{RedisLink, testbed::Server};
use crate::shutdown::TaskGroup;
use crate::sqlite::Database;
use crate::store;

const PATIENCE: Duration = Duration::from_secs(30);
/// Of heartbeats. An outage is longer than it.
const TTL: Duration = Duration::from_millis(1500);
const OUTAGE: Duration = Duration::from_millis(2500);
const BEAT: Duration = Duration::from_millis(100);

struct NoManifests;

impl Manifests for NoManifests {
    fn generate(&self, _: ManifestOrder, _: PathBuf) -> Pending<'_, Result<Value, ManifestError>> {
        Box::pin(async { Err(ManifestError("none here".into())) })
    }
    fn discard(&self, _: &Path) {}
}

/// Everything that presence stands on.
struct House {
    app: App,
    resume: watch::Sender<u64>,
    tasks: TaskGroup,
    _dir: tempfile::TempDir,
}

impl House {
    fn build(options: impl FnOnce(Options, &TaskGroup) -> Options) -> Self {
        Self::by(Arc::new(SystemClock), options)
    }

    /// With another clock on the wall.
    fn by(clock: Arc<dyn Clock>, options: impl FnOnce(Options, &TaskGroup) -> Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let chapters = [store::CHAPTER, mail::CHAPTER, presence::CHAPTER];
        let db = Database::open(&dir.path().join("maestro.db"), &chapters).unwrap();
        let store = store::Embedded::open(db.clone(), Arc::new(Local::new()), clock.clone()).unwrap();
        let app = App::new(Parts {
            store: Arc::new(store),
            mail: Arc::new(EmbeddedMailbox::new(db.clone(), clock.clone())),
            locks: Arc::new(LocalLocks::new(clock.now())),
            mail_waiters: Arc::new(MailWaiters::default()),
            input_waiters: Arc::new(InputWaiters::default()),
            desktops: Arc::new(Local::new()),
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
        let tasks = TaskGroup::default();
        let usual = Options {
            sweep: Duration::from_millis(100),
            ..Options::new("here", TTL)
        };
        let (agents, reconciler) = presence::open(options(usual, &tasks), db);
        let app = app.with_presence(Arc::new(agents));
        let (resume, resumes) = watch::channel(0);
        reconciler.start(app.clone(), &tasks, resumes);
        Self {
            app,
            resume,
            tasks,
            _dir: dir,
        }
    }

    fn over(server: &Server) -> Self {
        Self::build(|options, tasks| {
            let own = RedisLink::open(server.settings().database(1), tasks);
            let legacy = RedisLink::open(server.settings(), tasks);
            let shared = RedisRegistry::new(own, legacy, "maestro:", tasks);
            Options {
                shared: Some(Arc::new(shared)),
                ..options
            }
        })
    }

    async fn working(&self, id: &str) -> SessionId {
        let project = match self.app.view().projects().first() {
            Some(project) => project.clone(),
            None => {
                let wish = NewProject {
                    name: "Demo".into(),
                    ..NewProject::default()
                };
                self.app.create_project(wish).await.unwrap()
            }
        };
        let session = NewSession {
            id: Some(SessionId::parse(id).unwrap()),
            status: Some("working".into()),
            ..NewSession::default()
        };
        let made = self.app.create_session(project.id.to_string(), session).await;
        made.unwrap().head.id.clone()
    }

    fn head(&self, id: &SessionId) -> Arc<Rendered<SessionHead>> {
        self.app.session_head(id).unwrap()
    }

    async fn beat(&self, id: &SessionId, host: &str) {
        self.beat_for(id, host, None).await;
    }

    async fn beat_for(&self, id: &SessionId, host: &str, ttl: Option<Duration>) {
        let beat = Beat {
            session: id.clone(),
            pid: None,
            host: Some(host.into()),
            started_at: Some(Millis(1)),
            ttl,
            watch: false,
        };
        self.app.heartbeat(beat).await.unwrap();
    }

    async fn until(&self, what: &str, reached: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !reached() {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_status(&self, id: &SessionId, status: &str) {
        self.until(&format!("{id} is {status}"), || self.head(id).status == status)
            .await;
    }

    async fn until_verdict(&self, id: &SessionId, verdict: Verdict) {
        let known = || self.app.presence(id).map(|sighting| sighting.verdict);
        self.until(&format!("{id} is {verdict:?}"), || known() == Some(verdict))
            .await;
    }
}

/// An agent of the replaced server: it writes its key itself, as well as it can, until it is told to die.
struct Legacy {
    lives: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Legacy {
    fn of(server: &Server, session: &SessionId) -> Self {
        let lives = Arc::new(AtomicBool::new(true));
        let (url, key) = (
            format!("unix://{}", server.socket().display()),
            format!("maestro:presence:{session}"),
        );
        let goes_on = lives.clone();
        let thread = std::thread::spawn(move || {
            let client = redis::Client::open(url).unwrap();
            while goes_on.load(Ordering::Relaxed) {
                let brief = Duration::from_millis(200);
                let _ = client.get_connection_with_timeout(brief).and_then(|mut line| {
                    line.set_read_timeout(Some(brief))?;
                    let text = r#"{"pid":4711,"host":"far","startedAt":1}"#;
                    let ttl = TTL.as_millis() as u64;
                    redis::cmd("SET")
                        .arg(&key)
                        .arg(text)
                        .arg("PX")
                        .arg(ttl)
                        .exec(&mut line)
                });
                std::thread::sleep(BEAT);
            }
        });
        Self {
            lives,
            thread: Some(thread),
        }
    }

    fn die(&mut self) {
        self.lives.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        self.lives.store(false, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_writes_its_key_itself_is_seen_missed_and_restored() {
    let server = Server::start();
    let house = House::over(&server);
    let id = house.working("s").await;
    let mut agent = Legacy::of(&server, &id);
    house.until_verdict(&id, Verdict::Alive).await;
    let fill = "for n = 1, 100000 do redis.call('SET', 'foreign:' .. n, 'x', 'EX', 3600) end";
    let _: () = server.ask(&["EVAL", fill, "0"]);
    agent.die();
    let since = Instant::now();
    house.until_status(&id, "failed").await;
    println!(
        "a key with a TTL of 1.5 s beside 100,000 foreign ones was missed after {:?}",
        since.elapsed()
    );
    let lost = house.head(&id).failure.value().map(|failure| failure.detail);
    assert_eq!(lost, Some(Loss::Lost));
    let _back = Legacy::of(&server, &id);
    house.until_status(&id, "working").await;
    assert!(house.tasks.close(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_verdict_comes_of_a_redis_that_is_killed_stopped_or_wiped() {
    let mut server = Server::start();
    let house = House::over(&server);
    let (writes, tells) = (house.working("writes").await, house.working("tells").await);
    let mut agent = Legacy::of(&server, &writes);
    let (app, id) = (house.app.clone(), tells.clone());
    let teller = tokio::spawn(async move {
        loop {
            let beat = Beat {
                session: id.clone(),
                pid: None,
                host: Some("far".into()),
                started_at: None,
                ttl: None,
                watch: false,
            };
            app.heartbeat(beat).await.unwrap();
            sleep(BEAT).await;
        }
    });
    for fault in ["kill", "stop", "wipe", "kill and wipe"] {
        house.until_verdict(&writes, Verdict::Alive).await;
        house.until_verdict(&tells, Verdict::Alive).await;
        match fault {
            "kill" => server.kill(),
            "stop" => server.signal(Signal::SIGSTOP),
            "wipe" => server.ask(&["FLUSHALL"]),
            _ => {
                server.kill();
                server.wipe();
            }
        }
        sleep(OUTAGE).await; // the fault itself, not a wait for something
        for id in [&writes, &tells] {
            assert_eq!(house.head(id).status, "working", "{id} during: {fault}");
        }
        match fault {
            "stop" => server.signal(Signal::SIGCONT),
            "wipe" => {}
            _ => server.restart(),
        }
        sleep(OUTAGE).await; // time for whatever is wrong to show
        for id in [&writes, &tells] {
            assert_eq!(house.head(id).status, "working", "{id} after: {fault}");
            let timeline = house.app.session(id).await.unwrap().timeline.len();
            assert_eq!(timeline, 1, "nothing was said of {id} after: {fault}");
        }
    }
    // And yet who dies is noticed.
    teller.abort();
    agent.die();
    house.until_status(&writes, "failed").await;
    house.until_status(&tells, "failed").await;
    assert!(house.tasks.close(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_at_one_redis_know_each_others_agents() {
    let server = Server::start();
    let (one, other) = (House::over(&server), House::over(&server));
    let (id, same) = (one.working("s").await, other.working("s").await);
    let ttl = Duration::from_millis(1200); // not what the hubs have
    one.beat_for(&id, "far", Some(ttl)).await;
    other.until_verdict(&same, Verdict::Alive).await;
    assert_eq!(other.app.presence(&same).map(|known| known.ttl), Some(1200));
    // Nobody beats any more: both notice.
    one.until_status(&id, "failed").await;
    other.until_status(&same, "failed").await;
    assert!(one.tasks.close(PATIENCE).await && other.tasks.close(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_slept_misses_nobody_and_one_ttl_later_those_who_stayed_away() {
    let slept = Arc::new(AtomicU64::new(0));
    let sleep_too = slept.clone();
    let began = Instant::now();
    let house = House::build(|options, _| Options {
        clock: Arc::new(move || {
            began.elapsed() + Duration::from_secs(1_000 + sleep_too.load(Ordering::SeqCst))
        }),
        ..options
    });
    let (stays, goes) = (house.working("stays").await, house.working("goes").await);
    for jump in 1..=2 {
        house.beat(&stays, "far").await;
        house.beat(&goes, "far").await;
        house.until_status(&goes, "working").await;
        // Ten minutes of sleep: the clock that counts them jumps. The second time somebody tells of it as well.
        slept.fetch_add(600, Ordering::SeqCst);
        let woke = Instant::now();
        if jump == 2 {
            house.resume.send_replace(1);
        }
        while house.head(&goes).status == "working" {
            assert!(woke.elapsed() < PATIENCE, "who stays away is missed in the end");
            house.beat(&stays, "far").await;
            sleep(BEAT / 10).await;
        }
        assert!(
            woke.elapsed() >= TTL,
            "nobody was missed before a whole TTL awake had passed"
        );
        assert_eq!(house.head(&stays).status, "working");
    }
    let timeline = house.app.session(&stays).await.unwrap().timeline.len();
    assert_eq!(timeline, 1, "nothing was said of who stayed");
    assert!(house.tasks.close(PATIENCE).await);
}

/// A clock on the wall that is set at will.
#[derive(Default)]
struct Wall(AtomicI64);

impl Clock for Wall {
    fn now(&self) -> Millis {
        Millis(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_or_back_misses_nobody_and_delays_no_verdict() {
    let wall = Arc::new(Wall::default());
    let house = House::by(wall.clone(), |options, _| options);
    let stays = house.working("stays").await;
    for (n, jump) in [86_400_000, -3 * 86_400_000].into_iter().enumerate() {
        let goes = house.working(&format!("goes{n}")).await;
        house.beat(&stays, "far").await;
        house.beat(&goes, "far").await;
        wall.0.fetch_add(jump, Ordering::SeqCst);
        while house.head(&goes).status == "working" {
            house.beat(&stays, "far").await;
            sleep(BEAT / 10).await;
        }
        assert_eq!(house.head(&goes).status, "failed");
        assert_eq!(house.head(&stays).status, "working");
        assert_eq!(house.app.presence(&stays).unwrap().verdict, Verdict::Alive);
    }
    assert!(house.tasks.close(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn among_ten_thousand_sessions_exactly_those_that_fell_silent_are_missed() {
    let house = House::build(|options, _| options);
    house.working("first").await; // and the project of all
    for thousand in 0..10 {
        let made = (0..1000).map(|n| {
            let (house, id) = (&house, format!("s{thousand}_{n}"));
            async move {
                let id = house.working(&id).await;
                // Half a minute is longer than all of this takes; who falls silent does so within it.
                let beat = Beat {
                    session: id,
                    pid: None,
                    host: Some("far".into()),
                    started_at: Some(Millis(1)),
                    ttl: Some(Duration::from_secs(if n % 100 == 0 { 1 } else { 3600 })),
                    watch: false,
                };
                while let Err(error) = house.app.heartbeat(beat.clone()).await {
                    // A thousand at once is more than may wait.
                    assert!(
                        matches!(error, AppError::Presence(PresenceError::Full)),
                        "{error}"
                    );
                    sleep(Duration::from_millis(5)).await;
                }
            }
        });
        join_all(made).await;
    }
    let failed = || {
        let heads = house.app.view().session_heads(None);
        let failed = heads.iter().filter(|head| head.status == "failed");
        failed.map(|head| head.id.to_string()).collect::<Vec<_>>()
    };
    house
        .until("a hundred are missed", || failed().len() >= 100)
        .await;
    let failed = failed();
    assert!(failed.len() == 100 && failed.iter().all(|id| id.ends_with("00") || id.ends_with("_0")));
    assert_eq!(house.app.agent_counts()[&Verdict::Alive], 9900);
    assert!(house.tasks.close(PATIENCE).await);
}
