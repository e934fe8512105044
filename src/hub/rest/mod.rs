//! The contract's REST routes, one file per resource: parse → app → wire.

mod answers;
mod claims;
mod events;
mod histories;
mod mail;
mod members;
mod modals;
mod orderings;
mod presence;
mod projects;
mod sessions;
mod skills;
mod spawn;
mod tasks;
mod workflows;

use super::routes::Routes;

/// All of them.
pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(projects::routes())
        .merge(tasks::routes())
        .merge(sessions::routes())
        .merge(histories::routes())
        .merge(answers::routes())
        .merge(modals::routes())
        .merge(orderings::routes())
        .merge(claims::routes())
        .merge(presence::routes())
        .merge(events::routes())
        .merge(mail::routes())
        .merge(members::routes())
        .merge(spawn::routes())
        .merge(skills::routes())
        .merge(workflows::routes())
}
