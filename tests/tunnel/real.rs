//! The real cloudflared, where there is one, on the configurations that we generate: its offline commands only.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use maestro::children::TunnelKind;
use maestro::supervisor::Program;

use crate::{
    harness::{Edge, output::text},
    house::House,
};

/// The real one, if PATH has it; the stand-in always, so that these tests never pass for want of a program.
fn programs(edge: &Edge) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let real = std::env::split_paths(&path)
        .map(|dir| dir.join("cloudflared"))
        .find(|file| file.is_file());
    if real.is_none() {
        eprintln!("note: no real cloudflared on PATH; only the stand-in was asked");
    }
    real.into_iter().chain([edge.binary()]).collect()
}

fn ask(program: &Path, args: &[&str]) -> Output {
    Command::new(program).args(args).output().expect("it starts")
}

#[tokio::test]
async fn generated_configurations_are_valid_and_lead_to_the_ingress_socket_only() {
    let (house, edge) = (House::new(), Edge::start().await);
    let named = TunnelKind::Named {
        id: "6ff42ae2-765d-4adf-8112-31c55c1551ef".into(),
        credentials: edge.token_file(),
        hosts: vec!["hub.example.com".into()],
    };
    let kinds = [
        (TunnelKind::Quick, "https://some-words.trycloudflare.com/x"),
        (named, "https://hub.example.com/x"),
    ];
    for (kind, public) in kinds {
        let (_, program) = house.spec(house.params(&edge, kind));
        program.prepare(false).await.expect("ready to start");
        let conf = house.path().join("state/cloudflared/config.yml");
        let conf = conf.to_str().expect("text");
        for cloudflared in programs(&edge) {
            let valid = ask(&cloudflared, &["tunnel", "--config", conf, "ingress", "validate"]);
            assert!(
                valid.status.success() && text(&valid).contains("OK"),
                "{}",
                text(&valid)
            );
            let rule = |url: &str| {
                text(&ask(
                    &cloudflared,
                    &["tunnel", "--config", conf, "ingress", "rule", url],
                ))
            };
            let ours = rule(public);
            assert!(
                ours.contains("Matched rule #0")
                    && ours.contains(&format!("unix:{}", house.ingress().display())),
                "{ours}"
            );
            let others = rule("https://evil.example/x");
            assert!(others.contains("http_status:404"), "{others}");
            let version = ask(&cloudflared, &["version", "--short"]);
            assert!(version.status.success(), "{}", text(&version));
        }
    }
}
