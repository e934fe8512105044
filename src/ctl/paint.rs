//! How things look on a terminal: colours only there, and never against `NO_COLOR`; times and sizes for people.

use std::{
    env,
    io::{IsTerminal, stdout},
};

/// A meaning that a colour may underline; the words carry it alone too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Less important.
    Quiet,
    /// A heading.
    Strong,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    /// For standard output.
    pub fn for_stdout() -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        Self {
            colour: wanted(
                env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
                set("CLICOLOR_FORCE"),
                stdout().is_terminal(),
            ),
        }
    }

    /// Never colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { colour: false }
    }

    /// Always colours.
    #[cfg(test)]
    pub fn coloured() -> Self {
        Self { colour: true }
    }

    /// True if colours may be used.
    pub fn is_colour(self) -> bool {
        self.colour
    }

    /// `text` in black on white, whatever the terminal's own colours are.
    pub fn ink_on_paper(self, text: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[38;5;16;48;5;231m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    /// `text` with ink and paper exchanged.
    pub fn inverse(self, text: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[7m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    /// `text` in a tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The rule of no-color.org and bixense.com/clicolors: a no wins, then a yes, then what is at the other end.
fn wanted(forbidden: bool, forced: bool, terminal: bool) -> bool {
    !forbidden && (forced || terminal)
}

/// A span of time in its two largest units: `3 d 4 h`, `12 min 5 s`, `0.4 s`.
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{:.1} s", ms as f64 / 1000.0),
        1..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

/// The same, between two instants in milliseconds since the epoch; never negative.
pub fn between(from: i64, to: i64) -> String {
    span(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_to_colours_wins_over_a_yes_and_a_yes_over_a_pipe() {
        assert!(wanted(false, false, true) && wanted(false, true, false));
        assert!(!wanted(true, true, true) && !wanted(false, false, false));
    }

    #[test]
    fn spans_read_as_people_say_them() {
        for (ms, text) in [
            (40, "0.0 s"),
            (400, "0.4 s"),
            (59_999, "59 s"),
            (125_000, "2 min 5 s"),
            (7_260_000, "2 h 1 min"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(span(277_200_000), "3 d 5 h");
        assert_eq!(between(5, 0), "0.0 s");
    }
}
