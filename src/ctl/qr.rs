//! A QR code in a terminal: two rows of modules a line, in colours of its own, so that it can be scanned from a dark
//! screen and from a light one.

use qrcode::{Color, EcLevel, QrCode};

use super::paint::Paint;

/// Light modules around it. The standard has four, of which a screen needs two.
const MARGIN: usize = 2;

/// The code for `text`, a line each; `None` if it is wider than `columns`, or the text too long for any.
pub fn lines(text: &str, columns: usize, paint: Paint) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width() + 2 * MARGIN;
    if width > columns {
        return None;
    }
    let dark = |x: usize, y: usize| {
        let inside = |n: usize| n.checked_sub(MARGIN).filter(|n| *n < code.width());
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => code[(x, y)] == Color::Dark,
            _ => false,
        }
    };
    let line = |row: usize| {
        let cell = |x| cell(dark(x, 2 * row), dark(x, 2 * row + 1), paint.is_colour());
        paint.ink_on_paper(&(0..width).map(cell).collect::<String>())
    };
    Some((0..width.div_ceil(2)).map(line).collect())
}

/// One character: the upper and the lower module. Where we may set colours, what is drawn is dark; else it is light,
/// because most terminals are dark.
fn cell(upper: bool, lower: bool, draws_dark: bool) -> char {
    match (upper == draws_dark, lower == draws_dark) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://some-words-that-are-random.trycloudflare.com/pair/7K3M9QXD";

    /// What a camera sees: the modules, read back from the characters.
    fn seen(lines: &[String], drawn_is_dark: bool) -> Vec<Vec<bool>> {
        let halves = |c: char| match c {
            '█' => (true, true),
            '▀' => (true, false),
            '▄' => (false, true),
            ' ' => (false, false),
            other => panic!("{other:?} is no module"),
        };
        let mut rows = Vec::new();
        for line in lines {
            let cells: Vec<_> = line.chars().map(halves).collect();
            rows.push(cells.iter().map(|cell| cell.0 == drawn_is_dark).collect());
            rows.push(cells.iter().map(|cell| cell.1 == drawn_is_dark).collect());
        }
        rows
    }

    #[test]
    fn the_characters_are_the_code_with_a_margin_on_every_side() {
        let code = QrCode::with_error_correction_level(URL, EcLevel::L).unwrap();
        let width = code.width() + 2 * MARGIN;
        let rows = seen(&lines(URL, 80, Paint::plain()).unwrap(), false);
        for (y, row) in rows.iter().enumerate().take(width) {
            assert_eq!(row.len(), width);
            for (x, dark) in row.iter().enumerate() {
                let inside = (MARGIN..MARGIN + code.width()).contains(&x)
                    && (MARGIN..MARGIN + code.width()).contains(&y);
                let meant = inside && code[(x - MARGIN, y - MARGIN)] == Color::Dark;
                assert_eq!(*dark, meant, "{x}, {y}");
            }
        }
    }

    #[test]
    fn on_a_terminal_it_brings_its_own_ink_and_paper() {
        let coloured = lines(URL, 80, Paint::coloured()).unwrap();
        let plain = lines(URL, 80, Paint::plain()).unwrap();
        let bare = |line: &String| {
            let inner = line.strip_prefix("\u{1b}[38;5;16;48;5;231m").unwrap();
            inner.strip_suffix("\u{1b}[0m").unwrap().to_owned()
        };
        let bare: Vec<String> = coloured.iter().map(bare).collect();
        assert_eq!(seen(&bare, true), seen(&plain, false));
    }

    #[test]
    fn a_usual_address_fits_a_usual_terminal_and_a_narrow_one_gets_none() {
        let code = lines(URL, 80, Paint::plain()).unwrap();
        assert!(code.len() <= 19, "{}", code.len());
        assert!(lines(URL, 30, Paint::plain()).is_none());
        assert!(lines(&"x".repeat(5000), 1000, Paint::plain()).is_none());
    }
}
