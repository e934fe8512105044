//! Stories told inside a real systemd: it is booted once (`boot.sh`), this same binary tells the stories in there, one at a
//! time, and each is reported here by its name. Included with `#[path = "../booted/mod.rs"] mod booted;`.
//!
//! Whatever a story does to its machine is thrown away at the end; what lies in [`share`] is the same inside and outside.
#![allow(
    dead_code,
    reason = "every test binary that includes this module uses its own part of it"
)]

pub mod machine;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::{Deserialize, Serialize};

/// What the machine inside sees of the one outside, and leaves there.
const SHARE: &str = "BOOTED_SHARE";
/// The exit status of `boot.sh` where a machine cannot do this.
const CANNOT: i32 = 77;
/// How long all stories of one binary may take together.
const LIMIT: Duration = Duration::from_secs(300);

/// A story and its name.
pub struct Story {
    pub name: &'static str,
    pub tell: fn(),
}

/// Lists stories by their functions: `stories![reload::good, reload::bad]`.
#[macro_export]
macro_rules! stories {
    ($($module:ident :: $story:ident),+ $(,)?) => {
        &[$($crate::booted::Story {
            name: concat!(stringify!($module), "::", stringify!($story)),
            tell: $module::$story,
        }),+]
    };
}

/// Programs that the machine inside needs: the name there, and where it is built.
pub type Programs<'a> = &'a [(&'a str, PathBuf)];

/// What came of a story.
#[derive(Serialize, Deserialize)]
struct Told {
    failure: Option<String>,
}

/// `main` of a test binary: outside it boots and reports, inside it tells.
pub fn main(
    stories: &'static [Story],
    prepare: fn(),
    programs: impl FnOnce() -> Vec<(&'static str, PathBuf)>,
) -> ExitCode {
    if is_inside() {
        return tell(stories, prepare);
    }
    let arguments = Arguments {
        test_threads: Some(1), // one machine, one story at a time
        ..Arguments::from_args()
    };
    let guest: Arc<OnceLock<Guest>> = Arc::default();
    if !arguments.list {
        match Guest::boot(&programs()) {
            Ok(booted) => {
                let _first = guest.set(booted);
            }
            Err(why) => {
                println!("skipped, {} stories in a booted systemd: {why}", stories.len());
                return ExitCode::SUCCESS;
            }
        }
    }
    let trial = |story: &'static Story| {
        let guest = guest.clone();
        Trial::test(story.name, move || {
            guest.get().expect("booted before").ask(story.name)
        })
    };
    let outcome = libtest_mimic::run(&arguments, stories.iter().map(trial).collect());
    drop(guest);
    outcome.exit_code()
}

/// The machine inside, seen from outside.
struct Guest {
    boot: Mutex<Child>,
    talk: Mutex<BufReader<UnixStream>>,
    share: tempfile::TempDir,
}

impl Guest {
    /// Boots it and waits until it listens; why not, where a machine cannot do this.
    ///
    /// # Panics
    /// If it could and does not come up.
    fn boot(programs: Programs<'_>) -> Result<Self, String> {
        // A short path: a socket is in it.
        let share = tempfile::Builder::new()
            .prefix("maestro-share-")
            .tempdir_in("/var/tmp")
            .expect("a directory");
        let listener = UnixListener::bind(share.path().join("talk")).expect("a socket");
        listener.set_nonblocking(true).expect("set");
        let this = std::env::current_exe().expect("this binary");
        for (name, program) in programs
            .iter()
            .map(|(name, path)| (*name, path))
            .chain([("stories", &this)])
        {
            bring(program, &share.path().join(name));
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = fs::File::create(share.path().join("boot.log")).expect("a file");
        let mut boot = Command::new("bash");
        boot.arg(root.join("tests/booted/boot.sh"))
            .arg("--share")
            .arg(share.path())
            .args(["--limit", &LIMIT.as_secs().to_string()]);
        if let Some(tree) = std::env::var_os("BOOTED_ROOT") {
            boot.arg("--root").arg(tree); // another release of the system, by hand
        }
        let mut boot = boot
            .args(["--", "env"])
            .arg(format!("{SHARE}={}", share.path().display()))
            .arg(share.path().join("stories"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .map_err(|error| format!("bash cannot be run ({error})"))?;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(false).expect("set");
                return Ok(Self {
                    boot: Mutex::new(boot),
                    talk: Mutex::new(BufReader::new(stream)),
                    share,
                });
            }
            if let Some(status) = boot.try_wait().expect("ours") {
                let said = fs::read_to_string(share.path().join("boot.log")).unwrap_or_default();
                assert_eq!(status.code(), Some(CANNOT), "the boot failed:\n{said}");
                return Err(said.trim().to_owned());
            }
            assert!(Instant::now() < deadline, "nobody speaks after a minute");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has a story told inside.
    fn ask(&self, name: &str) -> Result<(), Failed> {
        let mut talk = self.talk.lock().expect("one at a time");
        let mut answer = String::new();
        let asked = writeln!(talk.get_mut(), "{name}").and_then(|()| talk.read_line(&mut answer));
        let told: Result<Told, _> = serde_json::from_str(&answer);
        match (asked, told) {
            (Ok(_), Ok(Told { failure: None })) => Ok(()),
            (Ok(_), Ok(Told { failure: Some(why) })) => Err(why.into()),
            _ => {
                let said = fs::read_to_string(self.share.path().join("boot.log")).unwrap_or_default();
                Err(format!("the machine inside is gone:\n{said}").into())
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Nobody asks any more: the teller inside ends, and its machine with it.
        let _ = self
            .talk
            .get_mut()
            .map(|talk| talk.get_mut().shutdown(std::net::Shutdown::Both));
        if let Ok(boot) = self.boot.get_mut() {
            let deadline = Instant::now() + Duration::from_secs(20);
            while matches!(boot.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = boot.kill();
            let _ = boot.wait();
        }
    }
}

/// The same file where that is possible, else a copy.
fn bring(from: &Path, to: &Path) {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// True where the stories are told.
pub fn is_inside() -> bool {
    std::env::var_os(SHARE).is_some()
}

/// The directory that is the same inside and outside.
pub fn share() -> PathBuf {
    std::env::var_os(SHARE).expect("told inside").into()
}

/// Inside: tells what is asked for until nobody asks.
fn tell(stories: &[Story], prepare: fn()) -> ExitCode {
    static FAILURE: Mutex<Option<String>> = Mutex::new(None);
    panic::set_hook(Box::new(|panic| {
        let mut failure = FAILURE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failure.get_or_insert_with(|| panic.to_string());
    }));
    let told = |tell: fn()| {
        let ended = panic::catch_unwind(AssertUnwindSafe(tell));
        let mut failure = FAILURE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        ended.err().map(|_| failure.take().unwrap_or_default())
    };
    let prepared = told(prepare);
    let talk = UnixStream::connect(share().join("talk")).expect("somebody outside");
    let mut answers = talk.try_clone().expect("a second handle");
    for name in BufReader::new(talk).lines().map_while(Result::ok) {
        let story = stories.iter().find(|story| story.name == name);
        let failure = match (&prepared, story) {
            (Some(why), _) => Some(why.clone()),
            (None, None) => Some("there is no such story".to_owned()),
            (None, Some(story)) => told(story.tell).map(|why| format!("{why}\n{}", machine::last_words())),
        };
        let told = serde_json::to_string(&Told { failure }).expect("text");
        if writeln!(answers, "{told}").is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
