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
        line: Some(line_at(bytes, error.valid_up_to())),
        message: "the file is not UTF-8 text".into(),
    })?;
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        line: error.span().map(|span| line_at(bytes, span.start)),
        message: error.message().trim().replace('\n', ", "),
    })?;
    Ok(keys(table.get_ref(), bytes))
}

fn keys(table: &DeTable<'_>, bytes: &[u8]) -> Vec<FileKey> {
    let mut keys: Vec<_> = table
        .iter()
        .map(|(name, value)| FileKey {
            name: name.get_ref().to_string(),
            line: line_at(bytes, name.span().start),
            value: read(value, bytes),
        })
        .collect();
    keys.sort_by_key(|key| key.line); // so that problems are told in the order of the file
    keys
}

fn read(value: &Spanned<DeValue<'_>>, bytes: &[u8]) -> FileValue {
    match value.get_ref() {
        DeValue::String(text) => FileValue::Text(text.to_string()),
        DeValue::Boolean(is) => FileValue::Bool(*is),
        DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
            .map_or(FileValue::Other("number too large"), FileValue::Integer),
        DeValue::Array(members) => FileValue::List(members.iter().map(|m| read(m, bytes)).collect()),
        DeValue::Table(table) => FileValue::Table(keys(table, bytes)),
        DeValue::Float(_) => FileValue::Other("fraction"),
        DeValue::Datetime(_) => FileValue::Other("date"),
    }
}

fn line_at(bytes: &[u8], offset: usize) -> u32 {
    let before = bytes.iter().take(offset).filter(|b| **b == b'\n').count();
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}
