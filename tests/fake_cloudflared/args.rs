//! The command line: flags before or after the commands, `--flag value` and `--flag=value`.

use std::collections::HashMap;

/// Flags with a value.
const VALUED: &[&str] = &[
    "config",
    "metrics",
    "grace-period",
    "output",
    "loglevel",
    "token",
    "token-file",
    "url",
    "pidfile",
    "credentials-file",
    "cred-file",
    "credentials-contents",
    "name",
    "protocol",
    "origincert",
    "edge-ip-version",
    "retries",
    "region",
    "n",
];
/// Flags that stand for themselves.
const SWITCHES: &[&str] = &[
    "no-autoupdate",
    "version",
    "short",
    "help",
    "overwrite-dns",
    "f",
    "o",
];

pub enum Verb {
    Version {
        short: bool,
    },
    Usage,
    Validate,
    Rule,
    Ready,
    Account,
    /// `run`: with that word, else by `--url` alone.
    Tunnel {
        run: bool,
    },
}

pub struct Args {
    pub verb: Verb,
    flags: HashMap<String, String>,
    /// Words that are no flags.
    pub words: Vec<String>,
}

impl Args {
    /// The name of a flag nobody knows.
    pub fn parse(argv: &[String]) -> Result<Self, String> {
        let (mut flags, mut words) = (HashMap::new(), Vec::new());
        let mut rest = argv.iter();
        while let Some(word) = rest.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                words.push(word.clone());
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if SWITCHES.contains(&name) {
                flags.insert(name.to_owned(), "true".to_owned());
            } else if VALUED.contains(&name) {
                let value = value.or_else(|| rest.next().cloned()).unwrap_or_default();
                flags.insert(name.to_owned(), value);
            } else {
                return Err(name.to_owned());
            }
        }
        let verb = verb(&words, &flags);
        Ok(Self { verb, flags, words })
    }

    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str)
    }
}

fn verb(words: &[String], flags: &HashMap<String, String>) -> Verb {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if flags.contains_key("version") {
        return Verb::Version { short: false };
    }
    match words[..] {
        ["version", ..] => Verb::Version {
            short: flags.contains_key("short"),
        },
        ["tunnel", "ingress", "validate", ..] => Verb::Validate,
        ["tunnel", "ingress", "rule", ..] => Verb::Rule,
        ["tunnel", "ready", ..] => Verb::Ready,
        ["tunnel", "login" | "create" | "list" | "route" | "token", ..] => Verb::Account,
        ["tunnel", "run", ..] => Verb::Tunnel { run: true },
        ["tunnel"] => Verb::Tunnel { run: false },
        _ => Verb::Usage,
    }
}
