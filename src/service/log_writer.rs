//! Writing log lines without ever waiting for whoever reads them.
//!
//! A stopped terminal or a pipe nobody empties would otherwise stop the daemon at its next log line. Lines go through
//! a bounded queue to one thread; what does not fit is counted, and the count is written when there is room again.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait.
const LINES: usize = 1024;
/// The longest line that is kept whole.
const LONGEST: usize = 16 * 1024;

enum Job {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The near end of the queue. Clones share it.
#[derive(Clone, Debug)]
pub struct LogWriter {
    jobs: SyncSender<Job>,
    lost: Arc<AtomicU64>,
}

impl LogWriter {
    /// Starts the thread that writes to `to`.
    pub fn start(to: impl Write + Send + 'static) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let count = lost.clone();
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&queue, &count, to))?;
        Ok(Self { jobs, lost })
    }

    /// Waits until everything logged so far is written, at most for `limit`; `false` if the reader is stuck.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let (done, written) = sync_channel(1);
        let mut job = Job::Flush(done);
        loop {
            match self.jobs.try_send(job) {
                Ok(()) => {
                    return written
                        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                        .is_ok();
                }
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => job = back,
                Err(TrySendError::Full(_)) => return false,
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn write_all(queue: &Receiver<Job>, lost: &AtomicU64, mut to: impl Write) {
    // A log that cannot be written has nowhere to say so; the daemon goes on without it.
    for job in queue {
        match job {
            Job::Line(line) => {
                let _ = to.write_all(&line);
            }
            Job::Flush(done) => {
                let _ = to.flush();
                let _ = done.try_send(());
            }
        }
        let gap = lost.swap(0, Ordering::Relaxed);
        if gap > 0 {
            let _ = writeln!(
                to,
                "({gap} log lines lost here: whoever reads the log was too slow)"
            );
        }
    }
}

impl Write for LogWriter {
    /// Takes one whole line; the formatter hands over nothing less.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let kept = if line.len() > LONGEST {
            [&line[..LONGEST], b"\xe2\x80\xa6\n"].concat()
        } else {
            line.to_vec()
        };
        if self.jobs.try_send(Job::Line(kept)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Blocks until the gate opens, as a terminal does that was stopped with Ctrl-S.
    struct Gated {
        gate: Receiver<()>,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            self.text.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (SyncSender<()>, Arc<Mutex<Vec<u8>>>, LogWriter) {
        let (open, gate) = sync_channel(0);
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = LogWriter::start(Gated {
            gate,
            text: text.clone(),
        })
        .expect("a thread");
        (open, text, writer)
    }

    #[test]
    fn a_reader_that_stopped_costs_lines_and_never_time() {
        let (open, text, mut writer) = gated();
        let total = LINES * 2;
        for n in 0..total {
            writer
                .write_all(format!("{n}\n").as_bytes())
                .expect("never fails");
        }
        assert!(
            !writer.flush(Duration::from_millis(1)),
            "nothing can be written now"
        );
        drop(open); // the reader goes on
        assert!(writer.flush(Duration::from_secs(20)));
        let text = String::from_utf8(text.lock().expect("not poisoned").clone()).expect("text");
        let (gaps, lines): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('('));
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        let lost = total - lines.len();
        assert!(gaps[0].contains(&format!("({lost} log lines lost")), "{gaps:?}");
        assert!(
            lines.len() >= LINES
                && lines[..LINES]
                    .iter()
                    .enumerate()
                    .all(|(n, line)| *line == n.to_string())
        );
    }

    #[test]
    fn a_line_without_end_is_cut_off() {
        let (open, text, mut writer) = gated();
        drop(open);
        writer.write_all(&vec![b'x'; 10 * LONGEST]).expect("never fails");
        assert!(writer.flush(Duration::from_secs(20)));
        assert_eq!(text.lock().expect("not poisoned").len(), LONGEST + 4);
    }
}
