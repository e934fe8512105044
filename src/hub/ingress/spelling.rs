//! How a target must be spelled at the ingress: there is one spelling for each path, and nothing is repaired. So no two
//! readers of a path can disagree about what it names.

use axum::http::Uri;

/// Longest path, in bytes.
const PATH: usize = 512;
/// Longest query, in bytes.
const QUERY: usize = 2048;

/// What is wrong with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misspelled {
    /// It names a server, or no path at all: only proxies are spoken to like that.
    Form,
    /// It is longer than anything here.
    TooLong,
    /// It names nothing here: escapes, doubled slashes, dots and the like.
    Strange,
}

/// Checks a target: a path of plain letters, digits, `-`, `_`, `.` and single slashes, without hidden or dotted segments.
pub fn check(target: &Uri) -> Result<(), Misspelled> {
    let path = target.path();
    if target.authority().is_some() || target.scheme().is_some() || !path.starts_with('/') {
        return Err(Misspelled::Form);
    }
    if path.len() > PATH || target.query().is_some_and(|query| query.len() > QUERY) {
        return Err(Misspelled::TooLong);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    let dotted = path.split('/').any(|segment| segment.starts_with('.'));
    if !path.bytes().all(plain) || path.contains("//") || dotted {
        return Err(Misspelled::Strange);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(target: &str) -> Result<(), Misspelled> {
        check(&target.parse().unwrap())
    }

    #[test]
    fn plain_paths_pass_whatever_the_query_says() {
        for target in [
            "/",
            "/sw.js",
            "/api/tasks/task_1-a?projectId=%2e%2e",
            "/socket.io/?EIO=4",
        ] {
            assert_eq!(checked(target), Ok(()), "{target}");
        }
    }

    #[test]
    fn every_trick_is_a_stranger() {
        for target in [
            "//api/projects",
            "/api//projects",
            "/api/%70rojects",
            "/api%2fprojects",
            "/%2e%2e/api",
            "/pair/../api/projects",
            "/./api/projects",
            "/.git",
            "/api/projects;a=b",
            "/api/projects%00",
            "/api/~me",
            "/api/projects/@",
        ] {
            assert_eq!(checked(target), Err(Misspelled::Strange), "{target}");
        }
    }

    #[test]
    fn a_target_for_a_proxy_and_one_without_end_are_refused() {
        assert_eq!(checked("http://hub.example/health"), Err(Misspelled::Form));
        assert_eq!(checked("hub.example:443"), Err(Misspelled::Form));
        assert_eq!(checked("*"), Err(Misspelled::Form));
        assert_eq!(
            checked(&format!("/{}", "a".repeat(600))),
            Err(Misspelled::TooLong)
        );
        assert_eq!(
            checked(&format!("/?{}", "a".repeat(3000))),
            Err(Misspelled::TooLong)
        );
    }
}
