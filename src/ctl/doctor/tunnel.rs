//! What may be wrong around the tunnel before it starts.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{
    Finding, Fix,
    programs::{found, how_to_get, locate},
};
use crate::config::{Config, TunnelMode};

/// Files that cloudflared reads when it is not told another.
const HIJACKERS: [&str; 2] = [
    "/etc/cloudflared/config.yml",
    "/usr/local/etc/cloudflared/config.yml",
];
/// Bits of a mode that open a secret to people who are not meant.
const TOO_OPEN: u32 = 0o027;

/// All findings.
pub(super) fn findings(config: &Config, home: Option<&Path>) -> Vec<Finding> {
    let mut findings = vec![binary(config)];
    findings.extend(hijackers(home));
    let secret = match config.tunnel.mode {
        TunnelMode::Token => config.tunnel.token_file.as_deref(),
        TunnelMode::Named => config.tunnel.credentials_file.as_deref(),
        TunnelMode::Off | TunnelMode::Quick | TunnelMode::External => None,
    };
    findings.extend(secret.map(secret_file));
    findings
}

fn binary(config: &Config) -> Finding {
    match locate(&config.tunnel.binary) {
        Some(file) => found("cloudflared", &file),
        None => {
            let wanted = matches!(
                config.tunnel.mode,
                TunnelMode::Quick | TunnelMode::Named | TunnelMode::Token
            );
            let name = config.tunnel.binary.as_path().display();
            let how = how_to_get("cloudflared");
            if wanted {
                let text = format!(
                    "{name} is not found, and tunnel.mode is {}",
                    config.tunnel.mode.as_str()
                );
                return Finding::bad("cloudflared", text, how);
            }
            let text = format!("{name} is not found; needed only for phones through the tunnel");
            Finding::warn("cloudflared", text, how)
        }
    }
}

/// A configuration of the user's own does no harm, because ours is named.
fn hijackers(home: Option<&Path>) -> Option<Finding> {
    let own = home.map(|home| home.join(".cloudflared/config.yml"));
    let found = own
        .into_iter()
        .chain(HIJACKERS.map(Into::into))
        .find(|file| file.exists())?;
    let text = format!(
        "{} is there and is not used: our tunnel is always given its own --config",
        found.display()
    );
    Some(Finding::good("cloudflared config", text))
}

fn secret_file(path: &Path) -> Finding {
    let check = "tunnel secret";
    match fs::metadata(path) {
        Err(error) => Finding::bad(
            check,
            format!("{}: {error}", path.display()),
            "put the file there, or: maestroctl tunnel setup",
        ),
        Ok(meta) if meta.permissions().mode() & TOO_OPEN != 0 => Finding::bad(
            check,
            format!(
                "{} is open to others (mode {:03o}); the tunnel stays closed",
                path.display(),
                meta.permissions().mode() & 0o777
            ),
            format!("chmod 600 {}", path.display()),
        )
        .fixed_by(Fix::Mode(path.to_owned(), 0o600)),
        Ok(_) => Finding::good(check, path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::doctor::Level;

    #[test]
    fn a_secret_that_others_can_read_is_found_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        assert_eq!(secret_file(&file).level, Level::Bad);
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let finding = secret_file(&file);
        assert_eq!(finding.level, Level::Bad);
        assert!(finding.remedy.unwrap().starts_with("chmod 600 "));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(secret_file(&file).level, Level::Good);
    }

    #[test]
    fn a_configuration_of_the_users_own_is_named_and_said_to_be_harmless() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".cloudflared")).unwrap();
        fs::write(home.path().join(".cloudflared/config.yml"), "ingress: []").unwrap();
        let finding = hijackers(Some(home.path())).expect("found");
        assert_eq!(finding.level, Level::Good);
        assert!(finding.text.contains("--config"), "{}", finding.text);
    }
}
