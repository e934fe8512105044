//! The token of a tunnel as a credential of the service.

use crate::booted::machine::{eventually, processes, rights, sh};
use crate::house::{House, status_says};

const TOKEN: &str = "eyJhIjoic2VjcmV0LW9mLXRoZS1zdG9yeSJ9";
const CREDENTIAL: &str = "/run/credentials/maestro.service/tunnel-token";

pub fn the_token_of_a_tunnel_is_roots_alone_and_reaches_cloudflared_in_memory() {
    let house = House::new();
    let mode = format!("mode = \"token\"\nurl = \"https://hub.example.net\"\ntoken_file = \"{CREDENTIAL}\"");
    house.configure(&house.edge("{}", &mode));
    house.start();
    sh("maestroctl pair --no-wait --json").well();
    // Nobody has put it there yet: everything else works, and the status says what is missing.
    status_says("tunnel blocked (secret_empty)");

    sh(&format!(
        "umask 077; printf %s {TOKEN} >/etc/maestro/tunnel-token"
    ))
    .well();
    assert_eq!(rights("/etc/maestro/tunnel-token"), "root:root 600");
    sh("systemctl restart maestro").well();
    sh("maestroctl pair --no-wait --json").well();
    status_says("tunnel ready");

    let starts = house.edge_starts();
    let start = &starts.last().expect("a start")["argv"];
    assert!(
        start
            .to_string()
            .contains(&format!("\"--token-file\",\"{CREDENTIAL}\"")),
        "{start}"
    );
    let pid = processes("cloudflared")[0];
    sh(&format!(
        "runuser -u maestro -- cat /proc/{pid}/environ /proc/{pid}/cmdline | grep -c {TOKEN}"
    ))
    .ended(1);
    sh("runuser -u maestro -- cat /etc/maestro/tunnel-token 2>&1").ended(1);
    sh(&format!(
        "grep -rlF {TOKEN} /var/lib/maestro /var/log /run/maestro"
    ))
    .ended(1);
    sh("systemctl stop maestro").well();
    eventually("the copy is gone with the service", || {
        (!crate::house::exists(CREDENTIAL)).then_some(())
    });
}
