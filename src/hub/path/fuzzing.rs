//! What holds for the spelling of any request target: only the case of our own words and one slash at the end change,
//! and doing it again changes nothing more.

use axum::http::Uri;

use super::{WORDS, normalize};

pub(crate) fn path(bytes: &[u8]) {
    let Ok(written) = Uri::try_from(bytes) else { return };
    let mut meant = written.clone();
    if normalize(&mut meant).is_err() {
        assert!(written.path().contains('%'), "{written} has no escape to refuse");
        return;
    }
    assert_eq!(
        (meant.scheme(), meant.authority(), meant.query()),
        (written.scheme(), written.authority(), written.query()),
        "{written}"
    );
    let decoded = percent_encoding::percent_decode_str(meant.path()).decode_utf8();
    assert!(decoded.is_ok(), "{written} is no text");
    let (before, after) = (written.path(), meant.path());
    let before = before
        .strip_suffix('/')
        .filter(|trimmed| trimmed.len() == after.len())
        .unwrap_or(before);
    assert_eq!(
        before.split('/').count(),
        after.split('/').count(),
        "{written} became {meant}"
    );
    for (before, after) in before.split('/').zip(after.split('/')) {
        let is_word = after.eq_ignore_ascii_case(before) && WORDS.contains(&after);
        assert!(is_word || after == before, "{written} became {meant}");
    }
    let mut again = meant.clone();
    assert_eq!(normalize(&mut again), Ok(()));
    assert_eq!(again, meant, "{written}");
}
