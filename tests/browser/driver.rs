//! One browser for all stories, in a process of its own (tests/clients/browser.mjs). It ends with this one: its standard
//! input is closed then.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use crate::harness::PATIENCE;

/// The id of what nobody waits for.
const NOBODY: u64 = 0;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

struct Driver {
    input: Mutex<ChildStdin>,
    waiting: Waiting,
    asked: AtomicU64,
}

static DRIVER: LazyLock<Driver> = LazyLock::new(start);

fn start() -> Driver {
    let clients = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    assert!(
        clients.join("node_modules/playwright-core").exists(),
        "run tests/install-deps.sh browser"
    );
    let mut child = Command::new("node")
        .arg(clients.join("browser.mjs"))
        .env("CHROMIUM", chromium())
        .env("PATIENCE_MS", PATIENCE.as_millis().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed");
    let input = child.stdin.take().expect("a pipe");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let waiting = Waiting::default();
    let answered = waiting.clone();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let answer: Value = serde_json::from_str(&line).expect("JSON");
            let asker = answered
                .lock()
                .expect("not poisoned")
                .remove(&answer["id"].as_u64().expect("an id"));
            if let Some(asker) = asker {
                let _gave_up = asker.send(answer);
            }
        }
        let _ended = child.wait();
    });
    Driver {
        input: Mutex::new(input),
        waiting,
        asked: AtomicU64::new(NOBODY + 1),
    }
}

fn chromium() -> &'static Path {
    let places = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let found = places.into_iter().map(Path::new).find(|path| path.exists());
    found.expect("chromium is installed: run tests/install-deps.sh browser")
}

/// Does something in the browser; what comes of it.
///
/// # Panics
/// When it cannot be done; with what is on the screen.
pub async fn ask(deed: &str, mut command: Value) -> Value {
    let id = DRIVER.asked.fetch_add(1, Ordering::Relaxed);
    command["id"] = id.into();
    command["do"] = deed.into();
    let (answer, answered) = oneshot::channel();
    DRIVER.waiting.lock().expect("not poisoned").insert(id, answer);
    say(&command);
    // The browser itself gives up after one patience, and says at what.
    let answer = timeout(2 * PATIENCE + Duration::from_secs(10), answered)
        .await
        .unwrap_or_else(|_| panic!("the browser does not answer: {command}"))
        .expect("the browser runs");
    if let Some(error) = answer["error"].as_str() {
        panic!(
            "{error}\n--- on the screen ---\n{}",
            answer["screen"].as_str().unwrap_or_default()
        );
    }
    answer["ok"].clone()
}

/// The same without waiting for it.
pub fn tell(deed: &str, phone: &str) {
    say(&json!({"id": NOBODY, "do": deed, "phone": phone}));
}

fn say(command: &Value) {
    let mut input = DRIVER.input.lock().expect("not poisoned");
    writeln!(input, "{command}").expect("the browser runs");
}
