//! Texts and bytes that are almost right, or not at all.

use serde_json::{Value, json};

use crate::harness::Dice;

/// Ids that are there.
pub struct Known {
    pub project: String,
    pub task: String,
    pub session: String,
}

impl Known {
    fn nobody() -> Self {
        Self {
            project: "proj_0".into(),
            task: "task_0".into(),
            session: "sess_0".into(),
        }
    }

    fn an_id(&self, dice: &mut Dice) -> String {
        match dice.below(8) {
            0 => self.project.clone(),
            1 => self.task.clone(),
            2..=3 => self.session.clone(),
            4 => String::new(),
            5 => "../../etc/passwd".into(),
            6 => "x".repeat(usize::try_from(dice.below(3000)).expect("small")),
            _ => text(dice),
        }
    }
}

const WORDS: [&str; 24] = [
    "",
    "a",
    "todo",
    "working",
    "null",
    "\u{0}",
    "\u{202e}",
    "😀",
    "é",
    "'; --",
    "<script>",
    "%00",
    "%",
    "{}",
    "[[[[",
    "\\ud800",
    "needs_input",
    "progress",
    "true",
    "-1",
    "1e999",
    "\u{7f}\u{1b}[31m",
    "..",
    "/",
];

pub fn text(dice: &mut Dice) -> String {
    let words = dice.below(5);
    (0..words).map(|_| *dice.pick(&WORDS)).collect()
}

/// Any JSON, not too deep.
pub fn value(dice: &mut Dice, depth: u64) -> Value {
    match dice.below(if depth == 0 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => dice.once_in(2).into(),
        2 => dice.roll().into(),
        3 => (-1_i64).into(),
        4 => json!(1e300),
        5..=6 => text(dice).into(),
        7 => (0..dice.below(4)).map(|_| value(dice, depth - 1)).collect(),
        _ => fields(dice, depth),
    }
}

const KEYS: [&str; 36] = [
    "id",
    "projectId",
    "taskId",
    "taskIds",
    "sessionId",
    "title",
    "name",
    "message",
    "type",
    "status",
    "sessionStatus",
    "updateSource",
    "needsInput",
    "timeline",
    "env",
    "subject",
    "body",
    "toSessionId",
    "fromSessionId",
    "requestId",
    "text",
    "choice",
    "content",
    "mode",
    "ttl",
    "pid",
    "host",
    "watch",
    "code",
    "token",
    "epoch",
    "since",
    "sessionIds",
    "orderedIds",
    "metadata",
    "__proto__",
];

fn fields(dice: &mut Dice, depth: u64) -> Value {
    let many = dice.below(6);
    let pairs = (0..many).map(|_| {
        (
            (*dice.pick(&KEYS)).to_owned(),
            value(dice, depth.saturating_sub(1)),
        )
    });
    Value::Object(pairs.collect())
}

/// A body that means something here and there.
pub fn body(dice: &mut Dice, known: &Known) -> Value {
    let mut body = fields(dice, 3);
    for key in ["projectId", "sessionId", "taskId", "toSessionId"] {
        if dice.once_in(3) {
            body[key] = known.an_id(dice).into();
        }
    }
    for key in ["title", "name", "message", "subject", "content", "text"] {
        if dice.once_in(4) {
            body[key] = text(dice).into();
        }
    }
    body
}

/// Breaks bytes: cuts, doubles, changes, repeats, or leaves them alone.
pub fn broken(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    let place = |dice: &mut Dice, most: usize| usize::try_from(dice.below(most as u64 + 1)).expect("small");
    match dice.below(8) {
        0 => {
            let at = place(dice, bytes.len());
            bytes.truncate(at);
        }
        1 => {
            for _ in 0..=dice.below(4) {
                if !bytes.is_empty() {
                    let at = place(dice, bytes.len() - 1);
                    bytes[at] = u8::try_from(dice.below(256)).expect("a byte");
                }
            }
        }
        2 => {
            let (at, what) = (place(dice, bytes.len()), text(dice));
            bytes.splice(at..at, what.into_bytes());
        }
        3 => bytes.extend_from_within(..),
        4 => {
            let many = 1 << dice.below(15);
            bytes.extend(std::iter::repeat_n(b'[', many));
        }
        _ => {}
    }
    bytes
}

const METHODS: [&str; 9] = [
    "GET", "GET", "POST", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "BREW",
];

const PATHS: [&str; 34] = [
    "/",
    "/health",
    "/ready",
    "/ws-status",
    "/api/projects",
    "/api/projects/{}",
    "/api/tasks",
    "/api/tasks/{}",
    "/api/tasks/{}/children",
    "/api/tasks/{}/timeline",
    "/api/tasks/{}/docs",
    "/api/tasks/{}/claim",
    "/api/sessions",
    "/api/sessions/{}",
    "/api/sessions/{}/events",
    "/api/sessions/{}/timeline",
    "/api/sessions/{}/docs",
    "/api/sessions/{}/tasks/{}",
    "/api/sessions/{}/modal",
    "/api/sessions/{}/modal/{}/actions",
    "/api/sessions/{}/prompt",
    "/api/sessions/{}/input?timeout=0&requestId={}",
    "/api/sessions/{}/reply-input",
    "/api/sessions/{}/heartbeat",
    "/api/sessions/spawn",
    "/api/mail",
    "/api/mail/{}",
    "/api/mail/inbox/{}?projectId={}",
    "/api/mail/thread/{}",
    "/api/team-members?projectId={}",
    "/api/ordering/task/{}",
    "/api/events?epoch={}&since={}",
    "/api/agents?{}",
    "/pair",
];

/// A path with something in it, spelled as a client would spell it or not.
fn path(dice: &mut Dice, known: &Known) -> String {
    let mut path = (*dice.pick(&PATHS)).to_owned();
    while let Some(at) = path.find("{}") {
        let id = known.an_id(dice);
        let spelled = match dice.below(3) {
            0 => id.replace([' ', '\r', '\n', '\0'], "+"),
            _ => percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC).to_string(),
        };
        path.replace_range(at..at + 2, &spelled);
    }
    path
}

/// A request of HTTP as bytes.
pub fn request(dice: &mut Dice, known: &Known, host: &str) -> Vec<u8> {
    let method = *dice.pick(&METHODS);
    let path = match method {
        // What all the others are about is not to be taken away.
        "DELETE" => path(dice, &Known::nobody()),
        _ => path(dice, known),
    };
    let mut text = body(dice, known).to_string().into_bytes();
    if dice.once_in(3) {
        text = broken(dice, text);
    }
    let kind = *dice.pick(&[
        "application/json",
        "application/json",
        "text/plain",
        "application/json; charset=x",
        "\u{e9}",
    ]);
    let length = match dice.below(10) {
        0 => text.len() + 5,
        1 => text.len() / 2,
        _ => text.len(),
    };
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: {kind}\r\n");
    match dice.below(12) {
        0 => head += "transfer-encoding: chunked\r\n",
        1 => head += "content-length: -5\r\n",
        2 => head += &format!("content-length: {length}\r\ncontent-length: {}\r\n", length + 1),
        _ => head += &format!("content-length: {length}\r\n"),
    }
    if dice.once_in(10) {
        head += &format!(
            "idempotency-key: {}\r\n",
            WORDS[1].repeat(usize::try_from(dice.below(400)).expect("small"))
        );
    }
    if dice.once_in(10) {
        head += "prefer: return=minimal\r\norigin: https://elsewhere.example\r\n";
    }
    if dice.once_in(20) {
        head += &"x-y: z\r\n".repeat(usize::try_from(dice.below(200)).expect("small"));
    }
    head += "\r\n";
    let mut bytes = head.into_bytes();
    if dice.once_in(6) {
        bytes = broken(dice, bytes);
    }
    bytes.extend(text);
    bytes
}

/// A message of the raw WebSocket.
pub fn raw(dice: &mut Dice, known: &Known) -> Vec<u8> {
    let kind = *dice.pick(&["subscribe", "unsubscribe", "ping", "", "subscribed", "pong"]);
    let ids: Vec<Value> = (0..dice.below(5))
        .map(|_| match dice.once_in(3) {
            true => value(dice, 2),
            false => known.an_id(dice).into(),
        })
        .collect();
    let mut message = json!({"type": kind, "sessionIds": ids});
    if dice.once_in(4) {
        message = value(dice, 4);
    }
    let bytes = message.to_string().into_bytes();
    match dice.once_in(2) {
        true => broken(dice, bytes),
        false => bytes,
    }
}

const VERBS: [&str; 12] = [
    "state:sync",
    "session:subscribe",
    "session:timeline",
    "session:reply-input",
    "session:prompt",
    "session:spawn",
    "mail:send",
    "subscribe",
    "unsubscribe",
    "ping",
    "hello",
    "disconnect",
];

/// A packet of Socket.IO, of any kind and in any order.
pub fn packet(dice: &mut Dice, known: &Known) -> String {
    let space = *dice.pick(&["/ui,", "/mobile,", "/mobile,", "", "/nowhere,", "/admin,"]);
    let packet = match dice.below(12) {
        0..=1 => {
            let auth = match dice.once_in(3) {
                true => value(dice, 2),
                false => json!({"projectId": known.project}),
            };
            format!("40{space}{auth}")
        }
        2 => format!("41{space}"),
        3 => format!("43{space}{}{}", dice.below(9), value(dice, 2)),
        4 => format!(
            "45{}-{space}[\"{}\",{{\"_placeholder\":true,\"num\":0}}]",
            dice.below(4),
            dice.pick(&VERBS)
        ),
        5 => (*dice.pick(&["2", "3", "2probe", "5", "6", "1", "0{}", "9", "4", "44{}", "42"])).to_owned(),
        _ => {
            let number = if dice.once_in(3) {
                String::new()
            } else {
                dice.below(1 << 40).to_string()
            };
            let (verb, data) = (*dice.pick(&VERBS), body(dice, known));
            format!("42{space}{number}{}", json!([verb, data]))
        }
    };
    match dice.once_in(3) {
        true => String::from_utf8_lossy(&broken(dice, packet.into_bytes())).into_owned(),
        false => packet,
    }
}

/// A frame of a WebSocket as bytes: masked or not, whole or not, of any kind.
pub fn frame(dice: &mut Dice, payload: &[u8]) -> Vec<u8> {
    let (fin, kind) = match dice.below(10) {
        0 => (0, 1),
        1 => (0x80, u8::try_from(dice.below(16)).expect("small")),
        2 => (0xF0, 1),
        3 => (0x80, 2),
        _ => (0x80, 1),
    };
    let masked = !dice.once_in(20);
    let claimed = match dice.below(30) {
        0 => u64::MAX >> 1,
        1 => payload.len() as u64 + 3,
        _ => payload.len() as u64,
    };
    let bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![fin | kind];
    match claimed {
        0..=125 => bytes.push(bit | u8::try_from(claimed).expect("small")),
        126..=0xFFFF => {
            bytes.push(bit | 126);
            bytes.extend(u16::try_from(claimed).expect("small").to_be_bytes());
        }
        _ => {
            bytes.push(bit | 127);
            bytes.extend(claimed.to_be_bytes());
        }
    }
    let mask = [7, 77, 177, 27];
    if masked {
        bytes.extend(mask);
    }
    let keyed = payload.iter().enumerate().map(|(at, byte)| match masked {
        true => byte ^ mask[at % 4],
        false => *byte,
    });
    bytes.extend(keyed);
    bytes
}
