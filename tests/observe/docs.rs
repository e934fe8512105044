//! The documents that say what to type: everything in them is typed here, against a real hub in a home of its own.
//!
//! A fenced block says by its language how it is tried. `sh` is run and must end with 0; of `console`, each line after a
//! `$` is run and must print what is shown below it; `js`, `python` and `rust` are programs that must end with 0, and a
//! `rust` block is the example of the repository, word for word; `toml` is checked by `maestrod check`. `json` and `text`
//! show what is sent or seen, and hold no commands. Comments before a block, which readers do not see:
//!
//! - `<!-- before: SCRIPT -->` is run first; `<!-- exits: N -->` is how the commands of the block end;
//! - `<!-- hub: started|stopped|killed -->` is done to the hub first;
//! - `<!-- file: PATH -->` is where a `rust` block comes from.
//!
//! A document's blocks share the variables of one shell, and one hub that begins with a Redis of its own.

use std::{
    collections::BTreeMap,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Output},
};

use crate::{
    example,
    harness::{Daemon, Setup},
    repo, text_of,
};

/// Where the hub is in the documents.
const SHOWN: &str = "localhost:3000";

/// A fenced block and what is said before it.
#[derive(Default)]
struct Block {
    line: usize,
    language: String,
    text: String,
    said: BTreeMap<String, String>,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut said = BTreeMap::new();
    let mut open: Option<Block> = None;
    for (n, line) in document.lines().enumerate() {
        if let Some(mut block) = open.take() {
            if line.starts_with("```") {
                blocks.push(block);
            } else {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
        } else if let Some(language) = line.strip_prefix("```") {
            open = Some(Block {
                line: n + 1,
                language: language.to_owned(),
                said: std::mem::take(&mut said),
                ..Block::default()
            });
        } else if let Some(comment) = line
            .strip_prefix("<!-- ")
            .and_then(|rest| rest.strip_suffix(" -->"))
        {
            let (key, value) = comment.split_once(": ").expect("a comment is `key: value`");
            said.insert(key.to_owned(), value.to_owned());
        }
    }
    assert!(
        open.is_none() && said.is_empty(),
        "a block is not closed, or not there"
    );
    blocks
}

/// Tries the blocks of one document.
struct Reader {
    name: &'static str,
    daemon: Daemon,
}

impl Reader {
    async fn new(name: &'static str) -> Self {
        let setup = Setup::new().without_env("REDIS_ENABLED");
        let setup = setup.config(
            "[redis]\nmode = \"managed\"\n[tunnel]\nmode = \"external\"\nurl = \"https://hub.example.net\"\n",
        );
        let daemon = setup.start().await;
        let ready = daemon
            .ctl(&["status", "--wait", "ready", "--timeout", "60s"])
            .await;
        assert_eq!(
            ready.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&ready.stdout)
        );
        let modules = daemon.place().root().join("node_modules");
        symlink(repo("tests/clients/node_modules"), modules).expect("a link");
        Self { name, daemon }
    }

    async fn read(mut self) {
        let document = text_of(self.name);
        for block in blocks(&document) {
            let at = format!("{}:{}", self.name, block.line);
            match block.said.get("hub").map(String::as_str) {
                Some("stopped") => _ = self.daemon.stop().await,
                Some("killed") => self.daemon.kill().await,
                Some("started") => {
                    self.daemon = self.daemon.setup().clone().start().await;
                    self.daemon
                        .ctl(&["status", "--wait", "ready", "--timeout", "60s"])
                        .await;
                }
                Some(other) => panic!("{at}: the hub cannot be {other}"),
                None => {}
            }
            if let Some(script) = block.said.get("before") {
                let done = self.shell(script).await;
                assert!(done.status.success(), "{at}: before: {}", self.said(&done));
            }
            let exits = block
                .said
                .get("exits")
                .map_or(0, |code| code.parse().expect("a code"));
            self.try_block(&at, &block, exits).await;
        }
    }

    async fn try_block(&self, at: &str, block: &Block, exits: i32) {
        let text = block.text.as_str();
        let program =
            |command: &str| format!("cat > ./example.mjs <<'END'\n{text}END\n{command} ./example.mjs");
        let script = match block.language.as_str() {
            "console" => return self.try_console(at, text, exits).await,
            "sh" => text.to_owned(),
            "js" => program("node"),
            "python" => program(&repo("target/clients-venv/bin/python3").display().to_string()),
            "rust" => {
                let file = block
                    .said
                    .get("file")
                    .unwrap_or_else(|| panic!("{at}: where does it come from?"));
                let source = text_of(file);
                assert!(source.contains(text), "{at} is not {file}, word for word");
                let hub = format!("http://localhost:{}", self.daemon.port());
                return example::run(&hub, "sess_demo").await;
            }
            "toml" => format!("cat > ./shown.toml <<'END'\n{text}END\nmaestrod check --config ./shown.toml"),
            "json" | "text" => {
                let command = ["maestro", "curl ", "$ "];
                let typed = text
                    .lines()
                    .find(|line| command.iter().any(|word| line.starts_with(word)));
                assert_eq!(typed, None, "{at}: a command that nobody tries");
                return;
            }
            other => panic!("{at}: nobody knows how to try {other:?}"),
        };
        let done = self.shell(&script).await;
        assert_eq!(done.status.code(), Some(exits), "{at}: {}", self.said(&done));
    }

    /// Runs what stands after each `$`, and looks for what is shown below it.
    async fn try_console(&self, at: &str, text: &str, exits: i32) {
        let mut asked: Vec<(String, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix("$ "), asked.last_mut()) {
                (Some(command), _) => asked.push((command.to_owned(), Vec::new())),
                (None, Some((command, _))) if command.ends_with('\\') => {
                    command.push('\n');
                    command.push_str(line);
                }
                (None, Some((_, shown))) => shown.push(line),
                (None, None) => panic!("{at}: a console begins with a command"),
            }
        }
        for (command, shown) in asked {
            let done = self.shell(&command).await;
            let said = self.said(&done);
            assert_eq!(done.status.code(), Some(exits), "{at}: {command}: {said}");
            let mut lines = said.lines();
            for wanted in shown.iter().filter(|line| !line.trim().is_empty()) {
                let found = lines.any(|line| looks_like(wanted, line));
                assert!(found, "{at}: {command}: where is {wanted:?} in\n{said}");
            }
        }
    }

    /// Runs a script as somebody at a terminal of this machine would, with the variables of those before.
    async fn shell(&self, script: &str) -> Output {
        let here = format!("localhost:{}", self.daemon.port());
        let script = script.replace(SHOWN, &here);
        let pid = self.daemon.pid();
        // What ends the script early keeps no variables, and its code.
        let whole = format!(
            "set -a; if [ -e .vars ]; then . ./.vars; fi; MAESTROD_PID={pid}\n{script}\ncode=$?; export -p > .vars; exit $code"
        );
        let mut command: Command = self.daemon.setup().command("bash");
        let programs = PathBuf::from(env!("CARGO_BIN_EXE_maestroctl"));
        let path = format!(
            "{}:{}",
            programs.parent().expect("a directory").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        command
            .env("PATH", path)
            .env("MAESTRO_CONFIG", self.daemon.place().root().join("maestro.toml"));
        command.arg("-c").arg(whole);
        let done = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("it was waited for");
        done.expect("a shell")
    }

    /// What it said, as if the hub were where the documents have it.
    fn said(&self, done: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&done.stdout) + &text(&done.stderr);
        said.replace(&format!("localhost:{}", self.daemon.port()), SHOWN)
    }
}

/// True if `line` is the line that is shown, but for numbers, ids, codes, and what stands for `…`.
fn looks_like(shown: &str, line: &str) -> bool {
    let mut words = line.split_whitespace();
    for wanted in shown.split_whitespace() {
        if wanted == "…" {
            return true;
        }
        let Some(word) = words.next() else { return false };
        let varies = |word: &str| word.contains(|c: char| c.is_ascii_digit()) || ends_in_a_code(word);
        let same = word == wanted || (varies(wanted) && varies(word));
        if !same {
            return false;
        }
    }
    words.next().is_none()
}

/// A pairing code: one in twenty has no digit in it.
fn ends_in_a_code(word: &str) -> bool {
    let code = word.rsplit('/').next().unwrap_or(word).replace('-', "");
    code.len() == 8 && code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

#[test]
fn a_line_looks_like_what_is_shown_but_for_its_numbers() {
    assert!(looks_like(
        "open https://h/pair/DEDHZ7CM",
        "open https://h/pair/QGJMQTJC"
    ));
    assert!(!looks_like("open DEDH-Z7CM", "open nothing"));
    assert!(looks_like("up 6 s, pid 28101", "up  12 s, pid 7"));
    assert!(looks_like("redis ready …", "redis    ready      for 6 s"));
    assert!(!looks_like("redis ready", "redis ready for"));
    assert!(!looks_like("redis ready", "redis blocked"));
    assert!(!looks_like("pid 7", "pid none"));
}

#[tokio::test]
async fn what_operations_says_to_type_works() {
    Reader::new("docs/OPERATIONS.md").await.read().await;
}

#[tokio::test]
async fn what_the_protocol_shows_works_in_each_language() {
    Reader::new("docs/PROTOCOL.md").await.read().await;
}

#[tokio::test]
async fn what_security_says_to_type_works() {
    Reader::new("docs/SECURITY.md").await.read().await;
}

#[tokio::test]
async fn what_migrating_says_to_type_works() {
    Reader::new("docs/MIGRATING.md").await.read().await;
}
