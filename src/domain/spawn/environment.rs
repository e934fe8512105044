//! The environment of a spawned agent (MANIFEST.md section 5).

use serde_json::{Map, Value};

use crate::domain::{Mode, SessionId};

/// Variables of our own environment that are passed on to spawned agents, and to them only.
pub const PROVIDER_VARIABLES: [&str; 6] = [
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_GCA",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
];

/// Where a spawned agent finds things.
#[derive(Clone, Debug)]
pub struct SpawnPlace {
    /// Absolute path of its manifest.
    pub manifest_path: String,
    /// What it is told to call.
    pub server_url: String,
    /// As the contract's variable of this name.
    pub data_dir: String,
    /// As the contract's variable of this name.
    pub session_dir: String,
    /// Those of [`PROVIDER_VARIABLES`] that are set.
    pub provider_env: Vec<(String, String)>,
}

impl SpawnPlace {
    /// All variables, the providers' keys included.
    pub(super) fn environment(
        &self,
        session: &SessionId,
        mode: Mode,
        parent: Option<&str>,
    ) -> Map<String, Value> {
        let ours = [
            ("MAESTRO_SESSION_ID", session.as_str()),
            ("MAESTRO_MANIFEST_PATH", &self.manifest_path),
            ("MAESTRO_SERVER_URL", &self.server_url),
            ("MAESTRO_MODE", mode.as_str()),
            ("MAESTRO_COORDINATOR_SESSION_ID", parent.unwrap_or_default()),
            ("DATA_DIR", &self.data_dir),
            ("SESSION_DIR", &self.session_dir),
            ("GOOGLE_GENAI_USE_GCA", "true"),
        ];
        let ours = ours.map(|(name, value)| (name.to_owned(), Value::from(value)));
        let provider = self
            .provider_env
            .iter()
            .filter(|(name, value)| !value.is_empty() && PROVIDER_VARIABLES.contains(&name.as_str()));
        let provider = provider.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        ours.into_iter().chain(provider).collect()
    }
}
