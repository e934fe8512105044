//! A shell script as a child: it is ready when it has written `ready` into its house.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use maestro::supervisor::{
    Blocked, BoxFuture, ChildSpec, ExitReport, Facts, Fault, Invocation, Limits, Outcome, Policy, Program,
};

use crate::house::quick;

pub struct Script {
    pub text: String,
    pub house: PathBuf,
}

impl Program for Script {
    fn fingerprint(&self) -> String {
        self.text.clone()
    }

    fn prepare(&self, _repair: bool) -> BoxFuture<'_, Result<Invocation, Fault>> {
        let args = ["-c", &self.text, "script", &self.house.to_string_lossy()]
            .map(Into::into)
            .to_vec();
        Box::pin(async move {
            Ok(Invocation {
                program: "/bin/sh".into(),
                args,
                env: vec![],
            })
        })
    }

    fn probe(&self, _pid: i32) -> BoxFuture<'_, (Outcome, Facts)> {
        let ready = self.house.join("ready").exists();
        let outcome = if ready {
            Outcome::Ok
        } else {
            Outcome::Miss {
                code: "not_ready".into(),
                frozen: false,
            }
        };
        Box::pin(async move { (outcome, Facts::new()) })
    }

    fn classify(&self, _report: &ExitReport) -> Fault {
        Fault::Transient {
            code: "exited".into(),
            floor: std::time::Duration::ZERO,
        }
    }

    fn classify_spawn(&self, _err: &io::Error) -> Fault {
        Fault::Transient {
            code: "spawn_failed".into(),
            floor: std::time::Duration::ZERO,
        }
    }

    fn cleared<'a>(&'a self, _why: &'a Blocked) -> BoxFuture<'a, bool> {
        Box::pin(async { false })
    }
}

pub fn script(house: &Path, text: &str) -> ChildSpec {
    let program = Script {
        text: text.to_owned(),
        house: house.to_owned(),
    };
    let spec = ChildSpec::new(
        "script",
        Arc::new(program),
        house.join("state"),
        house.join("log"),
    );
    let output = Limits {
        file: 1 << 20,
        files: 3,
        copy_to_log: true,
    };
    ChildSpec {
        policy: quick(Policy::default()),
        output,
        ..spec
    }
}
