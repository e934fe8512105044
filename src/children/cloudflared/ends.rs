//! What the end of a cloudflared means, from its exit and its last words (texts of 2025.4 to 2026.8). Pure.

use std::{path::Path, time::Duration};

use crate::supervisor::{Blocked, Exit, ExitReport, Fault};

/// An exit before this says that it never got to work.
const AT_ONCE: Duration = Duration::from_secs(2);

/// We may not write where we must.
pub(super) fn unwritable(dir: &Path, err: &std::io::Error) -> Blocked {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let dir = dir.display();
    match err.kind() {
        StorageFull | QuotaExceeded => Blocked::new(
            "disk_full",
            format!("no space is left for {dir}; free some and the tunnel starts by itself"),
        ),
        _ => Blocked::new(
            "dir_unwritable",
            format!("{dir} cannot be used ({err}); make it a directory that maestrod may write"),
        ),
    }
}

/// Somebody else answers on the port we chose for its metrics.
pub(super) fn foreign_metrics(port: u16) -> Blocked {
    Blocked::new(
        "foreign_metrics",
        format!(
            "another program answers on 127.0.0.1:{port}; the tunnel starts again with another port by itself"
        ),
    )
}

/// The meaning of an exit that nobody asked for. `quick`: a quick tunnel, which asks Cloudflare for a name first.
pub(super) fn classify(report: &ExitReport, quick: bool) -> Fault {
    let said = |words: &[&str]| {
        let is_it = |line: &&String| words.iter().all(|word| line.contains(word));
        report.last_lines.iter().rev().find(is_it)
    };
    let any = |phrases: &[&str]| phrases.iter().find_map(|phrase| said(&[phrase]));
    let status = match report.exit {
        Exit::Signal(_) => return Fault::transient("killed"),
        Exit::Unknown => return Fault::transient("exited"),
        Exit::Code(status) => status,
    };
    let last = || report.last_lines.last().map_or("", String::as_str);
    match status {
        0 if any(&["flag provided but not defined", "Incorrect Usage", "USAGE:"]).is_some() => {
            return Fault::Permanent(Blocked::new(
                "flags_refused",
                "this cloudflared does not know an option that maestro needs (--token-file, --output); upgrade it and \
                 the tunnel starts by itself",
            ));
        }
        0 if report.uptime < AT_ONCE => return Fault::transient("exit_0_at_once"),
        0 => return Fault::transient("exited"),
        10 | 11 => return Fault::transient("self_update"),
        255 => return Fault::Permanent(refused(last())),
        _ => {}
    }
    if said(&["address already in use", "metrics"]).is_some() {
        return Fault::RetryNow {
            code: "metrics_port_taken".into(),
        };
    }
    if quick && any(&RATE_LIMITED).is_some() {
        return Fault::transient("rate_limited");
    }
    let lookup = any(&[
        "Could not lookup srv records",
        "no such host",
        "server misbehaving",
        "Temporary failure in name resolution",
    ]);
    if lookup.is_some() || said(&["lookup ", "i/o timeout"]).is_some() {
        return Fault::transient("dns_dead");
    }
    if any(&["failed to request quick Tunnel"]).is_some() {
        return Fault::transient("quick_unreachable");
    }
    if any(&["initial tunnel connection failed"]).is_some() {
        return Fault::transient("registration_refused");
    }
    if let Some(line) = any(&CONFIGURATION) {
        return Fault::Permanent(refused(line));
    }
    Fault::transient("exited")
}

/// How a refusal for being asked too often looks: the service answers 429 with something that is no tunnel, and the program
/// stumbles over that (cloudflare/cloudflared#972). An outage of the service looks alike; then patience is right too.
const RATE_LIMITED: [&str; 6] = [
    "failed to unmarshal quick Tunnel",
    "failed to parse quick Tunnel ID",
    "error code: 1015",
    "status_code=\"429",
    "429 Too Many Requests",
    "\"code\":1015",
];

/// What another try cannot cure.
const CONFIGURATION: [&str; 10] = [
    "Provided Tunnel token is not valid",
    "Tunnel credentials file",
    "tunnel credentials file",
    "credentials file",
    "The last ingress rule must match",
    "error parsing",
    "Error validating ingress",
    "grace-period must be",
    "error parsing YAML",
    "Cannot determine default configuration path",
];

fn refused(line: &str) -> Blocked {
    let line = one_line(line);
    let remedy = format!(
        "cloudflared refuses what it was given ({line}); look at tunnel.token_file, tunnel.credentials_file and \
         tunnel.tunnel_id, or run `maestroctl tunnel setup` again; it is tried again when one of them changes"
    );
    Blocked::new("config_refused", remedy)
}

/// So much of what it said as fits into a sentence. It is shown in terminals, which obey what they are shown.
fn one_line(said: &str) -> String {
    let commands = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let shown = |c| if commands(c) { '\u{fffd}' } else { c };
    said.chars().take(200).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_after(exit: Exit, uptime: u64, lines: &[&str], quick: bool) -> Fault {
        let report = ExitReport {
            exit,
            uptime: Duration::from_millis(uptime),
            last_lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        classify(&report, quick)
    }

    fn code(status: i32, lines: &[&str]) -> String {
        fault_after(Exit::Code(status), 700, lines, true)
            .code()
            .into_owned()
    }

    #[test]
    fn a_rate_limit_is_known_by_the_ways_cloudflared_stumbles_over_it() {
        for line in [
            "failed to unmarshal quick Tunnel: invalid character 'e' looking for beginning of value",
            "failed to parse quick Tunnel ID: invalid UUID length: 0",
            "Error unmarshaling QuickTunnel response: error code: 1015",
            "2026-11-22T12:51:38Z ERR status_code=\"429 Too Many Requests\"",
        ] {
            assert_eq!(
                code(1, &["Requesting new quick Tunnel on trycloudflare.com...", line]),
                "rate_limited"
            );
        }
        let named = fault_after(Exit::Code(1), 9, &["failed to unmarshal quick Tunnel"], false);
        assert_eq!(named.code(), "exited", "a named tunnel asks for no name");
    }

    #[test]
    fn a_dead_dns_is_told_apart_from_a_service_that_is_away() {
        assert_eq!(
            code(
                1,
                &["Could not lookup srv records on _v2-origintunneld._tcp.argotunnel.com: x"]
            ),
            "dns_dead"
        );
        let request =
            "failed to request quick Tunnel: Post \"https://api.trycloudflare.com/tunnel\": dial tcp: ";
        let lookup = format!("{request}lookup api.trycloudflare.com: no such host");
        assert_eq!(code(1, &[&lookup]), "dns_dead");
        let slow = format!("{request}lookup api.trycloudflare.com on 10.0.0.1:53: read udp: i/o timeout");
        assert_eq!(code(1, &[&slow]), "dns_dead");
        let refused = format!("{request}connect: connection refused");
        assert_eq!(code(1, &[&refused]), "quick_unreachable");
    }

    #[test]
    fn exit_zero_is_a_failure_and_a_flag_it_does_not_know_needs_another_program() {
        assert_eq!(code(0, &[]), "exit_0_at_once");
        assert_eq!(fault_after(Exit::Code(0), 60_000, &[], true).code(), "exited");
        let usage = [
            "Incorrect Usage: flag provided but not defined: -token-file",
            "USAGE:",
        ];
        assert!(matches!(
            fault_after(Exit::Code(0), 50, &usage, false),
            Fault::Permanent(why) if why.code == "flags_refused"
        ));
    }

    #[test]
    fn what_is_wrong_with_the_configuration_blocks() {
        for (status, line) in [
            (255, "Provided Tunnel token is not valid."),
            (255, "anything"),
            (
                1,
                "Tunnel credentials file '/x.json' doesn't exist or is not a file",
            ),
            (
                1,
                "Couldn't start tunnel error=\"The last ingress rule must match all URLs\"",
            ),
        ] {
            let fault = fault_after(Exit::Code(status), 100, &[line], false);
            assert!(
                matches!(&fault, Fault::Permanent(why) if why.code == "config_refused" && why.remedy.contains(line)),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn its_words_command_no_terminal_of_whoever_reads_the_remedy() {
        let line = "error parsing \u{1b}]0;owned\u{7} tunnel ID\rall is well";
        let fault = fault_after(Exit::Code(1), 100, &[line], false);
        let Fault::Permanent(why) = fault else {
            panic!("it blocks");
        };
        assert!(!why.remedy.contains(char::is_control), "{:?}", why.remedy);
        assert!(
            why.remedy.contains("tunnel ID\u{fffd}all is well"),
            "{}",
            why.remedy
        );
    }

    #[test]
    fn a_metrics_port_that_was_taken_is_nobodys_failure() {
        let line =
            "Error opening metrics server listener: listen tcp 127.0.0.1:20241: bind: address already in use";
        assert!(matches!(
            fault_after(Exit::Code(1), 100, &[line], true),
            Fault::RetryNow { code } if code == "metrics_port_taken"
        ));
    }

    #[test]
    fn the_other_ends_have_names_of_their_own() {
        assert_eq!(
            code(1, &["initial tunnel connection failed"]),
            "registration_refused"
        );
        assert_eq!(code(11, &[]), "self_update");
        assert_eq!(code(1, &["something new"]), "exited");
        assert_eq!(
            fault_after(Exit::Signal(11), 9, &["error code: 1015"], true).code(),
            "killed"
        );
        assert_eq!(fault_after(Exit::Unknown, 9, &[], true).code(), "exited");
    }
}
