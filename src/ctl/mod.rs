//! `maestroctl`: one file per command, a call and a rendering. No rules: the daemon knows, we show.

mod agent;
mod agents;
mod answer;
mod audit;
mod child;
mod complete;
mod completions;
mod devices;
mod doctor;
mod edit;
mod examples;
mod exit;
mod hub;
mod mail;
mod man;
mod metrics;
mod paint;
mod pair;
mod qr;
#[cfg(test)]
mod reference;
mod replace;
mod salvage;
mod service;
mod settings;
mod status;
mod streams;
mod transfer;
mod tunnel;
mod watch;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;

pub use exit::Exit;

use crate::config::{Config, ConfigArgs, ConfigError, Env, Loaded, Lookup, lookup};
use crate::control::client::ClientError;
use crate::control::protocol::ChildAct;
use crate::control::{LAST_STATUS, SOCKET};

const EXAMPLES: &str = "\
Examples:
  maestroctl status                    the truth at a glance
  maestroctl status --wait ready       for scripts: returns once all is ready
  maestroctl logs -f redis             what redis-server prints
  maestroctl restart redis
  maestroctl stop tunnel               shut the way in, until: maestroctl start tunnel
  maestroctl answer sess_1 yes         answer an agent that waits for input
  maestroctl tunnel status --check     does the public address lead to this hub?
  maestroctl events -f | jq .event     what goes on, one JSON object a line
  maestroctl mail list --session sess_1   what its agent was written
  maestroctl agent run --session sess_1 -- claude    run an agent that the hub looks after
  maestroctl pair                      a QR code for your phone
  maestroctl import ~/.maestro/data    take over from the Node server
  maestroctl backup hub.db             a consistent copy while running";

/// Name, in the data directory, of the file with the hub's URL (DATA.md section 2).
const SERVER_URL: &str = "server-url";
/// How often an agent says that it lives, if the configuration cannot be read.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "maestroctl", version, about = "Remote control of maestrod", after_help = format!("{EXAMPLES}\n\n{}", Exit::table()))]
pub struct Cli {
    /// The daemon's control socket, if it is not where the configuration says
    #[arg(long, global = true, env = "MAESTRO_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Read this file instead of looking for maestro.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How the daemon and its parts are doing
    Status(status::StatusArgs),
    /// What the hub or a child logged
    Logs(streams::LogsArgs),
    /// Start a child (redis, tunnel)
    Start(child::ChildArgs),
    /// Stop a child and keep it down
    Stop(child::ChildArgs),
    /// Restart a child
    Restart(child::ChildArgs),
    /// Stand beside an agent and tell the hub that it lives
    Agent(agent::AgentArgs),
    /// Agents, and which of them are alive
    Agents(agents::AgentsArgs),
    /// Mail between agents: look at it, delete it
    Mail(mail::MailArgs),
    /// Answer an agent that waits for input
    Answer(answer::AnswerArgs),
    /// Everything that is counted, in the text format of Prometheus
    Metrics(metrics::MetricsArgs),
    /// Events as they happen
    Events(streams::EventsArgs),
    /// Pair a phone: shows a QR code and waits for it
    Pair(pair::PairArgs),
    /// Paired devices: list, revoke, rename, change what they may do
    Devices(devices::DevicesArgs),
    /// Revoke all devices and let nobody in from outside
    Lockdown(devices::LockdownArgs),
    /// What was done from outside, and by whom
    Audit(audit::AuditArgs),
    /// The way in from outside: its address, how it is doing, and setting it up
    Tunnel(tunnel::TunnelArgs),
    /// The configuration: show the daemon's, check or edit a file, reload
    Config(settings::SettingsArgs),
    /// Read the JSON data directory of the Node server (nothing there is changed; can be repeated)
    Import(transfer::ImportArgs),
    /// Write a JSON data directory that the Node server can read
    Export(transfer::ExportArgs),
    /// Write a consistent copy of the store while running
    Backup(transfer::BackupArgs),
    /// Make maestrod a service of systemd, launchd or brew; start, stop and look at it
    Service(service::ServiceArgs),
    /// Look for what is wrong, with a remedy each
    Doctor(doctor::DoctorArgs),
    /// Print what makes your shell complete commands, sessions, devices and children
    Completions(completions::CompletionsArgs),
    /// Write the manual pages into a directory, or show the main one
    Man(man::ManArgs),
}

/// What every command needs to know.
pub struct Context {
    loaded: Result<Loaded, ConfigError>,
    /// The file named on the command line.
    config_file: Option<PathBuf>,
    socket: PathBuf,
    last_status: PathBuf,
    server_url_file: PathBuf,
    configured_url: String,
    heartbeat: Duration,
}

impl Context {
    /// Finds the daemon. A broken file must not keep an operator from asking a daemon that runs.
    fn find(socket: Option<PathBuf>, config_file: Option<PathBuf>) -> Self {
        let args = ConfigArgs {
            config: config_file.clone(),
            ..ConfigArgs::default()
        };
        let loaded = Config::from_process(&args);
        let config = match &loaded {
            Ok(loaded) => Some(loaded.config.clone()),
            Err(_) => salvage::places(&args),
        };
        // With a broken environment too nothing is found, which reads as "not running", and `doctor` says why.
        let place = |of: fn(&Config) -> PathBuf| config.as_ref().map(of).unwrap_or_default();
        Self {
            socket: socket.unwrap_or_else(|| place(|config| config.runtime_dir.join(SOCKET))),
            last_status: place(|config| config.state_dir.join(LAST_STATUS)),
            server_url_file: place(|config| config.data_dir.join(SERVER_URL)),
            configured_url: config
                .as_ref()
                .map_or_else(String::new, |config| config.server_url(config.listen.port)),
            heartbeat: config
                .as_ref()
                .map_or(HEARTBEAT, |config| config.presence.heartbeat),
            config_file,
            loaded,
        }
    }

    fn socket(&self) -> &Path {
        &self.socket
    }

    /// The configuration file that is read, broken or not; else where one would be looked for first.
    fn config_path(&self) -> PathBuf {
        if let Ok(Loaded { file: Some(file), .. }) = &self.loaded {
            return file.clone();
        }
        match lookup(self.config_file.as_deref(), &Env::from_process()) {
            Lookup::Exactly(path) => path,
            Lookup::FirstOf(paths) => {
                let there = paths.iter().find(|path| path.is_file()).or(paths.first());
                there.cloned().unwrap_or_else(|| "maestro.toml".into())
            }
        }
    }

    /// Where the hub is, as far as this machine knows: what the daemon wrote down, else what is configured.
    fn server_url(&self) -> String {
        let written = fs::read_to_string(self.server_url_file.as_path());
        let written = written.ok().filter(|url| url.starts_with("http"));
        written.unwrap_or_else(|| self.configured_url.clone())
    }

    /// How often an agent says that it lives.
    fn heartbeat(&self) -> Duration {
        self.heartbeat
    }
}

/// The command line as people see it.
pub fn command() -> clap::Command {
    examples::everywhere(Cli::command())
}

/// Reads our own command line; wrong usage ends here.
pub fn parse() -> Cli {
    Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
}

/// Answers a shell that completes a command line, and ends; does nothing if none does. Call it before anything else.
pub fn answer_shell() {
    CompleteEnv::with_factory(command)
        .var(completions::ASKS)
        .complete();
}

/// Runs one command. `daemon` is the daemon's command line, for the manual.
pub async fn run(cli: Cli, daemon: fn() -> clap::Command) -> ExitCode {
    let context = Context::find(cli.socket, cli.config);
    let exit = match cli.command {
        Command::Agent(args) => return agent::run(&context, args).await,
        Command::Status(args) => status::run(&context, args).await,
        Command::Logs(args) => streams::logs(&context, args).await,
        Command::Start(args) => child::run(&context, args, ChildAct::Start).await,
        Command::Stop(args) => child::run(&context, args, ChildAct::Stop).await,
        Command::Restart(args) => child::run(&context, args, ChildAct::Restart).await,
        Command::Agents(args) => agents::run(&context, args).await,
        Command::Mail(args) => mail::run(&context, args).await,
        Command::Answer(args) => answer::run(&context, args).await,
        Command::Metrics(args) => metrics::run(&context, args).await,
        Command::Events(args) => streams::events(&context, args).await,
        Command::Pair(args) => pair::run(&context, args).await,
        Command::Devices(args) => devices::run(&context, args).await,
        Command::Lockdown(args) => devices::lockdown(&context, args).await,
        Command::Audit(args) => audit::run(&context, args).await,
        Command::Tunnel(args) => tunnel::run(&context, args).await,
        Command::Config(args) => settings::run(&context, args).await,
        Command::Import(args) => transfer::import(&context, args).await,
        Command::Export(args) => transfer::export(&context, args).await,
        Command::Backup(args) => transfer::backup(&context, args).await,
        Command::Service(args) => service::run(&context, args).await,
        Command::Doctor(args) => doctor::run(&context, args).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args, daemon),
    };
    exit.into()
}

/// Says on standard error why the daemon did not do it and what to do next.
fn complain(error: &ClientError) -> Exit {
    eprintln!("maestroctl: {error}");
    match error {
        ClientError::NotRunning => eprintln!("→ start it: {}", start_hint(None)),
        ClientError::NoPermission => eprintln!("→ run maestroctl as the user that runs maestrod"),
        ClientError::Silent => {
            eprintln!("→ maestroctl logs, or your service manager's log, says what it is doing")
        }
        ClientError::Refused(problem) => {
            if let Some(remedy) = &problem.remedy {
                eprintln!("→ {remedy}");
            }
        }
        ClientError::Broken(_) => eprintln!("→ try again; if it stays, restart the daemon"),
    }
    Exit::from(error)
}

/// How to start the daemon, given who ran it before.
fn start_hint(owner: Option<&str>) -> &'static str {
    match owner {
        Some("systemd (system)") => "sudo maestroctl service start",
        Some("systemd (user)" | "launchd" | "brew") => "maestroctl service start",
        _ => "maestrod run (or for good: maestroctl service install)",
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
