//! The status: facts of every part, put together for people and scripts.

use std::{fs, process};

use serde_json::Value;

use crate::bus::Kind;
use crate::control::protocol::{
    AgentCounts, Claims, Component, Daemon, Hub as HubFacts, LastExit, Places, State, Status, VERSION,
    Warning,
};
use crate::domain::Verdict;
use crate::ports::Clock;
use crate::supervisor::{self, ChildStatus};

use super::{Child, Inner, glance::Glance, redis_part, way_in};

impl Inner {
    pub(super) fn status(&self) -> Status {
        let at = crate::clock::SystemClock.now().0;
        let mail = self.mail.part(self.fixed.started_at);
        let mut components = vec![self.hub_part(), self.store_part(), mail];
        components.extend(self.children.iter().map(child_part));
        let told = self.fixed.redis.as_str();
        redis_part::complete(&mut components, told, self.fixed.link.as_ref(), at);
        components.push(self.fixed.ingress.component());
        components.push(way_in::component(&self.tunnel.seen()));
        Status {
            version: VERSION,
            at,
            daemon: self.daemon(),
            warnings: self.warnings(),
            components,
            hub: HubFacts {
                listen: self.fixed.listen.clone(),
                url: self.hub.app().facts().server_url.clone(),
                raw_clients: self.hub.bus().count(Kind::Raw),
                ui_clients: self.hub.clients().ui(),
                mobile_clients: self.hub.clients().mobile(),
                seq: self.stock.store.seq(),
                metrics: self.fixed.metrics.clone(),
            },
            agents: self.agent_counts(),
            devices: self.device_counts(),
            mail: self.mail.told(),
            claims: self.claims(),
            places: self.places(),
        }
    }

    /// Cheap enough for every few seconds.
    pub(super) fn glance(&self) -> String {
        let at = crate::clock::SystemClock.now().0;
        let mut parts: Vec<_> = self.children.iter().map(child_part).collect();
        redis_part::complete(&mut parts, &self.fixed.redis, self.fixed.link.as_ref(), at);
        if let Some(trouble) = self.stock.store.database().trouble() {
            parts.insert(
                0,
                Component {
                    name: "store".into(),
                    state: State::Degraded,
                    reason: Some(trouble.to_string()),
                    ..Component::default()
                },
            );
        }
        parts.push(way_in::component(&self.tunnel.seen()));
        let bad_config = self.bad_config.load();
        Glance {
            ready: self.hub.readiness().is_complete(),
            parts: &parts,
            agents: self.agent_counts(),
            bad_config: bad_config.as_deref().map(String::as_str),
        }
        .line()
    }

    fn daemon(&self) -> Daemon {
        let stopping = self.hub.stopping().is_cancelled();
        let state = match (stopping, self.hub.readiness().is_complete()) {
            (true, _) => "stopping",
            (false, true) => "running",
            (false, false) => "starting",
        };
        Daemon {
            release: env!("CARGO_PKG_VERSION").into(),
            pid: process::id(),
            state: state.into(),
            started_at: self.fixed.started_at,
            owner: self.fixed.owner.clone(),
            last_words: None,
        }
    }

    fn places(&self) -> Places {
        let loaded = self.loaded.load();
        let text = |path: &std::path::Path| path.display().to_string();
        Places {
            data_dir: text(&loaded.config.data_dir),
            state_dir: text(&loaded.config.state_dir),
            runtime_dir: text(&loaded.config.runtime_dir),
            config_file: loaded.file.as_deref().map(text),
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let warning = |code: &str, text: String, remedy: Option<String>| Warning {
            code: code.into(),
            text,
            remedy,
        };
        let loaded = self.loaded.load();
        let mut warnings: Vec<Warning> = Vec::new();
        if let Some(trouble) = self.stock.store.database().trouble() {
            let remedy = "free some room or mend the disk; writes are refused until one succeeds";
            warnings.push(warning(
                "store_trouble",
                format!("the store cannot write: {trouble}"),
                Some(remedy.into()),
            ));
        }
        for (part, why) in self.hub.readiness().missing() {
            warnings.push(warning("not_ready", format!("{part}: {why}"), None));
        }
        warnings.extend(self.mail.warnings());
        let empty = self.hub.app().view().projects().is_empty();
        if empty && super::super::settings::has_node_data(&loaded.config.data_dir) {
            let remedy = format!(
                "take it over: maestroctl import {}",
                loaded.config.data_dir.display()
            );
            warnings.push(warning(
                "node_data",
                "the Node server's data has not been taken over".into(),
                Some(remedy),
            ));
        }
        warnings.extend(
            loaded
                .warnings
                .iter()
                .map(|text| warning("config", text.clone(), None)),
        );
        warnings.extend(self.fixed.ingress.warning());
        self.access_warnings(&mut warnings);
        let cut_off = self.hub.bus().cut_off() + self.hub.clients().cut_off();
        if cut_off > 0 {
            warnings.push(warning(
                "slow_clients",
                format!("{cut_off} clients were cut off because they did not keep up"),
                None,
            ));
        }
        warnings
    }

    fn hub_part(&self) -> Component {
        Component {
            name: "hub".into(),
            state: if self.hub.stopping().is_cancelled() {
                State::Stopping
            } else {
                State::Ready
            },
            required: true,
            since: self.fixed.started_at,
            detail: self.fixed.listen.join(" "),
            ..Component::default()
        }
    }

    fn store_part(&self) -> Component {
        let view = self.hub.app().view();
        let file = self.stock.store.database().path();
        // What is not folded into the file yet lies beside it.
        let files = [file.to_owned(), file.with_extension("db-wal")];
        let bytes: u64 = files
            .iter()
            .filter_map(|file| Some(fs::metadata(file).ok()?.len()))
            .sum();
        let detail = format!(
            "{:.1} MB, {} projects, {} tasks, {} sessions",
            bytes as f64 / 1e6,
            view.projects().len(),
            view.tasks(None).len(),
            view.session_heads(None).len(),
        );
        let state = if self.stock.store.database().trouble().is_some() {
            State::Degraded
        } else {
            State::Ready
        };
        Component {
            name: "store".into(),
            state,
            required: true,
            since: self.fixed.started_at,
            detail,
            ..Component::default()
        }
    }

    /// Who should be at work, and who is alive.
    pub(super) fn agents(&self) -> Value {
        // Texts and numbers only: that can always be written.
        serde_json::to_value(self.hub.app().agents()).unwrap_or_default()
    }

    fn claims(&self) -> Claims {
        let counts = self.hub.app().claim_counts();
        Claims {
            held: counts.held,
            granted: counts.granted,
            renewed: counts.renewed,
            refused: counts.refused,
            released: counts.released,
            ended: counts.ended,
            died: counts.died,
            expired: counts.expired,
        }
    }

    fn agent_counts(&self) -> AgentCounts {
        let counts = self.hub.app().agent_counts();
        let (waiting, since) = self.hub.app().waiting_for_people();
        let of = |verdict| counts.get(&verdict).copied().unwrap_or_default();
        AgentCounts {
            alive: of(Verdict::Alive),
            silent: of(Verdict::Silent),
            dead: of(Verdict::Crashed) + of(Verdict::Lost),
            waiting,
            waiting_since: since.map(|since| since.0),
        }
    }
}

fn child_part(child: &Child) -> Component {
    part(child.name, child.required, &child.handle.status())
}

/// What every child's entry says.
pub(super) fn part(name: &str, required: bool, status: &ChildStatus) -> Component {
    let millis = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    Component {
        name: name.into(),
        state: state(status.state),
        required,
        since: millis(status.since_ms),
        pid: status.pid.and_then(|pid| u32::try_from(pid).ok()),
        adopted: status.adopted,
        restarts_24h: status.restarts_24h,
        restarts_total: status.restarts_total,
        last_exit: status.last_exit().map(|exit| LastExit {
            at: millis(exit.at_ms),
            how: exit.exit.to_string(),
            uptime_ms: exit.uptime_ms,
            last_lines: exit.last_lines.clone(),
        }),
        next_retry_at: status.next_retry_at_ms.map(millis),
        reason: Some(status.reason.to_string()),
        detail: facts(status),
        remedy: status.remedy.clone(),
    }
}

/// Of what the child told about itself, what is worth a glance; the rest is for its own tools.
fn facts(status: &ChildStatus) -> String {
    let fact = |name: &str| status.facts.get(name);
    let memory = fact("used_memory").and_then(|bytes| bytes.parse::<f64>().ok());
    let version = fact("version").map(|version| format!("version {version}"));
    let memory = memory.map(|bytes| format!("{:.1} MB", bytes / 1e6));
    [version, memory]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn state(state: supervisor::State) -> State {
    use supervisor::State as S;
    match state {
        S::Stopped => State::Stopped,
        S::Adopting => State::Adopting,
        S::Starting => State::Starting,
        S::Ready => State::Ready,
        S::Degraded => State::Degraded,
        S::Stopping => State::Stopping,
        S::Backoff => State::Backoff,
        S::CrashLoop => State::CrashLoop,
        S::Blocked => State::Blocked,
    }
}
