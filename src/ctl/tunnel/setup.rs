//! `maestroctl tunnel setup`: log in, create, route, write the configuration. Each step is skipped if it was done before, so
//! that it can be repeated after anything went wrong.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use clap::Args;
use thiserror::Error;

use super::{
    edit::{quoted, with_keys},
    program::{Tool, ToolError},
};
use crate::config::{Loaded, TunnelMode};
use crate::ctl::{Context, doctor, edit::judge, exit::Exit, replace::replace};

/// Arguments of `setup`.
#[derive(Args, Debug)]
pub struct SetupArgs {
    /// What the tunnel is called at Cloudflare
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The public host name, in a domain that Cloudflare serves for you
    #[arg(long, value_name = "HOST")]
    hostname: Option<String>,
    /// Do not ask whether to go on
    #[arg(long, short)]
    yes: bool,
}

/// Why it ended early.
#[derive(Debug, Error)]
enum SetupError {
    #[error("{0}")]
    Usage(String),
    #[error("cloudflared is not here")]
    NoProgram,
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("cannot write {path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    #[error("the configuration cannot be changed without changing what it means: {0}")]
    Edit(String),
    #[error("stopped before anything was done")]
    Declined,
}

/// Runs it.
pub fn run(context: &Context, args: SetupArgs) -> Exit {
    match walk(context, args) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            eprintln!("maestroctl: {error}");
            let (remedy, exit) = match &error {
                SetupError::Usage(_) => (
                    "maestroctl tunnel setup --name NAME --hostname HOST --yes",
                    Exit::Usage,
                ),
                SetupError::NoProgram => (
                    "install it: https://github.com/cloudflare/cloudflared",
                    Exit::Degraded,
                ),
                SetupError::Tool(_) => (
                    "mend that and run the setup again: what was done is skipped",
                    Exit::Degraded,
                ),
                SetupError::Write { .. } => ("make it writable and run the setup again", Exit::Degraded),
                SetupError::Edit(_) => ("write the lines above into the file yourself", Exit::Degraded),
                SetupError::Declined => ("maestroctl tunnel setup", Exit::Degraded),
            };
            eprintln!("→ {remedy}");
            exit
        }
    }
}

fn walk(context: &Context, args: SetupArgs) -> Result<(), SetupError> {
    let loaded = context
        .loaded
        .as_ref()
        .map_err(|error| SetupError::Usage(format!("the configuration must be valid first: {error}")))?;
    let config = &loaded.config;
    let tool = Tool::new(doctor::locate(&config.tunnel.binary).ok_or(SetupError::NoProgram)?);
    let terminal = io::stdin().is_terminal();
    let usual = config
        .tunnel
        .hostname
        .as_ref()
        .map(|host| host.as_str().to_owned());
    let name = given(
        args.name,
        "Name of the tunnel at Cloudflare",
        Some("maestro".into()),
        terminal,
    )?;
    let host = given(args.hostname, "Public host name", usual, terminal)?;
    is_plain("--name", &name)?;
    is_plain("--hostname", &host)?;
    if !args.yes {
        confirm(&name, &host, terminal)?;
    }
    match origin_certificate() {
        Some(file) => done("login", &format!("done before ({})", file.display())),
        None => {
            tool.login()?;
            done("login", "done");
        }
    }
    let dir = config.state_dir.join("cloudflared");
    let (id, credentials) = tunnel(&tool, &name, &dir)?;
    tool.route(&name, &host)?;
    done("dns", &format!("{host} leads to {name}"));
    let file = context.config_path();
    configure(loaded, &file, &host, &id, &credentials)?;
    println!("\nNext: restart maestrod, then pair a phone: maestroctl pair");
    Ok(())
}

/// Makes the tunnel unless it is there, and makes sure that its credentials are here.
fn tunnel(tool: &Tool, name: &str, dir: &Path) -> Result<(String, PathBuf), SetupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| SetupError::Write { path, error }
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed(dir))?;
    let known = tool.id(name)?;
    // The file is named by the tunnel, not by its id, which is not known before it is made.
    let credentials = dir.join(format!("{name}.json"));
    let id = match known {
        Some(id) => {
            done("tunnel", &format!("{name} exists ({id})"));
            id
        }
        None => {
            if credentials.exists() {
                // Of a tunnel that was deleted meanwhile.
                fs::remove_file(&credentials).map_err(failed(&credentials))?;
            }
            tool.create(name, &credentials)?;
            let id = tool
                .id(name)?
                .ok_or_else(|| ToolError::Puzzling("tunnel list".into()))?;
            done("tunnel", &format!("{name} is made ({id})"));
            id
        }
    };
    if holds(&credentials, &id) {
        done("secret", &format!("is in {}", credentials.display()));
    } else {
        if credentials.exists() {
            fs::remove_file(&credentials).map_err(failed(&credentials))?;
        }
        tool.fetch_credentials(name, &credentials)?;
        done("secret", &format!("fetched into {}", credentials.display()));
    }
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).map_err(failed(&credentials))?;
    Ok((id, credentials))
}

/// Are these the credentials of that tunnel?
fn holds(credentials: &Path, id: &str) -> bool {
    let text = fs::read(credentials).unwrap_or_default();
    let read: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    read.is_some_and(|value| value["TunnelID"] == id)
}

/// Writes the keys, if the file does not say so already.
fn configure(
    loaded: &Loaded,
    file: &Path,
    host: &str,
    id: &str,
    credentials: &Path,
) -> Result<(), SetupError> {
    let keys = [
        ("mode", quoted(TunnelMode::Named.as_str())),
        ("hostname", quoted(host)),
        ("tunnel_id", quoted(id)),
        ("credentials_file", quoted(&credentials.to_string_lossy())),
    ];
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(SetupError::Write {
                path: file.to_owned(),
                error,
            });
        }
    };
    let after = with_keys(&before, "tunnel", &keys);
    if after == before {
        done("config", &format!("{} says so already", file.display()));
        return Ok(());
    }
    if let Err(why) = means(&after, file, host, credentials) {
        println!("\n[tunnel]");
        for (name, value) in &keys {
            println!("{name} = {value}");
        }
        return Err(SetupError::Edit(why));
    }
    replace(file, &after, 0o600).map_err(|error| SetupError::Write {
        path: file.to_owned(),
        error,
    })?;
    done("config", &format!("written to {}", file.display()));
    if loaded.config.tunnel.url.is_some() {
        println!(
            "note: tunnel.url is set too and wins over the host name: take it out if it is another address"
        );
    }
    Ok(())
}

/// Reads the new text as the daemon would.
fn means(text: &str, file: &Path, host: &str, credentials: &Path) -> Result<(), String> {
    let loaded = judge(text, file)?;
    let tunnel = loaded.config.tunnel;
    let same = tunnel.mode == TunnelMode::Named
        && tunnel
            .hostname
            .is_some_and(|known| known.as_str() == host.to_ascii_lowercase())
        && tunnel.credentials_file.as_deref() == Some(credentials);
    if same {
        Ok(())
    } else {
        Err("the keys would not be read as they are written".into())
    }
}

fn done(step: &str, text: &str) {
    println!("{step:<8} {text}");
}

fn given(
    flag: Option<String>,
    question: &str,
    usual: Option<String>,
    terminal: bool,
) -> Result<String, SetupError> {
    if let Some(value) = flag {
        return Ok(value);
    }
    if !terminal {
        return match usual {
            Some(usual) => Ok(usual),
            None => Err(SetupError::Usage(format!("{question} is needed"))),
        };
    }
    let hint = usual
        .as_ref()
        .map(|usual| format!(" [{usual}]"))
        .unwrap_or_default();
    let answer = read_line(&format!("{question}{hint}: "))?;
    match (answer.is_empty(), usual) {
        (false, _) => Ok(answer),
        (true, Some(usual)) => Ok(usual),
        (true, None) => Err(SetupError::Usage(format!("{question} is needed"))),
    }
}

fn confirm(name: &str, host: &str, terminal: bool) -> Result<(), SetupError> {
    if !terminal {
        return Err(SetupError::Usage(
            "without a terminal, --yes says that it may be done".into(),
        ));
    }
    let question = format!("Make the tunnel `{name}` and let https://{host} lead to this hub? [y/N] ");
    match read_line(&question)?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(SetupError::Declined),
    }
}

fn read_line(question: &str) -> Result<String, SetupError> {
    let mut answer = String::new();
    print!("{question}");
    let read = io::stdout()
        .flush()
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    match read {
        Ok(_) => Ok(answer.trim().to_owned()),
        Err(error) => Err(SetupError::Usage(format!("no answer could be read: {error}"))),
    }
}

/// Names go onto a command line and into a file name.
fn is_plain(flag: &str, text: &str) -> Result<(), SetupError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !text.is_empty() && text.len() <= 253 && text.bytes().all(plain) && !text.starts_with(['-', '.']) {
        return Ok(());
    }
    Err(SetupError::Usage(format!(
        "{flag} may hold letters, digits, `-`, `_` and dots"
    )))
}

/// Where cloudflared keeps what a login gave it.
fn origin_certificate() -> Option<PathBuf> {
    let named = std::env::var_os("TUNNEL_ORIGIN_CERT").map(PathBuf::from);
    let home = std::env::home_dir().map(|home| home.join(".cloudflared/cert.pem"));
    named.into_iter().chain(home).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_an_option_or_a_path() {
        for text in ["hub", "hub-1.example.com", "a_b"] {
            assert!(is_plain("--name", text).is_ok(), "{text}");
        }
        for text in ["", "-rf", "../x", "a/b", "a b", "é", ".hidden"] {
            assert!(is_plain("--name", text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_edit_that_would_mean_something_else_is_refused() {
        let (file, credentials) = (Path::new("/etc/m.toml"), Path::new("/c.json"));
        let keys = [
            ("mode", quoted("named")),
            ("hostname", quoted("hub.example")),
            ("credentials_file", quoted("/c.json")),
        ];
        let fine = with_keys("data_dir = \"/srv/m\"\n", "tunnel", &keys);
        assert_eq!(means(&fine, file, "hub.example", credentials), Ok(()));
        // An inline table of the same name: TOML knows no table twice.
        let twice = with_keys(
            "data_dir = \"/srv/m\"\ntunnel = { mode = \"quick\" }\n",
            "tunnel",
            &keys,
        );
        assert!(means(&twice, file, "hub.example", credentials).is_err());
    }
}
