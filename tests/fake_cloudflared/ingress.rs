//! The configuration file and its rules.

use std::{fs, path::Path, process::ExitCode};

use serde::Deserialize;

use crate::args::Args;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    pub tunnel: Option<String>,
    #[serde(rename = "credentials-file")]
    pub credentials_file: Option<String>,
    pub ingress: Vec<Rule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rule {
    pub hostname: Option<String>,
    pub path: Option<String>,
    pub service: String,
}

pub fn load(path: &str) -> Result<Config, String> {
    let text = fs::read_to_string(path).map_err(|err| format!("open {path}: {err}"))?;
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.starts_with('#'))
    {
        return Ok(Config::default());
    }
    serde_saphyr::from_str(&text).map_err(|err| format!("error parsing YAML in config file at {path}: {err}"))
}

impl Config {
    pub fn check(&self) -> Result<(), String> {
        let Some((last, others)) = self.ingress.split_last() else {
            return Ok(());
        };
        let is_any = |rule: &Rule| {
            rule.path.is_none()
                && rule
                    .hostname
                    .as_deref()
                    .is_none_or(|host| host.is_empty() || host == "*")
        };
        if !is_any(last) {
            return Err("The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)".into());
        }
        if let Some(at) = others.iter().position(is_any) {
            return Err(format!(
                "Rule #{} is matching the hostname '', but this will match every hostname, meaning the rules which follow it will never be triggered.",
                at + 1
            ));
        }
        let known = |service: &str| {
            ["unix:", "http://", "https://", "http_status:"]
                .iter()
                .any(|scheme| service.starts_with(scheme))
        };
        match self.ingress.iter().find(|rule| !known(&rule.service)) {
            Some(rule) => Err(format!("{:?} is not a valid service", rule.service)),
            None => Ok(()),
        }
    }

    /// The first rule for this host, as its number and itself. A port does not count.
    pub fn rule(&self, host: &str) -> Option<(usize, &Rule)> {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|b| b.is_ascii_digit()) {
                name
            } else {
                host
            }
        });
        self.ingress
            .iter()
            .enumerate()
            .find(|(_, rule)| match rule.hostname.as_deref() {
                None | Some("" | "*") => true,
                Some(wild) if wild.starts_with("*.") => name.ends_with(&wild[1..]),
                Some(exact) => exact == name,
            })
    }
}

fn given(args: &Args) -> Result<Config, String> {
    let config = load(args.flag("config").unwrap_or("/nowhere"))?;
    config.check()?;
    Ok(config)
}

pub fn validate(args: &Args) -> ExitCode {
    println!(
        "Validating rules from {}",
        args.flag("config").unwrap_or_default()
    );
    match given(args) {
        Ok(_) => {
            println!("OK");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("Validation failed: {why}");
            ExitCode::from(1)
        }
    }
}

pub fn rule(args: &Args) -> ExitCode {
    let url = args.words.last().cloned().unwrap_or_default();
    let host = url
        .split_once("://")
        .map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned());
    let (Ok(config), Some(host)) = (given(args), host) else {
        eprintln!("{url} doesn't have a hostname, consider adding a scheme");
        return ExitCode::from(1);
    };
    println!("Using rules from {}", args.flag("config").unwrap_or_default());
    if let Some((number, rule)) = config.rule(&host) {
        println!("Matched rule #{number}");
        if let Some(hostname) = &rule.hostname {
            println!("\thostname: {hostname}");
        }
        println!("\tservice: {}", rule.service);
    }
    ExitCode::SUCCESS
}

pub fn exists(path: &str) -> bool {
    Path::new(path).is_file()
}
