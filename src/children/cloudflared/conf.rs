//! The configuration of a cloudflared that leads to our ingress socket and nowhere else.

use std::path::Path;

use super::{Kind, TunnelParams};

/// As shipped; `cloudflared/README.md` says what is filled in.
const TEMPLATE: &str = include_str!("../../../cloudflared/config.yml");
/// Where Cloudflare gives quick tunnels their names.
const QUICK_HOSTS: &str = "*.trycloudflare.com";

/// The text of the configuration file.
pub(super) fn text(params: &TunnelParams) -> String {
    let (tunnel, hosts) = match &params.kind {
        Kind::Quick => (String::new(), vec![QUICK_HOSTS.to_owned()]),
        Kind::Token { hosts, .. } => (String::new(), hosts.clone()),
        Kind::Named {
            id,
            credentials,
            hosts,
        } => {
            let lines = format!(
                "tunnel: {}\ncredentials-file: {}\n",
                quoted(id),
                quoted(&shown(credentials))
            );
            (lines, hosts.clone())
        }
    };
    let service = quoted(&format!("unix:{}", shown(&params.ingress)));
    let ways: String = hosts
        .iter()
        .map(|host| format!("  - hostname: {}\n    service: {service}\n", quoted(host)))
        .collect();
    TEMPLATE.replace("{{tunnel}}", &tunnel).replace("{{ways}}", &ways)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A text in double quotes, as YAML reads it: JSON's way of quoting is one of YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(kind: Kind) -> TunnelParams {
        TunnelParams::new(
            "/srv/m".into(),
            "/srv/m/logs".into(),
            "/run/m/ingress.sock".into(),
            kind,
        )
    }

    fn body(kind: Kind) -> String {
        let text = text(&params(kind));
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        lines.join("\n")
    }

    #[test]
    fn a_quick_tunnel_has_one_way_in_and_no_other() {
        assert_eq!(
            body(Kind::Quick),
            "ingress:\n  - hostname: \"*.trycloudflare.com\"\n    service: \"unix:/run/m/ingress.sock\"\n  \
             - service: http_status:404"
        );
    }

    #[test]
    fn a_named_tunnel_names_itself_and_its_credentials_and_only_its_own_hosts_lead_in() {
        let named = Kind::Named {
            id: "6ff42ae2-765d-4adf-8112-31c55c1551ef".into(),
            credentials: "/home/a b/\"c\".json".into(),
            hosts: vec!["hub.example".into(), "127.0.0.1".into()],
        };
        assert_eq!(
            body(named),
            "tunnel: \"6ff42ae2-765d-4adf-8112-31c55c1551ef\"\n\
             credentials-file: \"/home/a b/\\\"c\\\".json\"\n\
             ingress:\n  \
             - hostname: \"hub.example\"\n    service: \"unix:/run/m/ingress.sock\"\n  \
             - hostname: \"127.0.0.1\"\n    service: \"unix:/run/m/ingress.sock\"\n  \
             - service: http_status:404"
        );
    }

    #[test]
    fn a_tunnel_by_token_has_no_secret_in_its_configuration() {
        let token = Kind::Token {
            file: "/etc/token".into(),
            hosts: vec!["hub.example".into()],
        };
        let text = body(token);
        assert!(!text.contains("token"), "{text}");
        assert!(text.ends_with("  - service: http_status:404"), "{text}");
    }
}
