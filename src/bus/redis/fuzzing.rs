//! What holds whatever is published on our channels in Redis: what reaches our clients is a whole frame with that name
//! and that payload, and what was heard is not heard again.
//!
//! The input: an event's name as the channel has it, a line; then one envelope a line.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a check fails

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{Event, Millis, Published};

use super::{
    envelope,
    ledger::{Ledger, Verdict},
};

#[derive(Deserialize)]
struct Frame<'a> {
    r#type: &'a str,
    event: &'a str,
    #[serde(borrow)]
    data: &'a RawValue,
    timestamp: i64,
}

pub(crate) fn envelopes(bytes: &[u8]) {
    let mut lines = bytes.split(|b| *b == b'\n');
    let channel = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut ledger = Ledger::new("me".into());
    for line in lines {
        let Some(heard) = envelope::read(line) else {
            continue;
        };
        let verdict = ledger.judge(&heard);
        let is_numbered = heard.source_id.is_some() && heard.seq.is_some();
        if heard.source_id.as_deref() == Some("me") {
            assert_eq!(verdict, Verdict::Drop, "our own echo");
        }
        if is_numbered {
            assert_eq!(ledger.judge(&heard), Verdict::Drop, "heard twice");
        }
        let data = heard.data.get().to_owned();
        let Some(remote) = heard.into_remote(&channel) else {
            continue;
        };
        let name = remote.name.clone();
        let event = Published::new(1, Millis(7), Event::Remote(remote.into()));
        let frame: Frame<'_> = serde_json::from_slice(event.raw_frame()).expect("a frame is JSON");
        assert_eq!((frame.r#type, frame.event), (name.as_str(), name.as_str()));
        assert_eq!((frame.data.get(), frame.timestamp), (data.as_str(), 7));
    }
}
