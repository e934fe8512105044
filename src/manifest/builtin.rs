//! Manifests written by the hub itself.

use std::{fs, io, path::PathBuf};

use serde_json::Value;

use crate::domain::ManifestOrder;
use crate::ports::ManifestError;

use super::{draft::Draft, off_the_runtime};

/// Builds the manifest and writes it. A reader finds the whole file or none.
///
/// It is not synced: after a power cut no terminal is left that would read it.
pub async fn generate(order: ManifestOrder, output: PathBuf) -> Result<Value, ManifestError> {
    let manifest = order.build().map_err(|error| ManifestError(error.to_string()))?;
    let (manifest, draft) = off_the_runtime(move || {
        let failed =
            |error: io::Error| ManifestError(format!("{} could not be written: {error}", output.display()));
        let folder = output.parent().unwrap_or(&output);
        let draft = Draft::make(folder).map_err(failed)?;
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(error.into()))?;
        let unfinished = output.with_extension("json.tmp");
        fs::write(&unfinished, text).map_err(failed)?;
        fs::rename(&unfinished, &output).map_err(failed)?;
        Ok((manifest, draft))
    })
    .await?;
    draft.keep();
    Ok(manifest)
}
