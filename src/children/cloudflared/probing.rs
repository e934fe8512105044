//! Asking the living run how it is, and keeping what it says for the next question and for those who come after us.

use super::{
    Cloudflared, ask,
    judge::{self, Known, TAIL},
    note::RunNote,
};
use crate::supervisor::{Facts, Outcome};

/// What its first lines hold: its version.
const HEAD: u64 = 4 << 10;

impl Cloudflared {
    pub(super) async fn ask(&self) -> (Outcome, Facts) {
        let (run, was_connected, floods, astray) = self.seen(|seen| {
            let floods = seen.floods();
            (seen.run.clone(), seen.was_connected, floods, seen.astray.clone())
        });
        if run.port == 0 {
            return (Outcome::miss("no_note"), Facts::new());
        }
        let known = Known {
            port: run.port,
            connector: run.connector.clone(),
            was_connected,
            floods,
            astray,
        };
        let heard = ask::get(run.port, "/ready").await;
        let words = self.words.last(run.log_from, TAIL);
        let (outcome, mut facts) = judge::judge(&heard, &words, &known);
        if facts.is_empty() {
            return (outcome, facts);
        }
        self.learn(&outcome, &facts, &run);
        if let Some(version) = self.version(&run) {
            facts.insert("version".into(), version);
        }
        if self.is_quick()
            && let Some(host) = self.learn_host(run.port).await
        {
            facts.insert("url".into(), format!("https://{host}"));
        }
        (outcome, facts)
    }

    /// The connector is noted for those who come after us; what works ends a rate limit.
    fn learn(&self, outcome: &Outcome, facts: &Facts, run: &RunNote) {
        let connector = facts.get("connector").cloned();
        let (note, pauses) = self.seen(|seen| {
            if seen.run.port != run.port {
                return (None, None); // the answer of an earlier run
            }
            let fresh = seen.run.connector.is_none() && connector.is_some();
            if fresh {
                seen.run.connector = connector;
            }
            let connected = matches!(outcome, Outcome::Ok | Outcome::Impaired { .. })
                && facts.get("connections").is_some_and(|count| count != "0");
            seen.was_connected |= connected;
            let ended = connected && seen.pauses.works();
            (
                fresh.then(|| seen.run.clone()),
                ended.then(|| seen.pauses.clone()),
            )
        });
        if let Some(Err(err)) = note.map(|note| self.notes.write_run(&note)) {
            tracing::debug!(%err, "the tunnel's connector could not be noted");
        }
        if let Some(pauses) = pauses {
            self.notes.write_pauses(&pauses);
        }
    }

    fn version(&self, run: &RunNote) -> Option<String> {
        let known = self.seen(|seen| seen.version.clone());
        if known.is_some() {
            return known;
        }
        let version = judge::version(&self.words.first(run.log_from, HEAD));
        self.seen(|seen| seen.version = version.clone());
        version
    }

    async fn learn_host(&self, port: u16) -> Option<String> {
        let host = judge::quick_host(&ask::get(port, "/quicktunnel").await)?;
        self.quick_host.send_if_modified(|known| {
            let changed = known.as_ref() != Some(&host);
            *known = Some(host.clone());
            changed
        });
        Some(host)
    }
}
