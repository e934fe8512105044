//! Where values come from: options, environment, file. The only part of the room that touches the system,
//! in [`Sources::gather`]; everything after it is a function of what was gathered.

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{args::ConfigArgs, error::ConfigError};

/// Environment variables as a value, so that tests need no real environment.
#[derive(Clone, Default)]
pub struct Env(HashMap<String, OsString>);

/// A variable that is set to something that is not UTF-8 text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotText;

impl Env {
    /// The environment of this process. A `HOME` that is missing or no absolute path is looked up in the user database.
    pub fn from_process() -> Self {
        let mut env: HashMap<String, OsString> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        if env
            .get("HOME")
            .is_none_or(|home| !home.as_bytes().starts_with(b"/"))
            && let Ok(Some(user)) = nix::unistd::User::from_uid(nix::unistd::Uid::effective())
        {
            env.insert("HOME".into(), user.dir.into_os_string());
        }
        Self(env)
    }

    /// The value of a variable; empty is the same as unset.
    pub fn get(&self, name: &str) -> Result<Option<&str>, NotText> {
        match self.0.get(name) {
            Some(value) if !value.is_empty() => value.to_str().map(Some).ok_or(NotText),
            _ => Ok(None),
        }
    }

    /// The value of a variable if it is an absolute path, as the XDG rules ask for.
    pub fn absolute(&self, name: &str) -> Option<&str> {
        self.get(name).ok().flatten().filter(|path| path.starts_with('/'))
    }

    /// The first of a colon-separated list of directories, as systemd hands them over.
    pub fn first_directory(&self, name: &str) -> Option<&str> {
        self.absolute(name).and_then(|list| list.split(':').next())
    }
}

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// An environment holds other people's keys: it is counted, not shown.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Env({} variables)", self.0.len())
    }
}

/// A value given on the command line.
#[derive(Clone)]
pub struct Flag {
    /// As written, for messages: `--port`.
    pub name: String,
    /// The key it sets.
    pub key: String,
    /// Its text.
    pub value: String,
}

/// The configuration file, read.
#[derive(Clone)]
pub struct FileText {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// True if other users of the machine can read it.
    pub readable_by_others: bool,
}

/// Everything a configuration is made of.
#[derive(Clone, Default)]
pub struct Sources {
    /// Later ones win.
    pub flags: Vec<Flag>,
    pub env: Env,
    pub file: Option<FileText>,
    /// What relative paths in flags and variables are relative to.
    pub working_dir: PathBuf,
    /// What was noticed while gathering, for the warnings of the result.
    pub notes: Vec<String>,
}

impl Sources {
    /// Finds and reads the file, and adds flags and environment.
    pub fn gather(args: &ConfigArgs, env: Env) -> Result<Self, ConfigError> {
        let mut sources = Self {
            flags: args.flags(),
            working_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            ..Self::default()
        };
        match lookup(args.config.as_deref(), &env) {
            Lookup::Exactly(path) => {
                let path = sources.working_dir.join(path);
                let read = read(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
                sources.file = Some(read);
            }
            Lookup::FirstOf(candidates) => sources.file = first_of(candidates, &mut sources.notes)?,
        }
        sources.env = env;
        Ok(sources)
    }
}

fn first_of(candidates: Vec<PathBuf>, notes: &mut Vec<String>) -> Result<Option<FileText>, ConfigError> {
    for path in candidates {
        match read(&path) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            // The file of a packaged system service is none of an ordinary user's business.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                notes.push(format!(
                    "{} is passed over: it may not be read by this user",
                    path.display()
                ));
            }
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        }
    }
    Ok(None)
}

/// A configuration is a page of text; a device or a disk image given by mistake must not be read whole.
const LARGEST_FILE: u64 = 1 << 20;

fn read(path: &Path) -> io::Result<FileText> {
    use std::{io::Read, os::unix::fs::PermissionsExt};
    let file = fs::File::open(path)?;
    let facts = file.metadata()?;
    if facts.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a directory"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(FileText {
        path: path.to_owned(),
        bytes,
        readable_by_others: facts.permissions().mode() & 0o004 != 0,
    })
}

/// Which file is meant.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Somebody named it: it must be there.
    Exactly(PathBuf),
    /// The first that exists; none is fine.
    FirstOf(Vec<PathBuf>),
}

/// Where the file is looked for, given `--config`.
pub fn lookup(named: Option<&Path>, env: &Env) -> Lookup {
    if let Some(path) = named {
        return Lookup::Exactly(path.to_owned());
    }
    if let Ok(Some(path)) = env.get("MAESTRO_CONFIG") {
        return Lookup::Exactly(path.into());
    }
    let user = env
        .absolute("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env.absolute("HOME").map(|home| Path::new(home).join(".config")));
    let places = ["/etc", "/opt/homebrew/etc", "/usr/local/etc"].map(PathBuf::from);
    Lookup::FirstOf(
        user.into_iter()
            .chain(places)
            .map(|place| place.join("maestro/maestro.toml"))
            .collect(),
    )
}
