//! `maestroctl pair`: shows a code, waits, and says which device came; Ctrl-C takes the code back.

use std::io::{IsTerminal, Write, stdout};

use clap::Args;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Duration, MissedTickBehavior, interval},
};

use crate::control::client::{Client, ClientError, LineStream};
use crate::control::protocol::devices::{CodeRef, PairAsk, PairStep};

use super::{
    Context,
    exit::Exit,
    paint::{Paint, Tone},
    qr,
};

const EXAMPLES: &str = "\
Examples:
  maestroctl pair                              a phone that may look, answer and mail
  maestroctl pair --name 'iPad' --scopes view  one that may only look
  maestroctl pair --project proj_1             one that knows of one project only
  maestroctl pair --no-wait --json             for scripts: the code, and no more

Scopes:
  view    projects, tasks, sessions and what happens to them
  answer  answer an agent that waits for input
  mail    read and write mail
  prompt  send text to a working agent
  spawn   start an agent
  admin   pair and revoke other devices

A code is good for ten minutes and for one device.";

/// Columns of a terminal whose size is not known.
const COLUMNS: usize = 80;

/// Arguments of `pair`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PairArgs {
    /// The device's name; else it says its own
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What it may do: view, answer, mail, prompt, spawn, admin [default: view,answer,mail]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    scopes: Vec<String>,
    /// A project it may see; can be given more than once [default: all]
    #[arg(long = "project", value_name = "ID")]
    projects: Vec<String>,
    /// Print what happens as JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Print the code and leave it live
    #[arg(long)]
    no_wait: bool,
}

/// Runs it.
pub async fn run(context: &Context, args: PairArgs) -> Exit {
    let ask = PairAsk {
        name: args.name,
        scopes: args.scopes,
        projects: args.projects,
        wait: !args.no_wait,
    };
    let steps = async {
        let mut client = Client::connect(context.socket()).await?;
        client.post_lines("/v1/pairing", &ask).await
    };
    let steps = match steps.await {
        Ok(steps) => steps,
        Err(error) => return super::complain(&error),
    };
    let screen = Screen {
        json: args.json,
        terminal: !args.json && stdout().is_terminal(),
        waits: !args.no_wait,
        paint: Paint::for_stdout(),
        columns: columns(),
    };
    follow(context, steps, screen).await
}

async fn follow(context: &Context, mut steps: LineStream, screen: Screen) -> Exit {
    let Ok(mut interrupts) = Interrupts::new() else {
        return Exit::Degraded; // the system hears no signals: cannot be
    };
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut live: Option<(CodeRef, i64)> = None;
    loop {
        let step = tokio::select! {
            step = steps.next_json::<PairStep>() => step,
            () = interrupts.next() => {
                drop(steps);
                screen.wipe();
                return take_back(context, live, &screen).await;
            }
            _ = tick.tick(), if screen.terminal => {
                if let Some((_, until)) = live {
                    screen.count_down(until);
                }
                continue;
            }
        };
        screen.wipe();
        match step {
            Ok(Some(step)) => {
                screen.show(&step);
                match step {
                    PairStep::Code { id, expires_at, .. } => live = Some((CodeRef { id }, expires_at)),
                    PairStep::Paired { .. } => return Exit::Fine,
                    PairStep::Ended { .. } => return Exit::Degraded,
                    PairStep::Url { .. } | PairStep::Unknown => {}
                }
            }
            Ok(None) if !screen.waits => return Exit::Fine,
            Ok(None) | Err(ClientError::Broken(_)) => {
                eprintln!("maestroctl: maestrod has ended, and the code with it");
                return Exit::NotRunning;
            }
            Err(error) => return super::complain(&error),
        }
    }
}

/// The daemon takes it back by itself when we hang up; asking makes it sure, and known.
async fn take_back(context: &Context, live: Option<(CodeRef, i64)>, screen: &Screen) -> Exit {
    let Some((code, _)) = live else {
        return Exit::Degraded;
    };
    let taken = async {
        let mut client = Client::connect(context.socket()).await?;
        client
            .post_json::<serde_json::Value>("/v1/pairing/cancel", &code)
            .await
    };
    match taken.await {
        Ok(_) => {
            if !screen.json {
                println!("The code was taken back.");
            }
            Exit::Degraded
        }
        Err(error) => super::complain(&error),
    }
}

struct Interrupts([Signal; 3]);

impl Interrupts {
    fn new() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

struct Screen {
    json: bool,
    terminal: bool,
    waits: bool,
    paint: Paint,
    columns: usize,
}

impl Screen {
    fn show(&self, step: &PairStep) {
        if self.json {
            if let Ok(line) = serde_json::to_string(step) {
                println!("{line}");
            }
        } else if let PairStep::Ended { message, .. } = step {
            eprintln!("maestroctl: {message}");
            eprintln!("→ make a new one: maestroctl pair");
        } else {
            print!("{}", self.render(step));
        }
        let _closed = stdout().flush();
    }

    fn render(&self, step: &PairStep) -> String {
        let strong = |text: &str| self.paint.tone(Tone::Strong, text);
        match step {
            PairStep::Code {
                code,
                scopes,
                projects,
                url,
                url_may_come,
                expires_at,
                ..
            } => {
                let mut out = match (url, url_may_come) {
                    (Some(url), _) => self.page(url),
                    (None, true) => "The tunnel is coming up; its address follows here.\n".to_owned(),
                    (None, false) => "There is no tunnel, so no phone reaches this hub yet.\n\
                         → `maestroctl tunnel setup` makes one, tunnel.mode = \"quick\" in maestro.toml is one for a\n\
                         try; restart maestrod and run this again: a restart ends the code\n"
                        .to_owned(),
                };
                out += &format!("code      {}\n", strong(code));
                let projects = match projects.is_empty() {
                    true => String::new(),
                    false => format!(" in {}", projects.join(", ")),
                };
                out += &format!("it may    {}{projects}\n", scopes.join(", "));
                if !self.terminal {
                    out += &format!("good for  {}, and for one device\n", left(*expires_at));
                }
                out
            }
            PairStep::Url { url } => self.page(url),
            PairStep::Paired { device } => {
                let name = self.paint.tone(Tone::Good, &device.name);
                format!("{name} paired ({})\n", device.scopes.join(", "))
            }
            PairStep::Ended { .. } | PairStep::Unknown => String::new(),
        }
    }

    fn page(&self, url: &str) -> String {
        let qr = match self.terminal {
            true => qr::lines(url, self.columns, self.paint).unwrap_or_default(),
            false => Vec::new(),
        };
        let mut out: String = qr.into_iter().map(|line| line + "\n").collect();
        out += &format!("open      {url}\n");
        out
    }

    fn count_down(&self, until: i64) {
        let line = format!("waiting   {} left, Ctrl-C takes the code back", left(until));
        print!("\r\u{1b}[2K{}", self.paint.tone(Tone::Quiet, &line));
        let _closed = stdout().flush();
    }

    fn wipe(&self) {
        if self.terminal {
            print!("\r\u{1b}[2K");
        }
    }
}

/// `9:58`.
fn left(until: i64) -> String {
    let seconds = (until.saturating_sub(super::now_ms()).max(0) + 999) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn columns() -> usize {
    let width = comfy_table::Table::new().width();
    width.map_or(COLUMNS, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::devices::DeviceRow;

    fn screen(terminal: bool) -> Screen {
        Screen {
            json: false,
            terminal,
            waits: true,
            paint: Paint::plain(),
            columns: 80,
        }
    }

    fn code(url: Option<&str>, url_may_come: bool) -> PairStep {
        PairStep::Code {
            id: 1,
            code: "7K3M-9QXD".into(),
            scopes: vec!["view".into(), "answer".into()],
            projects: vec!["proj_1".into()],
            expires_at: super::super::now_ms() + 600_000,
            url: url.map(Into::into),
            url_may_come,
        }
    }

    #[test]
    fn a_terminal_gets_the_qr_the_address_the_code_and_what_it_gives_on_one_screen() {
        let url = "https://some-words-that-are-random.trycloudflare.com/pair/7K3M9QXD";
        let text = screen(true).render(&code(Some(url), true));
        for part in ["█", url, "7K3M-9QXD", "view, answer in proj_1"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.lines().count() < 24, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_pipe_gets_words_only() {
        let text = screen(false).render(&code(Some("https://hub.example/pair/7K3M9QXD"), true));
        assert!(!text.contains('█') && text.contains("good for  10:00"), "{text}");
    }

    #[test]
    fn without_a_tunnel_it_says_so_and_what_to_do() {
        let none = screen(true).render(&code(None, false));
        assert!(
            none.contains("There is no tunnel") && none.contains("→"),
            "{none}"
        );
        let coming = screen(true).render(&code(None, true));
        assert!(coming.contains("coming up"), "{coming}");
    }

    #[test]
    fn the_device_that_came_is_named_with_what_it_may_do() {
        let device = DeviceRow {
            name: "iPhone of Anna".into(),
            scopes: ["view", "answer", "mail"].map(Into::into).to_vec(),
            ..DeviceRow::default()
        };
        let text = screen(true).render(&PairStep::Paired { device });
        assert_eq!(text, "iPhone of Anna paired (view, answer, mail)\n");
    }
}
