//! Lists, a bounded page at a time.

use serde::Serialize;

use crate::hub::{
    phone::refusal::Refused,
    query::{Param, Params},
};

/// Things on one page, unless asked for fewer.
const USUAL: usize = 50;
/// Things on one page at most.
const MOST: usize = 200;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// So many are known already.
    pub after: usize,
    /// So many more.
    pub limit: usize,
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct Paged<T> {
    items: Vec<T>,
    /// `after` of the next page, if there is one.
    next: Option<usize>,
    total: usize,
}

impl Page {
    /// `?after=&limit=`.
    pub fn read(query: &Params) -> Result<Self, Refused> {
        Ok(Self {
            after: number(query, "after")?.unwrap_or(0),
            limit: limit(query)?,
        })
    }

    /// That part of `all`.
    pub fn of<T>(self, all: Vec<T>) -> Paged<T> {
        let total = all.len();
        let items: Vec<T> = all.into_iter().skip(self.after).take(self.limit).collect();
        let end = self.after.saturating_add(items.len());
        Paged {
            next: (end < total && !items.is_empty()).then_some(end),
            items,
            total,
        }
    }
}

impl<T> Paged<T> {
    /// Each of them as something else.
    pub fn map<'a, U>(&'a self, shown: impl Fn(&'a T) -> U) -> Paged<U> {
        Paged {
            items: self.items.iter().map(shown).collect(),
            next: self.next,
            total: self.total,
        }
    }
}

/// `?limit=`: 1 to 200.
pub fn limit(query: &Params) -> Result<usize, Refused> {
    let limit = number(query, "limit")?.unwrap_or(USUAL);
    if limit == 0 {
        return Err(Refused::invalid("limit must be at least 1"));
    }
    Ok(limit.min(MOST))
}

/// A whole number, if one is given.
pub fn number(query: &Params, key: &str) -> Result<Option<usize>, Refused> {
    match query.get(key) {
        Param::Absent | Param::One("") => Ok(None),
        Param::One(text) if text.bytes().all(|b| b.is_ascii_digit()) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Ok(Some(usize::MAX)), // digits only: it is too large, and beyond any end
        },
        Param::One(_) | Param::Many => Err(Refused::invalid(format!("{key} must be a whole number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Params {
        Params(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_list_is_turned_over_without_gap_and_ends() {
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = Page { after, limit: 7 }.of((0..20).collect());
            seen.extend(page.items);
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_page_is_never_larger_than_we_like() {
        let huge = Page::read(&query(&[("limit", "99999999999999999999999")])).unwrap();
        assert_eq!(huge.limit, MOST);
        assert_eq!(
            Page::read(&query(&[])).unwrap(),
            Page {
                after: 0,
                limit: USUAL
            }
        );
        for wrong in ["-1", "x", "1.5"] {
            assert!(Page::read(&query(&[("after", wrong)])).is_err(), "{wrong}");
        }
        assert!(Page::read(&query(&[("limit", "0")])).is_err());
        let beyond = Page {
            after: usize::MAX,
            limit: 5,
        }
        .of(vec![1, 2]);
        assert_eq!((beyond.items.len(), beyond.next), (0, None));
    }
}
