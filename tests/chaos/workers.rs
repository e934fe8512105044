//! Who uses the hub: each works at its own pace, notes what it was promised, and never gives up.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    harness::{Caller, Dice, Reply},
    model::{Fate, Register, Series},
    world::{POSTS, World},
};

/// A session is replaced when its timeline is so long.
const LONG: usize = 100;

/// Writes tasks: makes them, renames them, removes them.
pub async fn tasks(world: Arc<World>, name: String) {
    let (mut dice, hub) = (Dice::of(world.seed, &name), world.house.by_line());
    let mut own: Vec<(String, String)> = Vec::new();
    while !world.is_over() {
        let turn = world.gate.read().await;
        match dice.below(12) {
            0..=1 if own.len() < 10 => {
                let mark = world.mark("task");
                let body = json!({"projectId": world.project, "title": mark, "description": mark});
                let reply = hub.post("/api/tasks", body).await;
                let fate = world.heard(&format!("make {mark}"), &reply, &[]);
                let id = reply
                    .done()
                    .and_then(|task| task["id"].as_str())
                    .map(str::to_owned);
                let mut model = world.model();
                model.count("tasks", fate);
                model.made.made(&mark, fate, id.clone());
                if let Some(id) = id {
                    model.titles.insert(id.clone(), Register::new(mark.clone()));
                    own.push((mark, id));
                }
            }
            2 if own.len() > 4 => {
                let (mark, id) = own.swap_remove(0);
                let reply = hub.delete(&format!("/api/tasks/{id}"), None).await;
                let fate = world.heard(&format!("remove {mark}"), &reply, &[]);
                let mut model = world.model();
                model.count("removals", fate);
                model.made.removed(&mark, fate);
                match fate {
                    Fate::Refused => own.push((mark, id)),
                    Fate::Done | Fate::Lost => drop(model.titles.remove(&id)),
                }
            }
            _ if !own.is_empty() => {
                let (mark, id) = dice.pick(&own).clone();
                let title = world.mark(&mark);
                let reply = hub
                    .patch(&format!("/api/tasks/{id}"), json!({"title": title}))
                    .await;
                let fate = world.heard(&format!("rename {mark} to {title}"), &reply, &[]);
                let mut model = world.model();
                model.count("renamings", fate);
                if let Some(register) = model.titles.get_mut(&id) {
                    register.wrote(title, fate);
                }
            }
            _ => {}
        }
        drop(turn);
        tokio::time::sleep(dice.millis(5, 60)).await;
    }
}

/// Makes a session of its own, or says that it could not.
pub async fn session(world: &World, hub: &Caller, kind: &str) -> Option<(String, String)> {
    let mark = world.mark(kind);
    let body = json!({"projectId": world.project, "taskIds": [], "status": "working", "name": mark});
    let reply = hub.post("/api/sessions", body).await;
    let fate = world.heard(&format!("make {mark}"), &reply, &[]);
    let id = reply
        .done()
        .and_then(|made| made["id"].as_str())
        .map(str::to_owned);
    let mut model = world.model();
    model.count("sessions", fate);
    model.made.made(&mark, fate, id.clone());
    id.map(|id| (mark, id))
}

/// Removes it; true if it need not be tried again.
pub async fn remove_session(world: &World, hub: &Caller, mark: &str, id: &str) -> bool {
    let reply = hub.delete(&format!("/api/sessions/{id}"), None).await;
    let fate = world.heard(&format!("remove {mark}"), &reply, &[]);
    let mut model = world.model();
    model.count("removals", fate);
    model.made.removed(mark, fate);
    if fate != Fate::Refused {
        model.timelines.remove(id);
    }
    fate != Fate::Refused
}

/// Writes timelines.
pub async fn timelines(world: Arc<World>, name: String) {
    let (mut dice, hub) = (Dice::of(world.seed, &name), world.house.by_line());
    let mut own: Option<(String, String)> = None;
    while !world.is_over() {
        let turn = world.gate.read().await;
        own = match own.take() {
            None => {
                let made = session(&world, &hub, "session").await;
                if let Some((_, id)) = &made {
                    world.model().timelines.insert(id.clone(), Series::default());
                }
                made
            }
            Some((mark, id)) if world.model().timelines[&id].len() > LONG => {
                let gone = remove_session(&world, &hub, &mark, &id).await;
                (!gone).then_some((mark, id))
            }
            Some((mark, id)) => {
                let entry = world.mark("entry");
                let body = json!({"message": entry, "type": "progress"});
                let reply = hub.post(&format!("/api/sessions/{id}/timeline"), body).await;
                let fate = world.heard(&format!("write {entry} to {mark}"), &reply, &[]);
                let mut model = world.model();
                model.count("timeline entries", fate);
                if let Some(series) = model.timelines.get_mut(&id) {
                    series.wrote(entry, fate);
                }
                Some((mark, id))
            }
        };
        drop(turn);
        tokio::time::sleep(dice.millis(5, 50)).await;
    }
}

/// Sends letters, each until it is taken.
pub async fn letters(world: Arc<World>, name: String) {
    let (mut dice, hub) = (Dice::of(world.seed, &name), world.house.by_line());
    while !world.is_over() {
        let turn = world.gate.read().await;
        let subject = world.mark("letter");
        let to = (!dice.once_in(6)).then(|| *dice.pick(&POSTS));
        let body = json!({
            "projectId": world.project, "fromSessionId": dice.pick(&POSTS), "toSessionId": to, "type": "query",
            "subject": subject, "body": {"text": "x".repeat(200)},
        });
        for _ in 0..4 {
            let key = [("idempotency-key", subject.as_str())];
            let reply = hub.call("POST", "/api/mail", Some(body.clone()), &key).await;
            let mut fate = world.heard(&format!("send {subject} to {to:?}"), &reply, &[]);
            // A redis that was killed between carrying it out and saying so leaves nobody who knows, and that is said.
            if matches!(&reply, Reply::Answer(503, body) if body["message"].to_string().contains("may have taken"))
            {
                fate = Fate::Lost;
            }
            let id = reply
                .done()
                .and_then(|mail| mail["id"].as_str())
                .map(str::to_owned);
            {
                let mut model = world.model();
                model.count("letters", fate);
                let known = model.letters.sent(&subject, to, fate, id);
                model.note(known);
            }
            if fate == Fate::Done {
                break;
            }
            tokio::time::sleep(dice.millis(50, 600)).await;
        }
        drop(turn);
        tokio::time::sleep(dice.millis(20, 150)).await;
    }
}

/// Waits for letters, as agents do.
pub async fn reader(world: Arc<World>, post: &'static str) {
    let hub = world.house.by_line();
    while !world.is_over() {
        let turn = world.gate.read().await;
        let far = 1_u64 << 52; // nothing that is there counts: only what comes
        let path = format!(
            "/api/mail/wait/{post}?projectId={}&timeout=1500&since={far}",
            world.project
        );
        let reply = hub.get(&path).await;
        world.heard(&format!("{post} waits"), &reply, &[]);
        for mail in reply
            .done()
            .and_then(|mails| mails.as_array())
            .into_iter()
            .flatten()
        {
            if !mail["toSessionId"].is_null() && mail["toSessionId"] != post {
                world.model().complain(format!("{post} was given {mail}"));
            }
        }
        drop(turn);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Claims tasks, holds them, gives them back or lets them lapse.
pub async fn claimer(world: Arc<World>, own: String) {
    let (mut dice, hub) = (Dice::of(world.seed, &own), world.house.by_line());
    while !world.is_over() {
        let turn = world.gate.read().await;
        let task = dice.pick(&world.wanted).clone();
        let (path, ttl) = (format!("/api/tasks/{task}/claim"), dice.between(1000, 3000));
        let sent = world.now();
        let reply = hub.post(&path, json!({"sessionId": own, "ttl": ttl})).await;
        let got = world.now();
        let fate = world.heard(&format!("{own} claims {task}"), &reply, &[409]);
        if let Some(claim) = reply.done().map(|told| &told["claim"]) {
            let fence = claim["fence"].as_u64().unwrap_or_default();
            world.tell(format!("{own} has {task} ({fence}) for {ttl} ms"));
            let mut model = world.model();
            model.count("claims", fate);
            let told = model.claims.granted(&task, &own, fence, (sent, got), ttl * 1000);
            model.note(told);
        }
        if fate == Fate::Done {
            tokio::time::sleep(dice.millis(0, 1200)).await;
            if !dice.once_in(3) {
                world.model().claims.releasing(&task, &own, world.now());
                let reply = hub.delete(&path, Some(json!({"sessionId": own}))).await;
                let fate = world.heard(&format!("{own} gives back {task}"), &reply, &[]);
                if fate != Fate::Done {
                    world.model().claims.unsure(&task, &own);
                }
            }
        }
        drop(turn);
        tokio::time::sleep(dice.millis(20, 200)).await;
    }
}

/// An agent that asks, and three people who answer at once.
pub async fn asker(world: Arc<World>, name: String) {
    let (mut dice, hub) = (Dice::of(world.seed, &name), world.house.by_line());
    let mut own = None;
    while !world.is_over() {
        let turn = world.gate.read().await;
        if own.is_none() {
            own = session(&world, &hub, "asker").await;
        }
        if let Some((_, id)) = &own {
            question(&world, &hub, &mut dice, id).await;
        }
        drop(turn);
        tokio::time::sleep(dice.millis(100, 700)).await;
    }
}

async fn question(world: &World, hub: &Caller, dice: &mut Dice, session: &str) {
    let asks = world.mark("question");
    let body = json!({"message": asks, "type": "needs_input"});
    let reply = hub.post(&format!("/api/sessions/{session}/timeline"), body).await;
    let fate = world.heard(&asks, &reply, &[]);
    let Some(request) = reply
        .done()
        .and_then(|told| told["needsInput"]["requestId"].as_str())
    else {
        return;
    };
    {
        let mut model = world.model();
        model.count("questions", fate);
        model.questions.asked(request);
    }
    let people: Vec<Dice> = (0..3).map(|_| Dice::new(dice.roll())).collect();
    let answers = people
        .into_iter()
        .map(|dice| answer(world, hub, dice, session, request));
    let won = join_all(answers).await.contains(&Fate::Done);
    if won {
        let told = look(world, session, request).await;
        if let Some(text) = told {
            let mut model = world.model();
            let kept = model.questions.found(request, text.as_deref(), 0);
            model.note(kept);
        }
    }
    world.model().questions.forget(request);
}

/// What the agent is told; `None` if it could not ask.
async fn look(world: &World, session: &str, request: &str) -> Option<Option<String>> {
    let path = format!("/api/sessions/{session}/input?requestId={request}&timeout=0");
    for _ in 0..20 {
        let reply = world.house.caller().get(&path).await;
        if let Some(told) = reply.done() {
            return Some(told["text"].as_str().map(str::to_owned));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    None
}

async fn answer(world: &World, hub: &Caller, mut dice: Dice, session: &str, request: &str) -> Fate {
    let text = world.mark("answer");
    let (path, body) = (
        format!("/api/sessions/{session}/reply-input"),
        json!({"requestId": request, "text": text}),
    );
    let mut last = Fate::Refused;
    for _ in 0..6 {
        tokio::time::sleep(dice.millis(0, 60)).await;
        let key = [("idempotency-key", text.as_str())];
        let reply = hub.call("POST", &path, Some(body.clone()), &key).await;
        let fate = world.heard(&format!("{text} to {request}"), &reply, &[409]);
        {
            let mut model = world.model();
            model.count("answers", fate);
            let told = model.questions.answered(request, &text, fate);
            model.note(told);
        }
        if let Some(told) = reply.done() {
            let how = told["how"].as_str().unwrap_or_default();
            if how == "mail" || how == "kept" {
                let posted = (request.to_owned(), session.to_owned(), how == "mail");
                let mut all = world.posted.lock().expect("not poisoned");
                if !all.iter().any(|(known, ..)| known == request) {
                    all.push(posted);
                }
            }
            return fate;
        }
        if let Reply::Answer(409, _) = reply {
            return Fate::Refused;
        }
        last = fate;
        tokio::time::sleep(dice.millis(50, 500)).await;
    }
    last
}
