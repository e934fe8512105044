//! `maestroctl logs` and `maestroctl events`: what goes on, line by line.

use clap::Args;

use crate::control::client::{Client, ClientError, encode};

use super::{Context, complete, exit::Exit};

/// Arguments of `logs`.
#[derive(Args, Debug)]
pub struct LogsArgs {
    /// Whose: hub, redis or tunnel
    #[arg(default_value = "hub", add = complete::logs())]
    source: String,
    /// Go on with what comes
    #[arg(long, short)]
    follow: bool,
    /// So many of the newest lines
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    lines: usize,
}

/// Arguments of `events`.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Follow (events are live; without it the connection ends after the first)
    #[arg(long, short)]
    follow: bool,
}

/// Runs `logs`.
pub async fn logs(context: &Context, args: LogsArgs) -> Exit {
    let path = format!(
        "/v1/logs/{}?lines={}&follow={}",
        encode(&args.source),
        args.lines,
        args.follow
    );
    finish(copy(context, &path, usize::MAX).await)
}

/// Runs `events`.
pub async fn events(context: &Context, args: EventsArgs) -> Exit {
    finish(copy(context, "/v1/events", if args.follow { usize::MAX } else { 1 }).await)
}

async fn copy(context: &Context, path: &str, most: usize) -> Result<(), ClientError> {
    use std::io::Write;
    let mut client = Client::connect(context.socket()).await?;
    let mut lines = client.lines(path).await?;
    let mut out = std::io::stdout();
    for _ in 0..most {
        let Some(line) = lines.next().await? else { break };
        // Whoever read us has heard enough (`| head`).
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}

fn finish(result: Result<(), ClientError>) -> Exit {
    match result {
        Ok(()) => Exit::Fine,
        Err(error) => super::complain(&error),
    }
}
