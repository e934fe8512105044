//! Rules of API.md that the recording does not show, by section.

mod answers;
mod mail;
mod members;
mod projects;
mod session_updates;
mod sessions;
mod skills;
mod spawn;
mod tasks;
