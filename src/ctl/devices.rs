//! `maestroctl devices` and `maestroctl lockdown`: who was paired, what they may do, and the end of that.

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::NOTHING};

use crate::control::client::{Client, ClientError};
use crate::control::protocol::devices::{DeviceAct, DeviceActDone, DeviceList, PushRow};

use super::{Context, complete, exit::Exit, paint::between};

const EXAMPLES: &str = "\
Examples:
  maestroctl devices                            who is paired
  maestroctl devices list --json                the same for scripts
  maestroctl devices revoke 'iPhone of Anna'    lost: closed within a second
  maestroctl devices scopes ipad view           the beginning of a name or id will do
  maestroctl devices rename dev_17 'Old phone'
  maestroctl devices revoke --all";

const LOCKDOWN: &str = "\
Examples:
  maestroctl lockdown          revoke all devices and codes, let nobody in
  maestroctl lockdown --lift   let devices be paired again

A lockdown outlives restarts. What was revoked stays revoked.";

/// Arguments of `devices`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct DevicesArgs {
    #[command(subcommand)]
    command: Option<DevicesCommand>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum DevicesCommand {
    /// Who is paired
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a device: what it has open is closed, and it has to be paired again
    Revoke {
        /// Its id or name, or the beginning of one
        #[arg(
            required_unless_present = "all",
            conflicts_with = "all",
            value_name = "DEVICE",
            add = complete::devices()
        )]
        device: Option<String>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Give a device another name
    Rename {
        /// Its id or name, or the beginning of one
        #[arg(add = complete::devices())]
        device: String,
        /// Its new name
        name: String,
    },
    /// Say what a device may do from now on
    Scopes {
        /// Its id or name, or the beginning of one
        #[arg(add = complete::devices())]
        device: String,
        /// view, answer, mail, prompt, spawn, admin
        #[arg(value_name = "LIST", value_delimiter = ',', num_args = 1, required = true)]
        scopes: Vec<String>,
    },
}

/// Arguments of `lockdown`.
#[derive(Args, Debug)]
#[command(after_help = LOCKDOWN)]
pub struct LockdownArgs {
    /// Let devices be paired again
    #[arg(long)]
    lift: bool,
}

/// Runs `devices`.
pub async fn run(context: &Context, args: DevicesArgs) -> Exit {
    let act = match args.command {
        None => return list(context, args.json).await,
        Some(DevicesCommand::List { json }) => return list(context, json).await,
        Some(DevicesCommand::Revoke {
            device: Some(device), ..
        }) => DeviceAct::Revoke { device },
        Some(DevicesCommand::Revoke { device: None, .. }) => DeviceAct::RevokeAll,
        Some(DevicesCommand::Rename { device, name }) => DeviceAct::Rename { device, name },
        Some(DevicesCommand::Scopes { device, scopes }) => DeviceAct::Scopes { device, scopes },
    };
    carry_out(context, &act).await
}

/// Runs `lockdown`.
pub async fn lockdown(context: &Context, args: LockdownArgs) -> Exit {
    let act = match args.lift {
        true => DeviceAct::Lift,
        false => DeviceAct::Lockdown,
    };
    carry_out(context, &act).await
}

async fn list(context: &Context, json: bool) -> Exit {
    match ask(context).await {
        Ok(list) if json => match serde_json::to_string_pretty(&list) {
            Ok(text) => println!("{text}"),
            Err(error) => return super::complain(&ClientError::Broken(error.to_string())),
        },
        Ok(list) => print!("{}", render(&list, super::now_ms())),
        Err(error) => return super::complain(&error),
    }
    Exit::Fine
}

async fn ask(context: &Context) -> Result<DeviceList, ClientError> {
    Client::connect(context.socket()).await?.get("/v1/devices").await
}

async fn carry_out(context: &Context, act: &DeviceAct) -> Exit {
    let done = async {
        let mut client = Client::connect(context.socket()).await?;
        client.post_json("/v1/devices", act).await
    };
    match done.await {
        Ok(done) => {
            println!("{}", told(act, &done));
            Exit::Fine
        }
        Err(error) => super::complain(&error),
    }
}

fn told(act: &DeviceAct, done: &DeviceActDone) -> String {
    let (name, scopes) = match &done.device {
        Some(device) => (device.name.as_str(), device.scopes.join(", ")),
        None => ("it", String::new()),
    };
    let revoked = match done.revoked {
        1 => "1 device revoked".to_owned(),
        count => format!("{count} devices revoked"),
    };
    match (act, done.changed) {
        (DeviceAct::Revoke { .. }, _) => format!("{name} revoked"),
        (DeviceAct::RevokeAll, _) => revoked,
        (DeviceAct::Rename { .. }, _) => format!("it is called {name} now"),
        (DeviceAct::Scopes { .. }, _) => format!("{name} may: {scopes}"),
        (DeviceAct::Lockdown, true) => {
            format!("locked down: {revoked}; nobody comes in until `maestroctl lockdown --lift`")
        }
        (DeviceAct::Lockdown, false) => "it was locked down already".to_owned(),
        (DeviceAct::Lift, true) => "the lockdown is over; pair devices again: maestroctl pair".to_owned(),
        (DeviceAct::Lift, false) => "it was not locked down".to_owned(),
    }
}

fn render(list: &DeviceList, now: i64) -> String {
    let mut out = String::new();
    if let Some(since) = list.locked_since {
        out += &format!(
            "Locked down for {}: nobody comes in until `maestroctl lockdown --lift`.\n",
            between(since, now)
        );
    }
    match list.live_codes {
        0 => {}
        1 => out += "One pairing code is live.\n",
        codes => out += &format!("{codes} pairing codes are live.\n"),
    }
    if list.devices.is_empty() {
        out += "No device is paired. Pair one: maestroctl pair\n";
        return out;
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["DEVICE", "NAME", "MAY", "PROJECTS", "SEEN", "NOTIFIED"]);
    for device in &list.devices {
        let projects = match device.projects.as_slice() {
            [] => "all".to_owned(),
            some => some.join(" "),
        };
        table.add_row([
            device.id.clone(),
            device.name.clone(),
            device.scopes.join(","),
            projects,
            format!("{} ago", between(device.last_seen, now)),
            device
                .push
                .as_ref()
                .map_or("no".to_owned(), |push| notified(push, now)),
        ]);
    }
    out + &format!("{}\n", table.trim_fmt())
}

/// How the notifications of a device go, in a few words.
pub(super) fn notified(push: &PushRow, now: i64) -> String {
    if let Some(since) = push.stopped_since {
        return format!("stopped {} ago", between(since, now));
    }
    match (&push.last_outcome, push.last_at) {
        (Some(outcome), Some(at)) => format!("{outcome} {} ago", between(at, now)),
        _ => "on, none yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::devices::DeviceRow;

    #[test]
    fn a_device_is_a_row_and_none_says_how_to_pair_one() {
        let device = DeviceRow {
            id: "dev_1".into(),
            name: "iPhone of Anna".into(),
            scopes: vec!["view".into(), "mail".into()],
            last_seen: 1000,
            ..DeviceRow::default()
        };
        let list = DeviceList {
            devices: vec![device],
            live_codes: 1,
            locked_since: None,
        };
        let text = render(&list, 4000);
        for part in [
            "dev_1",
            "iPhone of Anna",
            "view,mail",
            "all",
            "3 s ago",
            "One pairing code",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let none = render(&DeviceList::default(), 0);
        assert_eq!(none, "No device is paired. Pair one: maestroctl pair\n");
    }

    #[test]
    fn what_was_done_is_said() {
        let done = |revoked, changed| DeviceActDone {
            device: None,
            revoked,
            changed,
        };
        assert_eq!(told(&DeviceAct::RevokeAll, &done(1, true)), "1 device revoked");
        assert!(told(&DeviceAct::Lockdown, &done(2, true)).contains("2 devices revoked"));
        assert_eq!(told(&DeviceAct::Lift, &done(0, false)), "it was not locked down");
    }
}
