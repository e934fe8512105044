//! Agents that want the same task: one gets it, the others are told who has it, and its end frees it.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Ask, Daemon, Setup, eventually};

struct House {
    hub: Daemon,
    project: Value,
}

impl House {
    async fn build() -> Self {
        let hub = Setup::new().start().await;
        let project = hub.post("/api/projects", json!({"name": "P"})).await.expect(201);
        Self {
            hub,
            project: project["id"].clone(),
        }
    }

    async fn task(&self) -> String {
        let wish = json!({"projectId": self.project, "title": "T"});
        let made = self.hub.post("/api/tasks", wish).await.expect(201);
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn session(&self) -> String {
        let wish = json!({"projectId": self.project, "taskIds": [], "status": "working"});
        let made = self.hub.post("/api/sessions", wish).await.expect(201);
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn claim(&self, task: &str, session: &str) -> crate::harness::Answer {
        let wish = json!({"sessionId": session});
        self.hub.post(&format!("/api/tasks/{task}/claim"), wish).await
    }

    async fn claimed(&self, task: &str) -> bool {
        let shown = self
            .hub
            .get(&format!("/api/tasks/{task}/claim"))
            .await
            .expect(200);
        shown["claimed"] == true
    }
}

#[tokio::test]
async fn of_two_hundred_who_want_it_at_once_one_gets_it_and_all_others_learn_who() {
    let house = House::build().await;
    let task = house.task().await;
    let sessions = join_all((0..200).map(|_| house.session())).await;
    let answers = join_all(sessions.iter().map(|session| house.claim(&task, session))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 199));
    let winner = &won[0].json()["claim"]["sessionId"];
    for answer in lost {
        let refusal = answer.expect(409);
        assert_eq!(
            (&refusal["code"], &refusal["holder"]["sessionId"]),
            (&json!("CLAIMED"), winner)
        );
    }
}

#[tokio::test]
async fn a_session_that_ends_in_whatever_way_gives_everything_back_at_once() {
    let house = House::build().await;
    for ending in ["completed", "failed", "stopped", "deleted"] {
        let (one, two, session) = (house.task().await, house.task().await, house.session().await);
        house.claim(&one, &session).await.expect(200);
        house.claim(&two, &session).await.expect(200);
        let path = format!("/api/sessions/{session}");
        house
            .hub
            .patch(&path, json!({"name": "still at it"}))
            .await
            .expect(200);
        assert!(house.claimed(&one).await && house.claimed(&two).await);
        match ending {
            "deleted" => house.hub.delete(&path).await.expect(200),
            status => house
                .hub
                .patch(&path, json!({"status": status}))
                .await
                .expect(200),
        };
        assert!(
            !house.claimed(&one).await && !house.claimed(&two).await,
            "{ending}"
        );
        let next = house.session().await;
        house.claim(&one, &next).await.expect(200);
    }
}

#[tokio::test]
async fn what_became_of_claims_is_counted_for_the_operator() {
    let house = House::build().await;
    let (one, two, three) = (house.task().await, house.task().await, house.task().await);
    let (anna, berta, clara) = (
        house.session().await,
        house.session().await,
        house.session().await,
    );
    house.claim(&one, &anna).await.expect(200);
    house.claim(&one, &anna).await.expect(200);
    house.claim(&one, &berta).await.expect(409);
    let wish = json!({"sessionId": anna});
    let path = format!("/api/tasks/{one}/claim");
    house
        .hub
        .ask(Ask::new("DELETE", path).json(&wish))
        .await
        .expect(200);
    house.claim(&one, &berta).await.expect(200);
    let done = json!({"status": "completed"});
    house
        .hub
        .patch(&format!("/api/sessions/{berta}"), done)
        .await
        .expect(200);
    // Its agent dies.
    house.claim(&two, &clara).await.expect(200);
    let mut agent = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .expect("it starts");
    let sign = json!({"pid": agent.id()});
    house
        .hub
        .post(&format!("/api/sessions/{clara}/heartbeat"), sign)
        .await
        .expect(200);
    agent.kill().expect("killed");
    agent.wait().expect("ended");
    // And one is forgotten.
    let wish = json!({"sessionId": anna, "ttl": 1000});
    house
        .hub
        .post(&format!("/api/tasks/{three}/claim"), wish)
        .await
        .expect(200);
    let expected = json!({
        "held": 0, "granted": 4, "renewed": 1, "refused": 1, "released": 1, "ended": 1, "died": 1, "expired": 1
    });
    eventually("all of it is counted", || async {
        let told = house.hub.ctl(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
        (told["claims"] == expected).then_some(())
    })
    .await;
}
