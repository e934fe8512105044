//! The token an agent's client shows without knowing: its server URL is `http://…/as/<token>`, so every path it asks
//! for begins with it. Here it is taken off, before anything routes or logs the path. It does not decide whose it is.

use std::borrow::Cow;

use axum::http::{Uri, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

use crate::domain::AGENT_SEGMENT;

/// A segment of so many letters is taken for a token when a path is shown: no id of ours looks like that.
const TOKEN_LIKE: usize = 34;

/// What a path shows of who asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A token, of whatever worth.
    Token(String),
    /// It begins as if there were a token, but there is none, or more than one.
    Nonsense,
}

/// Takes the token off: what is left of `uri` is what the client asks for, and holds no token.
///
/// There is one spelling of the prefix. Whatever else would be read as it (another case, escapes, more slashes, a second
/// one behind the first) is nonsense and not a path of its own, so that nobody passes as unproved who meant to prove
/// something.
pub fn take(uri: &mut Uri) -> Shown {
    let path = uri.path();
    if !is_ours(path) {
        return Shown::Nothing;
    }
    let (shown, rest) = match split(path) {
        Some((token, rest)) => (Shown::Token(token.to_owned()), rest),
        None => (Shown::Nonsense, "/"),
    };
    let rest = match uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    // The end of a path, from a slash on, is a path.
    let rest = PathAndQuery::try_from(rest).unwrap_or(PathAndQuery::from_static("/"));
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(rest);
    *uri = Uri::from_parts(parts).unwrap_or_default();
    shown
}

fn is_ours(path: &str) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty());
    first.is_some_and(|segment| {
        let segment = percent_decode_str(segment).decode_utf8_lossy();
        segment.eq_ignore_ascii_case(AGENT_SEGMENT)
    })
}

fn split(path: &str) -> Option<(&str, &str)> {
    let after = path
        .strip_prefix('/')?
        .strip_prefix(AGENT_SEGMENT)?
        .strip_prefix('/')?;
    let (token, rest) = match after.find('/') {
        Some(end) => after.split_at(end),
        None => (after, "/"),
    };
    let legal = !token.is_empty() && token.bytes().all(|b| b.is_ascii_lowercase());
    (legal && !is_ours(rest)).then_some((token, rest))
}

/// `path` as it may be written down: wherever a token stands in it, or where one is meant, it is not shown.
pub fn masked(path: &str) -> Cow<'_, str> {
    // What is no letter parts the words of a segment, escapes included.
    let is_secret = |segment: &str| {
        segment
            .split(|c| !matches!(c, 'a'..='p'))
            .any(|word| word.len() >= TOKEN_LIKE)
    };
    let (mut masked, mut announced) = (false, false);
    let segments = path.split('/').map(|segment| {
        let is_empty = segment.is_empty();
        let hide = is_secret(segment) || (announced && !is_empty);
        // However many slashes stand between the prefix and what it announces.
        announced = announces(segment) || (announced && is_empty);
        masked |= hide;
        if hide { "***" } else { segment }
    });
    let shown = segments.collect::<Vec<_>>().join("/");
    match masked {
        true => Cow::Owned(shown),
        false => Cow::Borrowed(path),
    }
}

/// Somebody may mean that a token follows: the prefix in any case, escaped as often as you like.
fn announces(segment: &str) -> bool {
    let mut text = Cow::Borrowed(segment);
    for _ in 0..4 {
        if text.eq_ignore_ascii_case(AGENT_SEGMENT) {
            return true;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy();
        if decoded == text {
            return false;
        }
        text = decoded.into_owned().into();
    }
    true // escaped so often only to be hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(uri: &str) -> (Shown, String) {
        let mut uri: Uri = uri.parse().unwrap();
        let shown = take(&mut uri);
        (shown, uri.to_string())
    }

    #[test]
    fn the_token_is_taken_off_and_the_rest_is_as_the_client_wrote_it() {
        for (uri, rest) in [
            ("/as/abc/api/tasks?a=/as/x", "/api/tasks?a=/as/x"),
            ("/as/abc", "/"),
            ("/as/abc/", "/"),
            ("/as/abc?x=1", "/?x=1"),
            ("/as/abc//api/Tasks/%41", "//api/Tasks/%41"),
            ("/as/abc/socket.io/?EIO=4", "/socket.io/?EIO=4"),
            ("http://localhost:1/as/abc/health", "http://localhost:1/health"),
            ("/as/abc/assets", "/assets"),
        ] {
            assert_eq!(taken(uri), (Shown::Token("abc".into()), rest.into()), "{uri}");
        }
    }

    #[test]
    fn a_path_without_the_prefix_is_left_alone() {
        for uri in [
            "/",
            "/api/tasks/as/abc",
            "/assets",
            "/ask/abc",
            "/a/s",
            "*",
            "/%2561s/abc",
            "/x?/as/abc",
        ] {
            assert_eq!(taken(uri), (Shown::Nothing, uri.into()), "{uri}");
        }
    }

    #[test]
    fn what_only_resembles_the_prefix_is_nonsense_and_never_a_path_of_its_own() {
        for uri in [
            "/as",
            "/as/",
            "/as//abc",
            "//as/abc",
            "/AS/abc",
            "/As/abc/api",
            "/%61s/abc",
            "/%41%53/abc",
            "/a%73/abc/api",
            "/as/ABC/api",
            "/as/abc3/api",
            "/as/%61bc/api",
            "/as/ab-c",
            "/as/abc/as/abc/api",
            "/as/abc//as/abc",
            "/as/abc/%61s/x",
            "/as/abc/AS",
            "/as/../api",
        ] {
            assert_eq!(taken(uri), (Shown::Nonsense, "/".into()), "{uri}");
        }
    }

    #[test]
    fn a_token_anywhere_in_a_path_is_not_written_down() {
        let token = "abcdefghijklmnop".repeat(4);
        for (path, shown) in [
            (format!("/x/as/{token}/y"), "/x/as/***/y"),
            (format!("/%2561s/{token}"), "/%2561s/***"),
            (format!("/x%20{token}"), "/***"),
            ("/api/tasks/task_1".to_owned(), "/api/tasks/task_1"),
            ("/x/as/%61bc%64/y".to_owned(), "/x/as/***/y"),
            ("/%61%53//abc/y".to_owned(), "/%61%53//***/y"),
            ("/%252561s/%61/y".to_owned(), "/%252561s/***/y"),
            ("/as/as/abc".to_owned(), "/as/***/***"),
            ("/as/".to_owned(), "/as/"),
            ("/asset/abc".to_owned(), "/asset/abc"),
            ("/a%20b/abc".to_owned(), "/a%20b/abc"),
        ] {
            assert_eq!(masked(&path), shown, "{path}");
        }
    }
}
