//! In which order a task and everything below it goes.

use std::{collections::HashSet, sync::Arc};

use crate::domain::TaskId;

use super::Task;

/// `root` and all its parts, in the order of deletion: the parts listed depth first and read backwards, `root` last.
///
/// Imported tasks may be parts of each other in a circle; each is listed once.
pub fn deletion_order(root: &Arc<Task>, parts: impl Fn(&TaskId) -> Vec<Arc<Task>>) -> Vec<Arc<Task>> {
    let mut seen = HashSet::new();
    let mut listed = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(task) = open.pop() {
        if seen.insert(task.id.clone()) {
            open.extend(parts(&task.id).into_iter().rev());
            listed.push(task);
        }
    }
    listed.reverse();
    listed
}

#[cfg(test)]
mod tests {
    use crate::domain::samples::{part, task};

    use super::*;

    fn order(tasks: &[Arc<Task>]) -> String {
        let parts = |of: &TaskId| -> Vec<Arc<Task>> {
            let of = Some(of.clone());
            tasks
                .iter()
                .filter(|task| task.parent_id == of)
                .cloned()
                .collect()
        };
        let order = deletion_order(&tasks[0], parts);
        order.iter().map(|task| task.id.as_str()).collect()
    }

    #[test]
    fn parts_go_before_what_they_are_part_of_and_the_youngest_branch_first() {
        let tree = [
            task("r"),
            part("a", "r"),
            part("b", "r"),
            part("c", "a"),
            part("d", "a"),
            part("e", "b"),
        ];
        assert_eq!(order(&tree), "ebdcar");
        assert_eq!(order(&tree[..1]), "r");
    }

    #[test]
    fn a_circle_of_imported_tasks_is_deleted_once() {
        assert_eq!(order(&[part("a", "c"), part("b", "a"), part("c", "b")]), "cba");
    }
}
