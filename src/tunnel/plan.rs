//! Which way in the configuration asks for, and whether it can be had. Pure.

use crate::access::PublicUrl;
use crate::children::TunnelKind;
use crate::config::{Config, HttpUrl, TunnelMode};
use crate::supervisor::Blocked;

/// The decision, made once at start. What is asked for and cannot be had stays shut, and says why.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// None.
    Off,
    /// Asked for, and not possible as it is configured.
    Refused(Blocked),
    /// Somebody else's proxy leads to our ingress socket.
    External(PublicUrl),
    /// cloudflared, kept running by us. A quick tunnel learns its address at each start.
    Run(TunnelKind, Option<PublicUrl>),
}

/// What `config` asks for.
pub fn plan(config: &Config) -> Plan {
    let tunnel = &config.tunnel;
    let url = tunnel.url.as_ref().or(config.external_url.as_ref());
    let decided = match tunnel.mode {
        TunnelMode::Off => Ok(Plan::Off),
        TunnelMode::Quick => Ok(Plan::Run(TunnelKind::Quick, None)),
        TunnelMode::External => public(url, "external_url").map(Plan::External),
        TunnelMode::Token => token(config, url),
        TunnelMode::Named => named(config, url),
    };
    decided.unwrap_or_else(Plan::Refused)
}

fn token(config: &Config, url: Option<&HttpUrl>) -> Result<Plan, Blocked> {
    let file = config.tunnel.token_file.as_ref();
    let file = file.ok_or_else(|| missing("tunnel.token_file"))?.clone();
    let url = public(url, "tunnel.url")?;
    let hosts = vec![url.host().to_owned()];
    Ok(Plan::Run(TunnelKind::Token { file, hosts }, Some(url)))
}

fn named(config: &Config, url: Option<&HttpUrl>) -> Result<Plan, Blocked> {
    let tunnel = &config.tunnel;
    let host = tunnel
        .hostname
        .as_ref()
        .ok_or_else(|| missing("tunnel.hostname"))?;
    let id = tunnel
        .tunnel_id
        .as_ref()
        .ok_or_else(|| missing("tunnel.tunnel_id"))?;
    let credentials = tunnel.credentials_file.as_ref();
    let credentials = credentials
        .ok_or_else(|| missing("tunnel.credentials_file"))?
        .clone();
    let url = match url {
        Some(url) => public(Some(url), "tunnel.url")?,
        None => PublicUrl::parse(&format!("https://{host}")).ok_or_else(|| missing("tunnel.hostname"))?,
    };
    let mut hosts = vec![host.as_str().to_owned()];
    if url.host() != host.as_str() {
        hosts.push(url.host().to_owned());
    }
    let kind = TunnelKind::Named {
        id: id.as_str().to_owned(),
        credentials,
        hosts,
    };
    Ok(Plan::Run(kind, Some(url)))
}

fn public(url: Option<&HttpUrl>, key: &'static str) -> Result<PublicUrl, Blocked> {
    let written = url.ok_or_else(|| missing(key))?.as_str();
    let wrong = |why: &str| {
        Blocked::new(
            "tunnel_misconfigured",
            format!("{key} is {written}, and {why}; set it to https://<host> and restart maestrod"),
        )
    };
    let url = PublicUrl::parse(written).ok_or_else(|| wrong("that is no web address"))?;
    if url.origin() != written {
        return Err(wrong("a public address is a whole host, without a path"));
    }
    // Browsers trust this machine without encryption, and nothing else.
    if written.starts_with("https://") || matches!(url.host(), "localhost" | "127.0.0.1" | "[::1]") {
        return Ok(url);
    }
    Err(wrong(
        "no browser keeps a device's secret for an address without encryption",
    ))
}

fn missing(key: &'static str) -> Blocked {
    Blocked::new(
        "tunnel_misconfigured",
        format!("set {key} and restart maestrod, or let `maestroctl tunnel setup` do it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileText, Sources};

    fn planned(text: &str) -> Plan {
        let text = format!("data_dir = \"/srv/m\"\n{text}");
        let loaded = Config::load(&Sources {
            env: [("HOME", "/home/ada")].into_iter().collect(),
            file: Some(FileText {
                path: "/etc/maestro.toml".into(),
                bytes: text.into_bytes(),
                readable_by_others: false,
            }),
            ..Sources::default()
        });
        plan(&loaded.expect("a configuration that the rest runs with").config)
    }

    fn refused(text: &str) -> String {
        match planned(text) {
            Plan::Refused(why) => why.remedy,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn nothing_is_opened_unless_it_is_asked_for() {
        assert_eq!(planned(""), Plan::Off);
        assert_eq!(
            planned("[tunnel]\nmode = \"quick\""),
            Plan::Run(TunnelKind::Quick, None)
        );
    }

    #[test]
    fn a_named_tunnel_is_known_by_its_host_unless_it_has_another_address() {
        let id = "6ff42ae2-765d-4adf-8112-31c55c1551ef";
        let text = format!(
            "[tunnel]\nmode = \"named\"\nhostname = \"hub.example\"\ntunnel_id = \"{id}\"\ncredentials_file = \"/c\""
        );
        let Plan::Run(TunnelKind::Named { hosts, .. }, Some(url)) = planned(&text) else {
            panic!("a named tunnel");
        };
        assert_eq!(
            (hosts, url.origin()),
            (vec!["hub.example".to_owned()], "https://hub.example")
        );
        let Plan::Run(TunnelKind::Named { hosts, .. }, Some(url)) =
            planned(&format!("{text}\nurl = \"http://127.0.0.1:9\""))
        else {
            panic!("a named tunnel");
        };
        assert_eq!(hosts, ["hub.example", "127.0.0.1"]);
        assert_eq!(url.origin(), "http://127.0.0.1:9");
    }

    #[test]
    fn what_lacks_something_stays_shut_and_names_it_while_the_rest_may_run() {
        for (text, key) in [
            (
                "[tunnel]\nmode = \"token\"\nurl = \"https://h\"",
                "tunnel.token_file",
            ),
            ("[tunnel]\nmode = \"token\"\ntoken_file = \"/t\"", "tunnel.url"),
            ("[tunnel]\nmode = \"external\"", "external_url"),
            (
                "[tunnel]\nmode = \"external\"\nurl = \"http://hub.example\"",
                "encryption",
            ),
            (
                "[tunnel]\nmode = \"external\"\nurl = \"https://h.example/x\"",
                "without a path",
            ),
            ("[tunnel]\nmode = \"named\"", "tunnel.hostname"),
            (
                "[tunnel]\nmode = \"named\"\nhostname = \"h.example\"",
                "tunnel.tunnel_id",
            ),
        ] {
            assert!(refused(text).contains(key), "{text}");
        }
    }

    #[test]
    fn an_external_way_has_the_address_it_was_given() {
        let external = planned("external_url = \"https://hub.tail.example/\"\n[tunnel]\nmode = \"external\"");
        assert!(matches!(external, Plan::External(url) if url.origin() == "https://hub.tail.example"));
    }
}
