//! The smallest supervisor program, as a process of its own: what a `kill -9` of the daemon is tried on.
//!
//! It is this test binary again, told by a variable which house to serve.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use maestro::{
    children::{Redis, RedisParams, redis_server},
    shutdown::TaskGroup,
    supervisor::{ChildSpec, supervise},
};
use tokio::sync::broadcast;

use crate::{
    house::{Process, quick},
    script::script,
};

const HOUSE: &str = "SUPERVISION_HOUSE";

/// Starts the program for a house. Serves `child.sh` if there is one, else redis.
pub fn supervisor_of(house: &Path) -> Process {
    let exe = std::env::current_exe().expect("this binary");
    let mut command = Command::new(exe);
    command.args(["--exact", "program::the_program_when_told_so", "--nocapture"]);
    command.env(HOUSE, house).stderr(Stdio::null());
    for (name, value) in FOREIGN {
        command.env(name, value);
    }
    Process::spawn(&mut command)
}

/// What an init system or a careless shell would have put into our environment.
pub const FOREIGN: &[(&str, &str)] = &[
    ("NOTIFY_SOCKET", "/run/systemd/notify"),
    ("WATCHDOG_USEC", "30000000"),
    ("WATCHDOG_PID", "1"),
    ("LISTEN_FDS", "1"),
    ("LISTEN_PID", "1"),
    ("JOURNAL_STREAM", "8:1234"),
    ("XPC_SERVICE_NAME", "dev.maestro"),
    ("SOME_API_TOKEN", "secret-value"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_when_told_so() {
    let Some(house) = std::env::var_os(HOUSE) else {
        return;
    };
    let house = Path::new(&house);
    let spec = match fs::read_to_string(house.join("child.sh")) {
        Ok(text) => script(house, &text),
        Err(_) => {
            let params = RedisParams::new(house.join("state"), house.join("run"), house.join("log"));
            let spec = redis_server(Arc::new(Redis::new(params).expect("valid")));
            ChildSpec {
                policy: quick(spec.policy.clone()),
                ..spec
            }
        }
    };
    let (transitions, _) = broadcast::channel(16);
    let group = TaskGroup::default();
    let child = supervise(spec, &group, transitions);
    child.start().await.expect("supervised");
    // Until somebody kills us.
    std::future::pending::<()>().await;
}
