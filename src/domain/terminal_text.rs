//! Text from outside that somebody will read or type into a terminal. A terminal obeys what it is shown: a sequence may
//! rename the window, write to the clipboard or end a paste, and a line break sends what stands before it. Words stay as
//! they are; whatever commands is taken out.

use std::{iter::Peekable, str::Chars};

/// `text` as it may be typed into a terminal: one line, without control characters and escape sequences. Line breaks
/// and tabs become a space, because there they would send and complete; at both ends they go.
pub fn for_terminal(text: &str) -> String {
    clean(text, Breaks::Join)
}

/// `text` as it may be read: like [`for_terminal`], but it keeps its lines and tabs. A carriage return, which would let
/// the end of a line hide its beginning, is a line break.
pub fn for_reading(text: &str) -> String {
    clean(text, Breaks::Keep)
}

type Rest<'a> = Peekable<Chars<'a>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Join,
    Keep,
}

fn clean(text: &str, breaks: Breaks) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                if c == '\r' && rest.peek() == Some(&'\n') {
                    continue; // the line feed speaks for both
                }
                match breaks {
                    Breaks::Keep => out.push(if c == '\t' { '\t' } else { '\n' }),
                    Breaks::Join => gap = true,
                }
            }
            c if c.is_control() => {
                let after = match c {
                    '\u{1b}' => after_escape(rest.clone()),
                    '\u{9b}' => after_csi(rest.clone()),
                    '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => after_string(rest.clone()),
                    _ => None,
                };
                // Of what is no whole sequence the rest stays: without its beginning it commands nothing.
                rest = after.unwrap_or(rest);
            }
            c if reorders(c) => {}
            c => {
                if std::mem::take(&mut gap) && !out.is_empty() {
                    out.push(' ');
                }
                out.push(c);
            }
        }
    }
    out
}

/// Changes the order in which what follows is shown, so that what is read is not what is typed.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows the whole sequence that an escape character begins (ECMA-35, ECMA-48).
fn after_escape(mut rest: Rest<'_>) -> Option<Rest<'_>> {
    match rest.next()? {
        '[' => after_csi(rest),
        'P' | 'X' | ']' | '^' | '_' => after_string(rest),
        ' '..='/' => {
            while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            rest.next_if(|c| matches!(c, '0'..='~'))?;
            Some(rest)
        }
        '0'..='~' => Some(rest),
        _ => None,
    }
}

fn after_csi(mut rest: Rest<'_>) -> Option<Rest<'_>> {
    while rest.next_if(|c| matches!(c, '0'..='?')).is_some() {}
    while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'))?;
    Some(rest)
}

/// The string ends at BEL or ST. Any other control character breaks it off, so that no text is looked through twice.
fn after_string(mut rest: Rest<'_>) -> Option<Rest<'_>> {
    while rest.next_if(|c| !c.is_control()).is_some() {}
    match rest.next()? {
        '\u{7}' | '\u{9c}' => Some(rest),
        '\u{1b}' => rest.next_if_eq(&'\\').map(|_| rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_commands_a_terminal_goes_and_the_words_stay() {
        for (dirty, clean) in [
            ("plain, ünïcödé 🦀 <b>&amp;", "plain, ünïcödé 🦀 <b>&amp;"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{9b}31mred", "red"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]52;c;cm0gLXJm\u{1b}\\b", "ab"),
            ("a\u{9d}0;title\u{9c}b", "ab"),
            ("a\u{1b}P1$r0m\u{1b}\\b", "ab"),
            ("yes\u{1b}[201~rm -rf", "yesrm -rf"),
            ("a\u{1b}(Bb\u{1b}cc", "abc"),
            (
                "bell\u{7} back\u{8} null\u{0} del\u{7f} c1\u{8d}",
                "bell back null del c1",
            ),
            ("ctrl\u{3}\u{4}\u{1a}", "ctrl"),
            ("user\u{202e}gpj.exe\u{202c} \u{2066}x\u{2069}", "usergpj.exe x"),
            ("", ""),
        ] {
            assert_eq!(for_terminal(dirty), clean, "{dirty:?}");
            assert_eq!(for_reading(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn typed_text_is_one_line_and_read_text_keeps_its_lines() {
        for (text, typed, read) in [
            ("yes\n", "yes", "yes\n"),
            ("\n\nyes", "yes", "\n\nyes"),
            ("one\r\ntwo", "one two", "one\ntwo"),
            ("one\rtwo", "one two", "one\ntwo"),
            ("one\n\n\ttwo  three", "one two  three", "one\n\n\ttwo  three"),
            ("one\u{2028}two\u{85}three", "one two three", "one\ntwo\nthree"),
            ("\r\n\t", "", "\n\t"),
        ] {
            assert_eq!(for_terminal(text), typed, "{text:?}");
            assert_eq!(for_reading(text), read, "{text:?}");
        }
    }

    #[test]
    fn of_a_sequence_without_an_end_only_its_beginning_goes() {
        for (text, clean) in [
            ("\u{1b}]0;never ended", "]0;never ended"),
            ("\u{1b}[12", "[12"),
            ("\u{1b}[1\u{1b}[31mx", "[1x"),
            ("\u{1b}", ""),
            ("\u{1b}\u{1b}\u{1b}[1mx", "x"),
            ("\u{1b}ä", "ä"),
        ] {
            assert_eq!(for_terminal(text), clean, "{text:?}");
        }
    }

    #[test]
    fn a_text_of_nothing_but_beginnings_is_read_in_one_pass() {
        // Were the rest looked through for each, this would take minutes.
        let hostile = "\u{1b}]".repeat(500_000);
        assert_eq!(for_terminal(&hostile).len(), 500_000);
    }

    proptest! {
        #[test]
        fn nothing_that_commands_is_left_and_a_clean_text_is_left_alone(
            text in "([ -~]|\u{1b}|\u{9b}|\u{7}|\\\\|\\[|\\]|\r|\n|\t|\\PC|\\p{Cc}){0,40}"
        ) {
            let (typed, read) = (for_terminal(&text), for_reading(&text));
            prop_assert!(!typed.chars().any(char::is_control), "{typed:?}");
            prop_assert!(!read.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{read:?}");
            prop_assert_eq!(for_terminal(&typed), typed.clone());
            prop_assert_eq!(for_reading(&read), read.clone());
            prop_assert_eq!(for_terminal(&read), typed);
        }
    }
}
