//! What phones get to see: shapes of their own, field by field, so that nothing leaves through the tunnel because
//! somebody added it to a record (SECURITY rule 11). Never an environment, never a path, never a whole history.

mod document;
pub mod events;
pub mod refusal;
pub mod timeline;
mod view;

pub use document::DocView;
pub use view::{MailView, MemberView, ProjectView, SessionView, TaskView};
