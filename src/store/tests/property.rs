//! Random rules, in random batches, some refused, some panicking, some commits failing, with restarts in between:
//! the store must always be what a list of records would be.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::{Event, MemberId, OrderingKind, Refusal};

#[derive(Clone, Debug)]
enum Op {
    PutProject(u32),
    RemoveProject(u32),
    PutTask(u32, u32, Option<u32>),
    RemoveTask(u32),
    /// A new session, or one that replaces another.
    PutSession(u32, u32, Vec<u32>, u8),
    /// Entries for events, timeline, docs.
    Append(u32, [u8; 3]),
    RemoveSession(u32),
    PutMember(u32, u32),
    RemoveMember(u32, u32),
    Override(u32, bool),
    Arrange(u32, bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Fine,
    Refused,
    Panics,
}

#[derive(Clone, Debug)]
struct Batch {
    rules: Vec<(Vec<Op>, End)>,
    fails: bool,
    restart: bool,
}

fn op() -> impl Strategy<Value = Op> {
    let n = || 0..4u32;
    prop_oneof![
        1 => n().prop_map(Op::PutProject),
        1 => n().prop_map(Op::RemoveProject),
        1 => (n(), n(), proptest::option::of(n())).prop_map(|(t, p, parent)| Op::PutTask(t, p, parent)),
        1 => n().prop_map(Op::RemoveTask),
        1 => (n(), n(), proptest::collection::vec(n(), 0..3), 0..3u8)
            .prop_map(|(s, p, tasks, entries)| Op::PutSession(s, p, tasks, entries)),
        3 => (n(), proptest::array::uniform3(0..3u8)).prop_map(|(s, counts)| Op::Append(s, counts)),
        1 => n().prop_map(Op::RemoveSession),
        1 => (n(), n()).prop_map(|(p, m)| Op::PutMember(p, m)),
        1 => (n(), n()).prop_map(|(p, m)| Op::RemoveMember(p, m)),
        1 => (n(), any::<bool>()).prop_map(|(p, there)| Op::Override(p, there)),
        1 => (n(), any::<bool>()).prop_map(|(p, tasks)| Op::Arrange(p, tasks)),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    let end = prop_oneof![6 => Just(End::Fine), 1 => Just(End::Refused), 1 => Just(End::Panics)];
    let rule = (proptest::collection::vec(op(), 0..5), end);
    (
        proptest::collection::vec(rule, 1..5),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.15),
    )
        .prop_map(|(rules, fails, restart)| Batch {
            rules,
            fails,
            restart,
        })
}

/// The same as plain lists, in order of creation.
#[derive(Clone, Debug, Default, PartialEq)]
struct Lists {
    projects: Vec<(u32, String)>,
    tasks: Vec<(u32, u32, Option<u32>)>,
    sessions: Vec<(u32, ListedSession)>,
    members: Vec<((u32, u32), i64)>,
    overrides: BTreeMap<u32, i64>,
    orderings: BTreeMap<(bool, u32), i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct ListedSession {
    project: u32,
    tasks: Vec<u32>,
    histories: [Vec<String>; 3],
}

fn put<K: PartialEq, V>(list: &mut Vec<(K, V)>, key: K, value: V) {
    match list.iter_mut().find(|(k, _)| *k == key) {
        Some((_, old)) => *old = value,
        None => list.push((key, value)),
    }
}

impl Lists {
    fn apply(&mut self, op: &Op, mark: i64) {
        match op {
            Op::PutProject(n) => put(&mut self.projects, *n, mark.to_string()),
            Op::RemoveProject(n) => self.projects.retain(|(id, _)| id != n),
            Op::PutTask(n, project, parent) => match self.tasks.iter_mut().find(|t| t.0 == *n) {
                Some(old) => *old = (*n, *project, *parent),
                None => self.tasks.push((*n, *project, *parent)),
            },
            Op::RemoveTask(n) => self.tasks.retain(|(id, ..)| id != n),
            Op::PutSession(n, project, tasks, entries) => {
                let first: Vec<_> = (0..*entries).map(|e| format!("{mark} {e}")).collect();
                let session = ListedSession {
                    project: *project,
                    tasks: tasks.clone(),
                    histories: [vec![], first, vec![]],
                };
                put(&mut self.sessions, *n, session);
            }
            Op::Append(n, counts) => {
                if let Some((_, session)) = self.sessions.iter_mut().find(|(id, _)| id == n) {
                    for (history, count) in session.histories.iter_mut().zip(counts) {
                        history.extend((0..*count).map(|e| format!("{mark} {e}")));
                    }
                }
            }
            Op::RemoveSession(n) => self.sessions.retain(|(id, _)| id != n),
            Op::PutMember(project, n) => put(&mut self.members, (*project, *n), mark),
            Op::RemoveMember(project, n) => self.members.retain(|(key, _)| *key != (*project, *n)),
            Op::Override(project, true) => drop(self.overrides.insert(*project, mark)),
            Op::Override(project, false) => drop(self.overrides.remove(project)),
            Op::Arrange(project, tasks) => drop(self.orderings.insert((*tasks, *project), mark)),
        }
    }

    fn seen(view: &dyn View) -> Self {
        let number = |id: &str| id.rsplit('_').next().unwrap().parse::<u32>().unwrap();
        let task = |task: &Arc<Task>| {
            let parent = task.parent_id.as_ref().map(|id| number(id.as_str()));
            (number(task.id.as_str()), number(task.project_id.as_str()), parent)
        };
        let session = |head: Arc<crate::domain::Rendered<crate::domain::SessionHead>>| {
            let session = view.session(&head.id).unwrap().expect("it has a head");
            let texts = |log: &Log| {
                let values = log.values().unwrap();
                values.iter().map(|v| v.as_str().unwrap().to_owned()).collect()
            };
            let listed = ListedSession {
                project: number(head.project_id.as_str()),
                tasks: head.task_ids.iter().map(|id| number(id)).collect(),
                histories: [
                    texts(&session.events),
                    texts(&session.timeline),
                    texts(&session.docs),
                ],
            };
            (number(head.id.as_str()), listed)
        };
        let mark = |text: &str| text.parse::<i64>().unwrap();
        let mut lists = Self {
            projects: view
                .projects()
                .iter()
                .map(|p| (number(p.id.as_str()), p.name.clone()))
                .collect(),
            tasks: view.tasks(None).iter().map(task).collect(),
            sessions: view.session_heads(None).into_iter().map(session).collect(),
            ..Self::default()
        };
        for project in 0..4 {
            let id = project_id(project);
            for member in view.members(&id) {
                lists
                    .members
                    .push(((project, number(member.id.as_str())), mark(&member.name)));
            }
            if let Some(changes) = view.member_override(&id, &default_member(project)) {
                lists.overrides.insert(project, changes["mark"].as_i64().unwrap());
            }
            for (tasks, kind) in [(true, OrderingKind::Task), (false, OrderingKind::Session)] {
                if let Some(ordering) = view.ordering(kind, &id) {
                    lists.orderings.insert((tasks, project), ordering.updated_at.0);
                }
            }
        }
        lists
    }

    /// Members by project, as `View` lists them.
    fn sorted(mut self) -> Self {
        self.members.sort_by_key(|((project, _), _)| *project);
        self
    }
}

fn default_member(project: u32) -> MemberId {
    MemberId::parse(&format!("tm_proj_{project}_worker")).unwrap()
}

fn perform(tx: &mut dyn Tx, op: &Op, mark: i64) -> Result<(), CommitError> {
    match op {
        Op::PutProject(n) => tx.put_project(project(*n, &mark.to_string())),
        Op::RemoveProject(n) => tx.remove_project(&project_id(*n)),
        Op::PutTask(n, project, parent) => tx.put_task(task(*n, *project, *parent)),
        Op::RemoveTask(n) => tx.remove_task(&task_id(*n)),
        Op::PutSession(n, project, tasks, entries) => {
            let mut session = session(*n, *project, tasks);
            for entry in 0..*entries {
                session.timeline.append(&format!("{mark} {entry}")).unwrap();
            }
            tx.put_session(session);
        }
        Op::Append(n, counts) => {
            if let Some(mut session) = tx.session(&session_id(*n))? {
                let logs = [&mut session.events, &mut session.timeline, &mut session.docs];
                for (log, count) in logs.into_iter().zip(counts) {
                    (0..*count).for_each(|entry| log.append(&format!("{mark} {entry}")).unwrap());
                }
                tx.put_session(session);
            }
        }
        Op::RemoveSession(n) => tx.remove_session(&session_id(*n)),
        Op::PutMember(project, n) => {
            let value = json!({
                "id": format!("tm_{n}"), "projectId": project_id(*project), "name": mark.to_string(), "role": "r",
                "avatar": "a", "status": "active", "createdAt": "", "updatedAt": "",
            });
            tx.put_member(Arc::new(serde_json::from_value(value).unwrap()));
        }
        Op::RemoveMember(project, n) => {
            tx.remove_member(
                &project_id(*project),
                &MemberId::parse(&format!("tm_{n}")).unwrap(),
            );
        }
        Op::Override(project, there) => {
            let changes = there.then(|| Arc::new(serde_json::Map::from_iter([("mark".into(), json!(mark))])));
            tx.put_member_override(&project_id(*project), &default_member(*project), changes);
        }
        Op::Arrange(project, tasks) => {
            let kind = if *tasks { "task" } else { "session" };
            let value = json!({
                "projectId": project_id(*project), "entityType": kind, "orderedIds": [], "updatedAt": mark,
            });
            tx.put_ordering(Arc::new(serde_json::from_value(value).unwrap()));
        }
    }
    Ok(())
}

/// Asks for all rules of a batch at once; returns what the lists are if everything goes as it should.
fn run(shop: &Shop, lists: &Lists, batch: &Batch, first_mark: i64) -> (Lists, usize) {
    let held = shop.hold();
    let (mut next, mut events, mut answers) = (lists.clone(), 0, Vec::new());
    for ((ops, end), mark) in batch.rules.iter().zip(first_mark..) {
        if *end == End::Fine {
            ops.iter().for_each(|op| next.apply(op, mark));
            events += 1;
        }
        let (ops, end) = (ops.clone(), *end);
        answers.push(shop.ask(move |tx| {
            ops.iter().try_for_each(|op| perform(tx, op, mark))?;
            tx.emit(Event::ProjectDeleted(project_id(0)));
            match end {
                End::Fine => Ok(()),
                End::Refused => Err(Refusal::invalid("no").into()),
                End::Panics => std::panic::resume_unwind(Box::new("meant")), // says nothing on the terminal
            }
        }));
    }
    if batch.fails {
        shop.poison();
    }
    drop(held);
    for ((_, end), answer) in batch.rules.iter().zip(answers) {
        assert_eq!(shop.wait(answer).is_ok(), *end == End::Fine && !batch.fails);
    }
    if batch.fails {
        (lists.clone(), 0)
    } else {
        (next, events)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_always_what_plain_lists_would_be(batches in proptest::collection::vec(batch(), 1..12)) {
        let (mut shop, mut lists, mut mark, mut events) = (Shop::new(), Lists::default(), 0, 0);
        for batch in batches {
            let (next, published) = run(&shop, &lists, &batch, mark);
            lists = next;
            mark += batch.rules.len() as i64;
            events += published as u64;
            prop_assert_eq!(shop.view().seq(), events);
            let seqs: Vec<_> = shop.ear.names().into_iter().map(|(seq, _)| seq).collect();
            prop_assert_eq!(seqs, (1..=events).collect::<Vec<_>>());
            if batch.restart {
                shop = shop.reopen(600); // room for one session
                events = 0;
            }
            prop_assert_eq!(Lists::seen(&*shop.view()), lists.clone().sorted());
            let entries: usize = lists.sessions.iter().map(|(_, s)| s.histories[1].len()).sum();
            prop_assert_eq!(shop.count("session_timeline") as usize, entries);
        }
    }
}
