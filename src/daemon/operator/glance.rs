//! How things are in one line, for `systemctl status`.

use crate::control::protocol::{AgentCounts, Component, State};

/// What the line is made of.
pub(super) struct Glance<'a> {
    /// Everything required is there.
    pub ready: bool,
    /// The parts worth a word.
    pub parts: &'a [Component],
    pub agents: AgentCounts,
    /// Why the newest configuration is not in effect.
    pub bad_config: Option<&'a str>,
}

impl Glance<'_> {
    /// `ready; redis ready; tunnel connecting; 3 agents`.
    pub fn line(&self) -> String {
        let mut said = vec![if self.ready { "ready" } else { "not ready" }.to_owned()];
        said.extend(self.parts.iter().map(part));
        said.push(match self.agents.alive + self.agents.silent {
            0 => "no agents".to_owned(),
            1 => "1 agent".to_owned(),
            many => format!("{many} agents"),
        });
        match self.agents.waiting {
            0 => {}
            1 => said.push("1 question".to_owned()),
            many => said.push(format!("{many} questions")),
        }
        if let Some(why) = self.bad_config {
            let why: Vec<&str> = why.split_whitespace().collect(); // problems stand on lines of their own
            said.push(format!("running with the old configuration: {}", why.join(" ")));
        }
        said.join("; ")
    }
}

fn part(part: &Component) -> String {
    let state = match (part.name.as_str(), part.state) {
        ("tunnel", State::Starting) => "connecting",
        (_, state) => state.word(),
    };
    let reason = part.reason.as_deref().filter(|_| !part.state.is_fine());
    let reason = reason.filter(|_| part.state != State::Starting);
    match reason {
        Some(reason) => format!("{} {state} ({reason})", part.name),
        None => format!("{} {state}", part.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, state: State, reason: &str) -> Component {
        Component {
            name: name.into(),
            state,
            reason: Some(reason.into()),
            ..Component::default()
        }
    }

    fn agents(alive: usize, silent: usize, waiting: usize) -> AgentCounts {
        AgentCounts {
            alive,
            silent,
            waiting,
            ..AgentCounts::default()
        }
    }

    #[test]
    fn one_line_says_what_a_person_would_ask_first() {
        let parts = [
            part("redis", State::Ready, "ready"),
            part("tunnel", State::Starting, "spawned"),
        ];
        let mut glance = Glance {
            ready: true,
            parts: &parts,
            agents: agents(2, 1, 0),
            bad_config: None,
        };
        assert_eq!(glance.line(), "ready; redis ready; tunnel connecting; 3 agents");
        glance.agents = agents(1, 0, 1);
        glance.bad_config = Some("2 problems:\n  unknown key `x`");
        assert_eq!(
            glance.line(),
            "ready; redis ready; tunnel connecting; 1 agent; 1 question; running with the old configuration: 2 problems: unknown key `x`"
        );
    }

    #[test]
    fn what_is_wrong_comes_with_its_reason() {
        let parts = [
            part("store", State::Degraded, "disk_full"),
            part("redis", State::Blocked, "binary_missing"),
            part("tunnel", State::Off, "nobody_paired"),
        ];
        let glance = Glance {
            ready: false,
            parts: &parts,
            agents: agents(0, 0, 0),
            bad_config: None,
        };
        assert_eq!(
            glance.line(),
            "not ready; store degraded (disk_full); redis blocked (binary_missing); tunnel off; no agents"
        );
    }
}
