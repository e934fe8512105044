use std::{fs, os::unix::fs::symlink};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A home directory with skills.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn skills(&self) -> Skills {
        Skills::new(self.path(".claude/skills"), Some(self.0.path()))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn skill(&self, place: &str, folder: &str, description: &str) {
        let text = format!("---\ndescription: {description}\n---\nDo it.\n");
        self.write(&format!("{place}/skills/{folder}/SKILL.md"), &text);
    }
}

fn shown(skills: &[Skill]) -> Vec<(&str, &str, &str)> {
    skills
        .iter()
        .map(|skill| (skill.folder.as_str(), skill.scope.as_str(), skill.source.as_str()))
        .collect()
}

#[test]
fn a_later_place_overrides_an_earlier_one_at_its_position() {
    let home = Home::new();
    for (place, folder) in [
        (".claude", "b"),
        (".claude", "a"),
        (".agents", "c"),
        (".agents", "a"),
        ("work/.claude", "b"),
        ("work/.agents", "d"),
    ] {
        home.skill(place, folder, place);
    }
    let skills = home.skills();
    assert_eq!(
        shown(&skills.list(None)),
        [
            ("a", "global", "agents"),
            ("b", "global", "claude"),
            ("c", "global", "agents")
        ]
    );
    assert_eq!(
        shown(&skills.list(Some(&home.path("work")))),
        [
            ("a", "global", "agents"),
            ("b", "project", "claude"),
            ("c", "global", "agents"),
            ("d", "project", "agents")
        ]
    );
    let found = skills.find("a").unwrap();
    assert_eq!(found.path, home.path(".agents/skills/a"));
    assert!(skills.find("d").is_none(), "of a project");
}

#[test]
fn a_project_that_is_no_absolute_path_has_no_skills() {
    let home = Home::new();
    home.skill(".claude", "a", "x");
    for project in ["", ".", "work", "/no/such"] {
        assert_eq!(
            home.skills().list(Some(Path::new(project))).len(),
            1,
            "{project:?}"
        );
    }
}

#[test]
fn a_name_never_leads_out_of_its_place() {
    let home = Home::new();
    home.skill(".claude", "a", "x");
    home.skill(".claude", ".hidden", "x");
    home.skill("elsewhere", "a", "x");
    let skills = home.skills();
    for name in [
        "",
        ".",
        "..",
        ".hidden",
        "a/",
        "a/../a",
        "../../elsewhere/skills/a",
        "/a",
        "a\0",
    ] {
        assert!(skills.find(name).is_none(), "{name:?}");
    }
    assert!(skills.find("a").is_some());
    assert_eq!(skills.list(None).len(), 1);
}

#[test]
fn what_is_no_skill_is_left_out() {
    let home = Home::new();
    home.write(".claude/skills/plain/SKILL.md", "no front matter\n");
    home.write(".claude/skills/open/SKILL.md", "---\nname: x\n");
    home.write(".claude/skills/empty/SKILL.md", "---\n---\ntext\n");
    home.write(".claude/skills/broken/SKILL.md", "---\nname: [\n---\n");
    home.write(".claude/skills/scalar/SKILL.md", "---\njust text\n---\n");
    home.write(
        ".claude/skills/large/SKILL.md",
        &format!("---\na: b\n---\n{}", "x".repeat(2 << 20)),
    );
    home.write(".claude/skills/file", "no folder");
    fs::create_dir_all(home.path(".claude/skills/nothing")).unwrap();
    fs::create_dir_all(home.path(".claude/skills/pipe")).unwrap();
    mkfifo(&home.path(".claude/skills/pipe/SKILL.md"), Mode::S_IRWXU).unwrap();
    let anchors: String = (0..30)
        .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1))
        .collect();
    home.write(
        ".claude/skills/bomb/SKILL.md",
        &format!("---\na-1: &a-1 x\n{anchors}---\n"),
    );
    assert_eq!(shown(&home.skills().list(None)), []);
}

#[test]
fn a_linked_folder_is_a_skill_like_others() {
    let home = Home::new();
    home.skill("elsewhere", "real", "x");
    fs::create_dir_all(home.path(".claude/skills")).unwrap();
    symlink(
        home.path("elsewhere/skills/real"),
        home.path(".claude/skills/linked"),
    )
    .unwrap();
    assert_eq!(shown(&home.skills().list(None)), [("linked", "global", "claude")]);
}

#[test]
fn a_changed_file_is_read_again_and_an_unchanged_one_is_not() {
    let home = Home::new();
    home.skill(".claude", "a", "first");
    let skills = home.skills();
    let first = skills.find("a").unwrap();
    assert!(Arc::ptr_eq(&first.file, &skills.find("a").unwrap().file));
    skills.forget();
    assert!(!Arc::ptr_eq(&first.file, &skills.find("a").unwrap().file));

    home.skill(".claude", "a", "another one");
    assert_eq!(
        skills.find("a").unwrap().file.text("description"),
        Some("another one")
    );
    fs::remove_file(home.path(".claude/skills/a/SKILL.md")).unwrap();
    assert!(skills.find("a").is_none());
}

#[test]
fn values_keep_their_kind_and_the_text_begins_behind_the_second_line() {
    let text =
        "---\r\nname: Zeta\nversion: 1.2.0\nn: 2\ntriggers: [a, b]\nrole: null\n---\n\nUse it.\n---\nmore\n";
    let file = SkillFile::parse(text).unwrap();
    assert_eq!(
        Value::Object(file.front.clone()),
        json!({"name": "Zeta", "version": "1.2.0", "n": 2, "triggers": ["a", "b"], "role": null})
    );
    assert_eq!(file.content, "\nUse it.\n---\nmore\n");
    assert_eq!(
        (file.text("name"), file.text("n"), file.value("role")),
        (Some("Zeta"), None, None)
    );
    assert_eq!(SkillFile::parse("---\na: 1\n---").unwrap().content, "");
}
