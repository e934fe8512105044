//! Signals of the operator and the init system, as one stream of wishes. What a wish means is the daemon's business.

use std::io;

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// What somebody outside wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// TERM or INT: drain and stop.
    Stop,
    /// A further TERM or INT: stop at once.
    StopNow,
    /// HUP: read the configuration again. Also what a closed terminal sends; it never ends us.
    Reload,
    /// USR1: write a dump of the state to the log, and open log files again.
    Dump,
}

/// Turns signal numbers into wishes; the only state is whether a stop was asked for before.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    stopping: bool,
}

impl Reading {
    fn wish(&mut self, signal: i32) -> Option<Wish> {
        match signal {
            SIGTERM | SIGINT if self.stopping => Some(Wish::StopNow),
            SIGTERM | SIGINT => {
                self.stopping = true;
                Some(Wish::Stop)
            }
            SIGHUP => Some(Wish::Reload),
            SIGUSR1 => Some(Wish::Dump),
            _ => None,
        }
    }
}

/// The installed handlers. From then on these signals no longer end the process by themselves.
pub struct Signals {
    raw: signal_hook_tokio::Signals,
    reading: Reading,
}

impl Signals {
    /// Installs the handlers. Needs a running tokio runtime.
    pub fn install() -> io::Result<Self> {
        let raw = signal_hook_tokio::Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
        Ok(Self {
            raw,
            reading: Reading::default(),
        })
    }

    /// The next wish; waits for ever if nobody has one. Several equal signals may become one.
    pub async fn next(&mut self) -> Wish {
        loop {
            match self.raw.next().await {
                Some(signal) => {
                    if let Some(wish) = self.reading.wish(signal) {
                        return wish;
                    }
                }
                // The stream ends only when its handle is closed, which nobody holds.
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use signal_hook::low_level::raise;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn the_first_stop_drains_and_every_further_one_does_not() {
        let mut reading = Reading::default();
        let wishes =
            [SIGHUP, SIGTERM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, 0].map(|signal| reading.wish(signal));
        use Wish::*;
        let expected = [Reload, Stop, Reload, StopNow, StopNow, Dump].map(Some);
        assert_eq!(wishes[..6], expected);
        assert_eq!(wishes[6], None);
    }

    // One test only: signals are sent to the whole process.
    #[tokio::test]
    async fn real_signals_arrive_as_wishes_and_do_not_end_the_process() {
        let mut signals = Signals::install().expect("handlers can be installed");
        for (signal, wish) in [
            (SIGHUP, Wish::Reload),
            (SIGUSR1, Wish::Dump),
            (SIGTERM, Wish::Stop),
            (SIGINT, Wish::StopNow),
        ] {
            raise(signal).expect("raised");
            let heard = timeout(Duration::from_secs(20), signals.next()).await;
            assert_eq!(heard.expect("heard in time"), wish);
        }
    }
}
