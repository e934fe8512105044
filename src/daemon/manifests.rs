//! A generator that makes none, until the real one stands.

use std::path::{Path, PathBuf};

use crate::domain::ManifestOrder;
use crate::ports::{self, ManifestError, Pending};

/// Makes no manifests.
pub struct Manifests;

impl ports::Manifests for Manifests {
    fn generate(
        &self,
        _: ManifestOrder,
        _: PathBuf,
    ) -> Pending<'_, Result<serde_json::Value, ManifestError>> {
        Box::pin(async { Err(ManifestError("this build has no manifest generator".into())) })
    }

    fn discard(&self, _: &Path) {}
}
