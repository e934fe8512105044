//! Skills: somebody writes one, and it is there.

use std::fs;

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};

use crate::harness::{Daemon, Place, Setup};

fn skill(place: &Place, folder: &str, description: &str) {
    let text = format!("---\ndescription: {description}\n---\nDo it.\n");
    place.write(&format!("{folder}/SKILL.md"), &text);
}

async fn listed(hub: &Daemon) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = hub.get("/api/skills").await.expect(200);
    let entries = list.as_array().expect("a list").iter();
    entries
        .map(|entry| (text(&entry["id"]), text(&entry["description"])))
        .collect()
}

fn entry(id: &str, description: &str) -> (String, String) {
    (id.to_owned(), description.to_owned())
}

#[tokio::test]
async fn a_skill_that_is_written_changed_or_removed_is_seen_at_once() {
    let hub = Setup::new().start().await;
    assert_eq!(listed(&hub).await, []);
    skill(hub.place(), "home/.claude/skills/lint", "first");
    assert_eq!(listed(&hub).await, [entry("lint", "first")]);
    skill(hub.place(), "home/.claude/skills/lint", "a longer one");
    assert_eq!(listed(&hub).await, [entry("lint", "a longer one")]);
    fs::remove_dir_all(hub.place().home().join(".claude/skills/lint")).unwrap();
    assert_eq!(listed(&hub).await, []);
    assert_eq!(
        hub.post("/api/skills/lint/reload", json!({})).await.expect(404)["message"],
        "Skill not found: lint"
    );
}

#[tokio::test]
async fn the_folder_of_skills_can_be_chosen() {
    let place = Place::new();
    skill(&place, "home/.claude/skills/usual", "x");
    skill(&place, "home/.agents/skills/shared", "x");
    skill(&place, "elsewhere/chosen", "x");
    let dir = place.root().join("elsewhere");
    let hub = Setup::at(place)
        .env("SKILLS_DIR", dir.to_string_lossy())
        .start()
        .await;
    assert_eq!(listed(&hub).await, [entry("chosen", "x"), entry("shared", "x")]);
}

#[tokio::test]
async fn nothing_that_lies_among_skills_can_hold_the_hub_up() {
    let place = Place::new();
    skill(&place, "home/.claude/skills/good", "x");
    place.write(
        "home/.claude/skills/large/SKILL.md",
        &format!("---\na: b\n---\n{}", "x".repeat(3 << 20)),
    );
    place.write("home/.claude/skills/binary/SKILL.md", "---\n\u{0}\n---\n");
    let pipe = place
        .write("home/.claude/skills/pipe/other", "")
        .with_file_name("SKILL.md");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let hub = Setup::at(place).start().await;
    assert_eq!(listed(&hub).await, [entry("good", "x")]);
}

#[tokio::test]
async fn a_name_with_a_way_out_of_the_folder_finds_nothing() {
    let place = Place::new();
    skill(&place, "home/.claude/skills/lint", "x");
    skill(&place, "home/.claude/secret", "x");
    let hub = Setup::at(place).start().await;
    for name in ["..%2Fsecret", "lint%2F..%2Flint", ".", "..", "%2e%2e", "lint%00"] {
        let answer = hub.get(&format!("/api/skills/{name}")).await;
        assert_ne!(answer.status, 200, "{name}: {}", answer.text());
        assert!(answer.status < 500, "{name}: {}", answer.text());
    }
}
