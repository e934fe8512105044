//! The file with the secret of a tunnel: a token, or credentials. It is only ever named, never handed over.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use sha2::{Digest, Sha256};

use super::Kind;
use crate::supervisor::Blocked;

/// Longest secret worth reading, in bytes; real ones have a few hundred.
const LONGEST: u64 = 64 << 10;
/// Bits of a mode that open a secret to people who are not meant: everything of others, and writing by the group. A group
/// may read, as files in `/etc` usually let it.
const TOO_OPEN: u32 = 0o027;

/// The file with the secret, if this kind of tunnel has one.
pub(super) fn file(kind: &Kind) -> Option<&Path> {
    match kind {
        Kind::Quick => None,
        Kind::Token { file, .. } => Some(file),
        Kind::Named { credentials, .. } => Some(credentials),
    }
}

/// Makes sure that the secret can be used and is one.
///
/// # Errors
/// `secret_unreadable`, `secret_exposed` or `secret_empty`, each with the remedy.
pub(super) fn check(kind: &Kind) -> Result<(), Blocked> {
    let Some(path) = file(kind) else {
        return Ok(());
    };
    let (what, key) = match kind {
        Kind::Named { .. } => ("credentials", "tunnel.credentials_file"),
        Kind::Quick | Kind::Token { .. } => ("token", "tunnel.token_file"),
    };
    let shown = path.display();
    let unreadable = |err: &io::Error| {
        let remedy = format!(
            "the tunnel's {what} in {shown} cannot be read ({err}); put the file there, readable for this user, or \
             correct {key}; `maestroctl tunnel setup` makes a named tunnel"
        );
        Blocked::new("secret_unreadable", remedy)
    };
    let meta = fs::metadata(path).map_err(|err| unreadable(&err))?;
    if !meta.is_file() {
        return Err(unreadable(&io::Error::other("it is no file")));
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & TOO_OPEN != 0 {
        let remedy = format!(
            "the tunnel's {what} in {shown} is open to others (mode {mode:03o}): whoever reads it can stand in for this \
             hub. Run: chmod 600 {shown}; if it may have been read, make a new one"
        );
        return Err(Blocked::new("secret_exposed", remedy));
    }
    let text = read(path).map_err(|err| unreadable(&err))?;
    if text.trim_ascii().is_empty() {
        let remedy = format!("{shown} is empty; write the tunnel's {what} into it");
        return Err(Blocked::new("secret_empty", remedy));
    }
    Ok(())
}

/// Changes when the secret does; tells nothing of it.
pub(super) fn digest(kind: &Kind) -> Option<Vec<u8>> {
    let text = read(file(kind)?).ok()?;
    Some(Sha256::digest(text).to_vec())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    fs::File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str, mode: u32) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("token");
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
        match check(&Kind::Token { file, hosts: vec![] }) {
            Ok(()) => "fine".to_owned(),
            Err(why) => why.code.into_owned(),
        }
    }

    #[test]
    fn a_secret_that_others_can_read_or_change_is_refused() {
        assert_eq!(code("eyJ", 0o600), "fine");
        assert_eq!(code("eyJ", 0o640), "fine", "as /etc usually has it");
        for mode in [0o644, 0o604, 0o660, 0o602, 0o601] {
            assert_eq!(code("eyJ", mode), "secret_exposed", "{mode:o}");
        }
        assert_eq!(code(" \n", 0o600), "secret_empty");
    }

    #[test]
    fn a_secret_that_is_not_there_says_where_and_what_to_do() {
        let why = check(&Kind::Token {
            file: "/nowhere/token".into(),
            hosts: vec![],
        })
        .expect_err("not there");
        assert_eq!(why.code, "secret_unreadable");
        assert!(
            why.remedy.contains("/nowhere/token") && why.remedy.contains("tunnel.token_file"),
            "{}",
            why.remedy
        );
    }
}
