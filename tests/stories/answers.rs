//! An agent asks, people answer: the first answer counts, reaches the agent by the best way there is, and is never lost.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Answer, Ask, Daemon, PATIENCE, Setup, eventually};

/// A daemon with one session that can ask.
struct House {
    hub: Daemon,
    project: String,
    session: String,
}

impl House {
    async fn build() -> Self {
        let hub = Setup::new().start().await;
        let project = hub.post("/api/projects", json!({"name": "P"})).await.expect(201);
        let project = project["id"].as_str().expect("an id").to_owned();
        let wish = json!({"projectId": project, "taskIds": [], "status": "working", "name": "Builder"});
        let session = hub.post("/api/sessions", wish).await.expect(201);
        let session = session["id"].as_str().expect("an id").to_owned();
        Self {
            hub,
            project,
            session,
        }
    }

    fn path(&self, below: &str) -> String {
        format!("/api/sessions/{}{below}", self.session)
    }

    /// Asks as the client program does; the name of the question.
    async fn ask(&self, question: &str) -> String {
        let needs = json!({"active": true, "message": question, "since": 1});
        let entry = json!({"id": "evt-1", "type": "needs_input", "timestamp": 1, "message": question});
        let body = json!({"needsInput": needs, "timeline": [entry]});
        let asked = self.hub.patch(&self.path(""), body).await.expect(200);
        asked["needsInput"]["requestId"]
            .as_str()
            .expect("a name")
            .to_owned()
    }

    async fn answer(&self, request: &str, text: &str) -> Answer {
        let body = json!({"requestId": request, "text": text});
        self.hub.post(&self.path("/reply-input"), body).await
    }

    fn wait(&self, request: &str) -> JoinHandle<Answer> {
        let path = self.path(&format!("/input?requestId={request}&timeout=120000"));
        let ask = Ask::new("GET", path).within(Duration::from_secs(120));
        tokio::spawn(ask.to(self.hub.port()))
    }

    async fn input(&self, request: &str) -> Value {
        let path = self.path(&format!("/input?requestId={request}&timeout=0"));
        self.hub.get(&path).await.expect(200)
    }

    async fn inbox(&self) -> Vec<Value> {
        let path = format!("/api/mail/inbox/{}?projectId={}", self.session, self.project);
        let mails = self.hub.get(&path).await.expect(200);
        mails.as_array().expect("a list").clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_who_answer_at_once_one_is_heard_and_all_others_learn_who() {
    let house = House::build().await;
    let request = house.ask("Which?").await;
    let texts: Vec<String> = (0..200).map(|n| format!("answer {n}")).collect();
    let answers = join_all(texts.iter().map(|text| house.answer(&request, text))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 199));
    let won = won[0].json();
    let heard = house.input(&request).await;
    assert_eq!(
        (&heard["state"], &heard["answeredAt"]),
        (&json!("answered"), &won["at"])
    );
    for answer in lost {
        let refusal = answer.expect(409);
        assert_eq!(refusal["code"], "already_answered");
        assert_eq!((&refusal["at"], &refusal["answer"]), (&won["at"], &heard["text"]));
        assert_eq!(refusal["answeredBy"]["kind"], "local");
        assert_eq!(refusal["requestId"], Value::Null, "nothing is asked any more");
    }
    assert_eq!(house.inbox().await.len(), 1, "and the agent is told once");
}

#[tokio::test]
async fn a_waiting_agent_has_the_answer_at_once_and_one_that_comes_late_finds_it() {
    let house = House::build().await;
    // Whether the agent's request or the answer comes first is not ours to say: both must be right, and both are seen.
    let deadline = Instant::now() + PATIENCE;
    for n in 0.. {
        let request = house.ask(&format!("Question {n}?")).await;
        let waiting = house.wait(&request);
        tokio::task::yield_now().await;
        let begun = Instant::now();
        let answered = house.answer(&request, "yes").await.expect(200);
        let heard = waiting.await.expect("it was answered").expect(200);
        assert_eq!(
            (&heard["state"], &heard["text"]),
            (&json!("answered"), &json!("yes"))
        );
        assert_eq!(
            (&heard["requestId"], &answered["requestId"]),
            (&json!(request), &json!(request))
        );
        assert_eq!(house.input(&request).await, heard, "who asks late finds it");
        if answered["how"] == "poll" {
            eprintln!(
                "a waiting agent had its answer {:?} after it was given",
                begun.elapsed()
            );
            assert!(
                house.inbox().await.len() <= n,
                "what was handed over is not mailed as well"
            );
            return;
        }
        assert!(Instant::now() < deadline, "no agent ever waited in time");
    }
}

#[tokio::test]
async fn five_hundred_who_wait_for_one_answer_all_have_it() {
    let house = House::build().await;
    let request = house.ask("Which?").await;
    let waiting: Vec<_> = (0..500).map(|_| house.wait(&request)).collect();
    house.answer(&request, "the left").await.expect(200);
    for heard in join_all(waiting).await {
        assert_eq!(heard.expect("it was answered").expect(200)["text"], "the left");
    }
}

#[tokio::test]
async fn a_desktop_types_the_answer_and_nobody_there_means_mail() {
    let house = House::build().await;
    let mut desktop = house.hub.listen().await;
    let request = house.ask("Which?").await;
    let asked = desktop.next_event("notify:needs_input").await;
    assert_eq!(asked["data"]["requestId"], json!(request));
    let answered = house
        .answer(&request, "the left\r\nrm -rf /\u{1b}]0;x\u{7}")
        .await
        .expect(200);
    assert_eq!(answered["how"], "desktop");
    let typed = desktop.next_event("session:prompt_send").await;
    assert_eq!(
        (
            &typed["data"]["content"],
            &typed["data"]["mode"],
            &typed["data"]["sessionId"]
        ),
        (&json!("the left rm -rf /"), &json!("send"), &json!(house.session))
    );
    let updated = desktop.next_event("session:updated").await;
    assert_eq!(updated["data"]["needsInput"]["active"], false);
    let told = desktop.next_event("session:input_answered").await;
    assert_eq!(
        (&told["data"]["requestId"], &told["data"]["how"]),
        (&json!(request), &json!("desktop"))
    );
    assert!(
        !told.to_string().contains("rm -rf"),
        "what was said is not for everybody: {told}"
    );
    assert_eq!(house.inbox().await, [] as [Value; 0]);

    drop(desktop);
    eventually("the hub has seen the desktop go", || async {
        let sockets = house.hub.get("/ws-status").await.expect(200);
        (sockets["connectedClients"] == 0).then_some(())
    })
    .await;
    let request = house.ask("And now?").await;
    let answered = house.answer(&request, "wait").await.expect(200);
    assert_eq!(answered["how"], "mail");
    let mails = house.inbox().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (
            &mails[0]["type"],
            &mails[0]["fromSessionId"],
            &mails[0]["body"]["text"],
            &mails[0]["body"]["requestId"]
        ),
        (
            &json!("response"),
            &json!("human"),
            &json!("wait"),
            &json!(request)
        )
    );
}

#[tokio::test]
async fn stale_and_repeated_answers_are_told_apart() {
    let house = House::build().await;
    let old = house.ask("Delete the branch?").await;
    let new = house.ask("Delete the repository?").await;
    assert_ne!(old, new);
    let refused = house.answer(&old, "yes").await.expect(409);
    assert_eq!(
        (&refused["code"], &refused["requestId"]),
        (&json!("stale_request"), &json!(new))
    );
    assert_eq!(house.input(&old).await["state"], "over");

    let reply = |text: &str| {
        let body = json!({"requestId": new, "text": text});
        Ask::new("POST", house.path("/reply-input"))
            .header("idempotency-key", "tap-1")
            .json(&body)
    };
    let first = house.hub.ask(reply("no")).await.expect(200);
    assert_eq!(house.hub.ask(reply("no")).await.expect(200), first);
    assert_eq!(
        house.hub.ask(reply("yes")).await.expect(422)["code"],
        "BUSINESS_RULE_ERROR"
    );
    house.ask("Something else?").await;
    assert_eq!(
        house.hub.ask(reply("no")).await.expect(200),
        first,
        "the first result, for ever"
    );
    assert_eq!(house.inbox().await.len(), 1);
}

#[tokio::test]
async fn an_acknowledged_answer_survives_kill_9_and_is_there_for_the_agent() {
    let mut house = House::build().await;
    let request = house.ask("Which?").await;
    let answered = house.answer(&request, "the left").await.expect(200);
    house.hub.kill().await;
    house.hub = house.hub.setup().clone().start().await;
    let heard = house.input(&request).await;
    assert_eq!(
        (&heard["text"], &heard["answeredAt"]),
        (&json!("the left"), &answered["at"])
    );
    let refused = house.answer(&request, "the right").await.expect(409);
    assert_eq!(
        (&refused["code"], &refused["answer"]),
        (&json!("already_answered"), &json!("the left"))
    );
    assert_eq!(house.inbox().await.len(), 1, "mailed before or after, and once");
}

#[tokio::test]
async fn who_waits_is_let_go_when_no_answer_will_come() {
    let mut house = House::build().await;
    let endings: [(&str, Value); 3] = [
        (
            "the terminal went on",
            json!({"status": "working", "needsInput": {"active": false}}),
        ),
        (
            "something else is asked",
            json!({"needsInput": {"active": true, "message": "Other?"}}),
        ),
        ("the session ended", json!({"status": "completed"})),
    ];
    for (what, change) in endings {
        let request = house.ask(what).await;
        let waiting = house.wait(&request);
        house.hub.patch(&house.path(""), change).await.expect(200);
        let over = waiting.await.expect("it was answered").expect(200);
        assert_eq!(over["state"], "over", "{what}");
        let refused = house.answer(&request, "x").await.expect(409);
        let code = if what == "something else is asked" {
            "stale_request"
        } else {
            "not_waiting"
        };
        assert_eq!(refused["code"], code, "{what}");
    }
    house
        .hub
        .patch(&house.path(""), json!({"status": "working"}))
        .await
        .expect(200);
    let request = house.ask("Still there?").await;
    let waiting = house.wait(&request);
    let deleted = house.hub.delete(&house.path("")).await;
    deleted.expect(200);
    assert_eq!(waiting.await.expect("it was answered").status, 404);
    house.hub.stop().await;
}

#[tokio::test]
async fn the_operator_sees_who_waits_and_answers_from_the_shell() {
    let house = House::build().await;
    let request = house.ask("Deploy now?").await;
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let status = house.hub.ctl(&["status"]).await;
    assert!(
        text(&status).contains("1 question, the first for"),
        "{}",
        text(&status)
    );
    let agents = house.hub.ctl(&["agents"]).await;
    assert!(text(&agents).contains("asks: Deploy now?"), "{}", text(&agents));

    let wrong = house
        .hub
        .ctl(&["answer", &house.session, "yes", "--request", "req_other"])
        .await;
    assert_eq!(wrong.status.code(), Some(1));
    let answered = house
        .hub
        .ctl(&["answer", &house.session, "yes", "--request", &request])
        .await;
    assert!(
        answered.status.success(),
        "{}",
        String::from_utf8_lossy(&answered.stderr)
    );
    assert!(
        text(&answered).contains("the agent must read it"),
        "{}",
        text(&answered)
    );
    let late = house.hub.ctl(&["answer", &house.session, "no"]).await;
    let told = String::from_utf8_lossy(&late.stderr).into_owned();
    assert_eq!(late.status.code(), Some(1), "{told}");
    assert!(told.contains("has answered already: yes"), "{told}");
    assert_eq!(house.input(&request).await["text"], "yes");
    let status = house.hub.ctl(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(&text(&status)).expect("JSON");
    assert_eq!(status["agents"]["waiting"], 0);
}
