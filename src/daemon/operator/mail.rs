//! Mail, as operators look at it. The rules are the application's.

use serde_json::{Value, json};

use crate::app::AppError;
use crate::control::protocol::{MailAsk, Problem};
use crate::domain::{Id, InboxQuery, Kind, MailId, Millis, ProjectId, SessionId};

use super::Inner;

impl Inner {
    pub(super) async fn mails(&self, ask: MailAsk) -> Result<Value, Problem> {
        let app = self.hub.app();
        match ask {
            MailAsk::List {
                session: Some(session),
                project,
                limit,
            } => self.inbox(&id(&session)?, project, limit).await,
            MailAsk::List {
                session: None,
                project,
                limit,
            } => {
                let project: Option<ProjectId> = project.as_deref().map(id).transpose()?;
                let mails = self.mail.newest(project.as_ref(), limit).await;
                Ok(json!(mails.map_err(|error| told(error.into()))?))
            }
            MailAsk::Show(mail) => Ok(json!(app.mail(&id(&mail)?).await.map_err(told)?)),
            MailAsk::Thread(mail) => {
                let mail: MailId = id(&mail)?;
                let thread = match app.mail(&mail).await {
                    Ok(mail) => mail.thread_id,
                    // Its beginning may be gone, and the rest still be there.
                    Err(AppError::Refused(_)) => mail,
                    Err(error) => return Err(told(error)),
                };
                Ok(json!(app.mail_thread(&thread).await.map_err(told)?))
            }
            MailAsk::Delete(mail) => {
                app.delete_mail(id(&mail)?).await.map_err(told)?;
                Ok(json!({"deleted": true, "id": mail}))
            }
        }
    }

    async fn inbox(
        &self,
        session: &SessionId,
        project: Option<String>,
        limit: usize,
    ) -> Result<Value, Problem> {
        let app = self.hub.app();
        let project = match project {
            Some(project) => Some(id(&project)?),
            None => app.session_head(session).map(|head| head.project_id.clone()),
        };
        if project.is_none() {
            let problem = Problem::new("unknown_session", format!("there is no session {session} here"));
            return Err(problem.remedy("name its project as well: --project ID"));
        }
        let query = InboxQuery {
            project,
            mail_type: None,
            since: Millis(0),
        };
        let mut mails = app.inbox(session, query).await.map_err(told)?;
        mails.truncate(limit);
        Ok(json!(mails))
    }
}

fn id<K: Kind>(text: &str) -> Result<Id<K>, Problem> {
    Id::parse(text).map_err(|error| Problem::new("bad_id", format!("`{text}` is no id: {error}")))
}

fn told(error: AppError) -> Problem {
    let text = error.to_string();
    match error {
        AppError::Refused(_) => {
            Problem::new("refused", text).remedy("maestroctl mail list shows what there is")
        }
        _ => Problem::new("unavailable", text).remedy("maestroctl status says how mail is doing"),
    }
}
