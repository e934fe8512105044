//! What holds whatever answers on the socket of our redis-server: it is read to its end or refused, and only its own
//! process is ever found well.
//!
//! The input is what the server says: the answer to PING, then that to INFO.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a check fails

use std::path::Path;

use futures_util::FutureExt;

use crate::supervisor::Outcome;

use super::{
    judge::judge,
    resp::{Answer, Reply, reply},
};

const PID: i32 = 7;

pub(crate) fn redis_reply(bytes: &[u8]) {
    let mut input = bytes;
    let mut replies = Vec::new();
    loop {
        let before = input.len();
        match reply(&mut input).now_or_never().expect("the bytes are there") {
            Ok(reply) => replies.push(reply),
            Err(_) => break,
        }
        assert!(input.len() < before, "an answer of no bytes");
    }
    let mut replies = replies.into_iter();
    let missing = || Err(std::io::ErrorKind::UnexpectedEof.into());
    let answer = Answer {
        peer: None,
        ping: replies.next().map_or_else(missing, Ok),
        info: replies.next().map_or_else(missing, Ok),
    };
    let says_our_process = matches!(&answer.info, Ok(Reply::Text(info))
        if info.lines().any(|line| line.trim_end() == format!("process_id:{PID}") || line.contains("process_id:+")
            || line.contains("process_id:0")));
    let pong = matches!(&answer.ping, Ok(Reply::Text(text)) if text == "PONG");
    let (outcome, facts) = judge(Ok(answer), PID, Path::new("/s"), || u64::MAX);
    if outcome == Outcome::Ok {
        assert!(
            pong && says_our_process,
            "nobody said it is our process: {facts:?}"
        );
    }
}
