//! Keeps a child process running: a pure state machine and a thin driver. Knows no particular program.
//!
//! # How to use
//!
//! A child is a value: a [`ChildSpec`] with its [`Program`] (what to run, how to ask it, what its ends mean),
//! its [`Policy`] and its directories. One task drives each child:
//!
//! ```no_run
//! # async fn example(spec: maestro::supervisor::ChildSpec) -> Result<(), maestro::supervisor::Ended> {
//! use std::time::Duration;
//! use maestro::{shutdown::TaskGroup, supervisor::{State, supervise}};
//!
//! let (transitions, _) = tokio::sync::broadcast::channel(256); // one for all children
//! let group = TaskGroup::default();
//! let redis = supervise(spec, &group, transitions);
//! let up_or_down = redis.health(); // a watch channel, for whoever stands on this child
//! redis.start().await?; // a wish; what comes of it is told by status, health and transitions
//! redis.wait(Duration::from_secs(10), |status| status.state == State::Ready).await;
//! redis.shutdown(Duration::from_secs(4)).await; // TERM, CONT, KILL in time; the task ends too
//! group.close(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! - `start`, `stop`, `restart`, `kill`: the operator. `nudge`: wake from sleep, change of network.
//! - [`Handle::status`] is everything for `status`; [`Record::read`] is the same of a daemon that is dead.
//! - Dropping the group, or dying of `kill -9`, leaves the child running: the next supervisor finds it by the
//!   lock it inherited, verifies it, and adopts it.
//!
//! # Invariants
//!
//! Never two living processes of one child (the lock, and the property tests of the machine). The last wish
//! wins. A child that is wanted always has something pending. Nothing unverified is ever signalled. No pipe
//! stands between us and a child. Every queue, file and history has a bound.

mod child;
mod clock;
mod driver;
mod event;
mod handle;
mod job;
mod lock;
mod machine;
mod output;
mod policy;
mod process;
mod record;
mod spawn;
mod spec;
mod status;

pub use self::{
    driver::supervise,
    event::{Blocked, Code, Exit, Fault, Nudge, Outcome, RunId, State, Want},
    handle::{Ended, Handle},
    job::is_orphaned,
    output::{Follower, Limits, Mark, News, Output},
    policy::{Backoff, Policy},
    record::{Record, Spawned},
    spec::{BoxFuture, ChildSpec, ExitReport, Grouping, Invocation, Program},
    status::{ChildStatus, ExitRecord, Facts, Health, Transition},
};
