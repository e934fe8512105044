//! Questions are looked at as they stand, not as they were heard of: whatever was missed, said twice, or said while the
//! hub was away, one look at a session and at what a phone was told of it says what it is to be told now.

use serde::{Deserialize, Serialize};

use crate::domain::{Millis, RequestId};

/// What a device was told of a session's question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Which question.
    pub request: RequestId,
    /// When.
    pub at: Millis,
    /// How.
    pub how: How,
}

/// How a device was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// By a notification of its own, which is to be taken back.
    Pushed,
    /// It was looking, or did not want to be told.
    Not,
}

/// What is to be done about one session's question for one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Tell it.
    Ask,
    /// Say that it is over.
    TakeBack(RequestId),
    /// Nothing is to be said, and nothing remembered any more.
    Forget,
}

/// `open`: the question that is open now. `told`: what the device was told last.
pub fn step(open: Option<&RequestId>, told: Option<&Told>) -> Step {
    match (open, told) {
        (None, None) => Step::Rest,
        (Some(open), Some(told)) if *open == told.request => Step::Rest,
        // A new question takes the place of an old one by itself.
        (Some(_), _) => Step::Ask,
        (None, Some(told)) if told.how == How::Pushed => Step::TakeBack(told.request.clone()),
        (None, Some(_)) => Step::Forget,
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Id;

    use super::*;

    fn request(name: &str) -> RequestId {
        Id::parse(name).unwrap()
    }

    fn told(name: &str, how: How) -> Told {
        Told {
            request: request(name),
            at: Millis(1),
            how,
        }
    }

    #[test]
    fn a_question_is_told_once_and_another_one_anew() {
        let (one, two) = (request("req_1"), request("req_2"));
        assert_eq!(step(Some(&one), None), Step::Ask);
        for how in [How::Pushed, How::Not] {
            assert_eq!(
                step(Some(&one), Some(&told("req_1", how))),
                Step::Rest,
                "said twice"
            );
            assert_eq!(step(Some(&two), Some(&told("req_1", how))), Step::Ask);
        }
    }

    #[test]
    fn what_is_over_is_taken_back_only_where_it_was_shown() {
        assert_eq!(
            step(None, Some(&told("req_1", How::Pushed))),
            Step::TakeBack(request("req_1"))
        );
        assert_eq!(step(None, Some(&told("req_1", How::Not))), Step::Forget);
        assert_eq!(step(None, None), Step::Rest);
    }
}
