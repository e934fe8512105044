//! Those who ask: agents that say they live, and whoever changes tasks. Each on one connection that stays open.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};

use crate::{Times, phone::MARK};

/// A connection of HTTP/1.1 that is kept.
pub struct Line {
    stream: TcpStream,
    port: u16,
    buffer: Vec<u8>,
}

impl Line {
    pub async fn open(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self {
            stream,
            port,
            buffer: Vec::new(),
        })
    }

    /// The status of the answer; `None` if none came.
    pub async fn ask(&mut self, method: &str, path: &str, body: &Value) -> Option<u16> {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost:{}\r\ncontent-type: application/json\r\n\
             prefer: return=minimal\r\ncontent-length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.ok()?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
            let text = String::from_utf8_lossy(&self.buffer);
            let Some((head, rest)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            if rest.len() >= length.unwrap_or(0) {
                let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
                return Some(if status == 204 { 200 } else { status });
            }
        }
    }
}

/// Heartbeats of some agents, one after the other, so that each has its turn once in `every`.
pub async fn beat(port: u16, sessions: Vec<String>, every: Duration, times: Arc<Times>) {
    let mut line = None;
    let mut ticks = interval(every / u32::try_from(sessions.len().max(1)).expect("small"));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for session in sessions.iter().cycle() {
        ticks.tick().await;
        if line.is_none() {
            line = Line::open(port).await;
        }
        let Some(open) = &mut line else { continue };
        let asked = Instant::now();
        let sign = json!({"host": "far.example", "ttl": 60_000});
        match open
            .ask("POST", &format!("/api/sessions/{session}/heartbeat"), &sign)
            .await
        {
            Some(200) => times.heartbeats.note(asked.elapsed()),
            Some(_) => {}
            None => line = None,
        }
    }
}

/// Changes, evenly, each with the time it was asked for in it.
pub async fn change(port: u16, tasks: Vec<String>, pace: Duration, begun: Instant, times: Arc<Times>) {
    let mut lines: Vec<Option<Line>> = Vec::new();
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for task in tasks.iter().cycle() {
        ticks.tick().await;
        let line = match lines.pop().flatten() {
            Some(line) => Some(line),
            None => Line::open(port).await,
        };
        let Some(mut line) = line else { continue };
        let asked = Instant::now();
        let title = format!("{MARK}{}", begun.elapsed().as_micros());
        let answer = line
            .ask("PATCH", &format!("/api/tasks/{task}"), &json!({"title": title}))
            .await;
        if answer == Some(200) {
            times.changes.note(asked.elapsed());
        }
        lines.push(answer.map(|_| line));
    }
}
