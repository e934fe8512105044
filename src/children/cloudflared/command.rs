//! The command line: everybody can read it, so it names files and holds no secret. Pure.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use super::Kind;

/// A quick tunnel starts only if it is given a target; the rules of its configuration win over it. Nothing listens there.
const DUMMY_TARGET: &str = "http://127.0.0.1:1";

/// The arguments, the program itself left out.
pub(super) fn args(kind: &Kind, conf: &Path, port: u16) -> Vec<OsString> {
    let metrics = format!("127.0.0.1:{port}");
    let fixed: [&OsStr; 13] = [
        "tunnel".as_ref(),
        "--no-autoupdate".as_ref(),
        "--config".as_ref(),
        conf.as_ref(),
        "--metrics".as_ref(),
        metrics.as_ref(),
        "--grace-period".as_ref(),
        "2s".as_ref(),
        "--output".as_ref(),
        "json".as_ref(),
        "--loglevel".as_ref(),
        "info".as_ref(),
        match kind {
            Kind::Quick => "--url".as_ref(),
            Kind::Named { .. } | Kind::Token { .. } => "run".as_ref(),
        },
    ];
    let mut args: Vec<OsString> = fixed.into_iter().map(OsStr::to_owned).collect();
    match kind {
        Kind::Quick => args.push(DUMMY_TARGET.into()),
        // Which one it is, and its secret, are in the configuration.
        Kind::Named { .. } => {}
        Kind::Token { file, .. } => args.extend(["--token-file".into(), file.clone().into_os_string()]),
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: Kind) -> String {
        let args: Vec<_> = args(&kind, Path::new("/srv/m/cloudflared/config.yml"), 7)
            .iter()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        args.join(" ")
    }

    #[test]
    fn every_command_line_names_our_configuration_and_no_secret() {
        let common = "tunnel --no-autoupdate --config /srv/m/cloudflared/config.yml --metrics 127.0.0.1:7 \
                      --grace-period 2s --output json --loglevel info";
        assert_eq!(line(Kind::Quick), format!("{common} --url http://127.0.0.1:1"));
        let token = Kind::Token {
            file: "/etc/t".into(),
            hosts: vec![],
        };
        assert_eq!(line(token), format!("{common} run --token-file /etc/t"));
        let named = Kind::Named {
            id: "i".into(),
            credentials: "/c".into(),
            hosts: vec![],
        };
        assert_eq!(line(named), format!("{common} run"));
    }
}
