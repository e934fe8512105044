//! The file as a flat list of keys with their lines. Knows TOML, and no key by name.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A value as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum FileValue {
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<FileValue>),
    Table(Vec<FileKey>),
    /// A type no key has, by its name.
    Other(&'static str),
}

/// A key of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileKey {
    /// As written, without its table.
    pub name: String,
    /// Counted from 1.
    pub line: u32,
    pub value: FileValue,
}

impl FileValue {
    /// What this is, for an error that says what was found.
    pub fn describe(&self) -> String {
        match self {
            Self::Text(_) => "text".into(),
            Self::Integer(n) => format!("the number {n}"),
            Self::Bool(is) => is.to_string(),
            Self::List(_) => "a list".into(),
            Self::Table(_) => "a table".into(),
            Self::Other(name) => format!("a {name}"),
        }
    }
}

/// Why a file cannot be read as TOML. Never quotes the file: the bad line may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub line: Option<u32>,
    pub message: String,
}

/// Reads a whole file into its top-level keys.
pub fn parse(bytes: &[u8]) -> Result<Vec<FileKey>, SyntaxError> {
    let text = std::str::from_utf8(bytes).map_err(|error| SyntaxError {
        line: Some(Lines::of(bytes).at(error.valid_up_to())),
        message: "the file is not UTF-8 text".into(),
    })?;
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        line: error.span().map(|span| Lines::of(bytes).at(span.start)),
        message: error.message().trim().replace('\n', ", "),
    })?;
    Ok(keys(table.get_ref(), &Lines::of(bytes)))
}

fn keys(table: &DeTable<'_>, lines: &Lines) -> Vec<FileKey> {
    let mut keys: Vec<_> = table
        .iter()
        .map(|(name, value)| FileKey {
            name: name.get_ref().to_string(),
            line: lines.at(name.span().start),
            value: read(value, lines),
        })
        .collect();
    keys.sort_by_key(|key| key.line); // so that problems are told in the order of the file
    keys
}

fn read(value: &Spanned<DeValue<'_>>, lines: &Lines) -> FileValue {
    match value.get_ref() {
        DeValue::String(text) => FileValue::Text(text.to_string()),
        DeValue::Boolean(is) => FileValue::Bool(*is),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .map_or(FileValue::Other("number too large"), FileValue::Integer),
        DeValue::Array(members) => FileValue::List(members.iter().map(|m| read(m, lines)).collect()),
        DeValue::Table(table) => FileValue::Table(keys(table, lines)),
        DeValue::Float(_) => FileValue::Other("fraction"),
        DeValue::Datetime(_) => FileValue::Other("date"),
    }
}

/// Where the lines of a file end. Found once: a file may have very many keys.
struct Lines {
    ends: Vec<usize>,
}

impl Lines {
    fn of(bytes: &[u8]) -> Self {
        let ends = (0..).zip(bytes).filter(|(_, b)| **b == b'\n').map(|(at, _)| at);
        Self { ends: ends.collect() }
    }

    /// The line of a byte, counted from 1.
    fn at(&self, offset: usize) -> u32 {
        let before = self.ends.partition_point(|end| *end < offset);
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}
