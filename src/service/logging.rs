//! The log: journald with fields under systemd, text or JSON on standard error everywhere else.
//!
//! No secret is filtered here: nobody may log one in the first place.

use std::{
    error::Error,
    fmt::{self, Display},
    io::{self, IsTerminal},
    path::Path,
    time::Duration,
};

use nix::sys::stat::fstat;
use tracing::{Subscriber, subscriber::set_global_default};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::ParseError,
    layer::{Layered, SubscriberExt},
    reload,
};

use super::{log_file::LogFile, log_writer::LogWriter, recent::Recent};

/// How the log should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The journal if standard error is the journal, else text.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
    /// The journal, whatever standard error is.
    Journald,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the journal, with fields.
    Journal,
    /// To standard error, one JSON object a line.
    Json,
    /// To standard error as text, coloured on a terminal.
    Text { colour: bool },
}

impl Destination {
    /// The rule.
    fn choose(format: Format, is_journal: bool, is_terminal: bool) -> Self {
        match format {
            Format::Journald => Self::Journal,
            Format::Auto if is_journal => Self::Journal,
            Format::Json => Self::Json,
            Format::Auto | Format::Text => Self::Text { colour: is_terminal },
        }
    }
}

/// Why there is no log, or why it cannot change.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("`{filter}` is no log level")]
    Filter { filter: String, source: ParseError },
    #[error("the log was started before")]
    Twice,
    #[error("the log writer cannot start")]
    Writer(#[source] io::Error),
}

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;

/// The running log.
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    writer: LogWriter,
    /// Its newest lines.
    pub recent: Recent,
    /// Where it goes; not always where it was meant to (no journal).
    pub destination: Destination,
}

impl Logging {
    /// Starts the log of this process; `filter` as in `info,maestro::hub=debug`. `own`: a directory
    /// for a file of our own, within bounds, if standard error leads to a plain file that nobody rotates.
    pub fn start(format: Format, filter: &str, own: Option<&Path>) -> Result<Self, LoggingError> {
        let own = own.filter(|_| stderr_is_file()).map(LogFile::open);
        let (writer, no_file) = match own {
            Some(Ok(file)) => {
                // What is said before the log is open, and nothing of earlier starts.
                let _ = nix::unistd::ftruncate(io::stderr(), 0);
                (LogWriter::start(file), None)
            }
            Some(Err(error)) => (LogWriter::start(io::stderr()), Some(error)),
            None => (LogWriter::start(io::stderr()), None),
        };
        let writer = writer.map_err(LoggingError::Writer)?;
        let is_terminal = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let wanted = Destination::choose(format, stderr_is_journal(), is_terminal);
        let (subscriber, logging) = build(wanted, filter, writer)?;
        set_global_default(subscriber).map_err(|_| LoggingError::Twice)?;
        log_panics();
        if let Some(error) = no_file {
            tracing::warn!(%error, "no log file of our own: logging to standard error, which nobody rotates");
        }
        if logging.destination != wanted {
            tracing::warn!("there is no journal here: logging to standard error");
        }
        Ok(logging)
    }

    /// Changes how much is logged, from now on.
    pub fn set_filter(&self, filter: &str) -> Result<(), LoggingError> {
        let filter = parse(filter)?;
        self.filter.reload(filter).map_err(|_| LoggingError::Twice) // only if the subscriber is gone
    }

    /// Waits until everything is written, for at most `limit`. The last call before an exit.
    pub fn flush(&self, limit: Duration) {
        self.writer.flush(limit);
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LoggingError> {
    let builder = EnvFilter::builder().with_regex(false);
    builder.parse(filter).map_err(|source| LoggingError::Filter {
        filter: filter.to_owned(),
        source,
    })
}

fn build(
    wanted: Destination,
    filter: &str,
    writer: LogWriter,
) -> Result<(impl Subscriber + Send + Sync + 'static, Logging), LoggingError> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let (output, destination) = output(wanted, writer.clone());
    let recent = Recent::default();
    let kept = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(recent.clone());
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(output)
        .with(kept);
    Ok((
        subscriber,
        Logging {
            filter: handle,
            writer,
            recent,
            destination,
        },
    ))
}

fn output(wanted: Destination, writer: LogWriter) -> (Box<dyn Layer<Filtered> + Send + Sync>, Destination) {
    let fmt = || tracing_subscriber::fmt::layer().with_writer(writer.clone());
    match wanted {
        Destination::Journal => match tracing_journald::layer() {
            Ok(journal) => {
                let journal = journal.with_field_prefix(Some("MAESTRO".into()));
                let journal = journal.with_priority_mappings(priorities());
                (journal.with_syslog_identifier("maestrod".into()).boxed(), wanted)
            }
            Err(_) => output(Destination::Text { colour: false }, writer),
        },
        Destination::Json => (
            fmt().json().flatten_event(true).with_span_list(false).boxed(),
            wanted,
        ),
        Destination::Text { colour } => (fmt().with_ansi(colour).boxed(), wanted),
    }
}

/// As other services use them: `journalctl -p warning` shows what is wrong, `-p info` what happens.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }
}

/// What a line on standard error begins with to be an error in the journal, where the journal reads it.
pub fn error_mark() -> &'static str {
    if stderr_is_journal() { "<3>" } else { "" }
}

/// True if standard error ends in a plain file.
fn stderr_is_file() -> bool {
    fstat(io::stderr()).is_ok_and(|facts| facts.st_mode & libc::S_IFMT == libc::S_IFREG)
}

/// True if standard error is the very stream that the manager says leads to the journal: a redirected one is not.
fn stderr_is_journal() -> bool {
    let told = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    match fstat(io::stderr()) {
        Ok(facts) => is_stream(&told, facts.st_dev, facts.st_ino),
        Err(_) => false,
    }
}

/// The numbers have other types on other systems; their digits are the same.
fn is_stream(told: &str, device: impl Display, inode: impl Display) -> bool {
    told == format!("{device}:{inode}")
}

/// A panic ends one task or connection, and nobody watches standard error for it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("without a message");
        tracing::error!(place, "panic: {message}");
    }));
}

/// An error with everything that caused it, on one line. Errors of ours do not repeat their source in their text.
#[derive(Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        path::Path,
        sync::{Arc, Mutex},
    };

    use serde_json::Value as Json;
    use tracing::{debug, info, subscriber::with_default};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written when `story` runs with a log of that kind.
    fn logged(destination: Destination, filter: &str, story: impl FnOnce(&Logging)) -> String {
        let page = Page::default();
        let writer = LogWriter::start(page.clone()).expect("a thread");
        let (subscriber, logging) = build(destination, filter, writer).expect("a valid filter");
        with_default(subscriber, || story(&logging));
        assert!(logging.writer.flush(Duration::from_secs(20)));
        let bytes = page.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    const PLAIN: Destination = Destination::Text { colour: false };

    #[test]
    fn lines_go_to_the_journal_only_if_it_reads_us() {
        use Destination::*;
        assert_eq!(Destination::choose(Format::Auto, true, false), Journal);
        assert_eq!(
            Destination::choose(Format::Auto, false, true),
            Text { colour: true }
        );
        assert_eq!(Destination::choose(Format::Auto, false, false), PLAIN);
        assert_eq!(Destination::choose(Format::Text, true, false), PLAIN);
        assert_eq!(Destination::choose(Format::Json, true, true), Json);
        assert_eq!(Destination::choose(Format::Journald, false, true), Journal);
    }

    #[test]
    fn the_journals_stream_is_known_by_device_and_inode() {
        assert!(is_stream("8:4711", 8, 4711));
        assert!(!is_stream("8:4711", 8, 4712));
        assert!(!is_stream("9:4711", 8, 4711));
        for told in ["", "8", "8:", ":4711", "a:b", "8:4711:1"] {
            assert!(!is_stream(told, 8, 4711), "{told:?}");
        }
    }

    #[test]
    fn the_level_can_change_while_we_run() {
        let text = logged(PLAIN, "info", |logging| {
            debug!("before");
            logging.set_filter("debug").expect("a level");
            debug!("after");
            assert!(logging.set_filter("loud=louder").is_err());
            debug!("still");
        });
        assert!(
            !text.contains("before") && text.contains("after") && text.contains("still"),
            "{text}"
        );
    }

    #[test]
    fn json_has_one_object_a_line_with_the_fields_of_the_event() {
        let text = logged(Destination::Json, "info", |_| {
            info!(child = "redis", pid = 7, "ready");
            info!("second\nline");
        });
        let lines: Vec<Json> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "ready");
        assert_eq!(
            (&lines[0]["child"], &lines[0]["pid"]),
            (&"redis".into(), &7.into())
        );
        assert_eq!(lines[0]["level"], "INFO");
    }

    #[test]
    fn text_has_no_colours_unless_it_goes_to_a_terminal() {
        let colours =
            |colour| logged(Destination::Text { colour }, "info", |_| info!("hello")).contains('\u{1b}');
        assert!(!colours(false));
        assert!(colours(true));
    }

    #[test]
    fn without_a_journal_the_lines_still_go_somewhere() {
        let mut went = Destination::Journal;
        let text = logged(Destination::Journal, "info", |logging| {
            went = logging.destination;
            info!("hello");
        });
        assert_eq!(text.contains("hello"), went != Destination::Journal);
        assert_eq!(
            went == Destination::Journal,
            Path::new("/run/systemd/journal/socket").exists()
        );
    }

    #[test]
    fn an_error_is_shown_with_all_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the store")]
        struct Store(#[source] io::Error);
        let error = Store(io::Error::other("disk full"));
        assert_eq!(Chain(&error).to_string(), "cannot open the store: disk full");
    }
}
