//! The recorded exchanges, with our decisions laid over them.

use serde_json::Value;

use crate::decided::{self, Decision};

/// `examples.json` as it was recorded, but for the name of the platform.
pub struct Recording {
    root: Value,
}

/// One step to be sent again: an example of the recording or one of ours between them.
#[derive(Clone)]
pub struct Step {
    pub id: String,
    pub example: Value,
}

impl Recording {
    pub fn load() -> Self {
        let mut root: Value =
            serde_json::from_str(include_str!("examples.json")).expect("the fixture is JSON");
        name_this_platform(&mut root);
        Self { root }
    }

    /// The examples alone, in order, as recorded.
    pub fn examples(&self) -> &[Value] {
        self.root["examples"].as_array().expect("a list of examples")
    }

    /// The examples with what we decided to do otherwise.
    pub fn steps(&self) -> Vec<Step> {
        let decisions = decided::decisions();
        let mut steps = Vec::new();
        for example in self.examples() {
            let mut step = Step::of(example);
            let mine = || decisions.iter().filter(|decision| decision.example == step.id);
            let inserted: Vec<Step> = mine().flat_map(|d| &d.inserted_after).map(Step::of).collect();
            let changed: Vec<&Decision> = mine().collect();
            changed
                .iter()
                .for_each(|decision| decision.apply(&mut step.example));
            steps.push(step);
            steps.extend(inserted);
        }
        steps
    }

    pub fn files_on_disk(&self) -> &[Value] {
        self.root["files_on_disk"].as_array().expect("a list of files")
    }

    pub fn manifest_files(&self) -> Vec<&str> {
        let files = self.root["manifest_files"].as_array().expect("a list of paths");
        files.iter().filter_map(Value::as_str).collect()
    }

    pub fn manifest_command_lines(&self) -> &[Value] {
        self.root["manifest_command_lines"]
            .as_array()
            .expect("a list of command lines")
    }
}

impl Step {
    fn of(example: &Value) -> Self {
        let id = example["id"]
            .as_str()
            .expect("every example has an id")
            .to_owned();
        Self {
            id,
            example: example.clone(),
        }
    }
}

/// The recording was made on Linux; the field names the platform of the machine.
fn name_this_platform(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(name_this_platform),
        Value::Object(map) => {
            for (key, item) in map {
                if key == "platform" {
                    *item = if cfg!(target_os = "macos") {
                        "darwin"
                    } else {
                        "linux"
                    }
                    .into();
                } else {
                    name_this_platform(item);
                }
            }
        }
        _ => {}
    }
}
