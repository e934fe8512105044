//! The environment of a spawned agent (MANIFEST.md section 5).

use serde_json::{Map, Value};

use crate::domain::{AgentKey, Millis, Mode, SessionId};

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
    /// Where the hub is: the agent's own URL has its token behind it.
    pub server_url: String,
    /// What the token is signed with.
    pub agent_key: AgentKey,
    /// As the contract's variable of this name.
    pub data_dir: String,
    /// As the contract's variable of this name.
    pub session_dir: String,
    /// Those of [`PROVIDER_VARIABLES`] that are set.
    pub provider_env: Vec<(String, String)>,
}

/// The variable that says where the hub is.
const SERVER_URL: &str = "MAESTRO_SERVER_URL";

impl SpawnPlace {
    /// The same variables as everybody may see them: without the agent's token.
    pub(super) fn masked(&self, mut environment: Map<String, Value>) -> Map<String, Value> {
        if let Some(url) = environment.get_mut(SERVER_URL) {
            *url = self.server_url.as_str().into();
        }
        environment
    }

    /// All variables, the providers' keys and the agent's token included. The session begins at `now`.
    pub(super) fn environment(
        &self,
        session: &SessionId,
        now: Millis,
        mode: Mode,
        parent: Option<&str>,
    ) -> Map<String, Value> {
        let url = self.agent_key.url(&self.server_url, session, now);
        let ours = [
            ("MAESTRO_SESSION_ID", session.as_str()),
            ("MAESTRO_MANIFEST_PATH", &self.manifest_path),
            (SERVER_URL, &url),
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
