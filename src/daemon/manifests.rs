//! A generator that makes none, until the real one stands.

use crate::ports::{self, ManifestError, ManifestOrder, Pending};

/// Makes no manifests.
pub struct Manifests;

impl ports::Manifests for Manifests {
    fn generate(&self, _: ManifestOrder) -> Pending<'_, Result<serde_json::Value, ManifestError>> {
        Box::pin(async { Err(ManifestError("this build has no manifest generator".into())) })
    }
}
