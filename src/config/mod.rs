//! TOML, environment and flags become one checked configuration.
