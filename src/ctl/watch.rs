//! `maestroctl status --watch` on a terminal: the status, full screen, as it changes.
//!
//! What is shown is what `status` prints. Each line is written over the old one and nothing is cleared first, so that
//! nothing flickers, over a slow line either; a terminal that can holds the picture back until it is whole.

use std::{
    io::{self, BufWriter, Read, Write, stdin, stdout},
    path::{Path, PathBuf},
    time::Duration,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    queue,
    style::Print,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
        EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

use crate::control::client::{Client, LineStream};
use crate::control::protocol::{ChildAct, Component, State, Status};

use super::{
    Context,
    exit::Exit,
    paint::Paint,
    status::{open_watch, render, verdict},
};

/// Before a daemon that is gone is looked for again.
const RETRY: Duration = Duration::from_millis(500);
/// Keys and notes that may wait.
const QUEUE: usize = 64;

/// Shows the status until somebody has seen enough. `lines`: where it comes from at first.
pub async fn run(context: &Context, lines: LineStream) -> Exit {
    match watch(context.socket(), lines).await {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("maestroctl: the terminal cannot be used: {error}");
            Exit::Degraded
        }
    }
}

async fn watch(socket: &Path, lines: LineStream) -> io::Result<Exit> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut told_to_end = signal(SignalKind::terminate())?;
    let terminal = Terminal::enter()?;
    let mut keys = keys();
    let (note, mut notes) = mpsc::channel(QUEUE);
    let mut source = Source {
        socket: socket.to_owned(),
        lines: Some(lines),
    };
    let mut screen = Screen::default();
    loop {
        terminal.draw(|height| screen.picture(height, Paint::for_stdout()))?;
        tokio::select! {
            status = source.next() => screen.hear(status),
            key = keys.recv() => match key.map(|key| screen.press(key)) {
                Some(Wish::Nothing) => {}
                Some(Wish::Act(child, act)) => {
                    let (note, socket) = (note.clone(), socket.to_owned());
                    tokio::spawn(async move {
                        let _over = note.send(carry_out(&socket, &child, act).await).await;
                    });
                }
                Some(Wish::End) | None => break,
            },
            Some(text) = notes.recv() => screen.note = Some(text),
            _ = resized.recv() => {}
            _ = told_to_end.recv() => break,
        }
    }
    drop(terminal);
    Ok(screen.exit())
}

async fn carry_out(socket: &Path, child: &str, act: ChildAct) -> String {
    let outcome = match Client::connect(socket).await {
        Ok(mut client) => client.act(child, act).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => format!("{} {child}: done", act.word()),
        Err(error) => format!("{} {child}: {error}", act.word()),
    }
}

/// The daemon's word, again and again, whoever it is by then.
struct Source {
    socket: PathBuf,
    lines: Option<LineStream>,
}

impl Source {
    /// The next status; `None` if there is nobody to tell one.
    async fn next(&mut self) -> Option<Status> {
        if self.lines.is_none() {
            sleep(RETRY).await;
            self.lines = open_watch(&self.socket).await.ok();
        }
        let next = self.lines.as_mut()?.next_json().await.ok().flatten();
        if next.is_none() {
            self.lines = None;
        }
        next
    }
}

/// The terminal while it is ours: left as it was found.
struct Terminal;

impl Terminal {
    fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        let entered = Self; // from here on it is given back
        queue!(stdout(), EnterAlternateScreen, DisableLineWrap, Hide)?;
        stdout().flush()?;
        Ok(entered)
    }

    fn draw(&self, picture: impl FnOnce(usize) -> Vec<String>) -> io::Result<()> {
        let (_, height) = size()?;
        let mut out = BufWriter::with_capacity(1 << 16, stdout().lock());
        queue!(out, BeginSynchronizedUpdate)?;
        for (row, line) in (0..height).zip(picture(usize::from(height))) {
            queue!(out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Should the terminal be gone, there is nothing to give back.
        let _ = queue!(stdout(), Show, EnableLineWrap, LeaveAlternateScreen);
        let _ = stdout().flush();
        let _ = disable_raw_mode();
    }
}

/// What somebody pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Quit,
    Restart,
    Yes,
    Other,
}

/// Keys as they are pressed. A thread of its own waits for them: it ends with the process.
fn keys() -> mpsc::Receiver<Key> {
    let (tx, rx) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        let mut bytes = [0; 32];
        while let Ok(count @ 1..) = stdin().lock().read(&mut bytes) {
            for key in parse(&bytes[..count]) {
                if tx.blocking_send(key).is_err() {
                    return;
                }
            }
        }
    });
    rx
}

/// What terminals send for keys: letters, or sequences that begin with escape.
fn parse(mut bytes: &[u8]) -> Vec<Key> {
    const SEQUENCES: [(&[u8], Key); 6] = [
        (b"\x1b[A", Key::Up),
        (b"\x1bOA", Key::Up),
        (b"\x1b[B", Key::Down),
        (b"\x1bOB", Key::Down),
        (b"\x1b[5~", Key::PageUp),
        (b"\x1b[6~", Key::PageDown),
    ];
    let mut keys = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        if first == b'\x1b' {
            let known = SEQUENCES.iter().find(|(sequence, _)| bytes.starts_with(sequence));
            keys.push(known.map_or(Key::Other, |(_, key)| *key));
            bytes = known.map_or(&[], |(sequence, _)| &bytes[sequence.len()..]);
            continue;
        }
        keys.push(match first {
            b'q' | b'Q' | 3 => Key::Quit, // 3: Ctrl-C
            b'k' => Key::Up,
            b'j' => Key::Down,
            b'b' => Key::PageUp,
            b' ' => Key::PageDown,
            b'r' => Key::Restart,
            b'y' => Key::Yes,
            _ => Key::Other,
        });
        bytes = rest;
    }
    keys
}

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    Act(String, ChildAct),
    End,
}

/// What is on the screen.
#[derive(Default)]
struct Screen {
    status: Option<Status>,
    /// The daemon does not answer; what is shown is old.
    lost: bool,
    /// The child that was chosen.
    chosen: Option<String>,
    /// Lines above the top of the screen.
    scrolled: usize,
    /// To be restarted, if somebody says yes.
    asked: Option<String>,
    /// What came of the last wish.
    note: Option<String>,
}

impl Screen {
    fn hear(&mut self, status: Option<Status>) {
        self.lost = status.is_none();
        self.status = status.or(self.status.take());
    }

    fn exit(&self) -> Exit {
        match &self.status {
            Some(_) if self.lost => Exit::NotRunning,
            Some(status) => verdict(status),
            None => Exit::NotRunning,
        }
    }

    /// Parts that can be restarted.
    fn children(&self) -> Vec<&str> {
        let parts = self.status.iter().flat_map(|status| &status.components);
        let child = |part: &&Component| part.reason.is_some() && part.state != State::Off;
        parts.filter(child).map(|part| part.name.as_str()).collect()
    }

    fn press(&mut self, key: Key) -> Wish {
        self.note = None;
        if let Some(child) = self.asked.take() {
            return match key {
                Key::Yes => Wish::Act(child, ChildAct::Restart),
                _ => Wish::Nothing,
            };
        }
        match key {
            Key::Quit => return Wish::End,
            Key::Up => self.choose(-1),
            Key::Down => self.choose(1),
            Key::PageUp => self.scrolled = self.scrolled.saturating_sub(10),
            Key::PageDown => self.scrolled += 10,
            Key::Restart if self.chosen.is_none() => self.note = Some("choose a child first: ↑ ↓".into()),
            Key::Restart => self.asked.clone_from(&self.chosen),
            Key::Yes | Key::Other => {}
        }
        Wish::Nothing
    }

    fn choose(&mut self, by: isize) {
        let children = self.children();
        let at = children
            .iter()
            .position(|name| Some(*name) == self.chosen.as_deref());
        let next = match at {
            Some(at) => at.saturating_add_signed(by).min(children.len().saturating_sub(1)),
            None => 0,
        };
        self.chosen = children.get(next).map(|name| (*name).to_owned());
    }

    /// The lines of a screen of this height, the last one for keys and questions.
    fn picture(&mut self, height: usize, paint: Paint) -> Vec<String> {
        let room = height.saturating_sub(1);
        let text = match &self.status {
            Some(status) => render(status, paint),
            None => "asking maestrod ...".to_owned(),
        };
        let mut lines: Vec<String> = text.lines().map(|line| self.marked(line, paint)).collect();
        self.scrolled = self.scrolled.min(lines.len().saturating_sub(room));
        let below = lines.len() - self.scrolled > room;
        lines.drain(..self.scrolled);
        lines.resize(room, String::new());
        lines.push(paint.inverse(&format!(" {} ", self.bar(below))));
        lines.truncate(height);
        lines
    }

    /// A line, seen to be chosen if it is.
    fn marked(&self, line: &str, paint: Paint) -> String {
        let name = self.chosen.as_deref().filter(|name| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(' '))
        });
        match name {
            Some(name) if paint.is_colour() => paint.inverse(name) + &line[name.len()..],
            Some(name) => format!("{name}>{}", &line[name.len() + 1..]),
            None => line.to_owned(),
        }
    }

    fn bar(&self, below: bool) -> String {
        if let Some(child) = &self.asked {
            return format!("restart {child}? y: yes, any other key: no");
        }
        let lost = self.lost.then_some("maestrod does not answer; waiting for it");
        let more = below.then_some("space: more");
        let hints = "↑ ↓: choose a child   r: restart it   q: leave";
        let said = [self.note.as_deref(), lost, more, Some(hints)];
        said.into_iter().flatten().collect::<Vec<_>>().join("   ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> Screen {
        let part = |name: &str, state, reason: Option<&str>| Component {
            name: name.into(),
            state,
            reason: reason.map(str::to_owned),
            ..Component::default()
        };
        let status = Status {
            components: vec![
                part("hub", State::Ready, None),
                part("redis", State::Ready, Some("probe_ok")),
                part("tunnel", State::Backoff, Some("exited")),
            ],
            ..Status::default()
        };
        let mut screen = Screen::default();
        screen.hear(Some(status));
        screen
    }

    #[test]
    fn keys_are_letters_and_what_terminals_send_for_arrows() {
        assert_eq!(parse(b"\x1b[B\x1bOAr"), [Key::Down, Key::Up, Key::Restart]);
        assert_eq!(parse(b"q\x03"), [Key::Quit, Key::Quit]);
        assert_eq!(
            parse(b"\x1b[99;99"),
            [Key::Other],
            "an unknown sequence is no letter"
        );
    }

    #[test]
    fn a_child_is_chosen_asked_about_and_restarted_only_with_a_yes() {
        let mut screen = screen();
        assert_eq!(screen.press(Key::Restart), Wish::Nothing, "nothing is chosen yet");
        screen.press(Key::Down);
        screen.press(Key::Down);
        screen.press(Key::Down);
        assert_eq!(screen.chosen.as_deref(), Some("tunnel"), "the last one");
        screen.press(Key::Up);
        screen.press(Key::Restart);
        assert_eq!(screen.press(Key::Other), Wish::Nothing, "no");
        screen.press(Key::Restart);
        assert_eq!(
            screen.press(Key::Yes),
            Wish::Act("redis".into(), ChildAct::Restart)
        );
        assert_eq!(screen.press(Key::Yes), Wish::Nothing, "once");
    }

    #[test]
    fn a_picture_fills_the_screen_exactly_and_can_be_scrolled_to_its_end() {
        let mut screen = screen();
        let whole = screen.picture(40, Paint::plain());
        assert_eq!(whole.len(), 40);
        let small = screen.picture(5, Paint::plain());
        assert!(small.len() == 5 && small[4].contains("space: more"), "{small:?}");
        for _ in 0..9 {
            screen.press(Key::PageDown);
        }
        let end = screen.picture(5, Paint::plain());
        assert!(end[3].starts_with("version"), "{end:?}");
        assert!(!end[4].contains("more"), "{end:?}");
        assert_eq!(screen.picture(0, Paint::plain()).len(), 0);
    }

    #[test]
    fn a_daemon_that_is_gone_is_said_to_be_and_what_it_said_last_stays() {
        let mut screen = screen();
        screen.hear(None);
        let seen = screen.picture(30, Paint::plain()).join("\n");
        assert!(
            seen.contains("does not answer") && seen.contains("redis"),
            "{seen}"
        );
        assert_eq!(screen.exit(), Exit::NotRunning);
    }
}
