//! The rows: one table per kind of record, each record as its JSON; one table per kind of history.

use std::{io, sync::Arc};

use rusqlite::{Connection, types::Type};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::domain::{Member, MemberId, Ordering, OrderingKind, ProjectId, Rendered, SessionHead};
use crate::sqlite::Chapter;

use super::{
    histories::{Histories, Logs},
    index::Place,
    model::{Changes, Model, SessionEntry},
};

/// The store's tables. `place` is the order of creation among all records; `line` names the histories of a session,
/// and changes if the session is replaced, so that rows of a line are only ever added.
///
/// Histories are clustered by session, so that reading one is reading neighbours. (For rows of a kilobyte a table
/// without row ids would be slow; an entry of a timeline has a fifth of that.)
pub const CHAPTER: Chapter = Chapter {
    name: "store",
    migrations: &["
        CREATE TABLE projects (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL);
        CREATE TABLE tasks (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL);
        CREATE TABLE sessions (
            place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL,
            line INTEGER NOT NULL UNIQUE, events INTEGER NOT NULL, timeline INTEGER NOT NULL, docs INTEGER NOT NULL
        );
        CREATE TABLE session_events (
            line INTEGER NOT NULL REFERENCES sessions (line) ON DELETE CASCADE,
            seq INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (line, seq)
        ) WITHOUT ROWID;
        CREATE TABLE session_timeline (
            line INTEGER NOT NULL REFERENCES sessions (line) ON DELETE CASCADE,
            seq INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (line, seq)
        ) WITHOUT ROWID;
        CREATE TABLE session_docs (
            line INTEGER NOT NULL REFERENCES sessions (line) ON DELETE CASCADE,
            seq INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (line, seq)
        ) WITHOUT ROWID;
        CREATE TABLE members (
            place INTEGER PRIMARY KEY, project TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL,
            UNIQUE (project, id)
        );
        CREATE TABLE member_overrides (
            project TEXT NOT NULL, id TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (project, id)
        );
        CREATE TABLE orderings (
            kind TEXT NOT NULL, project TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, project)
        );
    "],
};

/// What reads and adds to one kind of history.
pub(super) struct HistorySql {
    read: &'static str,
    pub(super) add: &'static str,
}

macro_rules! history {
    ($table:literal) => {
        HistorySql {
            read: concat!(
                "SELECT json FROM ",
                $table,
                " WHERE line = ?1 AND seq < ?2 ORDER BY seq"
            ),
            add: concat!("INSERT INTO ", $table, " (line, seq, json) VALUES (?1, ?2, ?3)"),
        }
    };
}

/// In the order of the columns of `sessions` and of [`Logs::each`].
pub(super) const HISTORIES: [HistorySql; 3] = [
    history!("session_events"),
    history!("session_timeline"),
    history!("session_docs"),
];

/// Reads all records.
pub(super) fn load_model(db: &Connection) -> rusqlite::Result<Model> {
    let mut model = Model::default();
    each(
        db,
        "projects",
        "SELECT place, json FROM projects",
        |place, project| {
            model.put_project(place, Arc::new(project));
        },
    )?;
    each(db, "tasks", "SELECT place, json FROM tasks", |place, task| {
        model.put_task(place, Arc::new(task));
    })?;
    each(
        db,
        "members",
        "SELECT place, json FROM members",
        |place, member| {
            model.put_member(place, Arc::new(member));
        },
    )?;
    load_sessions(db, &mut model)?;
    let mut statement = db.prepare("SELECT project, id, json FROM member_overrides")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (project, id): (String, String) = (row.get(0)?, row.get(1)?);
        let project = ProjectId::parse(&project).map_err(|error| unreadable(0, error))?;
        let id = MemberId::parse(&id).map_err(|error| unreadable(1, error))?;
        let changes: Changes = parse(row, 2, "member_overrides")?;
        model.overrides.insert_mut((project, id), changes);
    }
    let mut statement = db.prepare("SELECT json FROM orderings")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let ordering: Ordering = parse(row, 0, "orderings")?;
        let key = (ordering.entity_type, ordering.project_id.clone());
        model.orderings.insert_mut(key, Arc::new(ordering));
    }
    Ok(model)
}

fn load_sessions(db: &Connection, model: &mut Model) -> rusqlite::Result<()> {
    let mut statement = db.prepare("SELECT place, json, line, events, timeline, docs FROM sessions")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let place = get_place(row, 0)?;
        let head: Arc<Rendered<SessionHead>> = parse(row, 1, "sessions")?;
        let counts = [row.get(3)?, row.get(4)?, row.get(5)?];
        let histories = Histories::new(get_place(row, 2)?, counts, None);
        model.claim(histories.line);
        model.put_session(place, Arc::new(SessionEntry { head, histories }));
    }
    Ok(())
}

fn each<R: DeserializeOwned>(
    db: &Connection,
    table: &str,
    sql: &str,
    mut take: impl FnMut(Place, R),
) -> rusqlite::Result<()> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(get_place(row, 0)?, parse(row, 1, table)?);
    }
    Ok(())
}

/// Reads the first `counts` entries of each history; `None` if they are not there any more.
pub(super) fn load_logs(db: &Connection, line: Place, counts: [u32; 3]) -> rusqlite::Result<Option<Logs>> {
    let mut logs = Logs::default();
    for ((log, sql), count) in logs.each_mut().into_iter().zip(&HISTORIES).zip(counts) {
        let mut statement = db.prepare_cached(sql.read)?;
        let mut rows = statement.query((key(line)?, count))?;
        while let Some(row) = rows.next()? {
            log.restore(row.get_ref(0)?.as_str()?);
        }
        if log.len() != count as usize {
            return Ok(None);
        }
    }
    Ok(Some(logs))
}

/// Stores or replaces a project.
pub(super) const PUT_PROJECT: &str =
    "INSERT INTO projects VALUES (?1, ?2, ?3) ON CONFLICT (place) DO UPDATE SET json = excluded.json";
/// Stores or replaces a task.
pub(super) const PUT_TASK: &str =
    "INSERT INTO tasks VALUES (?1, ?2, ?3) ON CONFLICT (place) DO UPDATE SET json = excluded.json";

/// Runs one of the statements above.
pub(super) fn put(
    db: &Connection,
    sql: &str,
    place: Place,
    id: &str,
    record: &impl Serialize,
) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?
        .execute((key(place)?, id, text(record)?))?;
    Ok(())
}

pub(super) fn put_member(db: &Connection, place: Place, member: &Member) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO members VALUES (?1, ?2, ?3, ?4) ON CONFLICT (place) DO UPDATE SET json = excluded.json",
    )?
    .execute((
        key(place)?,
        member.project_id.as_str(),
        member.id.as_str(),
        text(member)?,
    ))?;
    Ok(())
}

pub(super) fn put_override(
    db: &Connection,
    (project, id): &(ProjectId, MemberId),
    changes: Option<&Changes>,
) -> rusqlite::Result<()> {
    match changes {
        Some(changes) => db
            .prepare_cached("INSERT OR REPLACE INTO member_overrides VALUES (?1, ?2, ?3)")?
            .execute((project.as_str(), id.as_str(), text(changes)?))?,
        None => db
            .prepare_cached("DELETE FROM member_overrides WHERE project = ?1 AND id = ?2")?
            .execute((project.as_str(), id.as_str()))?,
    };
    Ok(())
}

pub(super) fn put_ordering(db: &Connection, ordering: &Ordering) -> rusqlite::Result<()> {
    let kind = match ordering.entity_type {
        OrderingKind::Task => "task",
        OrderingKind::Session => "session",
    };
    db.prepare_cached("INSERT OR REPLACE INTO orderings VALUES (?1, ?2, ?3)")?
        .execute((kind, ordering.project_id.as_str(), text(ordering)?))?;
    Ok(())
}

/// Stores a session's record, or replaces it. The line is not set again: that would make SQLite look through all
/// histories for rows that refer to it.
pub(super) const PUT_SESSION: &str =
    "INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (place) DO UPDATE SET json = excluded.json,
     events = excluded.events, timeline = excluded.timeline, docs = excluded.docs";
/// Removes a session; its histories follow by cascade.
pub(super) const REMOVE_SESSION: &str = "DELETE FROM sessions WHERE place = ?1";

/// Runs [`PUT_SESSION`].
pub(super) fn put_session(
    db: &Connection,
    place: Place,
    head: &Rendered<SessionHead>,
    line: Place,
    [events, timeline, docs]: [u32; 3],
) -> rusqlite::Result<()> {
    db.prepare_cached(PUT_SESSION)?.execute((
        key(place)?,
        head.id.as_str(),
        head.json().map_err(unwritable)?,
        key(line)?,
        events,
        timeline,
        docs,
    ))?;
    Ok(())
}

/// Adds what is unsaved to stored histories of these lengths.
pub(super) fn extend_logs(
    db: &Connection,
    line: Place,
    stored: [u32; 3],
    logs: &Logs,
) -> rusqlite::Result<()> {
    for ((log, sql), first) in logs.each().into_iter().zip(&HISTORIES).zip(stored) {
        add(db, sql, line, first, log.unsaved().iter().map(|text| &**text))?;
    }
    Ok(())
}

/// Stores whole histories, whatever of them was saved under another line.
pub(super) fn write_logs(db: &Connection, line: Place, logs: &Logs) -> rusqlite::Result<()> {
    for (log, sql) in logs.each().into_iter().zip(&HISTORIES) {
        let mut all = Vec::new();
        log.write_json(&mut all);
        let all: Vec<&RawValue> = serde_json::from_slice(&all).map_err(unwritable)?;
        add(db, sql, line, 0, all.iter().map(|text| text.get()))?;
    }
    Ok(())
}

fn add<'a>(
    db: &Connection,
    sql: &HistorySql,
    line: Place,
    first: u32,
    texts: impl Iterator<Item = &'a str>,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(sql.add)?;
    for (seq, text) in (first..).zip(texts) {
        statement.execute((key(line)?, seq, text))?;
    }
    Ok(())
}

/// Removes what stands at `place` in one of the tables that have places.
pub(super) fn remove(db: &Connection, sql: &str, place: Place) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([key(place)?])?;
    Ok(())
}

fn key(place: Place) -> rusqlite::Result<i64> {
    i64::try_from(place).map_err(unwritable)
}

fn get_place(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Place> {
    let key: i64 = row.get(column)?;
    Place::try_from(key).map_err(|error| unreadable(column, error))
}

fn text(record: &(impl Serialize + ?Sized)) -> rusqlite::Result<String> {
    serde_json::to_string(record).map_err(unwritable)
}

/// The record in a column; an error names the table and the record.
fn parse<R: DeserializeOwned>(row: &rusqlite::Row<'_>, column: usize, table: &str) -> rusqlite::Result<R> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        use rusqlite::types::ValueRef::{Integer, Text};
        let first = match row.get_ref(0) {
            Ok(Integer(place)) => place.to_string(),
            Ok(Text(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        };
        let reason = format!("record {first} of `{table}` cannot be read: {error}");
        unreadable(column, io::Error::new(io::ErrorKind::InvalidData, reason))
    })
}

fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
