//! cloudflared as an operator's tool: the few commands of it that a setup needs.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;
use thiserror::Error;

/// Why a step failed.
#[derive(Debug, Error)]
pub enum ToolError {
    /// It cannot be started.
    #[error("{program} cannot be started: {error}")]
    Start {
        /// Which program.
        program: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It said no.
    #[error("`cloudflared {command}` failed: {said}")]
    Failed {
        /// What was asked of it.
        command: String,
        /// Its last words.
        said: String,
    },
    /// It answered something that is not understood.
    #[error("`cloudflared {0}` answered something unexpected; is it older than 2022?")]
    Puzzling(String),
}

/// The program.
pub struct Tool {
    program: PathBuf,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    name: String,
}

impl Tool {
    /// This one.
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Opens a browser and waits until somebody has logged in; talks to the terminal itself.
    pub fn login(&self) -> Result<(), ToolError> {
        let mut command = Command::new(&self.program);
        command.args(["tunnel", "login"]);
        let status = command.status().map_err(|error| self.start(error))?;
        if status.success() {
            return Ok(());
        }
        Err(ToolError::Failed {
            command: "tunnel login".into(),
            said: status.to_string(),
        })
    }

    /// The id of the tunnel of this name, if there is one.
    pub fn id(&self, name: &str) -> Result<Option<String>, ToolError> {
        let out = self.ask(&["tunnel", "list", "--output", "json", "--name", name])?;
        let listed: Option<Vec<Listed>> =
            serde_json::from_str(out.trim()).map_err(|_| ToolError::Puzzling("tunnel list".into()))?;
        let found = listed
            .unwrap_or_default()
            .into_iter()
            .find(|tunnel| tunnel.name == name);
        Ok(found.map(|tunnel| tunnel.id))
    }

    /// Makes a tunnel, its credentials in a file of their own.
    pub fn create(&self, name: &str, credentials: &Path) -> Result<(), ToolError> {
        let file = credentials.to_string_lossy();
        self.ask(&["tunnel", "create", "--credentials-file", &file, name])?;
        Ok(())
    }

    /// Fetches the credentials of a tunnel that exists.
    pub fn fetch_credentials(&self, name: &str, credentials: &Path) -> Result<(), ToolError> {
        let file = credentials.to_string_lossy();
        self.ask(&["tunnel", "token", "--cred-file", &file, name])?;
        Ok(())
    }

    /// Lets a host name lead to the tunnel; done already is fine.
    pub fn route(&self, name: &str, host: &str) -> Result<(), ToolError> {
        self.ask(&["tunnel", "route", "dns", name, host])?;
        Ok(())
    }

    fn start(&self, error: io::Error) -> ToolError {
        ToolError::Start {
            program: self.program.clone(),
            error,
        }
    }

    fn ask(&self, args: &[&str]) -> Result<String, ToolError> {
        let mut command = Command::new(&self.program);
        command.args(args).stdin(Stdio::null());
        let out = command.output().map_err(|error| self.start(error))?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let said = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("no words");
        Err(ToolError::Failed {
            command: args.iter().take(3).copied().collect::<Vec<_>>().join(" "),
            said: said.trim().chars().take(300).collect(),
        })
    }
}
