//! The valid name that a wrong one was probably meant to be.

/// The candidate nearest to `wrong`, if it is near enough to be worth suggesting. The first of equals wins.
///
/// A key that is right but stands in the wrong table is near: only its last part is compared then.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64; // a longer word is nobody's typing error, and the distance is quadratic
    let wrong: Vec<char> = wrong.to_lowercase().chars().take(LONGEST + 1).collect();
    if wrong.len() > LONGEST {
        return None;
    }
    let near_enough = (wrong.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (score(&wrong, candidate), candidate))
        .filter(|(score, _)| *score <= near_enough)
        .min_by_key(|(score, _)| *score)
        .map(|(_, candidate)| candidate)
}

fn score(wrong: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().collect();
    let whole = distance(wrong, &candidate);
    let (wrong_name, name) = (last_part(wrong), last_part(&candidate));
    let moved = distance(wrong_name, name);
    // Two letters of slack in a name of three would make everything its neighbour.
    let comparable = moved * 3 <= name.len();
    if comparable { whole.min(moved + 1) } else { whole }
}

fn last_part(key: &[char]) -> &[char] {
    key.rsplit(|c| *c == '.').next().unwrap_or(key)
}

/// How many letters must be inserted, removed or replaced, or neighbours swapped.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let change = last[j] + usize::from(x != y);
            row[j + 1] = change.min(last[j + 1] + 1).min(row[j] + 1);
            let swapped = i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x;
            if swapped {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 5] = [
        "data_dir",
        "listen.host",
        "listen.port",
        "redis.port",
        "redis.mode",
    ];

    #[test]
    fn typing_errors_find_the_key_that_was_meant() {
        for (wrong, meant) in [
            ("listen.prot", "listen.port"),
            ("lisen.host", "listen.host"),
            ("redis.mod", "redis.mode"),
            ("data-dir", "data_dir"),
            ("Data_Dir", "data_dir"),
        ] {
            assert_eq!(nearest(wrong, KEYS), Some(meant), "{wrong}");
        }
    }

    #[test]
    fn the_right_key_in_the_wrong_table_is_found() {
        assert_eq!(nearest("port", KEYS), Some("listen.port"));
        assert_eq!(nearest("http.port", KEYS), Some("listen.port"));
        assert_eq!(nearest("store.data_dir", KEYS), Some("data_dir"));
    }

    #[test]
    fn something_else_altogether_finds_nothing() {
        assert_eq!(nearest("database", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
        assert_eq!(nearest(&"listen.port".repeat(100), KEYS), None);
    }

    proptest! {
        #[test]
        fn a_distance_is_the_same_in_both_directions_and_zero_only_for_equals(a in "[a-d]{0,8}", b in "[a-d]{0,8}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }
}
