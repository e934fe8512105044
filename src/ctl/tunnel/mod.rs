//! `maestroctl tunnel url|status|setup`: the way in from outside.

mod edit;
mod program;
mod setup;

use clap::{Args, Subcommand};

use crate::control::client::{Client, ClientError};
use crate::control::protocol::{State, TunnelReport};

use super::{
    Context,
    exit::Exit,
    paint::{Paint, Tone, between},
};

const EXAMPLES: &str = "\
Examples:
  maestroctl tunnel status --check       does the public address really lead to this hub?
  maestroctl tunnel url                  for scripts: the address and nothing else
  maestroctl tunnel setup                a tunnel of your own, step by step; can be repeated
  maestroctl tunnel setup --name hub --hostname hub.example.com --yes
  maestroctl stop tunnel                 shut the way in, until: maestroctl start tunnel";

/// Arguments of `tunnel`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TunnelArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The public address, alone on a line
    Url,
    /// How the way in is doing
    Status {
        /// Ask the public address first whether it leads to this hub
        #[arg(long)]
        check: bool,
        /// Print JSON (fields are only ever added)
        #[arg(long)]
        json: bool,
    },
    /// Make a named tunnel: log in at Cloudflare, create it, route its host name, write the configuration
    Setup(setup::SetupArgs),
}

/// Runs it.
pub async fn run(context: &Context, args: TunnelArgs) -> Exit {
    match args.what {
        What::Setup(args) => setup::run(context, args),
        What::Url => match ask(context, false).await {
            Ok(report) => url(&report),
            Err(error) => super::complain(&error),
        },
        What::Status { check, json } => match ask(context, check).await {
            Ok(report) => status(&report, json),
            Err(error) => super::complain(&error),
        },
    }
}

async fn ask(context: &Context, check: bool) -> Result<TunnelReport, ClientError> {
    Client::connect(context.socket()).await?.tunnel(check).await
}

fn url(report: &TunnelReport) -> Exit {
    let Some(url) = &report.url else {
        eprintln!("maestroctl: no public address is known ({})", why(report));
        if let Some(remedy) = &report.remedy {
            eprintln!("→ {remedy}");
        }
        return Exit::Degraded;
    };
    println!("{url}");
    if report.trial {
        eprintln!("note: a quick tunnel is a trial; its address changes at every start");
    }
    Exit::Fine
}

fn status(report: &TunnelReport, json: bool) -> Exit {
    if json {
        match serde_json::to_string_pretty(report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("maestroctl: cannot print the report: {error}"),
        }
    } else {
        print!("{}", render(report, super::now_ms(), Paint::for_stdout()));
    }
    let astray = report.checked.as_ref().is_some_and(|checked| !checked.ok);
    if report.state.is_fine() && !astray {
        Exit::Fine
    } else {
        Exit::Degraded
    }
}

fn why(report: &TunnelReport) -> String {
    match &report.reason {
        Some(reason) => format!("{}: {reason}", report.state.word()),
        None => report.state.word().to_owned(),
    }
}

fn render(report: &TunnelReport, now: i64, paint: Paint) -> String {
    let mut out = String::new();
    let mut row = |name: &str, text: &str| {
        out += &format!("{} {text}\n", paint.tone(Tone::Quiet, &format!("{name:<8}")))
    };
    let tone = match report.state {
        State::Ready => Tone::Good,
        State::Off | State::Stopped => Tone::Quiet,
        State::Blocked | State::CrashLoop => Tone::Bad,
        _ => Tone::Warn,
    };
    row("tunnel", &paint.tone(tone, &why(report)));
    let trial = if report.trial {
        " (trial: another address at every start)"
    } else {
        ""
    };
    row("mode", &format!("{}{trial}", report.mode));
    if let Some(url) = &report.url {
        row("url", url);
    }
    if report.connections > 0 {
        row("edge", &format!("{} connections", report.connections));
    }
    row("origin", &format!("unix:{}", report.ingress));
    if !report.detail.is_empty() {
        row("detail", &report.detail);
    }
    if let Some(remedy) = &report.remedy {
        row("do", remedy);
    }
    if let Some(checked) = &report.checked {
        let ago = between(checked.at, now);
        if checked.ok {
            row(
                "check",
                &format!(
                    "the address leads to this hub ({} ms, {ago} ago)",
                    checked.took_ms
                ),
            );
        } else {
            let seen = checked.seen.as_deref().unwrap_or("no answer");
            let code = checked.code.as_deref().unwrap_or("unknown");
            row(
                "check",
                &paint.tone(Tone::Bad, &format!("{code}: {seen} ({ago} ago)")),
            );
            if let Some(remedy) = &checked.remedy {
                row("do", remedy);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::TunnelCheck;

    #[test]
    fn a_quick_tunnel_is_called_a_trial_and_a_failed_check_says_what_was_seen_and_what_to_do() {
        let report = TunnelReport {
            mode: "quick".into(),
            state: State::Degraded,
            url: Some("https://a-b.trycloudflare.com".into()),
            trial: true,
            connections: 1,
            reason: Some("no_connector".into()),
            ingress: "/run/m/ingress.sock".into(),
            checked: Some(TunnelCheck {
                at: 1_000,
                ok: false,
                code: Some("no_connector".into()),
                seen: Some("status 530".into()),
                remedy: Some("check the route".into()),
                ..TunnelCheck::default()
            }),
            ..TunnelReport::default()
        };
        let text = render(&report, 4_000, Paint::plain());
        for part in [
            "degraded: no_connector",
            "trial",
            "https://a-b.trycloudflare.com",
            "unix:/run/m/ingress.sock",
            "no_connector: status 530 (3 s ago)",
            "do       check the route",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(status(&report, false), Exit::Degraded);
    }
}
