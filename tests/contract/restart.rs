//! Nothing that was answered is forgotten: the same questions have the same answers after a restart.

use serde_json::Value;

use crate::{
    harness::{Daemon, Setup},
    recording::{Recording, Step},
    replay::Replay,
};

async fn everything(daemon: &Daemon, questions: &[String]) -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    for question in questions {
        answers.push((question.clone(), daemon.get(question).await.expect(200)));
    }
    answers
}

#[tokio::test]
async fn every_question_of_the_recording_has_the_same_answer_after_a_kill_and_a_restart() {
    let steps = Recording::load().steps();
    let before_deletions: Vec<Step> = steps
        .into_iter()
        .take_while(|step| step.id != "session.delete")
        .collect();
    let Replay {
        unfiltered,
        second,
        mut daemon,
        bindings,
        ..
    } = {
        let mut replay = Replay::start(Setup::new()).await;
        replay.run(&before_deletions).await;
        replay
    };
    drop((unfiltered, second));
    let questions = [
        "/api/projects",
        "/api/projects/<proj_1>",
        "/api/tasks",
        "/api/tasks/<task_1>/children",
        "/api/tasks/<task_2>/docs",
        "/api/sessions",
        "/api/sessions/my-session",
        "/api/sessions/<sess_3>",
        "/api/sessions/my-session/docs",
        "/api/team-members/<tm_1>?projectId=<proj_1>",
        "/api/mail/<mail_2>",
        "/api/mail/thread/<mail_1>",
        "/api/mail/inbox/<sess_3>?projectId=<proj_1>",
        "/api/ordering/task/<proj_1>",
    ]
    .map(|question| bindings.fill_text(question));
    let recruiter = bindings.fill_text("/api/team-members/tm_<proj_1>_recruiter?projectId=<proj_1>");

    let before = everything(&daemon, &questions).await;
    daemon.kill().await;
    let daemon = daemon.restart().await;
    assert_eq!(everything(&daemon, &questions).await, before);
    let recruiter = daemon.get(&recruiter).await.expect(200);
    assert_eq!(recruiter["name"], "Talent Scout", "overrides are kept");
}
