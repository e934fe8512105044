//! `maestroctl metrics`: everything that is counted, as Prometheus reads it.

use clap::Args;

use crate::control::client::{Client, ClientError};

use super::{Context, exit::Exit};

const EXAMPLES: &str = "\
Examples:
  maestroctl metrics | grep redis
  maestroctl metrics > /var/lib/prometheus/node-exporter/maestro.prom   for a textfile collector

To let Prometheus ask the daemon itself, set metrics.listen in maestro.toml.";

/// Arguments of `metrics`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MetricsArgs {}

/// Runs it.
pub async fn run(context: &Context, _: MetricsArgs) -> Exit {
    match ask(context).await {
        Ok(page) => print!("{page}"),
        Err(error) => return super::complain(&error),
    }
    Exit::Fine
}

async fn ask(context: &Context) -> Result<String, ClientError> {
    Client::connect(context.socket()).await?.metrics().await
}
