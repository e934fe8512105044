//! What holds for any request target, in the order in which the door reads it: once an agent's token is taken off, no
//! reading finds another one; spelling the rest changes only the case of our own words and one slash at the end, and
//! doing it again changes nothing more; what is written down holds nothing that looks like a token.

use axum::http::Uri;

use crate::hub::identity::{Shown, masked, take};

use super::{WORDS, normalize};

/// Letters of a token.
const TOKEN: usize = 34;

pub(crate) fn path(bytes: &[u8]) {
    let Ok(written) = Uri::try_from(bytes) else { return };
    let written = token_taken(&written);
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
    assert_eq!(
        take(&mut again),
        Shown::Nothing,
        "{written} became a path with a token"
    );
    let logged = masked(meant.path());
    let runs = logged.split(|c| !matches!(c, 'a'..='p'));
    assert!(
        runs.into_iter().all(|run| run.len() < TOKEN),
        "{logged} is written down"
    );
}

/// What is left to be routed.
fn token_taken(written: &Uri) -> Uri {
    let mut left = written.clone();
    match take(&mut left) {
        Shown::Nothing => assert_eq!(left, *written),
        Shown::Token(token) => {
            assert!(token.bytes().all(|b| b.is_ascii_lowercase()) && !token.is_empty());
            let spelled = format!("/as/{token}{}", left.path());
            assert!(
                spelled == written.path() || spelled == format!("{}/", written.path()),
                "{written}"
            );
        }
        Shown::Nonsense => assert_eq!(left.path(), "/", "{written}"),
    }
    assert_eq!(
        (left.scheme(), left.authority(), left.query()),
        (written.scheme(), written.authority(), written.query()),
        "{written}"
    );
    let mut again = left.clone();
    assert_eq!(take(&mut again), Shown::Nothing, "{written} has two tokens");
    left
}
