//! Who may come in from outside: the audit first, then the devices that are written down in it.

use std::sync::Arc;

use crate::access::{Audit, Devices, Size};
use crate::config::Config;
use crate::ports::Clock;
use crate::shutdown::TaskGroup;
use crate::sqlite::Database;

use super::exit::StartError;

/// The paired devices kept in `db`, and the audit in the state directory.
pub(super) fn devices(
    config: &Config,
    db: Database,
    clock: Arc<dyn Clock>,
    tasks: &TaskGroup,
) -> Result<Devices, StartError> {
    let audit = Audit::open(&config.state_dir, Size::default(), clock.clone());
    let audit = audit.map_err(|error| StartError::System("start the audit", error))?;
    Ok(Devices::load(db, audit, clock, tasks)?)
}
