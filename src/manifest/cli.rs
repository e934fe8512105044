//! Manifests made by the external client program, called as the server we replace calls it (MANIFEST.md section 1).

use std::{
    ffi::OsString,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::domain::ManifestOrder;
use crate::ports::ManifestError;

use super::{
    Surroundings,
    draft::Draft,
    layout::PrivateCopy,
    off_the_runtime,
    program::{self, Call, Ended},
};

/// Programs that run at once; each is a whole Node process.
const AT_ONCE: usize = 4;
/// Calls that wait for their turn; more are refused.
const WAITING: usize = 64;
/// Largest manifest that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Calls the program.
pub struct Cli {
    surroundings: Arc<Surroundings>,
    turns: Semaphore,
    queue: Semaphore,
}

impl Cli {
    pub fn new(surroundings: Surroundings) -> Self {
        Self {
            surroundings: Arc::new(surroundings),
            turns: Semaphore::new(AT_ONCE),
            queue: Semaphore::new(WAITING),
        }
    }

    /// Lets `program` write the manifest to `output`, and reads it.
    pub async fn generate(
        &self,
        program: &Path,
        time_limit: Duration,
        order: ManifestOrder,
        output: PathBuf,
    ) -> Result<Value, ManifestError> {
        let busy = |_| ManifestError("too many manifests are being made; try again later".to_owned());
        let waiting = self.queue.try_acquire().map_err(busy)?;
        // The semaphore is never closed.
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|e| ManifestError(e.to_string()))?;
        drop(waiting);
        let arguments = arguments(&order, &output);
        let prepared = self.prepare(order, output.clone()).await?;
        let call = Call {
            program: program.to_owned(),
            arguments,
            environment: self.environment(prepared.copy.dir()),
            time_limit,
        };
        check(program::run(call).await, time_limit)?;
        let manifest = off_the_runtime(move || {
            read(&output).map_err(|error| ManifestError(format!("Failed to read manifest: {error}")))
        })
        .await?;
        prepared.draft.keep();
        Ok(manifest)
    }

    /// The folder of the output and the files the program reads.
    async fn prepare(&self, order: ManifestOrder, output: PathBuf) -> Result<Prepared, ManifestError> {
        let surroundings = self.surroundings.clone();
        off_the_runtime(move || {
            let folder = output.parent().unwrap_or(&output);
            // Named like the folder of the output, which is named by the id of the session.
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let prepare = || {
                Ok(Prepared {
                    draft: Draft::make(folder)?,
                    copy: PrivateCopy::make(&surroundings.scratch, &name, &order)?,
                })
            };
            prepare().map_err(|error: io::Error| {
                ManifestError(format!("Nothing could be prepared for the maestro CLI: {error}"))
            })
        })
        .await
    }

    fn environment(&self, data_dir: &Path) -> Vec<(&'static str, OsString)> {
        vec![
            ("MAESTRO_SERVER_URL", self.surroundings.server_url.clone().into()),
            ("SESSION_DIR", self.surroundings.session_dir.clone().into()),
            ("DATA_DIR", data_dir.into()),
        ]
    }
}

/// What there is while the program runs, and is gone if it fails or nobody waits for it any more.
struct Prepared {
    draft: Draft,
    copy: PrivateCopy,
}

/// The arguments in their exact order.
fn arguments(order: &ManifestOrder, output: &Path) -> Vec<OsString> {
    let task_ids: Vec<&str> = order.tasks.iter().map(|task| task.id.as_str()).collect();
    let mut arguments: Vec<OsString> = vec!["manifest".into(), "generate".into()];
    let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    option("--mode", order.mode.as_str().into());
    option("--project-id", order.project.id.as_str().into());
    option("--task-ids", task_ids.join(",").into());
    option("--skills", order.skills.join(",").into());
    option("--output", output.into());
    if let Some(model) = &order.model {
        option("--model", model.into());
    }
    if let Some(tool) = order.named_tool() {
        option("--agent-tool", tool.into());
    }
    if !order.reference_task_ids.is_empty() {
        option("--reference-task-ids", order.reference_task_ids.join(",").into());
    }
    if !order.profile_ids().is_empty() {
        option("--team-member-ids", order.profile_ids().join(",").into());
    }
    if let Some(id) = order.sole_identity() {
        option("--team-member-id", id.into());
    }
    arguments
}

/// The contract's reasons for failures.
fn check(ended: io::Result<Ended>, time_limit: Duration) -> Result<(), ManifestError> {
    let reason = match ended {
        Ok(Ended::Exited { code: 0, .. }) => return Ok(()),
        Ok(Ended::Exited { errors, .. } | Ended::Killed { errors, .. })
            if errors.contains("command not found") || errors.contains("ENOENT") =>
        {
            "maestro CLI not found. Please install maestro: npm install -g maestro-cli".to_owned()
        }
        Ok(Ended::Exited { code, errors }) => {
            format!("Manifest generation failed (exit code {code}): {errors}")
        }
        Ok(Ended::Killed { signal, errors }) => {
            format!("Manifest generation failed (signal {signal}): {errors}")
        }
        Ok(Ended::TooLate) => format!("maestro CLI did not finish within {time_limit:?}"),
        Err(error) => format!("Failed to spawn maestro CLI: {error}"),
    };
    Err(ManifestError(reason))
}

fn read(output: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    fs::File::open(output)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
