//! Query strings as the contract reads them: flat pairs; a repeated key matches nothing.

use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
};

use super::error::RouteError;

/// The pairs of a query string, decoded, in order.
#[derive(Clone, Debug, Default)]
pub struct Params(pub Vec<(String, String)>);

/// What a query says of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param<'a> {
    /// Nothing.
    Absent,
    /// One value, possibly empty.
    One(&'a str),
    /// Several: a list in the server we replace, which equals no text.
    Many,
}

impl Params {
    /// What the query says of `key`.
    pub fn get(&self, key: &str) -> Param<'_> {
        let mut values = self.0.iter().filter(|(name, _)| name == key);
        match (values.next(), values.next()) {
            (None, _) => Param::Absent,
            (Some((_, value)), None) => Param::One(value),
            (Some(_), Some(_)) => Param::Many,
        }
    }

    /// The one non-empty value of `key`, for keys that are required.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Param::One(value) if !value.is_empty() => Some(value),
            Param::Absent | Param::One(_) | Param::Many => None,
        }
    }

    /// A filter by equality, where an empty value means no filter.
    pub fn filter(&self, key: &str) -> Filter<'_> {
        match self.get(key) {
            Param::Absent | Param::One("") => Filter::Any,
            Param::One(value) => Filter::Is(value),
            Param::Many => Filter::Nothing,
        }
    }
}

/// Which values pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter<'a> {
    /// All.
    Any,
    /// This one.
    Is(&'a str),
    /// None.
    Nothing,
}

impl Filter<'_> {
    /// True if `value` passes.
    pub fn passes(self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Is(wanted) => wanted == value,
            Self::Nothing => false,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(RouteError::Request(
                StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                error.body_text(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_no_filter_and_a_repeated_key_matches_nothing() {
        let pairs = [("a", "1"), ("b", ""), ("c", "1"), ("c", "1")];
        let params = Params(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec());
        assert!(params.filter("a").passes("1") && !params.filter("a").passes("2"));
        assert!(params.filter("b").passes("1") && params.filter("absent").passes("1"));
        assert!(!params.filter("c").passes("1"));
        assert_eq!(
            (params.text("a"), params.text("b"), params.text("c")),
            (Some("1"), None, None)
        );
        assert_eq!(params.get("b"), Param::One(""));
    }
}
