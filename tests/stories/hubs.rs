//! Hubs that share one Redis, and other programs that speak there: everybody hears everything once.

use serde_json::{Value, json};

use crate::harness::{Daemon, PATIENCE, Redis, Setup, eventually};

async fn hub(redis: &Redis) -> Daemon {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .env("REDIS_URL", redis.url());
    setup.start().await
}

async fn project(hub: &Daemon) -> Value {
    hub.post("/api/projects", json!({"name": "P"})).await.expect(201)["id"].clone()
}

fn of_projects(frames: &[Value]) -> Vec<&Value> {
    let made = frames.iter().filter(|frame| frame["event"] == "project:created");
    made.map(|frame| &frame["data"]["id"]).collect()
}

#[tokio::test]
async fn another_program_that_speaks_on_the_bus_is_heard_by_our_clients() {
    let redis = Redis::start();
    let hub = hub(&redis).await;
    redis.until_heard_by(1).await;
    let mut socket = hub.listen().await;
    let message = json!({
        "sourceId": "another", "epoch": "1", "seq": 1, "event": "task:updated",
        "data": {"id": "task_x", "status": "todo"}, "timestamp": 5, "projectId": "p"
    });
    for _ in 0..2 {
        assert_eq!(redis.publish("task:updated", &message), 1);
    }
    redis.publish("test:end", &json!({"data": {}}));
    assert_eq!(socket.next().await["data"], message["data"]);
    assert_eq!(
        socket.next().await["event"],
        "test:end",
        "what is repeated is not heard twice"
    );
    let told = hub.get("/api/events?since=0").await.expect(200);
    assert_eq!(
        told["events"].as_array().unwrap().len(),
        2,
        "and it can be asked for later"
    );
}

#[tokio::test]
async fn two_hubs_hear_each_other_and_each_client_hears_everything_once() {
    let redis = Redis::start();
    let (one, two) = (hub(&redis).await, hub(&redis).await);
    redis.until_heard_by(2).await;
    let (mut at_one, mut at_two) = (one.listen().await, two.listen().await);
    let (first, second) = (project(&one).await, project(&two).await);
    let wish = json!({"projectId": first, "taskIds": [], "env": {"TOKEN": "a-secret"}});
    one.post("/api/sessions", wish).await.expect(201);
    assert_eq!(
        at_one.next_event("session:created").await["data"]["env"]["TOKEN"],
        "a-secret"
    );
    let elsewhere = at_two.next_event("session:created").await;
    assert!(
        !elsewhere.to_string().contains("a-secret"),
        "environments stay at home"
    );
    // Last words of each, and then whatever came twice would have come.
    let (third, fourth) = (project(&one).await, project(&two).await);
    let mut listening = [(&one, &mut at_one), (&two, &mut at_two)];
    for (_, socket) in &mut listening {
        let mut made = Vec::new();
        while !(made.contains(&third) && made.contains(&fourth)) {
            made.push(socket.next_event("project:created").await["data"]["id"].clone());
        }
        let rest = socket.arrived().await;
        assert!(of_projects(&rest).is_empty(), "{rest:?}");
        for id in [&third, &fourth] {
            assert_eq!(made.iter().filter(|made| *made == id).count(), 1);
        }
    }
    assert_ne!(first, second);
}

#[tokio::test]
async fn while_redis_is_away_our_clients_hear_us_and_afterwards_the_others_do_again() {
    let mut redis = Redis::start();
    let (one, two) = (hub(&redis).await, hub(&redis).await);
    redis.until_heard_by(2).await;
    let (mut at_one, mut at_two) = (one.listen().await, two.listen().await);
    redis.kill();
    let alone = project(&one).await;
    assert_eq!(at_one.next_event("project:created").await["data"]["id"], alone);
    redis.start_again();
    redis.until_heard_by(2).await;
    let together = project(&one).await;
    assert_eq!(at_one.next_event("project:created").await["data"]["id"], together);
    loop {
        // What was said meanwhile may be heard or not; once it is over everything is.
        let heard = at_two.next_event("project:created").await["data"]["id"].clone();
        if heard == together {
            break;
        }
        assert_eq!(heard, alone);
    }
}

#[tokio::test]
async fn who_follows_by_numbers_begins_anew_after_events_of_others_were_missed_and_raw_sockets_go_on() {
    let redis = Redis::start();
    let hub = hub(&redis).await;
    redis.until_heard_by(1).await;
    let before = hub.get("/api/events").await.expect(200);
    let since = |from: &Value| {
        let (epoch, seq) = (from["epoch"].as_str().unwrap().to_owned(), from["seq"].clone());
        let path = format!("/api/events?epoch={epoch}&since={seq}");
        let hub = &hub;
        async move { hub.get(&path).await.expect(200) }
    };
    let mut socket = hub.listen().await;
    let say = |seq: u64, before: u64| {
        let event = json!({"sourceId": "x", "epoch": "e", "seq": seq, "prev": before, "data": {"n": seq}});
        redis.publish("test:said", &event)
    };
    say(1, 0);
    say(3, 2);
    let reset = eventually("the gap is told", || async {
        let told = since(&before).await;
        told["reset"].is_object().then_some(told)
    })
    .await;
    assert_eq!(
        (&reset["reset"]["reason"], &reset["events"]),
        (&json!("events of other hubs were missed since"), &json!([]))
    );
    say(4, 3);
    eventually("from there on nothing is missing", || async {
        let told = since(&reset).await;
        assert!(told["reset"].is_null(), "{told}");
        (told["events"].as_array().unwrap().last()?["data"]["n"] == 4).then_some(())
    })
    .await;
    let heard = socket.arrived_names().await;
    assert_eq!(heard, ["test:said", "test:said", "test:said"]);
    // An outage of a redis that others use may have hidden something as well.
    let before = hub.get("/api/events").await.expect(200);
    let _cut: i64 = redis.ask("CLIENT KILL TYPE pubsub");
    eventually("the outage is told", || async {
        since(&before).await["reset"].is_object().then_some(())
    })
    .await;
}

#[tokio::test]
async fn claims_are_kept_in_redis_and_refused_while_it_is_away() {
    let mut redis = Redis::start();
    let hub = hub(&redis).await;
    let project = project(&hub).await;
    let wish = json!({"projectId": project, "title": "T"});
    let task = hub.post("/api/tasks", wish).await.expect(201)["id"].clone();
    let wish = json!({"projectId": project, "taskIds": []});
    let session = hub.post("/api/sessions", wish).await.expect(201)["id"].clone();
    let path = format!("/api/tasks/{}/claim", task.as_str().unwrap());
    let wish = json!({"sessionId": session});
    let claimed = || async {
        let answer = hub.post(&path, wish.clone()).await;
        match answer.status {
            503 => None,
            _ => Some(answer.expect(200)["claim"]["fence"].as_u64().unwrap()),
        }
    };
    let first = eventually("the hub has its redis", claimed).await;
    assert_eq!(
        redis.keys("maestro:lock:*"),
        [format!("maestro:lock:task:{}", task.as_str().unwrap())]
    );
    redis.kill();
    let refused = hub.post(&path, wish.clone()).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    redis.wipe();
    let second = eventually("claims are given again", claimed).await;
    assert!(
        second > first,
        "the other redis has forgotten, the numbers still grow"
    );
    let path = format!("/api/sessions/{}", session.as_str().unwrap());
    hub.patch(&path, json!({"status": "completed"})).await.expect(200);
    assert_eq!(redis.keys("maestro:lock:*"), Vec::<String>::new());
}

#[tokio::test]
async fn with_locks_switched_off_claims_are_this_hubs_own_and_numbers_grow_when_switched_back() {
    let redis = Redis::start();
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .env("REDIS_URL", redis.url());
    let mut last = 0;
    let mut task = None;
    for (locks, keys) in [(true, 1), (false, 0), (true, 1)] {
        let config = format!("[locks]\nenabled = {locks}\n");
        let mut hub = setup.clone().config(&config).start().await;
        let project = project(&hub).await;
        let wish = json!({"projectId": project, "title": "T"});
        let path = match &task {
            Some(path) => path,
            None => {
                let made = hub.post("/api/tasks", wish).await.expect(201)["id"].clone();
                task.insert(format!("/api/tasks/{}/claim", made.as_str().unwrap()))
            }
        };
        let wish = json!({"projectId": project, "taskIds": []});
        let one = hub.post("/api/sessions", wish.clone()).await.expect(201)["id"].clone();
        let two = hub.post("/api/sessions", wish).await.expect(201)["id"].clone();
        let fence = eventually("the claim is given", || async {
            let answer = hub.post(path, json!({"sessionId": one})).await;
            (answer.status != 503).then(|| answer.expect(200)["claim"]["fence"].as_u64().unwrap())
        })
        .await;
        assert!(fence > last, "{fence} after {last}");
        last = fence;
        hub.post(path, json!({"sessionId": two})).await.expect(409);
        assert_eq!(redis.keys("maestro:lock:*").len(), keys, "locks: {locks}");
        let session = format!("/api/sessions/{}", one.as_str().unwrap());
        hub.patch(&session, json!({"status": "completed"}))
            .await
            .expect(200);
        hub.post(path, json!({"sessionId": two})).await.expect(200);
        hub.delete(&format!("/api/sessions/{}", two.as_str().unwrap()))
            .await
            .expect(200);
        hub.stop().await;
    }
}

#[tokio::test]
async fn an_agents_token_stays_on_its_own_machine() {
    let redis = Redis::start();
    let (one, two) = (hub(&redis).await, hub(&redis).await);
    redis.until_heard_by(2).await;
    let mut line = redis.line().unwrap();
    let mut spoken = line.as_pubsub();
    spoken.psubscribe("maestro:events:*").unwrap();
    spoken.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut terminal, mut elsewhere) = (one.listen().await, two.listen().await);
    let project = project(&one).await;
    let task = json!({"projectId": project, "title": "T"});
    let task = one.post("/api/tasks", task).await.expect(201)["id"].clone();
    let wish = json!({"projectId": project, "taskIds": [task]});
    one.post("/api/sessions/spawn", wish).await.expect(201);
    let told = terminal.next_event("session:spawn").await;
    let url = told["data"]["envVars"]["MAESTRO_SERVER_URL"].as_str().unwrap();
    let prefix = url.strip_prefix(one.base()).unwrap();
    let token = prefix.strip_prefix("/as/").unwrap();
    let mail = json!({"projectId": project, "fromSessionId": told["data"]["envVars"]["MAESTRO_SESSION_ID"],
                      "toSessionId": "human", "type": "query", "subject": "s"});
    one.post(&format!("{prefix}/api/mail"), mail).await.expect(201);

    let heard = elsewhere.next_event("session:spawn").await;
    assert!(!heard.to_string().contains(token));
    let received = elsewhere.next_event("mail:received").await;
    assert_eq!(
        received["data"]["sender"]["verified"], true,
        "the other hub knows it, too"
    );
    loop {
        let message = spoken.get_message().unwrap();
        let payload: String = message.get_payload().unwrap();
        assert!(!payload.contains(token), "{payload}");
        if message.get_channel_name().ends_with("mail:received") {
            break;
        }
    }
    drop(spoken);
    for key in redis.keys("*") {
        let dumped: Vec<u8> = redis::cmd("DUMP")
            .arg(&key)
            .query(&mut redis.line().unwrap())
            .unwrap();
        let found = dumped
            .windows(token.len())
            .any(|window| window == token.as_bytes());
        assert!(!found && !key.contains(token), "{key}");
    }
    // Its key is this hub's: what proves something here proves nothing there.
    let answer = two.get(&format!("{prefix}/api/tasks")).await;
    assert_eq!(answer.expect(401)["code"], "unknown_agent");
}
