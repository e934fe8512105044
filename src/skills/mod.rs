//! Skills: folders with a `SKILL.md`, found where agents look for them (API.md section 12). Reads only, blocks while it
//! does, and never follows a name out of those places.

mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tracing::warn;

pub use file::SkillFile;

/// What a skill is described in.
const FILE: &str = "SKILL.md";
/// Folders that are looked at in one place.
const MOST_FOLDERS: usize = 1000;
/// Text of all skills in one list, in bytes: what is beyond is left out.
const MOST_TEXT: usize = 32 << 20;
/// Files remembered at once; when there are more, all are forgotten.
const MOST_REMEMBERED: usize = 4000;

/// A skill, as it was found.
#[derive(Clone, Debug)]
pub struct Skill {
    /// Name of its folder.
    pub folder: String,
    /// Absolute path of its folder.
    pub path: PathBuf,
    /// For all projects, or for one.
    pub scope: Scope,
    /// Whose convention its place is.
    pub source: Source,
    /// What it says.
    pub file: Arc<SkillFile>,
}

/// Whom a skill is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All projects.
    Global,
    /// One project.
    Project,
}

impl Scope {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Project => "project",
        }
    }
}

/// Whose convention a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `.claude/skills`
    Claude,
    /// `.agents/skills`
    Agents,
}

impl Source {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Agents => "agents",
        }
    }
}

/// Finds skills. Remembers what it has read for as long as the file looks the same from outside.
pub struct Skills {
    global: Vec<Place>,
    remembered: Mutex<HashMap<PathBuf, Remembered>>,
}

#[derive(Clone, Debug)]
struct Place {
    dir: PathBuf,
    scope: Scope,
    source: Source,
}

/// What a file held, and how it looked when it was read. `None`: it is no skill.
struct Remembered {
    changed: SystemTime,
    bytes: u64,
    file: Option<Arc<SkillFile>>,
}

impl Skills {
    /// Skills for all projects in `claude`, usually `~/.claude/skills`, and below `home`, if there is one.
    pub fn new(claude: PathBuf, home: Option<&Path>) -> Self {
        let place = |dir, source| Place {
            dir,
            scope: Scope::Global,
            source,
        };
        let mut global = vec![place(claude, Source::Claude)];
        global.extend(home.map(|home| place(home.join(".agents/skills"), Source::Agents)));
        Self {
            global,
            remembered: Mutex::default(),
        }
    }

    /// All skills for all projects, and those of the project in the directory `project`, if it is an absolute path. Of
    /// several folders of one name the last place's skill counts, at the position of the first.
    pub fn list(&self, project: Option<&Path>) -> Vec<Skill> {
        let mut found: Vec<Skill> = Vec::new();
        for place in self.global.iter().cloned().chain(places_of(project)) {
            for skill in self.look_into(&place) {
                match found.iter_mut().find(|known| known.folder == skill.folder) {
                    Some(known) => *known = skill,
                    None => found.push(skill),
                }
            }
        }
        let mut text = 0;
        found.retain(|skill| {
            text += skill.file.content.len();
            if text > MOST_TEXT {
                warn!("skill {} is left out: the list is too long", skill.path.display());
            }
            text <= MOST_TEXT
        });
        found
    }

    /// The skill for all projects in the folder of this name.
    pub fn find(&self, folder: &str) -> Option<Skill> {
        if !is_folder_name(folder) {
            return None;
        }
        let mut places = self.global.iter().rev();
        places.find_map(|place| self.skill(place, folder))
    }

    /// Forgets what was read.
    pub fn forget(&self) {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The skills of one place by folder name.
    fn look_into(&self, place: &Place) -> Vec<Skill> {
        // A place that is not there is an empty one.
        let entries = fs::read_dir(&place.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_folder_name(name)).collect();
        names.sort_unstable();
        if names.len() > MOST_FOLDERS {
            warn!(
                "of {} folders in {} only {MOST_FOLDERS} are looked at",
                names.len(),
                place.dir.display()
            );
            names.truncate(MOST_FOLDERS);
        }
        names.iter().filter_map(|name| self.skill(place, name)).collect()
    }

    fn skill(&self, place: &Place, folder: &str) -> Option<Skill> {
        let path = place.dir.join(folder);
        Some(Skill {
            folder: folder.to_owned(),
            file: self.read(&path.join(FILE))?,
            path,
            scope: place.scope,
            source: place.source,
        })
    }

    fn read(&self, path: &Path) -> Option<Arc<SkillFile>> {
        // A pipe or a device by this name would hold us up: only files are opened.
        let facts = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let (changed, bytes) = (facts.modified().ok()?, facts.len());
        let lock = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(path)
            && (known.changed, known.bytes) == (changed, bytes)
        {
            return known.file.clone();
        }
        let file = SkillFile::read(path).map(Arc::new);
        let mut remembered = lock();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        let known = Remembered {
            changed,
            bytes,
            file: file.clone(),
        };
        remembered.insert(path.to_owned(), known);
        file
    }
}

fn places_of(project: Option<&Path>) -> impl Iterator<Item = Place> {
    let project = project
        .filter(|project| project.is_absolute())
        .map(Path::to_owned);
    project.into_iter().flat_map(|project| {
        [
            (".claude/skills", Source::Claude),
            (".agents/skills", Source::Agents),
        ]
        .map(|(dir, source)| Place {
            dir: project.join(dir),
            scope: Scope::Project,
            source,
        })
    })
}

/// True if the text names something in a folder, and neither something hidden nor something elsewhere.
fn is_folder_name(text: &str) -> bool {
    let mut components = Path::new(text).components();
    let name = matches!(components.next(), Some(Component::Normal(name)) if name == text);
    name && components.next().is_none() && !text.starts_with('.') && !text.contains('\0')
}
