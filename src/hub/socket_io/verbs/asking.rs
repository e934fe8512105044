//! What is asked of the application for a phone: the payloads, and who may do what where.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::{AppError, find_member};
use crate::domain::{
    Caller, HUMAN, InputAnswer, MemberId, NewMail, NewTask, ProjectId, Prompt, PromptMode, Rendered,
    RequestId, Scope, SendKey, SessionHead, SessionId, SpawnWish, Task, TaskId,
};
use crate::hub::{Hub, afar, deed::About, phone::SessionView};

use super::{Refusal, read};

/// Longest text for an agent, in bytes.
const TEXT: usize = 64 << 10;
/// Tasks of one spawn.
const TASKS: usize = 20;
/// Length of a task's title that is made from a message, in characters.
const TITLE: usize = 100;

/// A text for an agent's terminal.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PromptWish {
    session_id: String,
    content: String,
    mode: Option<String>,
    /// Under which it may be repeated.
    #[serde(rename = "requestId")]
    _request_id: Option<String>,
}

/// An answer to an agent's question.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reply {
    session_id: String,
    /// Which question.
    request_id: Option<String>,
    #[serde(default)]
    text: String,
    /// One of the question's options.
    choice: Option<String>,
    idempotency_key: Option<String>,
}

/// What a spawn from afar consists of: everything else comes from the hub's own files (SECURITY rule 8).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spawn {
    project_id: String,
    team_member_id: String,
    #[serde(default)]
    task_ids: Vec<String>,
    message: Option<String>,
    /// Under which it may be repeated.
    #[serde(rename = "requestId")]
    _request_id: String,
}

impl PromptWish {
    /// What is typed in, and how.
    pub(super) fn text_and_mode(self) -> Result<(String, PromptMode), Refusal> {
        let mode = match self.mode.as_deref() {
            None | Some("send") => PromptMode::Send,
            Some("paste") => PromptMode::Paste,
            Some(_) => return Err(Refusal::invalid("mode must be \"send\" or \"paste\"")),
        };
        Ok((text(self.content)?, mode))
    }
}

impl Reply {
    /// The answer it is to a question of `session`.
    pub(super) fn answer(self, session: SessionId) -> Result<InputAnswer, Refusal> {
        let request = self.request_id.as_deref().map(RequestId::parse).transpose();
        let key = self.idempotency_key.as_deref().map(SendKey::parse).transpose();
        Ok(InputAnswer {
            session,
            request: request.map_err(|error| Refusal::invalid(format!("requestId: {error}")))?,
            text: self.text,
            choice: self.choice,
            key: key.map_err(|error| Refusal::invalid(format!("idempotencyKey: {error}")))?,
        })
    }
}

/// Reads a mail, and the id of its request. Who sends it is settled by who the caller has proved to be; on this machine it
/// may say so.
pub(super) fn letter(
    caller: &Caller,
    data: Value,
    project: Option<ProjectId>,
) -> Result<(Option<String>, NewMail), Refusal> {
    let Value::Object(mut body) = data else {
        return Err(Refusal::invalid("a mail is an object"));
    };
    let id = match body.remove("requestId") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id),
        Some(_) => return Err(Refusal::invalid("requestId must be a text")),
    };
    if let Some(project) = project {
        body.entry("projectId").or_insert_with(|| project.as_str().into());
    }
    if matches!(caller, Caller::Local) {
        body.entry("fromSessionId").or_insert_with(|| HUMAN.into());
    }
    let wish = NewMail::read_from(caller, Some(body.into())).map_err(AppError::from)?;
    Ok((id, wish))
}

/// Who asks, and whom.
pub struct Asking {
    /// Whom.
    pub hub: Hub,
    /// Who.
    pub caller: Arc<Caller>,
}

impl Asking {
    /// Whose request ids these are.
    pub fn sender(&self) -> String {
        let device = self.caller.device();
        device.map_or_else(|| "local".to_owned(), |device| device.id.to_string())
    }

    fn may(&self, scope: Scope, project: &ProjectId) -> Result<(), Refusal> {
        match self.caller.may(scope, Some(project.as_str())) {
            true => Ok(()),
            false => Err(Refusal::scope(scope)),
        }
    }

    /// A session the caller reaches; another one is as good as none.
    fn session(&self, id: &str, scope: Scope) -> Result<Arc<Rendered<SessionHead>>, Refusal> {
        let head = reached(&self.hub, &self.caller, id).ok_or_else(|| Refusal::unknown("Session", id))?;
        self.may(scope, &head.project_id)?;
        Ok(head)
    }

    /// Sends a mail. Who sends it is settled by who the caller has proved to be; on this machine it may say so. Under
    /// the same request id it is one mail.
    pub async fn mail(
        &self,
        data: Value,
        project: Option<ProjectId>,
        about: &mut About,
    ) -> Result<Value, Refusal> {
        let (key, wish) = letter(&self.caller, data, project)?;
        let letter = &wish.letter;
        about.session = wish.to.value().cloned();
        about.project = Some(letter.project_id.clone());
        about.text = Some(format!(
            "{}\n{}",
            letter.subject,
            Value::from(letter.body.clone())
        ));
        self.may(Scope::Mail, &letter.project_id)?;
        self.may_write(&wish).await?;
        // Under the key it is one mail across a restart too; what cannot be one is still remembered here.
        let key = key.and_then(|key| SendKey::parse(&key).ok());
        let mails = self.hub.app().send_mail(&self.caller, wish, key).await?;
        let ids: Vec<_> = mails.iter().map(|mail| &mail.id).collect();
        Ok(json!({"ids": ids, "recipients": ids.len()}))
    }

    /// What a device writes must not leave what it may see: neither to a session elsewhere, nor into a conversation
    /// there. What is not its own to see is not there.
    async fn may_write(&self, wish: &NewMail) -> Result<(), Refusal> {
        let Some(device) = self.caller.device() else {
            return Ok(());
        };
        let app = self.hub.app();
        if let Some(to) = wish.to.value()
            && let Some(head) = app.session_head(to)
            && !device.reaches(Some(head.project_id.as_str()))
        {
            return Err(Refusal::unknown("Session", to.as_str()));
        }
        if let Some(id) = &wish.letter.reply_to_mail_id {
            let mail = app.mail(id).await?;
            if !device.reaches(Some(mail.project_id.as_str())) {
                return Err(Refusal::unknown("Mail", id.as_str()));
            }
        }
        Ok(())
    }

    /// Hands a text on to whoever owns the terminal.
    pub async fn prompt(&self, data: Value, about: &mut About) -> Result<Value, Refusal> {
        let wish: PromptWish = read(data)?;
        let head = self.session(&wish.session_id, Scope::Prompt)?;
        about.session = Some(head.id.clone());
        about.project = Some(head.project_id.clone());
        about.text = Some(wish.content.clone());
        let (content, mode) = wish.text_and_mode()?;
        self.type_in(head.id.clone(), content, mode).await
    }

    /// Answers a question. Which of several answers counts, and how it reaches the agent, is the application's to say.
    pub async fn reply(&self, data: Value, about: &mut About) -> Result<Value, Refusal> {
        let wish: Reply = read(data)?;
        let head = self.session(&wish.session_id, Scope::Answer)?;
        about.session = Some(head.id.clone());
        about.project = Some(head.project_id.clone());
        about.text = Some(match &wish.choice {
            Some(choice) => format!("{choice}\n{}", wish.text),
            None => wish.text.clone(),
        });
        let answer = wish.answer(head.id.clone())?;
        let answered = self.hub.app().answer_input(&self.caller, answer).await?;
        Ok(json!({"requestId": answered.request, "how": answered.how, "at": answered.at}))
    }

    async fn type_in(&self, id: SessionId, content: String, mode: PromptMode) -> Result<Value, Refusal> {
        let session = id.to_string();
        let prompt = Prompt {
            content,
            mode,
            sender_session_id: None,
            sender: None,
        };
        self.hub.app().prompt(&self.caller, id, prompt).await?;
        // Nobody but a desktop types it in.
        Ok(json!({"sessionId": session, "desktops": self.hub.desktops()}))
    }

    /// Starts an agent from a preset.
    pub async fn spawn(&self, data: Value, about: &mut About) -> Result<Value, Refusal> {
        let wish: Spawn = read(data)?;
        let app = self.hub.app();
        about.text = wish.message.clone();
        let project = ProjectId::parse(&wish.project_id).ok();
        let project = project.filter(|id| self.reaches(id) && app.project(id).is_ok());
        let project = project.ok_or_else(|| Refusal::unknown("Project", &wish.project_id))?;
        about.project = Some(project.clone());
        self.may(Scope::Spawn, &project)?;
        let member = MemberId::parse(&wish.team_member_id).ok();
        let member = member.filter(|id| find_member(&*app.view(), &project, id, app.now()).is_some());
        let member = member.ok_or_else(|| Refusal::unknown("Team member", &wish.team_member_id))?;
        let message = wish.message.map(text).transpose()?;
        if wish.task_ids.len() > TASKS {
            return Err(Refusal::invalid(format!("taskIds: at most {TASKS}")));
        }
        for id in &wish.task_ids {
            let task = TaskId::parse(id).ok().and_then(|id| app.task(&id).ok());
            // A task of elsewhere would open that project to whoever reaches this one.
            task.filter(|task: &Arc<Task>| task.project_id == project)
                .ok_or_else(|| Refusal::unknown("Task", id))?;
        }
        let mut context = Map::new();
        if let Some(message) = &message {
            context.insert("message".to_owned(), message.as_str().into());
        }
        // Held until the session is there to be counted.
        let _place = match self.caller.device() {
            Some(device) => {
                afar::mark(&mut context, &device.id);
                Some(afar::place(&self.hub)?)
            }
            None => None,
        };
        let task_ids = match (&*wish.task_ids, &message) {
            ([], Some(message)) => {
                let task = app.create_task(task_from(message, &project, &member)).await?;
                vec![task.id.to_string()]
            }
            ([], None) => return Err(Refusal::invalid("taskIds or message is required")),
            _ => wish.task_ids,
        };
        let spawned = app
            .spawn_session(
                &self.caller,
                SpawnWish {
                    project_id: project.to_string(),
                    task_ids: Some(task_ids),
                    spawn_source: Some("ui".into()),
                    team_member_ids: vec![member.to_string()],
                    context: (!context.is_empty()).then(|| context.into()),
                    ..SpawnWish::default()
                },
            )
            .await?;
        about.session = Some(spawned.session.head.id.clone());
        // Views hold texts, numbers and JSON values: these can always be written.
        let session = serde_json::to_value(SessionView::of(&spawned.session)).unwrap_or_default();
        Ok(json!({
            "sessionId": spawned.session.head.id, "session": session, "desktops": self.hub.desktops(),
        }))
    }

    fn reaches(&self, project: &ProjectId) -> bool {
        let device = self.caller.device();
        device.is_none_or(|device| device.reaches(Some(project.as_str())))
    }
}

/// A session, if there is one in a project the caller reaches.
pub fn reached(hub: &Hub, caller: &Caller, id: &str) -> Option<Arc<Rendered<SessionHead>>> {
    let head = hub.app().session_head(&SessionId::parse(id).ok()?)?;
    let device = caller.device();
    let reached = device.is_none_or(|device| device.reaches(Some(head.project_id.as_str())));
    reached.then_some(head)
}

fn task_from(message: &str, project: &ProjectId, member: &MemberId) -> NewTask {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty());
    NewTask {
        project_id: project.to_string(),
        title: line.unwrap_or_default().chars().take(TITLE).collect(),
        description: message.to_owned(),
        initial_prompt: message.to_owned(),
        team_member_id: Some(member.to_string()).into(),
        ..NewTask::default()
    }
}

/// A text that says something, and not too much.
fn text(text: String) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::invalid("the text is empty"));
    }
    if text.len() > TEXT {
        return Err(Refusal::invalid(format!("the text is longer than {TEXT} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spawn_from_afar_takes_a_preset_and_a_text_and_nothing_else() {
        let good = json!({"projectId": "p", "teamMemberId": "m", "message": "go", "requestId": "r"});
        assert!(read::<Spawn>(good.clone()).is_ok());
        for name in [
            "argv",
            "command",
            "cwd",
            "env",
            "mode",
            "model",
            "agentTool",
            "spawnSource",
            "sessionId",
        ] {
            let mut bad = good.clone();
            bad[name] = json!("x");
            let refusal = read::<Spawn>(bad).err().unwrap();
            assert_eq!(refusal.code, "invalid");
            assert!(refusal.message.contains(name), "{}", refusal.message);
        }
    }

    #[test]
    fn a_wrong_payload_is_refused_with_the_field() {
        let wrong = [
            (json!(5), "an object is expected"),
            (json!(null), "an object is expected"),
            (json!({"sessionId": 5, "content": "x"}), "sessionId: "),
            (json!({"sessionId": "s"}), "missing field `content`"),
        ];
        for (data, part) in wrong {
            let refusal = read::<PromptWish>(data).err().unwrap();
            assert_eq!(refusal.code, "invalid");
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
    }

    #[test]
    fn a_list_is_no_spawn_even_if_it_has_what_a_spawn_has_in_the_right_order() {
        let refusal = read::<Spawn>(json!(["p", "m", [], "go", "r"])).err().unwrap();
        assert_eq!(
            refusal,
            Refusal::invalid("an object is expected"),
            "fields are named"
        );
        assert!(read::<PromptWish>(json!(["s", "yes", null, null])).is_err());
        assert!(read::<Reply>(json!(["s", null, "yes", null, null])).is_err());
    }

    #[test]
    fn a_task_is_named_by_the_first_line_that_says_something() {
        let (project, member) = (ProjectId::parse("p").unwrap(), MemberId::parse("m").unwrap());
        let task = task_from(&format!("\n  \n {}\nmore", "ü".repeat(200)), &project, &member);
        assert_eq!(task.title, "ü".repeat(100));
        assert!(task.check().is_ok() && task.description.ends_with("more"));
    }

    #[test]
    fn texts_are_bounded_and_say_something() {
        assert_eq!(text(" \n".into()).unwrap_err().code, "invalid");
        assert_eq!(text("x".repeat(TEXT + 1)).unwrap_err().code, "invalid");
        assert!(text("x".repeat(TEXT)).is_ok());
    }
}
