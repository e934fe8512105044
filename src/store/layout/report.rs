//! What came of it, for people and scripts: counts first, then remarks.

use std::collections::BTreeMap;

use serde::Serialize;

/// Remarks kept of each sort. A folder with ten thousand broken files is described by the first of them.
const MOST: usize = 200;

/// What an import took, and what it could not read. Serialises as one flat object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Projects taken: new here, or newer than what was here. The same for the other kinds.
    pub projects: u64,
    /// Tasks.
    pub tasks: u64,
    /// Sessions, with their histories.
    pub sessions: u64,
    /// Custom members.
    pub members: u64,
    /// Changes to default members.
    pub member_overrides: u64,
    /// Saved arrangements.
    pub orderings: u64,
    /// Mails.
    pub mails: u64,
    /// Records that were here already, as new or newer.
    pub already_there: u64,
    /// Providers' keys in environments of sessions: not taken.
    pub keys_left_out: u64,
    /// Files nothing could be read from, with the reason.
    pub unreadable: Remarks,
    /// What was left out of files that could be read.
    pub remarks: Remarks,
}

/// What an export wrote, and what it left alone. Serialises as one flat object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// Files written.
    pub written: u64,
    /// Files that said the same already.
    pub unchanged: u64,
    /// Files that are newer than our record: left alone.
    pub newer: Remarks,
    /// Files of records that are not here: left alone.
    pub left: Remarks,
}

/// A bounded list of sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<String>")]
pub struct Remarks {
    kept: Vec<String>,
    more: u64,
}

impl Remarks {
    /// Adds a sentence.
    pub fn add(&mut self, remark: String) {
        if self.kept.len() < MOST {
            self.kept.push(remark);
        } else {
            self.more += 1;
        }
    }

    /// How many there were, those not kept included.
    pub fn count(&self) -> u64 {
        self.kept.len() as u64 + self.more
    }

    /// Those that were kept.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }
}

impl From<Remarks> for Vec<String> {
    fn from(remarks: Remarks) -> Self {
        let mut all = remarks.kept;
        if remarks.more > 0 {
            all.push(format!("and {} more", remarks.more));
        }
        all
    }
}

/// What is noted while files are read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) unreadable: Remarks,
    pub(super) remarks: Remarks,
    pub(super) keys: u64,
    /// How often a field that we do not keep was there: (kind, field).
    pub(super) unknown: BTreeMap<(&'static str, String), u64>,
}

impl Notes {
    pub(super) fn close(self, report: &mut ImportReport) {
        report.keys_left_out = self.keys;
        report.unreadable = self.unreadable;
        report.remarks = self.remarks;
        for ((kind, field), count) in self.unknown {
            let remark = format!("{kind}: the field `{field}` of {count} of them has no place here");
            report.remarks.add(remark);
        }
    }
}
