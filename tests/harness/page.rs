//! What programs write into pages of docs/: it stands between `<!-- mark -->` and `<!-- /mark -->`.

use std::{fs, path::PathBuf};

/// What stands there now.
///
/// # Panics
/// When the page or its marks are not there.
pub fn recorded(page: &str, mark: &str) -> String {
    parts(page, mark).1
}

/// Puts something else there.
///
/// # Panics
/// When the page or its marks are not there, or it cannot be written.
pub fn record(page: &str, mark: &str, text: &str) {
    let (head, _, tail) = parts(page, mark);
    fs::write(path(page), format!("{head}{}\n{tail}", text.trim_end())).expect("docs can be written");
}

/// The page up to the end of the first mark, what is between, and the page from the second mark on.
fn parts(page: &str, mark: &str) -> (String, String, String) {
    let text = fs::read_to_string(path(page)).expect("the page is there");
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let begins = text.find(&begin).expect("the mark of the beginning") + begin.len();
    let ends = begins + text[begins..].find(&end).expect("the mark of the end");
    (
        text[..begins].into(),
        text[begins..ends].into(),
        text[ends..].into(),
    )
}

fn path(page: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)
}
