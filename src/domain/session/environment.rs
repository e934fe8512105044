//! The environment of a session is stored, answered and sent to every listener, so no key may be in it (quirk 18).

use serde_json::{Map, Value};

/// Ends of the names under which providers of models expect their keys. Settings such as `GOOGLE_GENAI_USE_VERTEXAI`
/// are none and stay.
const KEY_ENDS: [&str; 4] = ["_API_KEY", "_AUTH_TOKEN", "_OAUTH_TOKEN", "_SECRET_ACCESS_KEY"];

/// True if the variable holds a provider's key: never stored, never returned.
pub fn is_provider_key(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    KEY_ENDS.iter().any(|end| name.ends_with(end))
}

/// `env` without the providers' keys.
pub(super) fn without_keys(mut env: Map<String, Value>) -> Map<String, Value> {
    env.retain(|name, _| !is_provider_key(name));
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_provider_are_keys_and_settings_are_not() {
        for name in [
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "anthropic_api_key",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(is_provider_key(name), "{name}");
        }
        for name in [
            "GOOGLE_GENAI_USE_GCA",
            "DATA_DIR",
            "MAESTRO_SESSION_ID",
            "API_KEYS",
            "PATH",
        ] {
            assert!(!is_provider_key(name), "{name}");
        }
    }
}
