//! Places outside the database in which mail of this hub lies, or may lie: noted before the first one is put there, and
//! struck off when all of it was brought back or on. So a hub that is started with another configuration knows where to
//! look.

use crate::ports::MailError;
use crate::sqlite::SqliteError;

use super::{EmbeddedMailbox, Failure};

/// A place outside the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The redis that is ours, with its data below this state directory.
    Ours {
        /// The state directory.
        state_dir: String,
        /// What keys of mail begin with.
        prefix: String,
    },
    /// Somebody else's.
    Theirs {
        /// Its address, without user and password.
        address: String,
        /// True if it wanted a user or a password.
        login: bool,
        /// What keys of mail begin with.
        prefix: String,
    },
}

impl Elsewhere {
    /// What keys of mail begin with there.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Ours { prefix, .. } | Self::Theirs { prefix, .. } => prefix,
        }
    }

    fn columns(&self) -> (&'static str, &str, bool, &str) {
        match self {
            Self::Ours { state_dir, prefix } => ("ours", state_dir, false, prefix),
            Self::Theirs {
                address,
                login,
                prefix,
            } => ("theirs", address, *login, prefix),
        }
    }
}

impl EmbeddedMailbox {
    /// All that are noted. Blocks for a moment: for the start.
    pub fn elsewhere(&self) -> Result<Vec<Elsewhere>, SqliteError> {
        self.db.read_blocking(|db| {
            let mut statement =
                db.prepare("SELECT kind, address, login, prefix FROM mail_elsewhere ORDER BY rowid")?;
            let rows = statement.query_map([], |row| {
                let (kind, address, prefix): (String, String, String) =
                    (row.get(0)?, row.get(1)?, row.get(3)?);
                Ok(match kind.as_str() {
                    "ours" => Elsewhere::Ours {
                        state_dir: address,
                        prefix,
                    },
                    _ => Elsewhere::Theirs {
                        address,
                        login: row.get(2)?,
                        prefix,
                    },
                })
            })?;
            rows.collect()
        })
    }

    /// Notes a place; durable when it answers.
    pub async fn note(&self, place: Elsewhere) -> Result<(), MailError> {
        self.change(move |db| {
            let (kind, address, login, prefix) = place.columns();
            db.execute(
                "INSERT INTO mail_elsewhere VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (kind, address, prefix) DO UPDATE SET login = excluded.login",
                (kind, address, login, prefix),
            )?;
            Ok::<_, Failure>(())
        })
        .await
    }

    /// Strikes a place off the list: nothing of ours is left there.
    pub async fn strike(&self, place: Elsewhere) -> Result<(), MailError> {
        self.change(move |db| {
            let (kind, address, _, prefix) = place.columns();
            db.execute(
                "DELETE FROM mail_elsewhere WHERE kind = ?1 AND address = ?2 AND prefix = ?3",
                (kind, address, prefix),
            )?;
            Ok::<_, Failure>(())
        })
        .await
    }
}
