//! `maestroctl service`: the same verbs for systemd, launchd and brew, and every step said as it is done.

mod files;
mod launchd;
mod look;
mod manager;
mod plan;
mod run;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Context,
    exit::Exit,
    paint::{Paint, Tone},
};

pub use look::lingers;
use look::look_around;
use manager::{Facts, Manager, choose};
use plan::{Act, Refusal, Step};
use run::StepError;

const EXAMPLES: &str = "\
Examples:
  maestroctl service install --dry-run     what would be done here, and by whom
  maestroctl service install               a service of this user, running from now on
  sudo maestroctl service install          of the machine, running from boot on
  maestroctl service restart               after an upgrade
  maestroctl service status --json
  maestroctl service stop
  maestroctl service start
  maestroctl service uninstall             data stays where it is

Who is asked: whoever runs maestrod now, else whoever has it installed, else systemd,
launchd, or brew if it was brew that brought maestro. Nothing is asked of you.";

/// Arguments of `service`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ServiceArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Make maestrod a service that starts by itself, and start it
    Install {
        #[command(flatten)]
        how: How,
        /// Let it go on after logout: loginctl enable-linger (systemd, user)
        #[arg(long)]
        linger: bool,
    },
    /// Stop it and take the service away; data stays
    Uninstall(How),
    /// Start it
    Start(How),
    /// Stop it, until it is started or installed again
    Stop(How),
    /// End it in order and start it again
    Restart(How),
    /// Who looks after it, and whether it runs
    Status {
        /// Print JSON (fields are only ever added)
        #[arg(long)]
        json: bool,
        /// Ask this one
        #[arg(long, value_enum)]
        manager: Option<Manager>,
    },
}

#[derive(Args, Debug)]
struct How {
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON (fields are only ever added)
    #[arg(long)]
    json: bool,
    /// Use this one
    #[arg(long, value_enum)]
    manager: Option<Manager>,
}

/// Runs it.
pub async fn run(context: &Context, args: ServiceArgs) -> Exit {
    match args.what {
        What::Status { json, manager } => status(context, manager, json).await,
        What::Install { how, linger } => change(context, Act::Install, &how, linger).await,
        What::Uninstall(how) => change(context, Act::Uninstall, &how, false).await,
        What::Start(how) => change(context, Act::Start, &how, false).await,
        What::Stop(how) => change(context, Act::Stop, &how, false).await,
        What::Restart(how) => change(context, Act::Restart, &how, false).await,
    }
}

/// What `doctor` wants to know.
#[derive(Debug, Default)]
pub struct Look {
    /// Who looks after maestrod, or would.
    pub manager: Option<String>,
    /// Who has a file about it.
    pub installed: Vec<String>,
    /// Who runs it now, and its process.
    pub running: Option<(String, u32)>,
    /// What the manager says.
    pub state: Value,
    /// The user whose hub it is.
    pub user: String,
    /// It is that user's own systemd.
    pub by_systemd_user: bool,
}

/// Looks, and changes nothing.
pub async fn look(context: &Context) -> Look {
    let (facts, tools) = look_around(context, None).await;
    let manager = choose(&facts, None).ok();
    let state = match manager {
        Some(manager) => look::state(&tools, manager, &facts).await,
        None => Value::Null,
    };
    Look {
        manager: manager.map(|manager| manager.to_string()),
        installed: facts.installed.iter().map(ToString::to_string).collect(),
        running: facts.running.map(|running| (running.owner, running.pid)),
        state,
        user: facts.user.name,
        by_systemd_user: manager == Some(Manager::SystemdUser),
    }
}

/// Why nothing, or not all, was done.
enum Trouble {
    Nobody,
    Refused(Refusal),
    Step(StepError),
}

impl Trouble {
    fn texts(&self) -> (String, String) {
        match self {
            Self::Nobody => (
                "no service manager that maestro knows is here (systemd, launchd, brew)".into(),
                "let yours run this in the foreground: maestrod run".into(),
            ),
            Self::Refused(refusal) => (refusal.to_string(), refusal.remedy()),
            Self::Step(error) => (error.to_string(), error.remedy().into()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Refused(Refusal::Root(_)) => Exit::NoPermission,
            _ => Exit::Degraded,
        }
    }
}

async fn change(context: &Context, act: Act, how: &How, linger: bool) -> Exit {
    let (facts, tools) = look_around(context, how.manager).await;
    let Ok(manager) = choose(&facts, how.manager) else {
        return complain(&Trouble::Nobody, how.json);
    };
    let seen = look::seen(&tools, manager, &facts).await;
    let mut steps = match plan::plan(act, manager, &facts, &seen) {
        Ok(steps) => steps,
        Err(refusal) => return complain(&Trouble::Refused(refusal), how.json),
    };
    if linger && manager == Manager::SystemdUser {
        let words = ["loginctl", "enable-linger", &facts.user.name];
        steps.push(Step::Run(words.map(str::to_owned).to_vec()));
    }
    let lingers = linger || look::lingers(&facts.user.name);
    let mut advice = plan::advice(act, manager, &facts, lingers);
    advice.extend(look::unseen_settings(context, act));
    let paint = Paint::for_stdout();
    if !how.json {
        let heading = if how.dry_run { "would ask" } else { "asks" };
        println!("{heading} {}", paint.tone(Tone::Strong, &manager.to_string()));
    }
    if steps.is_empty() && !how.json {
        println!("  nothing to do");
    }
    let mut done = Vec::new();
    for step in &steps {
        if !how.dry_run
            && let Err(error) = tools.carry_out(step).await
        {
            if !how.json {
                println!("  {} {step}", paint.tone(Tone::Bad, "failed:"));
            }
            return complain(&Trouble::Step(error), how.json);
        }
        if !how.json {
            println!("  {step}");
        }
        done.push(step.to_string());
    }
    let state = match how.dry_run {
        true => None,
        false => Some(look::state(&tools, manager, &facts).await),
    };
    if how.json {
        let told = json!({
            "manager": manager.word(), "dryRun": how.dry_run, "steps": done, "advice": advice, "state": state,
        });
        println!("{told:#}");
        return Exit::Fine;
    }
    if let Some(state) = &state {
        print!("{}", shown(state, paint));
    }
    for line in advice {
        println!("{} {line}", paint.tone(Tone::Quiet, "→"));
    }
    Exit::Fine
}

async fn status(context: &Context, wished: Option<Manager>, json: bool) -> Exit {
    let (facts, tools) = look_around(context, wished).await;
    let Ok(manager) = choose(&facts, wished) else {
        return complain(&Trouble::Nobody, json);
    };
    let state = look::state(&tools, manager, &facts).await;
    if json {
        println!("{state:#}");
    } else {
        print!("{}", shown(&state, Paint::for_stdout()));
        if state["installed"] == false {
            println!("→ maestroctl service install");
        } else if state["pid"].is_null() {
            println!("→ maestroctl service start");
        }
        others(&facts, manager);
    }
    match state["pid"].is_null() {
        true => Exit::NotRunning,
        false => Exit::Fine,
    }
}

/// Two services for one hub: the second would wait for ever.
fn others(facts: &Facts, manager: Manager) {
    for other in facts.installed.iter().filter(|other| **other != manager) {
        println!("! it is installed as a service of {other} too");
        println!("→ maestroctl service uninstall --manager {}", other.word());
    }
}

fn shown(state: &Value, paint: Paint) -> String {
    let row = |name: &str, text: &str| format!("{} {text}\n", paint.tone(Tone::Quiet, &format!("{name:<9}")));
    let word = state["state"].as_str().unwrap_or("unknown");
    let running = match state["pid"].as_u64() {
        Some(pid) => format!("{}, pid {pid}", paint.tone(Tone::Good, word)),
        None => paint.tone(Tone::Warn, word),
    };
    let mut out = row("manager", state["manager"].as_str().unwrap_or_default());
    if let Some(file) = state["file"].as_str() {
        out += &row("file", file);
    }
    out += &row("state", &running);
    if let Some(detail) = state["detail"].as_str().filter(|detail| !detail.is_empty()) {
        out += &row("", detail);
    }
    out
}

fn complain(trouble: &Trouble, json: bool) -> Exit {
    let (text, remedy) = trouble.texts();
    if json {
        println!("{:#}", json!({"error": text, "remedy": remedy}));
    }
    eprintln!("maestroctl: {text}");
    eprintln!("→ {remedy}");
    trouble.exit()
}
