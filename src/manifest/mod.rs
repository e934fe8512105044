//! Writes the manifests of spawned sessions: by ourselves, or with the external client program, as the operator
//! chooses; the choice may change while the hub runs. What a manifest says is the domain's business.

mod builtin;
mod cli;
mod draft;
mod layout;
mod program;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::domain::ManifestOrder;
use crate::ports::{ManifestError, Manifests, Pending};

/// Makes manifests.
pub struct Generator {
    choice: ArcSwap<Choice>,
    cli: cli::Cli,
}

/// Who writes manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The hub itself.
    Builtin,
    /// An external program (MANIFEST.md section 1).
    Cli {
        /// A path, or a name to be found on `PATH`.
        program: PathBuf,
        /// How long it may take; then it and what it started are killed.
        time_limit: Duration,
    },
}

/// What the external program is told of the hub.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where it reaches us.
    pub server_url: String,
    /// Where manifests lie.
    pub session_dir: PathBuf,
    /// A folder of our own for the copies of data it reads. Everything in it is removed.
    pub scratch: PathBuf,
}

impl Generator {
    /// A generator. Clears `scratch` of what an earlier daemon that was killed may have left, so there must not be a
    /// second one beside it.
    pub fn new(choice: Choice, surroundings: Surroundings) -> Self {
        draft::remove(&surroundings.scratch);
        Self {
            choice: ArcSwap::from_pointee(choice),
            cli: cli::Cli::new(surroundings),
        }
    }

    /// Lets somebody else write the manifests from now on.
    pub fn choose(&self, choice: Choice) {
        self.choice.store(Arc::new(choice));
    }
}

impl Manifests for Generator {
    fn generate(&self, order: ManifestOrder, output: PathBuf) -> Pending<'_, Result<Value, ManifestError>> {
        Box::pin(async move {
            match &*self.choice.load_full() {
                Choice::Builtin => builtin::generate(order, output).await,
                Choice::Cli { program, time_limit } => {
                    self.cli.generate(program, *time_limit, order, output).await
                }
            }
        })
    }

    fn discard(&self, output: &Path) {
        if let Some(folder) = output.parent() {
            draft::remove(folder);
        }
    }
}

/// Runs file work where waiting for a disk holds nobody up. If the caller is gone by its end, so is the result: the
/// guards in it then clean up.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ManifestError> + Send + 'static,
) -> Result<T, ManifestError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ManifestError(format!(
            "The manifest could not be written: {error}"
        ))),
    }
}
