use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    process::{Command, Stdio},
    sync::Arc,
};

use nix::{fcntl::OFlag, sys::stat::Mode as FileMode, unistd::mkfifo};
use serde_json::json;
use tempfile::TempDir;

use crate::domain::{Millis, Mint, Mode, NewProject, NewTask, Project, Task};

use super::*;

/// Longest wait for anything that should come at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A generator with directories of its own.
struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn output(&self) -> PathBuf {
        self.path("sessions/sess_1/manifest.json")
    }

    fn generator(&self, choice: Choice) -> Generator {
        let surroundings = Surroundings {
            server_url: "http://localhost:3000".into(),
            session_dir: self.path("sessions"),
            scratch: self.path("scratch"),
        };
        Generator::new(choice, surroundings)
    }

    /// A program of these lines, found in `$here`. Another process writes it: if this one did, a test that starts a
    /// process meanwhile could hand it the open file, and a file open for writing cannot be run.
    fn program(&self, lines: &str) -> Choice {
        let path = self.path("maestro");
        let mut writer = Command::new("/bin/sh")
            .args(["-c", "cat > \"$1\" && chmod +x \"$1\"", "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let here = self.root.path().display();
        let text = format!("#!/bin/sh\nhere={here}\n{lines}\n");
        writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        Choice::Cli {
            program: path,
            time_limit: PATIENCE,
        }
    }

    async fn generate(&self, choice: Choice) -> Result<Value, String> {
        let generator = self.generator(choice);
        let made = generator.generate(order(), self.output()).await;
        made.map_err(|error| error.to_string())
    }

    /// Neither a manifest nor a copy of data is there.
    fn assert_nothing_is_left(&self) {
        for folder in ["sessions", "scratch"] {
            let left: Vec<_> = fs::read_dir(self.path(folder)).into_iter().flatten().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn order() -> ManifestOrder {
    let mut mint = Mint::new(Millis(0), 0, 1);
    let wish = NewProject {
        name: "P".into(),
        ..NewProject::default()
    };
    let project = Project::create(wish, &mut mint).unwrap();
    let wish = NewTask {
        title: "T".into(),
        ..NewTask::default()
    };
    let task = Task::create(wish, project.id.clone(), None, &mut mint);
    ManifestOrder {
        mode: Mode::Coordinate,
        tasks: vec![Arc::new(task.clone()), Arc::new(task)],
        project: Arc::new(project),
        skills: Vec::new(),
        model: None,
        agent_tool: None,
        reference_task_ids: Vec::new(),
        identity_ids: Vec::new(),
        delegate_ids: Vec::new(),
        members: Vec::new(),
    }
}

fn texts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

#[tokio::test]
async fn our_own_manifest_is_the_file_that_is_announced() {
    let place = Place::new();
    let manifest = place.generate(Choice::Builtin).await.unwrap();
    let text = fs::read_to_string(place.output()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), manifest);
    assert!(
        text.starts_with("{\n  \"manifestVersion\""),
        "indented for people: {text}"
    );
    let files = fs::read_dir(place.path("sessions/sess_1")).unwrap().count();
    assert_eq!(files, 1, "nothing unfinished beside it");

    place.generator(Choice::Builtin).discard(&place.output());
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_manifest_that_cannot_be_built_or_written_leaves_nothing_behind() {
    let place = Place::new();
    let unknown = ManifestOrder {
        agent_tool: Some("vi".into()),
        ..order()
    };
    let generator = place.generator(Choice::Builtin);
    let refused = generator.generate(unknown, place.output()).await.unwrap_err();
    assert!(refused.to_string().contains("`vi`"), "{refused}");
    place.assert_nothing_is_left();

    fs::write(place.path("sessions"), "in the way").unwrap();
    let failed = place.generate(Choice::Builtin).await.unwrap_err();
    assert!(failed.contains("could not be written"), "{failed}");
    assert_eq!(fs::read_to_string(place.path("sessions")).unwrap(), "in the way");
}

const NOTES_ITS_CALL: &str = r#"
for argument in "$@"; do printf '%s\n' "$argument"; done > "$here/argv"
env > "$here/env"
ls -ld "$DATA_DIR" | cut -c 1-10 > "$here/mode"
cp -R "$DATA_DIR" "$here/copy"
while [ "$1" != --output ]; do shift; done
cat > "$2" <<END
{"manifestVersion": "from outside"}
END
"#;

#[tokio::test]
async fn the_program_is_called_in_the_contracts_order_and_reads_a_copy_made_for_it() {
    let place = Place::new();
    let generator = place.generator(place.program(NOTES_ITS_CALL));
    let order = ManifestOrder {
        skills: texts(&["a", "b"]),
        model: Some("opus".into()),
        agent_tool: Some("codex".into()),
        reference_task_ids: texts(&["task_x", "task_y"]),
        identity_ids: texts(&["tm_1"]),
        delegate_ids: texts(&["tm_2", "tm_3"]),
        ..order()
    };
    let (project, task) = (order.project.id.clone(), order.tasks[0].id.clone());
    let manifest = generator.generate(order, place.output()).await.unwrap();

    assert_eq!(manifest, json!({"manifestVersion": "from outside"}));
    let (output, tasks) = (place.output(), format!("{task},{task}"));
    let expected = format!(
        "manifest generate --mode coordinate --project-id {project} --task-ids {tasks} --skills a,b --output {} \
         --model opus --agent-tool codex --reference-task-ids task_x,task_y --team-member-ids tm_2,tm_3 \
         --team-member-id tm_1",
        output.display()
    );
    assert_eq!(place.lines("argv").join(" "), expected);
    let env = place.lines("env");
    for set in [
        "MAESTRO_SERVER_URL=http://localhost:3000".to_owned(),
        format!("SESSION_DIR={}", place.path("sessions").display()),
        format!("DATA_DIR={}", place.path("scratch/sess_1").display()),
    ] {
        assert!(env.contains(&set), "{set} is not in {env:?}");
    }
    assert_eq!(place.lines("mode"), ["drwx------"]);
    for file in [
        format!("projects/{project}.json"),
        format!("tasks/{project}/{task}.json"),
    ] {
        let text = fs::read_to_string(place.path("copy").join(&file)).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap();
        assert!(file.ends_with(&format!("{}.json", record["id"].as_str().unwrap())));
    }
    assert!(place.path("copy/sessions").is_dir());
    assert!(!place.path("scratch/sess_1").exists(), "the copy is gone");
}

#[tokio::test]
async fn the_least_call_names_no_skills_and_no_tool() {
    let place = Place::new();
    let generator = place.generator(place.program(NOTES_ITS_CALL));
    let order = ManifestOrder {
        agent_tool: Some("claude-code".into()),
        identity_ids: texts(&["tm_1", "tm_2"]),
        delegate_ids: texts(&["tm_3"]),
        ..order()
    };
    generator.generate(order, place.output()).await.unwrap();
    let argv = place.lines("argv");
    assert_eq!(argv[8..10], ["--skills", ""]);
    assert_eq!(argv[12..], ["--team-member-ids", "tm_1,tm_2"]);
}

#[tokio::test]
async fn every_way_to_fail_has_the_contracts_reason_and_leaves_nothing_behind() {
    let install = "maestro CLI not found. Please install maestro: npm install -g maestro-cli";
    for (lines, reason) in [
        (
            "echo ' no such task ' >&2; exit 3",
            "Manifest generation failed (exit code 3): no such task",
        ),
        ("echo 'sh: node: command not found' >&2; exit 127", install),
        ("echo 'Error: spawn node ENOENT' >&2; exit 1", install),
        ("kill -9 $$", "Manifest generation failed (signal 9): "),
        ("exit 0", "Failed to read manifest: No such file or directory"),
        (
            "while [ \"$1\" != --output ]; do shift; done; echo '{' > \"$2\"",
            "Failed to read manifest: EOF while parsing",
        ),
    ] {
        let place = Place::new();
        let failed = place.generate(place.program(lines)).await.unwrap_err();
        assert!(
            failed.starts_with(reason),
            "expected \"{reason}…\", got \"{failed}\""
        );
        place.assert_nothing_is_left();
    }
    let place = Place::new();
    let missing = Choice::Cli {
        program: place.path("nothing"),
        time_limit: PATIENCE,
    };
    let failed = place.generate(missing).await.unwrap_err();
    assert!(
        failed.starts_with("Failed to spawn maestro CLI: No such file"),
        "{failed}"
    );
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn of_many_words_the_first_are_kept_and_the_program_never_waits_for_us() {
    let place = Place::new();
    let talks = "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1";
    let failed = place.generate(place.program(talks)).await.unwrap_err();
    assert!(failed.len() < 10_000, "{} bytes", failed.len());
}

/// A program that hangs, with a child that hangs too; both hold the fifo open for as long as they live.
const HANGS: &str = "exec 3> \"$here/alive\"; sleep 1000 & touch \"$here/running\"; sleep 1000";

/// Waits until nothing of the program is left that could write to the fifo.
async fn is_dead(mut alive: fs::File) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // Without a writer a fifo is at its end; with one it has nothing to read yet.
    while alive.read(&mut [0]).is_err() {
        assert!(tokio::time::Instant::now() < deadline, "somebody of it lives on");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn open_fifo(path: PathBuf, flags: OFlag) -> fs::File {
    let mut options = fs::File::options();
    options.read(true).custom_flags(flags.bits()).open(path).unwrap()
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_what_it_started() {
    let place = Place::new();
    mkfifo(&place.path("alive"), FileMode::S_IRWXU).unwrap();
    let alive = open_fifo(place.path("alive"), OFlag::O_NONBLOCK);
    let Choice::Cli { program, .. } = place.program(HANGS) else {
        unreachable!()
    };
    let short = Choice::Cli {
        program,
        time_limit: Duration::from_millis(500),
    };
    let failed = place.generate(short).await.unwrap_err();
    assert_eq!(failed, "maestro CLI did not finish within 500ms");
    is_dead(alive).await;
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_the_program_and_leaves_nothing_behind() {
    let place = Place::new();
    mkfifo(&place.path("alive"), FileMode::S_IRWXU).unwrap();
    let alive = open_fifo(place.path("alive"), OFlag::O_NONBLOCK);
    let generator = place.generator(place.program(HANGS));
    let generated = generator.generate(order(), place.output());
    let running = async {
        while !place.path("running").exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        running = tokio::time::timeout(PATIENCE, running) => running.expect("it runs"),
        _ = generated => panic!("it hangs"),
    }
    is_dead(alive).await;
    place.assert_nothing_is_left();
}

#[tokio::test]
async fn at_most_four_programs_run_at_once() {
    let place = Place::new();
    fs::create_dir(place.path("running")).unwrap();
    let counts = r#"
        touch "$here/running/$$"
        while
            now=$(ls "$here/running" | wc -l)
            echo "$now" >> "$here/counts"
            [ "$now" -lt 4 ] && [ ! -e "$here/go" ]
        do sleep 0.01; done
        touch "$here/go"
        rm "$here/running/$$"
        while [ "$1" != --output ]; do shift; done
        echo '{}' > "$2"
    "#;
    let generator = place.generator(place.program(counts));
    let made = (0..10).map(|n| {
        let output = place.path(&format!("sessions/sess_{n}/manifest.json"));
        generator.generate(order(), output)
    });
    let made = futures_util::future::join_all(made);
    for manifest in tokio::time::timeout(PATIENCE, made).await.unwrap() {
        assert_eq!(manifest.unwrap(), json!({}));
    }
    let counted = place.lines("counts");
    let most = counted.iter().map(|n| n.trim().parse::<usize>().unwrap()).max();
    assert_eq!(most, Some(4));
}

#[tokio::test]
async fn the_choice_may_change_while_the_hub_runs() {
    let place = Place::new();
    let generator = place.generator(Choice::Builtin);
    generator.choose(place.program("exit 9"));
    let failed = generator.generate(order(), place.output()).await.unwrap_err();
    assert!(failed.to_string().contains("exit code 9"), "{failed}");
    generator.choose(Choice::Builtin);
    assert!(generator.generate(order(), place.output()).await.is_ok());
}

#[test]
fn copies_that_a_killed_daemon_left_are_gone_after_the_next_start() {
    let place = Place::new();
    fs::create_dir_all(place.path("scratch/sess_0/projects")).unwrap();
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(place.path("scratch/sess_0"), mode).unwrap();
    place.generator(Choice::Builtin);
    place.assert_nothing_is_left();
}
