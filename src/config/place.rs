//! Paths and programs, made absolute where they are read.

use std::path::{Path, PathBuf};

use super::setting::{Base, Setting, Show, Wrong};

impl Show for PathBuf {
    fn shown(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for PathBuf {
    fn kind() -> String {
        "a path".into()
    }

    fn from_text(text: &str, base: &Base) -> Result<Self, Wrong> {
        if text.is_empty() || text.contains('\0') {
            return Err(Wrong::text(text));
        }
        if let Some(below) = text.strip_prefix('~') {
            let Some(home) = &base.home else {
                return Err(
                    Wrong::text(text).hint("HOME is not set, so ~ means nothing: write an absolute path")
                );
            };
            return match below.strip_prefix('/') {
                Some(below) => Ok(Path::new(home).join(below)),
                None if below.is_empty() => Ok(PathBuf::from(home)),
                None => Err(Wrong::text(text).hint("only your own home can be written with ~")),
            };
        }
        Ok(base.relative_to.join(text))
    }
}

/// A program: a path, or a name that is looked up in `PATH` each time it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Looked up in `PATH`.
    Name(String),
    /// Run as it is.
    Path(PathBuf),
}

impl Program {
    /// The text to hand to whoever starts it.
    pub fn as_path(&self) -> &Path {
        match self {
            Self::Name(name) => Path::new(name),
            Self::Path(path) => path,
        }
    }
}

impl Show for Program {
    fn shown(&self) -> String {
        self.as_path().display().to_string()
    }
}

impl Setting for Program {
    fn kind() -> String {
        "a program: a path, or a name found in PATH".into()
    }

    fn from_text(text: &str, base: &Base) -> Result<Self, Wrong> {
        if text.contains('/') || text.starts_with('~') {
            return PathBuf::from_text(text, base).map(Self::Path);
        }
        if text.is_empty() || text == "." || text == ".." || text.contains(char::is_control) {
            return Err(Wrong::text(text));
        }
        Ok(Self::Name(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base {
            home: Some("/home/ada".into()),
            relative_to: "/etc/maestro".into(),
        }
    }

    #[test]
    fn paths_come_out_absolute_whoever_wrote_them() {
        let path = |text| PathBuf::from_text(text, &base()).map(|path| path.shown());
        assert_eq!(path("/srv/x"), Ok("/srv/x".into()));
        assert_eq!(path("~/x"), Ok("/home/ada/x".into()));
        assert_eq!(path("~"), Ok("/home/ada".into()));
        assert_eq!(path("data"), Ok("/etc/maestro/data".into()));
        assert!(path("~bob/x").is_err());
        assert!(path("").is_err());
    }

    #[test]
    fn a_tilde_without_a_home_is_refused_with_the_remedy() {
        let wrong = PathBuf::from_text("~/x", &Base::default()).expect_err("no home");
        assert!(wrong.hint.expect("a remedy").contains("HOME"));
    }

    #[test]
    fn a_program_is_a_name_unless_it_has_a_slash() {
        let program = |text| Program::from_text(text, &base());
        assert_eq!(program("redis-server"), Ok(Program::Name("redis-server".into())));
        assert_eq!(program("/opt/r"), Ok(Program::Path("/opt/r".into())));
        assert_eq!(program("~/r"), Ok(Program::Path("/home/ada/r".into())));
        assert_eq!(program("./r"), Ok(Program::Path("/etc/maestro/./r".into())));
        assert!(program("..").is_err());
    }
}
