//! Paths as the contract reads them: case does not matter in the words of a route, a trailing slash is accepted, ids
//! keep their case (API.md section 1).

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

use std::borrow::Cow;

use axum::http::{Uri, uri::PathAndQuery};

/// Words of our routes. A segment that is one of these in another case is that word.
const WORDS: &[&str] = &[
    "actions",
    "agents",
    "api",
    "archive",
    "children",
    "claim",
    "close",
    "docs",
    "events",
    "health",
    "heartbeat",
    "inbox",
    "input",
    "mail",
    "modal",
    "mode",
    "openapi.json",
    "ordering",
    "projects",
    "prompt",
    "ready",
    "reload",
    "reply-input",
    "reset",
    "sessions",
    "skills",
    "spawn",
    "tasks",
    "team-members",
    "thread",
    "timeline",
    "unarchive",
    "wait",
    "workflow-templates",
    "ws-status",
];

/// The path has a percent sign that is no escape, or escapes that are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

/// Rewrites `uri` to the spelling the router knows; nothing is allocated for one that has it already.
pub fn normalize(uri: &mut Uri) -> Result<(), BadEscape> {
    let path = uri.path();
    check_escapes(path)?;
    let Cow::Owned(path) = spelled(path) else {
        return Ok(());
    };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    // Only letters changed case and slashes went away: what was a path still is one.
    if let Ok(rewritten) = PathAndQuery::try_from(text) {
        let mut parts = std::mem::take(uri).into_parts();
        parts.path_and_query = Some(rewritten);
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
    Ok(())
}

fn check_escapes(path: &str) -> Result<(), BadEscape> {
    if !path.contains('%') {
        return Ok(());
    }
    let hex = |b: Option<&u8>| b.is_some_and(u8::is_ascii_hexdigit);
    let bytes = path.as_bytes();
    let lone =
        (0..bytes.len()).any(|at| bytes[at] == b'%' && !(hex(bytes.get(at + 1)) && hex(bytes.get(at + 2))));
    if lone || percent_encoding::percent_decode_str(path).decode_utf8().is_err() {
        return Err(BadEscape);
    }
    Ok(())
}

/// The word of ours that `segment` is, in whatever case.
fn word(segment: &str) -> Option<&'static str> {
    let mut words = WORDS.iter().copied();
    words.find(|word| word.eq_ignore_ascii_case(segment))
}

/// True if our routes have words and no ids at this place of `/api/<resource>/...`: an id that looks like a word keeps
/// its case.
fn is_for_words(place: usize, word: &str, resource: &str) -> bool {
    match place {
        0..=2 | 6 => true,
        3 => matches!(word, "spawn" | "inbox" | "wait" | "thread" | "mode"),
        4 => !matches!(resource, "mail" | "ordering"),
        _ => false,
    }
}

fn spelled(path: &str) -> Cow<'_, str> {
    let trimmed = match path.strip_suffix('/') {
        // Two slashes are an empty segment, which no route has: taking one away would make it one.
        Some("") | None => path,
        Some(trimmed) if trimmed.ends_with('/') => path,
        Some(trimmed) => trimmed,
    };
    // Hardly any path has a capital letter: those cost nothing here.
    if trimmed.bytes().any(|b| b.is_ascii_uppercase()) {
        let spelled = with_words_in_lower_case(trimmed);
        if spelled != trimmed {
            return Cow::Owned(spelled);
        }
    }
    if trimmed.len() < path.len() {
        return Cow::Owned(trimmed.to_owned());
    }
    Cow::Borrowed(path)
}

fn with_words_in_lower_case(path: &str) -> String {
    let mut resource = "";
    let words: Vec<&str> = path
        .split('/')
        .enumerate()
        .map(|(place, segment)| {
            let word = word(segment).filter(|word| is_for_words(place, word, resource));
            let meant = word.unwrap_or(segment);
            if place == 2 {
                resource = meant;
            }
            meant
        })
        .collect();
    words.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(uri: &str) -> Result<String, BadEscape> {
        let mut uri: Uri = uri.parse().unwrap();
        normalize(&mut uri)?;
        Ok(uri.to_string())
    }

    #[test]
    fn words_lose_their_case_ids_keep_it_and_the_query_is_left_alone() {
        for (written, meant) in [
            ("/API/Projects/Proj_A", "/api/projects/Proj_A"),
            ("/api/projects/Proj_A/?A=B/", "/api/projects/Proj_A?A=B/"),
            ("/HEALTH/", "/health"),
            ("/", "/"),
            ("//", "//"),
            ("/api/tasks//", "/api/tasks//"),
            ("/API/tasks//", "/api/tasks//"),
            ("/api/Team-Members?x", "/api/team-members?x"),
            ("/api/tasks/%41", "/api/tasks/%41"),
            ("/api/Sessions/API/Docs", "/api/sessions/API/docs"),
            ("/api/sessions/Mail/Tasks/Docs", "/api/sessions/Mail/tasks/Docs"),
            (
                "/api/sessions/s/MODAL/Wait/Close",
                "/api/sessions/s/modal/Wait/close",
            ),
            ("/api/Mail/INBOX/Docs", "/api/mail/inbox/Docs"),
            ("/api/ordering/task/API", "/api/ordering/task/API"),
            ("http://localhost:1/API/tasks", "http://localhost:1/api/tasks"),
        ] {
            assert_eq!(normal(written).as_deref(), Ok(meant), "{written}");
        }
    }

    #[test]
    fn an_escape_that_is_none_is_refused() {
        for path in ["/a/%", "/a/%z1", "/a/%4", "/a/%ff"] {
            assert_eq!(normal(path), Err(BadEscape), "{path}");
        }
    }

    #[test]
    fn every_word_of_every_route_is_known() {
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hub");
        let mut files = vec![src.join("status.rs")];
        files.extend(
            std::fs::read_dir(src.join("rest"))
                .unwrap()
                .map(|f| f.unwrap().path()),
        );
        let mut routes = 0;
        for file in files.iter().filter(|file| file.is_file()) {
            let text = std::fs::read_to_string(file).unwrap();
            for route in text.split(".route(").skip(1) {
                let path = route.split('"').nth(1).unwrap();
                routes += 1;
                for word in path.split('/').filter(|s| !s.is_empty() && !s.starts_with('{')) {
                    assert!(WORDS.contains(&word), "{word} of {path} in {}", file.display());
                }
            }
        }
        assert!(routes > 20, "{routes}");
    }
}
