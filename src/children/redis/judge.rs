//! What an answer says about the child. Pure.

use std::{io, path::Path, time::Duration};

use super::{
    ends,
    resp::{Answer, Reply},
};
use crate::supervisor::{Facts, Outcome};

/// Loading may take 10 s, and a second more for every 20 MB of data.
fn loading_limit(bytes: u64) -> Duration {
    Duration::from_secs(10 + bytes / 20_000_000)
}

/// The verdict on an answer that should come from process `pid`.
pub(super) fn judge(
    answer: io::Result<Answer>,
    pid: i32,
    socket: &Path,
    data_bytes: impl FnOnce() -> u64,
) -> (Outcome, Facts) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(err) => return (Outcome::miss(unreachable_code(&err)), Facts::new()),
    };
    let info = match &answer.info {
        Ok(Reply::Text(info)) => info.as_str(),
        _ => "",
    };
    let says = field(info, "process_id").and_then(|pid| pid.parse::<i32>().ok());
    // Two witnesses: the kernel, and the server itself.
    if let Some(other) = [answer.peer, says]
        .into_iter()
        .flatten()
        .find(|other| *other != pid)
    {
        return (Outcome::Foreign(ends::foreign(socket, other)), Facts::new());
    }
    let outcome = match answer.ping {
        Ok(Reply::Text(text)) if text == "PONG" && says.is_some() => usable(info),
        Ok(Reply::Text(_)) => Outcome::miss("not_redis"),
        Ok(Reply::Error(error)) => refused(&error, data_bytes),
        Err(err) => Outcome::miss(unreachable_code(&err)),
    };
    (outcome, facts(info))
}

fn usable(info: &str) -> Outcome {
    match field(info, "aof_last_write_status") {
        Some("err") => Outcome::Impaired {
            code: "disk_full".into(),
        },
        _ => Outcome::Ok,
    }
}

fn refused(error: &str, data_bytes: impl FnOnce() -> u64) -> Outcome {
    match error.split(' ').next().unwrap_or_default() {
        "LOADING" => Outcome::Progress {
            allow: loading_limit(data_bytes()),
        },
        "MISCONF" => Outcome::Impaired {
            code: "disk_full".into(),
        },
        "OOM" => Outcome::Impaired {
            code: "out_of_memory".into(),
        },
        "BUSY" => Outcome::miss("busy"),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Outcome::miss("login_refused"),
        _ => Outcome::miss("unexpected_answer"),
    }
}

fn unreachable_code(err: &io::Error) -> &'static str {
    match err.kind() {
        io::ErrorKind::NotFound => "no_socket",
        io::ErrorKind::ConnectionRefused => "refused",
        _ => "connection_lost",
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim_end)
}

fn facts(info: &str) -> Facts {
    const SHOWN: &[(&str, &str)] = &[
        ("run_id", "run_id"),
        ("redis_version", "version"),
        ("valkey_version", "valkey_version"),
        ("used_memory", "used_memory"),
        ("connected_clients", "connected_clients"),
        ("db0", "db0"),
        ("db1", "db1"),
    ];
    let shown = SHOWN
        .iter()
        .filter_map(|(name, shown)| Some(((*shown).to_owned(), field(info, name)?.to_owned())));
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str =
        "# Server\r\nredis_version:7.0.15\r\nprocess_id:7\r\nrun_id:abc\r\naof_last_write_status:ok\r\n";

    fn verdict(ping: Reply, info: &str, peer: Option<i32>) -> Outcome {
        let answer = Answer {
            peer,
            ping: Ok(ping),
            info: Ok(Reply::Text(info.to_owned())),
        };
        judge(Ok(answer), 7, Path::new("/s"), || 100_000_000).0
    }

    fn pong() -> Reply {
        Reply::Text("PONG".into())
    }

    #[test]
    fn ready_is_a_pong_from_our_own_process() {
        assert_eq!(verdict(pong(), INFO, Some(7)), Outcome::Ok);
        assert_eq!(verdict(pong(), INFO, None), Outcome::Ok);
        assert!(
            matches!(verdict(pong(), INFO, Some(8)), Outcome::Foreign(_)),
            "the kernel names another listener"
        );
        let twin = INFO.replace("process_id:7", "process_id:8");
        assert!(
            matches!(verdict(pong(), &twin, Some(7)), Outcome::Foreign(_)),
            "the server names another process"
        );
        assert!(
            matches!(verdict(pong(), "", Some(7)), Outcome::Miss { .. }),
            "a pong alone is not enough"
        );
    }

    #[test]
    fn errors_are_starting_impaired_or_no_answer() {
        let error = |text: &str| verdict(Reply::Error(text.into()), INFO, Some(7));
        assert_eq!(
            error("LOADING wait"),
            Outcome::Progress {
                allow: Duration::from_secs(15)
            }
        );
        assert_eq!(
            error("MISCONF Errors writing to the AOF file"),
            Outcome::Impaired {
                code: "disk_full".into()
            }
        );
        assert_eq!(
            error("OOM command not allowed"),
            Outcome::Impaired {
                code: "out_of_memory".into()
            }
        );
        assert_eq!(error("BUSY Redis is busy"), Outcome::miss("busy"));
        assert_eq!(
            error("NOAUTH Authentication required."),
            Outcome::miss("login_refused")
        );
        let full = INFO.replace("status:ok", "status:err");
        assert_eq!(
            verdict(pong(), &full, Some(7)),
            Outcome::Impaired {
                code: "disk_full".into()
            }
        );
    }

    #[test]
    fn no_connection_is_a_miss_with_its_reason() {
        let err = |kind: io::ErrorKind| judge(Err(kind.into()), 7, Path::new("/s"), || 0).0;
        assert_eq!(err(io::ErrorKind::NotFound), Outcome::miss("no_socket"));
        assert_eq!(err(io::ErrorKind::ConnectionRefused), Outcome::miss("refused"));
    }

    #[test]
    fn the_operator_is_shown_version_and_run_id() {
        let answer = Answer {
            peer: None,
            ping: Ok(pong()),
            info: Ok(Reply::Text(INFO.into())),
        };
        let facts = judge(Ok(answer), 7, Path::new("/s"), || 0).1;
        assert_eq!(facts.get("run_id").map(String::as_str), Some("abc"));
        assert_eq!(facts.get("version").map(String::as_str), Some("7.0.15"));
    }
}
