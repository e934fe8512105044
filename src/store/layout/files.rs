//! Files and folders: names in order, the first JSON value of a damaged file, and writing whole or not at all.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{LayoutError, report::Notes};

/// A JSON file that could be read.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// The file's name without `.json`.
    pub(super) stem: String,
    pub(super) map: Map<String, Value>,
}

/// The `*.json` files of a folder, by name. A folder that is not there is empty.
pub(super) fn json_files(dir: &Path, notes: &mut Notes) -> Vec<PathBuf> {
    let mut files = entries(dir, notes);
    files.retain(|path| path.extension().is_some_and(|e| e == "json") && path.is_file());
    files
}

/// The folders in a folder, by name.
pub(super) fn folders(dir: &Path, notes: &mut Notes) -> Vec<PathBuf> {
    let mut folders = entries(dir, notes);
    folders.retain(|path| path.is_dir());
    folders
}

fn entries(dir: &Path, notes: &mut Notes) -> Vec<PathBuf> {
    let read = fs::read_dir(dir).and_then(|entries| {
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect::<std::io::Result<Vec<_>>>()
    });
    match read {
        Ok(mut paths) => {
            paths.sort();
            paths
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            notes.unreadable.add(format!("{}: {error}", dir.display()));
            Vec::new()
        }
    }
}

/// Reads a file, or notes why it cannot be read. `root` shortens names in notes.
pub(super) fn read(path: &Path, root: &Path, notes: &mut Notes) -> Option<Found> {
    let name = shown(path, root);
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => {
            notes.unreadable.add(format!("{name}: {error}"));
            return None;
        }
    };
    match first_value(&text) {
        Ok((Value::Object(map), rest)) => {
            if rest > 0 {
                notes.remarks.add(format!(
                    "{name}: {rest} bytes after its end were left out (two versions in one file)"
                ));
            }
            let stem = path.file_stem()?.to_str()?.to_owned();
            Some(Found {
                path: path.to_owned(),
                stem,
                map,
            })
        }
        Ok(_) => {
            notes.unreadable.add(format!("{name}: not a JSON object"));
            None
        }
        Err(error) => {
            notes.unreadable.add(format!("{name}: {error}"));
            None
        }
    }
}

/// The first complete value, and how many bytes follow it. The Node server writes in place, without locks: a valid
/// value may be followed by the tail of a longer version.
fn first_value(text: &[u8]) -> Result<(Value, usize), String> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => {
            let rest = &text[values.byte_offset()..];
            Ok((value, rest.trim_ascii().len()))
        }
        Some(Err(error)) if error.is_eof() => Err("it is cut off".into()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("it is empty".into()),
    }
}

/// A path as notes show it: below the folder that was named.
pub(super) fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Replaces a file by `text`: whole, or not at all.
pub(super) fn write(path: &Path, text: &[u8]) -> Result<(), LayoutError> {
    let part = path.with_extension("json.part");
    let put = || {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&part)?.write_all(text)?;
        fs::rename(&part, path)
    };
    put().map_err(|error: std::io::Error| {
        let _ = fs::remove_file(&part); // it may never have been made
        LayoutError::file(path, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_end_of_its_first_value() {
        let read = |text: &str| first_value(text.as_bytes()).map(|(value, rest)| (value.to_string(), rest));
        assert_eq!(read(r#"{"a":1}"#), Ok((r#"{"a":1}"#.into(), 0)));
        assert_eq!(read("{\"a\":1}\n \n"), Ok((r#"{"a":1}"#.into(), 0)));
        assert_eq!(read(r#"{"a":1}tail"}"#), Ok((r#"{"a":1}"#.into(), 6)));
        assert_eq!(read(r#"{"a":"#), Err("it is cut off".into()));
        assert_eq!(read("  "), Err("it is empty".into()));
        assert!(read("{a}").is_err());
    }
}
