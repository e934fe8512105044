//! What holds for any `SKILL.md`: it is a skill or it is said why not, and its text is the end of the file.

use super::file::SkillFile;

pub(crate) fn skill(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match SkillFile::parse(&text) {
        Ok(skill) => {
            assert!(text.ends_with(&skill.content));
            assert!(!skill.front.is_empty());
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
}
