//! `tunnel login|create|list|token|route dns`: an account that is a file, `account.json` beside the program.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{args::Args, control::Control};

#[derive(Default, Serialize, Deserialize)]
struct Account {
    /// Ids by name.
    tunnels: BTreeMap<String, String>,
    /// Names of tunnels by public host name.
    routes: BTreeMap<String, String>,
}

pub fn run(args: &Args, control: &Control) -> ExitCode {
    let file = control.file("account.json");
    let mut account: Account = fs::read(&file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let words: Vec<&str> = args.words.iter().skip(1).map(String::as_str).collect();
    let done = match words[..] {
        ["login"] => login(),
        _ if !cert().is_file() => {
            Err("Error locating origin cert: client didn't specify origincert path".to_owned())
        }
        ["create", name] => create(&mut account, name, args),
        ["list"] => {
            list(&account, args);
            Ok(())
        }
        ["token", name] => token(&account, name, args),
        ["route", "dns", name, host] => route(&mut account, name, host),
        _ => Err("\"cloudflared tunnel\" requires other arguments".to_owned()),
    };
    fs::write(&file, serde_json::to_vec(&account).unwrap()).unwrap();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(1)
        }
    }
}

fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default()
}

fn cert() -> PathBuf {
    home().join(".cloudflared/cert.pem")
}

fn login() -> Result<(), String> {
    if cert().is_file() {
        return Err(format!(
            "You have an existing certificate at {}",
            cert().display()
        ));
    }
    println!(
        "Please open the following URL and log in with your Cloudflare account:\n\nhttps://dash.cloudflare.com/argotunnel"
    );
    fs::create_dir_all(home().join(".cloudflared")).map_err(|err| err.to_string())?;
    fs::write(cert(), "-----BEGIN ARGO TUNNEL TOKEN-----\n").map_err(|err| err.to_string())
}

fn create(account: &mut Account, name: &str, args: &Args) -> Result<(), String> {
    if account.tunnels.contains_key(name) {
        return Err(format!(
            "failed to create tunnel: Create Tunnel API call failed: tunnel with name already exists: {name}"
        ));
    }
    let id = format!("6ff42ae2-765d-4adf-8112-{:012x}", account.tunnels.len() + 1);
    account.tunnels.insert(name.to_owned(), id.clone());
    let usual = home().join(".cloudflared").join(format!("{id}.json"));
    let file = args.flag("credentials-file").map_or(usual, PathBuf::from);
    write_credentials(&file, &id)?;
    println!(
        "Tunnel credentials written to {}. cloudflared chose this file based on where your origin certificate was found. Keep this file secret. To revoke these credentials, delete the tunnel.\n\nCreated tunnel {name} with id {id}",
        file.display()
    );
    Ok(())
}

fn write_credentials(file: &Path, id: &str) -> Result<(), String> {
    if file.exists() {
        return Err(format!("open {}: file exists", file.display()));
    }
    let text =
        json!({"AccountTag": "acc", "TunnelSecret": "c2VjcmV0LWluLWZpbGU=", "TunnelID": id}).to_string();
    fs::write(file, text).map_err(|err| err.to_string())?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o400)).map_err(|err| err.to_string())
}

fn list(account: &Account, args: &Args) {
    let wanted = args.flag("name");
    let tunnels = account
        .tunnels
        .iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
    let records: Vec<_> = tunnels
        .map(|(name, id)| json!({"id": id, "name": name, "connections": []}))
        .collect();
    println!("{}", json!(records));
}

fn token(account: &Account, name: &str, args: &Args) -> Result<(), String> {
    let id = account.tunnels.get(name).ok_or("tunnel not found")?;
    match args.flag("cred-file") {
        Some(file) => write_credentials(Path::new(file), id),
        None => {
            println!("eyJhIjoiYWNjIn0=");
            Ok(())
        }
    }
}

fn route(account: &mut Account, name: &str, host: &str) -> Result<(), String> {
    if !account.tunnels.contains_key(name) {
        return Err(format!("there should only be 1 non-deleted Tunnel named {name}"));
    }
    match account.routes.get(host) {
        Some(there) if there == name => {
            println!("INF {host} is already configured to route to your tunnel");
            Ok(())
        }
        Some(_) => Err(format!(
            "Failed to add route: code: 1003, reason: Failed to create record {host} with err An A, AAAA, or CNAME record with that host already exists."
        )),
        None => {
            account.routes.insert(host.to_owned(), name.to_owned());
            println!("INF Added CNAME {host} which will route to this tunnel");
            Ok(())
        }
    }
}
