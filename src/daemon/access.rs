//! Who may come in from outside: the audit first, then the devices that are written down in it; and how they are told
//! when they do not look.

use std::sync::Arc;

use tokio::sync::watch;

use crate::access::{Audit, Devices, Size};
use crate::config::{Config, PushService};
use crate::hub::Hub;
use crate::ports::Clock;
use crate::push::{AllowList, Ground, Push, Service};
use crate::service::sleep::Resume;
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

/// What notifications are made from.
pub(super) fn push(config: &Config, db: Database, hub: &Hub) -> Ground {
    Ground {
        db,
        app: hub.app().clone(),
        bus: hub.bus().clone(),
        devices: hub.devices().clone(),
        allow: AllowList::new(config.push.allow.iter().map(service)),
        contact: config
            .push
            .contact
            .as_ref()
            .map(|contact| contact.as_str().to_owned()),
    }
}

fn service(service: &PushService) -> Service {
    match service {
        PushService::Host(host) => Service::Host(host.as_str().to_owned()),
        PushService::Below(host) => Service::Below(host.as_str().to_owned()),
        PushService::Origin {
            https, host, port, ..
        } => Service::Origin {
            https: *https,
            host: match host.as_str() {
                v6 if v6.contains(':') => format!("[{v6}]"),
                name => name.to_owned(),
            },
            port: *port,
        },
    }
}

/// Phones are told in one piece of what happened while the machine slept.
pub(super) fn tell_of_sleep(hub: &Hub, mut resumes: watch::Receiver<Option<Resume>>, tasks: &TaskGroup) {
    let (push, app): (Option<Push>, _) = (hub.push().cloned(), hub.app().clone());
    let Some(push) = push else { return };
    tasks.spawn("sleep and phones", move |stop| async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = resumes.changed() => if changed.is_err() {
                    return;
                },
            }
            let resume = *resumes.borrow_and_update();
            if let Some(resume) = resume {
                push.woke(resume.slept + resume.stalled, app.now());
            }
        }
    });
}
