//! `maestroctl config edit`: the editor works on a draft, and only a good one takes the file's place.

use std::{
    env, fs,
    io::{self, IsTerminal, Write, stdin, stdout},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use clap::Args;
use thiserror::Error;

use crate::config::{Config, Env, FileText, Loaded, Sources};

use super::{Context, doctor, exit::Exit, replace::replace, settings};

/// What an editor sees if there is no file yet.
const TEMPLATE: &str = "\
# maestro. Everything has a default: docs/CONFIGURATION.md lists all keys, `maestroctl config show` what is in effect.

# [listen]
# port = 3000

# [redis]
# mode = \"auto\"        # managed if a redis-server is installed, embedded otherwise

# [tunnel]
# mode = \"off\"         # maestroctl tunnel setup
";
/// What is looked for if neither VISUAL nor EDITOR is set.
const EDITORS: [&str; 4] = ["sensible-editor", "nano", "vim", "vi"];

/// Arguments of `config edit`.
#[derive(Args, Debug)]
pub struct EditArgs {
    /// Let the daemon use it at once, without asking
    #[arg(long)]
    reload: bool,
}

#[derive(Debug, Error)]
enum EditError {
    #[error("no editor is here")]
    NoEditor,
    #[error("{editor}: {error}")]
    Start { editor: String, error: io::Error },
    #[error("the editor ended with {0}; nothing has changed")]
    Ended(ExitStatus),
    #[error("{}: {error}", file.display())]
    File { file: PathBuf, error: io::Error },
    #[error("{} was changed by somebody else meanwhile; yours is {}", file.display(), draft.display())]
    Overtaken { file: PathBuf, draft: PathBuf },
    #[error("{} stays as it is; yours is {}", file.display(), draft.display())]
    Bad { file: PathBuf, draft: PathBuf },
}

impl EditError {
    fn remedy(&self) -> &'static str {
        match self {
            Self::NoEditor | Self::Start { .. } => "EDITOR=nano maestroctl config edit",
            Self::Ended(_) => "maestroctl config edit",
            Self::File { .. } => "give this user access to it",
            Self::Overtaken { .. } | Self::Bad { .. } => {
                "mend it, then move it there, then: maestroctl config check"
            }
        }
    }
}

/// Runs it.
pub async fn run(context: &Context, args: EditArgs) -> Exit {
    match edit(&context.config_path()) {
        Ok(None) => {
            println!("nothing has changed");
            Exit::Fine
        }
        Ok(Some(file)) => {
            println!("{} is good, and saved", file.display());
            offer_reload(context, args.reload).await
        }
        Err(error) => {
            eprintln!("maestroctl: {error}");
            eprintln!("→ {}", error.remedy());
            Exit::Degraded
        }
    }
}

async fn offer_reload(context: &Context, at_once: bool) -> Exit {
    if crate::control::client::Client::connect(context.socket())
        .await
        .is_err()
    {
        println!("maestrod is not running: it is used at the next start");
        return Exit::Fine;
    }
    if at_once || (is_terminal() && yes("Let the daemon use it now?")) {
        return settings::reload(context).await;
    }
    println!("→ maestroctl config reload");
    Exit::Fine
}

/// The file that was saved, or `None` if nothing changed.
fn edit(file: &Path) -> Result<Option<PathBuf>, EditError> {
    let editor = editor().ok_or(EditError::NoEditor)?;
    let on = |path: &Path| {
        let file = path.to_owned();
        move |error| EditError::File { file, error }
    };
    let before = read(file).map_err(on(file))?;
    let draft = draft_beside(file);
    let text = before.clone().unwrap_or_else(|| TEMPLATE.to_owned());
    write_draft(&draft, &text).map_err(on(&draft))?;
    let text = loop {
        let status = start(&editor, &draft).map_err(|error| EditError::Start {
            editor: editor.clone(),
            error,
        })?;
        let after = fs::read_to_string(&draft).map_err(on(&draft))?;
        if !status.success() || after == text {
            let _ = fs::remove_file(&draft);
            return match status.success() {
                true => Ok(None),
                false => Err(EditError::Ended(status)),
            };
        }
        match judge(&after, file) {
            Ok(loaded) => {
                for warning in loaded.warnings {
                    println!("! {warning}");
                }
                break after;
            }
            Err(problems) => eprintln!("{problems}"),
        }
        if !is_terminal() || !yes("Edit it again?") {
            let file = file.to_owned();
            return Err(EditError::Bad { file, draft });
        }
    };
    if read(file).map_err(on(file))? != before {
        let file = file.to_owned();
        return Err(EditError::Overtaken { file, draft });
    }
    replace(file, &text, 0o600).map_err(on(file))?;
    let _ = fs::remove_file(&draft);
    Ok(Some(file.to_owned()))
}

fn read(file: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Beside the file, so that a disk that is full is noticed before and not after; `.toml`, so that editors know what it is.
fn draft_beside(file: &Path) -> PathBuf {
    file.with_file_name(format!("maestro.draft.{}.toml", std::process::id()))
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = draft.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())
}

fn editor() -> Option<String> {
    let wished = ["VISUAL", "EDITOR"]
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|editor| !editor.trim().is_empty());
    wished.or_else(|| doctor::find(&EDITORS).map(|file| file.display().to_string()))
}

/// By the shell, because `EDITOR="code --wait"` is a command line.
fn start(editor: &str, draft: &Path) -> io::Result<ExitStatus> {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("editor")
        .arg(draft)
        .status()
}

/// Reads a text that would be in this file, as the daemon would.
pub fn judge(text: &str, file: &Path) -> Result<Loaded, String> {
    Config::load(&Sources {
        env: Env::from_process(),
        file: Some(FileText {
            path: file.to_owned(),
            bytes: text.as_bytes().to_vec(),
            readable_by_others: false,
        }),
        ..Sources::default()
    })
    .map_err(|error| error.to_string())
}

fn is_terminal() -> bool {
    stdin().is_terminal() && stdout().is_terminal()
}

fn yes(question: &str) -> bool {
    print!("{question} [Y/n] ");
    let mut answer = String::new();
    let asked = stdout().flush().and_then(|()| stdin().read_line(&mut answer));
    asked.is_ok_and(|read| read > 0) && !answer.trim().to_lowercase().starts_with('n')
}
