//! What the end of a redis means, from its exit and its last words (Redis 6.2 to 8, Valkey). Pure.

use std::path::Path;

use super::RedisParams;
use crate::supervisor::{Blocked, Exit, ExitReport, Fault};

/// Somebody else listens on our socket.
pub(super) fn foreign(socket: &Path, pid: i32) -> Blocked {
    let who = if pid > 0 {
        format!("process {pid}")
    } else {
        "another process".to_owned()
    };
    let remedy = format!(
        "{who} listens on {}, which is ours; nothing is sent to it. End that process and redis starts by itself",
        socket.display()
    );
    Blocked::new("foreign_redis", remedy)
}

/// Somebody else listens on our port.
pub(super) fn port_taken(port: u16) -> Blocked {
    let remedy = format!("127.0.0.1:{port} is in use; end the other server or choose another redis.port");
    Blocked::new("port_taken", remedy)
}

/// The disk is full.
pub(super) fn disk_full(dir: &Path) -> Blocked {
    let remedy = format!(
        "no space is left for {}; free some and redis starts by itself",
        dir.display()
    );
    Blocked::new("disk_full", remedy)
}

/// We may not write where we must.
pub(super) fn dir_unwritable(what: &Path, detail: &str) -> Blocked {
    let remedy = format!(
        "{} cannot be used ({detail}); make it a directory that maestrod may write",
        what.display()
    );
    Blocked::new("dir_unwritable", remedy)
}

/// The data cannot be read, and the repair did not help.
pub(super) fn data_corrupt(dir: &Path, detail: &str) -> Blocked {
    let dir = dir.display();
    let remedy = format!(
        "the append-only file in {dir} is damaged and could not be repaired ({detail}); the damaged files were copied \
         to {dir}/damaged-*. Restore a backup or move appendonlydir away, then `maestroctl start redis`"
    );
    Blocked::new("data_corrupt", remedy)
}

/// The meaning of an exit that nobody asked for.
pub(super) fn classify(report: &ExitReport, params: &RedisParams) -> Fault {
    let dir = params.state_dir.join("redis");
    let said = |words: &[&str]| {
        report
            .last_lines
            .iter()
            .rev()
            .find(|line| words.iter().any(|word| line.contains(word)))
    };
    match report.exit {
        Exit::Signal(_) => return Fault::transient("killed"),
        Exit::Unknown => return Fault::transient("exited"),
        Exit::Code(_) => {}
    }
    if let Some(line) = said(&[
        "Bad file format reading the append only file",
        "Unexpected end of file reading the append only file",
    ]) {
        return Fault::Repair {
            otherwise: data_corrupt(&dir, line),
        };
    }
    // With `appendfsync always` it ends at the first write that fails; a full disk is the cause to look for.
    if said(&["No space left on device", "Can't recover from AOF write error"]).is_some() {
        return Fault::Permanent(disk_full(&dir));
    }
    if said(&["FATAL CONFIG FILE ERROR"]).is_some() {
        let line = said(&[">>>"])
            .or(report.last_lines.last())
            .map_or("", String::as_str);
        let remedy = format!(
            "redis refuses its configuration ({line}); this is a bug of maestro or a redis older than 6.2"
        );
        return Fault::Permanent(Blocked::new("config_rejected", remedy));
    }
    if let (true, Some(tcp)) = (said(&["Address already in use"]).is_some(), params.tcp) {
        return Fault::Permanent(port_taken(tcp.port));
    }
    if let Some(line) = said(&[
        "Permission denied",
        "Read-only file system",
        "Can't open or create append-only dir",
        "Failed opening Unix socket",
    ]) {
        let what = if line.contains("Unix socket") {
            &params.run_dir
        } else {
            &dir
        };
        return Fault::Permanent(dir_unwritable(what, line));
    }
    Fault::transient("exited")
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::children::redis::Tcp;

    fn fault(exit: Exit, lines: &[&str]) -> Fault {
        let dir = PathBuf::from("/m");
        let params = RedisParams {
            tcp: Some(Tcp { port: 7001 }),
            ..RedisParams::new(dir.clone(), dir.clone(), dir)
        };
        let last_lines = lines.iter().map(|line| (*line).to_owned()).collect();
        classify(
            &ExitReport {
                exit,
                uptime: Duration::from_millis(9),
                last_lines,
            },
            &params,
        )
    }

    #[test]
    fn the_last_words_of_redis_tell_what_would_help() {
        let code = |line| {
            fault(Exit::Code(1), &["7:M 01 Jan Ready", line])
                .code()
                .into_owned()
        };
        assert_eq!(
            code("Bad file format reading the append only file appendonly.aof.1.incr.aof: make a backup"),
            "data_corrupt"
        );
        assert_eq!(
            code("Can't open or create append-only dir appendonlydir: No space left on device"),
            "disk_full"
        );
        assert_eq!(
            code("*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***"),
            "config_rejected"
        );
        assert_eq!(
            code(
                "Warning: Could not create server TCP listening socket 127.0.0.1:7001: bind: Address already in use"
            ),
            "port_taken"
        );
        assert_eq!(
            code("Can't open or create append-only dir appendonlydir: Permission denied"),
            "dir_unwritable"
        );
        assert_eq!(
            code("Failed opening Unix socket: bind: No such file or directory"),
            "dir_unwritable"
        );
        assert_eq!(code("User requested shutdown..."), "exited");
    }

    #[test]
    fn damaged_data_are_worth_one_repair() {
        let fault = fault(Exit::Code(1), &["Bad file format reading the append only file x"]);
        assert!(matches!(fault, Fault::Repair { otherwise } if otherwise.remedy.contains("damaged-*")));
    }

    #[test]
    fn a_signal_is_a_failure_whatever_was_said_before() {
        assert_eq!(
            fault(
                Exit::Signal(9),
                &["Bad file format reading the append only file x"]
            ),
            Fault::transient("killed")
        );
        assert_eq!(fault(Exit::Unknown, &[]), Fault::transient("exited"));
    }
}
