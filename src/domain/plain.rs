//! Text that people send from elsewhere, made harmless: what a terminal would obey is taken out (SECURITY rule 16).

/// How far an escape sequence may go before it is taken for ordinary text again, in characters.
const LONGEST_SEQUENCE: usize = 4096;

/// `text` without terminal escapes, control characters and marks that turn the direction of reading around. Lines and
/// tabs stay; every kind of line end becomes `\n`.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_parameters(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\r' => {
                if !rest.as_str().starts_with('\n') {
                    out.push('\n');
                }
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{b}' | '\u{c}' => out.push('\n'),
            '\n' | '\t' => out.push(character),
            _ if character.is_control() || turns_direction(character) => {}
            _ => out.push(character),
        }
    }
    out
}

/// As [`plain`], on one line and without spaces around it: a line end that is typed into a terminal sends off what
/// stands before it.
pub fn one_line(text: &str) -> String {
    let text = plain(text);
    let lines = text.split(['\n', '\t']).map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// Embeddings, overrides and isolates: with them a text reads otherwise than it is.
fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows an ESC.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    let mut next = rest.clone();
    match next.next() {
        Some('[') => {
            *rest = next;
            skip_parameters(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = next;
            skip_string(rest);
        }
        // Intermediate bytes and one final one: `ESC ( B`.
        Some(' '..='/') => {
            *rest = next;
            while rest.as_str().starts_with(|c| matches!(c, ' '..='/')) {
                rest.next();
            }
            if rest.as_str().starts_with(|c| matches!(c, '0'..='~')) {
                rest.next();
            }
        }
        Some('0'..='~') => *rest = next,
        // A control character, or no sequence at all: looked at by itself.
        _ => {}
    }
}

/// The rest of a control sequence: parameters, intermediates, and one final character.
fn skip_parameters(rest: &mut std::str::Chars<'_>) {
    while rest.as_str().starts_with(|c| matches!(c, ' '..='?')) {
        rest.next();
    }
    if rest.as_str().starts_with(|c| matches!(c, '@'..='~')) {
        rest.next();
    }
}

/// The rest of a string for the terminal, such as a title: up to BEL or ST. One that never ends is no string.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    for _ in 0..LONGEST_SEQUENCE {
        match ahead.next() {
            Some('\u{7}' | '\u{9c}') => {
                *rest = ahead;
                return;
            }
            Some('\u{1b}') if ahead.as_str().starts_with('\\') => {
                ahead.next();
                *rest = ahead;
                return;
            }
            Some(_) => {}
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_gone_and_what_a_person_wrote_stays() {
        for (sent, kept) in [
            ("yes", "yes"),
            ("a\tb\nc", "a\tb\nc"),
            ("a\r\nb\rc\u{85}d\u{2028}e", "a\nb\nc\nd\ne"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[200~paste\u{1b}[201~", "paste"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}Pq#0\u{1b}\\x", "x"),
            ("\u{1b}(Bx\u{1b}cy\u{1b}=z", "xyz"),
            ("\u{9b}2Jx\u{9d}0;t\u{9c}y", "xy"),
            ("a\u{0}b\u{8}c\u{7f}d\u{3}e\u{4}", "abcde"),
            ("user\u{202e}nimda\u{202c}", "usernimda"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("\u{1b}]never ends", "never ends"),
            ("\u{1b}\u{1b}[1mx", "x"),
            ("grüße 👩‍👩‍👧 日本", "grüße 👩‍👩‍👧 日本"),
        ] {
            assert_eq!(plain(sent), kept, "{sent:?}");
        }
    }

    #[test]
    fn what_is_typed_is_one_line() {
        assert_eq!(one_line("  yes\r\n\r\n\tand no\n"), "yes and no");
        assert_eq!(one_line("\u{1b}[2J\n"), "");
    }

    proptest! {
        #[test]
        fn nothing_that_controls_a_terminal_passes(text in "([\u{0}-\u{ff}]|\u{1b}[\\[\\]P(]|\u{202e}|.){0,60}") {
            let clean = plain(&text);
            prop_assert!(clean.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{clean:?}");
            prop_assert_eq!(plain(&clean), clean.clone(), "cleaning is done once");
            prop_assert!(one_line(&text).chars().all(|c| !c.is_control()));
        }
    }
}
