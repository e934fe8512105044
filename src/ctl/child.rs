//! `maestroctl start|stop|restart CHILD`.

use clap::Args;

use crate::control::client::{Client, ClientError};
use crate::control::protocol::{ChildAct, State};

use super::{Context, complete, exit::Exit};

/// Arguments of `start`, `stop` and `restart`.
#[derive(Args, Debug)]
pub struct ChildArgs {
    /// redis or tunnel
    #[arg(add = complete::children())]
    child: String,
}

/// Runs it.
pub async fn run(context: &Context, args: ChildArgs, act: ChildAct) -> Exit {
    match ask(context, &args.child, act).await {
        Ok(state) => {
            println!("{}: {} (see `maestroctl status`)", args.child, state.word());
            Exit::Fine
        }
        Err(error) => super::complain(&error),
    }
}

async fn ask(context: &Context, child: &str, act: ChildAct) -> Result<State, ClientError> {
    let mut client = Client::connect(context.socket()).await?;
    client.act(child, act).await?;
    let status = client.status().await?;
    let part = status.components.iter().find(|part| part.name == child);
    Ok(part.map_or(State::Unknown, |part| part.state))
}
