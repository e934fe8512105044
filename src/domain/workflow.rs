//! Workflow templates: how agents of a mode go about their work, phase by phase, for people to read. The client
//! program has its own and never asks for these.

use schemars::JsonSchema;
use serde::Serialize;

/// A template as the contract shows it (API.md section 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowTemplate {
    /// Its name among all templates.
    pub id: &'static str,
    /// Shown to people.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// `execute` or `coordinate`.
    pub mode: &'static str,
    /// Always true: there are no others.
    pub built_in: bool,
    /// In order.
    pub phases: &'static [Phase],
}

/// One step of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Phase {
    /// Its name among the phases of a template.
    pub name: &'static str,
    /// What to do.
    pub instruction: &'static str,
}

impl WorkflowTemplate {
    /// All of them, in the contract's order.
    pub fn all() -> &'static [Self] {
        ALL
    }
}

const fn phase(name: &'static str, instruction: &'static str) -> Phase {
    Phase { name, instruction }
}

const ALL: &[WorkflowTemplate] = &[
    WorkflowTemplate {
        id: "execute-simple",
        name: "Execute Simple",
        description: "One agent, one task: do it, say how it went, finish.",
        mode: "execute",
        built_in: true,
        phases: &[
            phase(
                "execute",
                "Read the task and whatever it refers to, then do the work. Keep to its scope; what you notice \
                 beside it goes into a note, not into the change.",
            ),
            phase(
                "report",
                "Say what has changed, how you checked it, and what is still open. Report while you work too, \
                 whenever somebody watching would want to know.",
            ),
            phase(
                "complete",
                "When the acceptance criteria are met and checked, report the task as completed and end the session.",
            ),
        ],
    },
    WorkflowTemplate {
        id: "execute-tree",
        name: "Execute Tree",
        description: "One agent works through a task with parts, in an order it has planned.",
        mode: "execute",
        built_in: true,
        phases: &[
            phase(
                "analyze",
                "Look at the whole tree of the task before touching anything. Find out what each part needs and \
                 what it could break.",
            ),
            phase(
                "plan",
                "Put the parts into an order in which each finds ready what it builds on. Write the order down \
                 where others can see it.",
            ),
            phase(
                "execute",
                "Take one part after the other. Finish and check a part before you begin the next.",
            ),
            phase(
                "report",
                "Report every part on its own: done, blocked, or failed, and why.",
            ),
            phase(
                "complete",
                "When all parts are settled, check that they work together, and report the task itself as completed.",
            ),
        ],
    },
    WorkflowTemplate {
        id: "coordinate-default",
        name: "Coordinate Default",
        description: "Cut a goal into tasks, hand them to workers, and accept what they bring.",
        mode: "coordinate",
        built_in: true,
        phases: &[
            phase(
                "analyze",
                "Understand what is wanted and how you will recognise it. Ask before you guess.",
            ),
            phase(
                "decompose",
                "Cut the goal into tasks that one worker can finish alone, each with criteria of its own.",
            ),
            phase(
                "spawn",
                "Start a worker for each task that can begin, with the member whose role fits, and tell it what it \
                 must know.",
            ),
            phase(
                "monitor",
                "Follow the workers' reports. Answer questions quickly, and help a worker that is stuck before you \
                 replace it.",
            ),
            phase(
                "verify",
                "Look at every result yourself. Send back what misses its criteria, with the reason.",
            ),
            phase(
                "complete",
                "When every part is accepted, sum up what was achieved and what was left out, and complete the goal.",
            ),
        ],
    },
    WorkflowTemplate {
        id: "coordinate-batching",
        name: "Coordinate Intelligent Batching",
        description: "Run tasks that do not disturb each other side by side, one batch after the other.",
        mode: "coordinate",
        built_in: true,
        phases: &[
            phase(
                "analyze",
                "Find out which places each task will touch, and what it needs from the others.",
            ),
            phase(
                "decompose",
                "Group the tasks into batches. Within a batch nothing waits for anything and no two tasks change \
                 the same place.",
            ),
            phase(
                "execute_batch",
                "Start all workers of a batch at once and wait until every one of them is done or has failed. \
                 Repeat with the next batch.",
            ),
            phase(
                "verify",
                "After each batch, check that its results work together before anything builds on them.",
            ),
            phase(
                "complete",
                "When the last batch is accepted, sum up the result and complete the goal.",
            ),
        ],
    },
    WorkflowTemplate {
        id: "coordinate-dag",
        name: "Coordinate DAG",
        description: "Let dependencies set the pace: whatever is free to start, starts.",
        mode: "coordinate",
        built_in: true,
        phases: &[
            phase(
                "analyze",
                "List the tasks, and for each of them what it needs and what it makes possible.",
            ),
            phase(
                "build_dag",
                "Write the dependencies down as a graph without circles. Where there is a circle, split a task \
                 until it is gone.",
            ),
            phase(
                "execute_wave",
                "Start every task whose needs are met. Each time one finishes, look again at what has become free.",
            ),
            phase(
                "verify",
                "Check each result before what depends on it begins. A failure stops its successors only.",
            ),
            phase(
                "complete",
                "When no task is left, check the whole, sum up, and complete the goal.",
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_and_their_phases_are_the_contracts() {
        let shown: Vec<(&str, &str, Vec<&str>)> = WorkflowTemplate::all()
            .iter()
            .map(|t| (t.id, t.mode, t.phases.iter().map(|p| p.name).collect()))
            .collect();
        let expected: [(&str, &str, &[&str]); 5] = [
            ("execute-simple", "execute", &["execute", "report", "complete"]),
            (
                "execute-tree",
                "execute",
                &["analyze", "plan", "execute", "report", "complete"],
            ),
            (
                "coordinate-default",
                "coordinate",
                &["analyze", "decompose", "spawn", "monitor", "verify", "complete"],
            ),
            (
                "coordinate-batching",
                "coordinate",
                &["analyze", "decompose", "execute_batch", "verify", "complete"],
            ),
            (
                "coordinate-dag",
                "coordinate",
                &["analyze", "build_dag", "execute_wave", "verify", "complete"],
            ),
        ];
        let expected: Vec<_> = expected
            .map(|(id, mode, phases)| (id, mode, phases.to_vec()))
            .into();
        assert_eq!(shown, expected);
        for phase in WorkflowTemplate::all().iter().flat_map(|t| t.phases) {
            assert!(phase.instruction.ends_with('.') && !phase.instruction.contains("  "));
        }
    }
}
