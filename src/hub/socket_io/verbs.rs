//! What phones can ask for: parse, check the scope with the device as it is now, ask the application. No rules here.

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::app::{AppError, SpawnError, find_member};
use crate::domain::{
    Caller, MemberId, NewMail, NewTask, ProjectId, Prompt, PromptMode, Scope, SendKey, SessionHead,
    SessionId, SpawnWish, Task, TaskId,
};
use crate::hub::{Hub, error, phone::SessionView};

use super::{Shared, peer::Peer, sync};

/// Longest request id, in bytes.
const ID: usize = 128;
/// Longest text for an agent, in bytes.
const TEXT: usize = 64 << 10;
/// Tasks of one spawn.
const TASKS: usize = 20;
/// Length of a task's title that is made from a message, in characters.
const TITLE: usize = 100;
/// Sender of what a phone writes.
const HUMAN: &str = "human";

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `mail:send`
    Mail,
    /// `session:reply-input`
    Reply,
    /// `session:prompt`
    Prompt,
    /// `session:spawn`
    Spawn,
    /// `session:subscribe`
    Subscribe,
    /// `session:timeline`
    Timeline,
    /// `state:sync`
    Sync,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Mail,
        Self::Reply,
        Self::Prompt,
        Self::Spawn,
        Self::Subscribe,
        Self::Timeline,
        Self::Sync,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail:send",
            Self::Reply => "session:reply-input",
            Self::Prompt => "session:prompt",
            Self::Spawn => "session:spawn",
            Self::Subscribe => "session:subscribe",
            Self::Timeline => "session:timeline",
            Self::Sync => "state:sync",
        }
    }
}

/// Why something asked for is not done.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// With this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// The request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    fn scope(scope: Scope) -> Self {
        Self::new(
            "scope",
            format!("this device may not do that: it lacks the scope {scope}"),
        )
    }

    fn unknown(what: &str, id: &str) -> Self {
        Self::new("not_found", format!("{what} with id '{id}' not found"))
    }

    /// The acknowledgement.
    pub fn told(&self) -> Value {
        json!({"success": false, "error": self.message, "code": self.code})
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        let (code, message) = error::acknowledged(&error);
        Self { code, message }
    }
}

impl From<SpawnError> for Refusal {
    fn from(error: SpawnError) -> Self {
        let (code, message) = error::spawn_acknowledged(&error);
        Self { code, message }
    }
}

/// Does what a phone asks for. The answer is an object.
pub async fn carry_out(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    verb: Verb,
    data: Value,
) -> Result<Value, Refusal> {
    if !peer.follow(shared.hub.devices()) {
        return Err(Refusal::new("revoked", "this device was revoked"));
    }
    let asking = Asking {
        hub: shared.hub.clone(),
        caller: peer.caller(),
    };
    let sender = asking.sender();
    match verb {
        Verb::Subscribe => sync::subscribe(&shared.hub, peer, data),
        Verb::Timeline => sync::timeline(&shared.hub, peer, read(data)?).await,
        Verb::Sync => sync::state(&shared.hub, peer, read(data)?).await,
        Verb::Mail => {
            let body = data.clone();
            let (id, wish) = asking.mail(data, peer.project())?;
            let key = id.clone();
            once(shared, &sender, id, &body, async move {
                asking.send_mail(wish, key).await
            })
            .await
        }
        Verb::Prompt => {
            let body = data.clone();
            let wish: PromptWish = read(data)?;
            let id = wish.request_id.clone();
            once(
                shared,
                &sender,
                id,
                &body,
                async move { asking.prompt(wish).await },
            )
            .await
        }
        Verb::Spawn => {
            let body = data.clone();
            let wish: Spawn = read(data)?;
            let id = Some(wish.request_id.clone());
            once(
                shared,
                &sender,
                id,
                &body,
                async move { asking.spawn(wish).await },
            )
            .await
        }
        // The question has an id, and its first answer wins: that is the application's to decide.
        Verb::Reply => asking.reply(read(data)?).await,
    }
}

/// Under its request id, if it has one.
async fn once(
    shared: &Shared,
    sender: &str,
    id: Option<String>,
    body: &Value,
    work: impl Future<Output = Result<Value, Refusal>> + Send + 'static,
) -> Result<Value, Refusal> {
    let Some(id) = id else { return work.await };
    if id.is_empty() || id.len() > ID {
        return Err(Refusal::invalid("requestId must be a text of 1 to 128 bytes"));
    }
    let tasks = shared.hub.sockets();
    shared.ledger.once(sender, &id, body, tasks, work).await
}

/// Reads a payload, or says which field is wrong and how.
fn read<T: DeserializeOwned>(data: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(data).map_err(|error| match error.path().iter().next() {
        Some(_) => Refusal::invalid(format!("{}: {}", error.path(), error.inner())),
        None => Refusal::invalid(error.inner().to_string()),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PromptWish {
    session_id: String,
    content: String,
    mode: Option<String>,
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reply {
    session_id: String,
    /// Which question.
    request_id: Option<String>,
    text: String,
}

/// What a spawn from afar consists of: everything else comes from the hub's own files (SECURITY rule 8).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spawn {
    project_id: String,
    team_member_id: String,
    #[serde(default)]
    task_ids: Vec<String>,
    message: Option<String>,
    request_id: String,
}

/// Who asks, and whom.
struct Asking {
    hub: Hub,
    caller: Arc<Caller>,
}

impl Asking {
    /// Whose request ids these are.
    fn sender(&self) -> String {
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
    fn session(&self, id: &str, scope: Scope) -> Result<Arc<SessionHead>, Refusal> {
        let head = reached(&self.hub, &self.caller, id).ok_or_else(|| Refusal::unknown("Session", id))?;
        self.may(scope, &head.project_id)?;
        Ok(head)
    }

    /// Reads a mail. The sender of what a device writes is the person behind it.
    fn mail(&self, data: Value, project: Option<ProjectId>) -> Result<(Option<String>, NewMail), Refusal> {
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
        match self.caller.device() {
            Some(_) => drop(body.insert("fromSessionId".into(), HUMAN.into())),
            None => drop(body.entry("fromSessionId").or_insert_with(|| HUMAN.into())),
        }
        let wish = NewMail::read(Some(body.into())).map_err(AppError::from)?;
        self.may(Scope::Mail, &wish.letter.project_id)?;
        Ok((id, wish))
    }

    async fn send_mail(&self, wish: NewMail, key: Option<String>) -> Result<Value, Refusal> {
        // Also across a restart: the key is the sender's own, so it cannot meet another device's.
        let key = key.and_then(|key| SendKey::parse(&format!("{}/{key}", self.sender())).ok());
        let mails = self.hub.app().send_mail(wish, key).await?;
        let ids: Vec<_> = mails.iter().map(|mail| &mail.id).collect();
        Ok(json!({"ids": ids, "recipients": ids.len()}))
    }

    async fn prompt(&self, wish: PromptWish) -> Result<Value, Refusal> {
        let head = self.session(&wish.session_id, Scope::Prompt)?;
        let mode = match wish.mode.as_deref() {
            None | Some("send") => PromptMode::Send,
            Some("paste") => PromptMode::Paste,
            Some(_) => return Err(Refusal::invalid("mode must be \"send\" or \"paste\"")),
        };
        self.type_in(head.id.clone(), text(wish.content)?, mode).await
    }

    /// Answers a question. Which of several answers counts, and how it reaches the agent, is the application's to say.
    async fn reply(&self, wish: Reply) -> Result<Value, Refusal> {
        let head = self.session(&wish.session_id, Scope::Answer)?;
        let needs = head.needs_input.value().filter(|needs| needs.active);
        let needs = needs.ok_or_else(|| Refusal::new("stale", "this session does not wait for an answer"))?;
        let open = needs.extra.get("requestId").and_then(Value::as_str);
        if wish
            .request_id
            .as_deref()
            .is_some_and(|id| open.is_some_and(|open| open != id))
        {
            return Err(Refusal::new("stale", "this question is not open any more"));
        }
        self.type_in(head.id.clone(), text(wish.text)?, PromptMode::Send)
            .await
    }

    async fn type_in(&self, id: SessionId, content: String, mode: PromptMode) -> Result<Value, Refusal> {
        let session = id.to_string();
        let prompt = Prompt {
            content,
            mode,
            sender_session_id: None,
        };
        self.hub.app().prompt(id, prompt).await?;
        // Nobody but a desktop types it in.
        Ok(json!({"sessionId": session, "desktops": self.hub.desktops()}))
    }

    async fn spawn(&self, wish: Spawn) -> Result<Value, Refusal> {
        let app = self.hub.app();
        let project = ProjectId::parse(&wish.project_id).ok();
        let project = project.filter(|id| self.reaches(id) && app.project(id).is_ok());
        let project = project.ok_or_else(|| Refusal::unknown("Project", &wish.project_id))?;
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
        let task_ids = match (&*wish.task_ids, &message) {
            ([], Some(message)) => {
                let task = app.create_task(task_from(message, &project, &member)).await?;
                vec![task.id.to_string()]
            }
            ([], None) => return Err(Refusal::invalid("taskIds or message is required")),
            _ => wish.task_ids,
        };
        let spawned = app
            .spawn_session(SpawnWish {
                project_id: project.to_string(),
                task_ids: Some(task_ids),
                spawn_source: Some("ui".into()),
                team_member_ids: vec![member.to_string()],
                context: message.map(|message| json!({"message": message})),
                ..SpawnWish::default()
            })
            .await?;
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
pub fn reached(hub: &Hub, caller: &Caller, id: &str) -> Option<Arc<SessionHead>> {
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

/// What an answer is made of.
pub fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
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
            (json!(5), "expected struct"),
            (json!(null), "expected struct"),
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
