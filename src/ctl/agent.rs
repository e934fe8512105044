//! `maestroctl agent run` and `maestroctl agent attach`: what stands beside an agent and says that it lives.
//!
//! `run` never stands in the agent's way: the agent starts at once, keeps the terminal and its streams, and goes on
//! whatever becomes of the hub. It is this process that the hub watches: it ends when the agent ends, and if the agent
//! ended well, it takes leave first.

use std::{
    future::pending,
    io::{self, IsTerminal},
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use clap::{Args, Subcommand};
use hyper::Method;
use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::process::{Identity, Life, identity};

use super::{
    Context, complete,
    exit::Exit,
    hub::{HubAt, HubError},
};

const EXAMPLES: &str = "\
Examples:
  maestroctl agent run --session sess_1 -- claude
  maestroctl agent attach --session sess_1 --pid 4711";

/// An answer to a heartbeat must begin within this time.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long taking leave may keep the terminal waiting.
const LEAVE_TIME: Duration = Duration::from_secs(2);
/// How soon a hub that is away is tried again, at first.
const RETRY: Duration = Duration::from_millis(500);

/// Arguments of `agent`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AgentArgs {
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Subcommand, Debug)]
enum AgentCommand {
    /// Run an agent and tell the hub that it lives; ends as the agent ends
    Run {
        #[command(flatten)]
        whose: Whose,
        /// The agent's command line
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Have the hub watch an agent that runs on its machine already
    Attach {
        #[command(flatten)]
        whose: Whose,
        /// The agent's process
        #[arg(long, value_parser = clap::value_parser!(i32).range(2..))]
        pid: i32,
    },
}

#[derive(Args, Debug)]
struct Whose {
    /// The session whose agent it is
    #[arg(long, env = "MAESTRO_SESSION_ID", value_name = "ID", add = complete::sessions())]
    session: String,
    /// The hub, if it is not where the configuration says
    #[arg(long, env = "MAESTRO_SERVER_URL", value_name = "URL")]
    server: Option<String>,
}

/// Runs it. The exit code of `run` is the agent's.
pub async fn run(context: &Context, args: AgentArgs) -> ExitCode {
    let whose = match &args.command {
        AgentCommand::Run { whose, .. } | AgentCommand::Attach { whose, .. } => whose,
    };
    let url = whose.server.clone().unwrap_or_else(|| context.server_url());
    let hub = match Door::new(&url, &whose.session) {
        Ok(hub) => hub,
        Err(error) => {
            eprintln!("maestroctl: {error}");
            return Exit::Usage.into();
        }
    };
    match args.command {
        AgentCommand::Run { command, .. } => run_agent(&hub, &command, context.heartbeat()).await,
        AgentCommand::Attach { pid, .. } => attach(&hub, pid).await,
    }
}

async fn attach(hub: &Door, pid: i32) -> ExitCode {
    match hub.beat(&json!({"pid": pid, "watch": true})).await {
        Ok(told) if told["enabled"] == false => {
            eprintln!("maestroctl: this hub does not look after agents");
            eprintln!("→ set presence.enabled = true in its configuration");
            Exit::Degraded.into()
        }
        Ok(told) => {
            let verdict = told["verdict"].as_str().unwrap_or("unknown");
            println!("{}: process {pid} is watched, {verdict}", hub.session);
            Exit::Fine.into()
        }
        Err(error) => {
            eprintln!("maestroctl: {error}");
            if let HubError::Away(_) = error {
                eprintln!("→ name the hub with --server");
                return Exit::NotRunning.into();
            }
            Exit::Degraded.into()
        }
    }
}

async fn run_agent(hub: &Door, command: &[String], every: Duration) -> ExitCode {
    let Some((program, args)) = command.split_first() else {
        return Exit::Usage.into(); // clap sees to it
    };
    let mut forwarder = match Forwarder::new() {
        Ok(forwarder) => forwarder,
        Err(error) => return cannot_run(program, &error),
    };
    let started = Command::new(program)
        .args(args)
        .env("MAESTRO_SESSION_ID", &hub.session)
        .env("MAESTRO_SERVER_URL", hub.at.url())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return cannot_run(program, &error),
    };
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let agent = pid.and_then(|pid| identity::of(pid).ok().flatten());
    let ended = tokio::select! {
        ended = wait(&mut child, &mut forwarder) => ended,
        never = heartbeats(hub, agent, every) => match never {},
    };
    let Ok(status) = ended else {
        return Exit::Degraded.into(); // not our child any more: cannot be
    };
    if status.success() {
        hub.leave().await;
    }
    // Otherwise this end is what the hub notices.
    code(status)
}

fn cannot_run(program: &str, error: &io::Error) -> ExitCode {
    eprintln!("maestroctl: cannot run `{program}`: {error}");
    // As shells have it: 127 not found, 126 found but not to be run.
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    })
}

/// As shells have it: what the agent said, or 128 and the signal that ended it.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

async fn wait(child: &mut Child, forwarder: &mut Forwarder) -> io::Result<ExitStatus> {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = forwarder.next() => {
                // Not reaped yet, so the pid is our child's.
                if let Some(pid) = pid {
                    let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
                }
            }
        }
    }
}

enum Never {}

/// Says again and again that the agent lives, for as long as it is polled. While the agent is stopped, so is this.
async fn heartbeats(hub: &Door, agent: Option<Identity>, every: Duration) -> Never {
    let me = std::process::id();
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    let sign = json!({"pid": me, "host": host.ok(), "startedAt": super::now_ms()});
    let mut retry = RETRY;
    loop {
        let life = agent.as_ref().map(Identity::life);
        let stopped = matches!(life, Some(Ok(Life::Frozen)));
        let pause = match stopped {
            true => RETRY,
            false => match hub.beat(&sign).await {
                Ok(_) => {
                    retry = RETRY;
                    every
                }
                Err(_) => {
                    // It may be starting, or stopping, or not know the session yet. The agent owns the terminal:
                    // nothing is said.
                    let pause = retry;
                    retry = (retry * 2).min(every);
                    pause
                }
            },
        };
        sleep(pause).await;
    }
}

/// Signals meant for the agent. What a terminal sends goes to its whole foreground group, the agent included.
struct Forwarder {
    signals: Vec<(tokio::signal::unix::Signal, Signal)>,
    from_terminal: Vec<tokio::signal::unix::Signal>,
}

impl Forwarder {
    fn new() -> io::Result<Self> {
        let terminal = io::stdin().is_terminal();
        let mut forwarder = Self {
            signals: Vec::new(),
            from_terminal: Vec::new(),
        };
        for (kind, of_terminal) in [
            (Signal::SIGTERM, false),
            (Signal::SIGHUP, false),
            (Signal::SIGUSR1, false),
            (Signal::SIGUSR2, false),
            (Signal::SIGINT, terminal),
            (Signal::SIGQUIT, terminal),
            (Signal::SIGWINCH, terminal),
        ] {
            let heard = signal(SignalKind::from_raw(kind as i32))?;
            match of_terminal {
                true => forwarder.from_terminal.push(heard), // heard, so that it does not end us
                false => forwarder.signals.push((heard, kind)),
            }
        }
        Ok(forwarder)
    }

    async fn next(&mut self) -> Signal {
        let heard = self.signals.iter_mut().map(|(heard, kind)| {
            Box::pin(async {
                match heard.recv().await {
                    Some(()) => *kind,
                    None => pending().await,
                }
            })
        });
        futures_util::future::select_all(heard).await.0
    }
}

/// The hub, as one session's agent needs it.
struct Door {
    at: HubAt,
    session: String,
    path: String,
}

impl Door {
    fn new(url: &str, session: &str) -> Result<Self, HubError> {
        let encoded = percent_encoding::utf8_percent_encode(session, percent_encoding::NON_ALPHANUMERIC);
        Ok(Self {
            at: HubAt::new(url)?,
            session: session.to_owned(),
            path: format!("/api/sessions/{encoded}"),
        })
    }

    async fn beat(&self, sign: &Value) -> Result<Value, HubError> {
        let path = format!("{}/heartbeat", self.path);
        self.at
            .ask(Method::POST, &path, Some(sign.clone()), ANSWER_TIME)
            .await
    }

    /// The agent ended well. A session that is not over by then has nobody any more: it is stopped, as the desktop does
    /// when its terminal is closed. Who cannot be told will notice.
    async fn leave(&self) {
        let told = async {
            let session = self.at.ask(Method::GET, &self.path, None, LEAVE_TIME).await?;
            if matches!(session["status"].as_str(), Some("spawning" | "idle" | "working")) {
                let stopped = Some(json!({"status": "stopped"}));
                self.at
                    .ask(Method::PATCH, &self.path, stopped, LEAVE_TIME)
                    .await?;
            }
            let path = format!("{}/heartbeat", self.path);
            self.at.ask(Method::DELETE, &path, None, LEAVE_TIME).await
        };
        let _ = tokio::time::timeout(LEAVE_TIME, told).await;
    }
}
