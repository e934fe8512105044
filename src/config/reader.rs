//! How one value is chosen among flags, environment, file and default, and what is refused on the way.
//! Knows no key by name.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use super::{
    error::{Origin, Problem},
    file::{self, FileKey, FileValue},
    nearest::nearest,
    setting::{Base, Setting, Wrong},
    source::Sources,
    table::{Key, Preset},
};

/// Chooses values, and collects what is wrong with them.
pub struct Reader<'a> {
    sources: &'a Sources,
    file: BTreeMap<String, (u32, FileValue)>,
    path: Arc<Path>,
    pub(super) here: Base,
    pub(super) origins: BTreeMap<&'static str, Origin>,
    /// The values chosen so far, as text; what derived defaults follow from.
    pub(super) chosen: BTreeMap<&'static str, String>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Reads the file and refuses what no key of `keys` explains.
    pub(super) fn new(sources: &'a Sources, keys: &[&'static Key]) -> Self {
        let path = sources.file.as_ref().map_or(Path::new(""), |file| &file.path);
        let home = sources.env.absolute("HOME").map(str::to_owned);
        let mut reader = Self {
            sources,
            file: BTreeMap::new(),
            path: path.into(),
            here: Base {
                home,
                relative_to: sources.working_dir.clone(),
            },
            origins: BTreeMap::new(),
            chosen: BTreeMap::new(),
            problems: Vec::new(),
            warnings: sources.notes.clone(),
        };
        let known: HashSet<&str> = keys.iter().map(|key| key.name).collect();
        reader.open_file(&known, keys);
        reader.check_flags(&known, keys);
        reader
    }

    pub(super) fn sources(&self) -> &'a Sources {
        self.sources
    }

    fn open_file(&mut self, known: &HashSet<&str>, keys: &[&'static Key]) {
        let Some(file) = &self.sources.file else { return };
        match file::parse(&file.bytes) {
            Ok(found) => self.sort_in("", found, known, keys),
            Err(error) => {
                let origin = self.line(error.line.unwrap_or(1));
                self.problem(
                    Some(origin),
                    None,
                    format!("not valid TOML: {}", error.message),
                    None,
                );
            }
        }
    }

    fn line(&self, line: u32) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line,
        }
    }

    fn sort_in(&mut self, table: &str, found: Vec<FileKey>, known: &HashSet<&str>, keys: &[&'static Key]) {
        for FileKey { name, line, value } in found {
            let name = format!("{table}{name}");
            let below = format!("{name}.");
            let is_table = keys.iter().any(|key| key.name.starts_with(&below));
            match value {
                value if known.contains(name.as_str()) => {
                    self.file.insert(name, (line, value));
                }
                FileValue::Table(found) if is_table => self.sort_in(&below, found, known, keys),
                other if is_table => {
                    let message = format!("expected a table, found {}", other.describe());
                    let remedy = format!("write [{name}] and its keys below it");
                    self.problem(Some(self.line(line)), Some(&name), message, Some(remedy));
                }
                _ => self.unknown(self.line(line), &name, keys),
            }
        }
    }

    fn unknown(&mut self, origin: Origin, name: &str, keys: &[&'static Key]) {
        let names = keys.iter().map(|key| key.name);
        let tables = names
            .clone()
            .filter_map(|key| key.rsplit_once('.').map(|(table, _)| table));
        let remedy = nearest(name, names.chain(tables))
            .map(|near| format!("did you mean `{near}`?"))
            .unwrap_or_else(|| "every valid key is in docs/CONFIGURATION.md".into());
        let shown: String = name.escape_debug().take(80).collect();
        self.problem(Some(origin), None, format!("unknown key `{shown}`"), Some(remedy));
    }

    fn check_flags(&mut self, known: &HashSet<&str>, keys: &[&'static Key]) {
        for flag in &self.sources.flags {
            if !known.contains(flag.key.as_str()) {
                self.unknown(Origin::Flag(flag.name.clone()), &flag.key, keys);
            }
        }
    }

    pub(super) fn problem(
        &mut self,
        origin: Option<Origin>,
        key: Option<&str>,
        message: String,
        remedy: Option<String>,
    ) {
        self.problems.push(Problem {
            origin,
            key: key.map(str::to_owned),
            message,
            remedy,
        });
    }

    /// Chooses the value of one key: flag, else variable, else file, else default.
    pub(super) fn take<T: Setting>(&mut self, key: &'static Key) -> Option<T> {
        let (read, origin) = self
            .flag::<T>(key)
            .or_else(|| self.variable::<T>(key))
            .or_else(|| self.file_value::<T>(key))
            .or_else(|| self.preset::<T>(key))?;
        match read.and_then(|value| within(key, value)) {
            Ok(value) => {
                self.origins.insert(key.name, origin);
                self.chosen.insert(key.name, value.shown());
                Some(value)
            }
            Err(wrong) => {
                let found = if T::SECRET {
                    "something else (not shown)"
                } else {
                    &wrong.found
                };
                let message = format!("expected {}, found {found}", key.expectation());
                self.problem(Some(origin), Some(key.name), message, wrong.hint);
                None
            }
        }
    }

    fn flag<T: Setting>(&mut self, key: &'static Key) -> Option<(Result<T, Wrong>, Origin)> {
        let flag = self.sources.flags.iter().rfind(|flag| flag.key == key.name)?;
        if T::SECRET && !flag.value.is_empty() {
            let warning = format!(
                "{} for {}: other users can see it with ps; put it into the file",
                flag.name, key.name
            );
            self.warnings.push(warning);
        }
        Some((
            T::from_text(&flag.value, &self.here),
            Origin::Flag(flag.name.clone()),
        ))
    }

    fn variable<T: Setting>(&mut self, key: &'static Key) -> Option<(Result<T, Wrong>, Origin)> {
        for env in key.env {
            let read = match self.sources.env.get(env.name) {
                Ok(None) => continue,
                Ok(Some(text)) => T::from_text((env.translate)(text).unwrap_or(text), &self.here),
                Err(_) => Err(Wrong::found("bytes that are not UTF-8 text")),
            };
            match read {
                Err(wrong) if env.lenient => self.warnings.push(format!(
                    "${} is passed over: expected {}, found {}",
                    env.name,
                    key.expectation(),
                    wrong.found
                )),
                read => return Some((read, Origin::Env(env.name))),
            }
        }
        None
    }

    fn file_value<T: Setting>(&mut self, key: &'static Key) -> Option<(Result<T, Wrong>, Origin)> {
        let (line, value) = self.file.get(key.name)?;
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        let base = Base {
            relative_to: self.here.relative_to.join(parent),
            ..self.here.clone()
        };
        let exposed = self
            .sources
            .file
            .as_ref()
            .is_some_and(|file| file.readable_by_others);
        if T::SECRET && exposed {
            let place = self.line(*line);
            self.warnings.push(format!(
                "{place}: {} in a file everybody can read: chmod 600 it",
                key.name
            ));
        }
        Some((T::from_file(value, &base), self.line(*line)))
    }

    fn preset<T: Setting>(&mut self, key: &'static Key) -> Option<(Result<T, Wrong>, Origin)> {
        match key.preset {
            Preset::Text(text) => Some((T::from_text(text, &self.here), Origin::Default)),
            Preset::Derived(_, derive) => match derive(self) {
                Ok((text, origin)) => Some((T::from_text(&text, &self.here), origin)),
                Err(remedy) => {
                    if let Some(remedy) = remedy {
                        let message = "nobody set it, and its default cannot be found".to_owned();
                        self.problem(None, Some(key.name), message, Some(remedy.to_owned()));
                    }
                    None
                }
            },
        }
    }
}

fn within<T: Setting>(key: &Key, value: T) -> Result<T, Wrong> {
    let Some((least, most)) = key.bounds else {
        return Ok(value);
    };
    let measure = |text| {
        T::from_text(text, &Base::default())
            .ok()
            .and_then(|bound| bound.measure())
    };
    match value.measure() {
        Some(size) if measure(least).is_some_and(|l| size < l) || measure(most).is_some_and(|m| size > m) => {
            Err(Wrong::found(value.shown()))
        }
        _ => Ok(value),
    }
}
