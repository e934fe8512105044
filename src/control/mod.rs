//! The local socket: what an operator on this machine may ask of the running daemon.
//!
//! HTTP/1.1 over a unix socket (0600 in a 0700 directory, the peer's uid checked). `maestroctl` and the tests talk
//! through [`client::Client`]; [`server`] answers from [`Operations`], which the wiring implements. No rules here.

pub mod client;
mod devices;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod protocol;
pub mod server;
#[cfg(any(test, fuzzing))]
mod stand_in;
#[cfg(test)]
mod tests;

use std::{future::Future, path::PathBuf, pin::Pin};

use tokio::sync::mpsc;

pub use devices::DeviceDesk;

use protocol::{ChildAct, LogSource, MailAsk, Problem, Progress, Status, TunnelReport};

/// A boxed future.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Lines of JSON or text, bounded: a client that does not read makes its own stream wait, nobody else.
pub type Lines = mpsc::Receiver<String>;

/// What the daemon can be asked over the control socket.
pub trait Operations: Send + Sync + 'static {
    /// The truth at a glance.
    fn status(&self) -> Pending<'_, Status>;
    /// Completes when something that `status` shows has changed since the last call by this listener.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
    /// The effective configuration with the origin of each value, secrets masked.
    fn config(&self) -> serde_json::Value;
    /// Everything that is counted, in the text format of Prometheus.
    fn metrics(&self) -> Pending<'_, String>;
    /// Agents and whether they live.
    fn agents(&self) -> Pending<'_, serde_json::Value>;
    /// Pairing, devices and the audit.
    fn device_desk(&self) -> &dyn DeviceDesk;
    /// Mail between agents, as REST shows it.
    fn mail(&self, ask: MailAsk) -> Pending<'_, Result<serde_json::Value, Problem>>;
    /// Starts, stops or restarts a child.
    fn act(&self, child: String, act: ChildAct) -> Pending<'_, Result<(), Problem>>;
    /// The way in from outside; `check`: ask the public address first whether it leads to us.
    fn tunnel(&self, check: bool) -> Pending<'_, Result<TunnelReport, Problem>>;
    /// Live events, one JSON object a line.
    fn events(&self) -> Lines;
    /// Log lines of one source: the newest `lines`, then what follows if asked.
    fn logs(&self, source: LogSource, lines: usize, follow: bool) -> Result<Lines, Problem>;
    /// Reads the configuration again; what changed, or why nothing did.
    fn reload(&self) -> Pending<'_, Result<serde_json::Value, Problem>>;
    /// Stops the daemon in order.
    fn stop(&self);
    /// Reads a JSON data directory into the store.
    fn import(&self, dir: PathBuf) -> mpsc::Receiver<Progress>;
    /// Writes the store as a JSON data directory.
    fn export(&self, dir: PathBuf) -> mpsc::Receiver<Progress>;
    /// Writes a consistent copy of the store to a file.
    fn backup(&self, file: PathBuf) -> mpsc::Receiver<Progress>;
}

/// Name of the control socket in the runtime directory.
pub const SOCKET: &str = "maestrod.sock";
/// Name, in the state directory, of the file with what the daemon last said of itself: a [`Status`].
pub const LAST_STATUS: &str = "status.json";
