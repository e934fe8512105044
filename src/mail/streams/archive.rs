//! Mail that comes from elsewhere or goes there, ids and times included.

use std::collections::BTreeSet;

use redis::Script;

use crate::domain::{Letter, Mail, MailId, ProjectId};
use crate::ports::{MailArchive, MailError, Pending};

use super::{StreamMailbox, unavailable};

/// Mails stored or removed by one script: others wait as long.
const AT_ONCE: usize = 200;

impl StreamMailbox {
    /// `from` is the source of a move, or empty.
    pub(super) async fn store(&self, from: &str, mails: &[Mail]) -> Result<u64, MailError> {
        let mut new = 0;
        for mails in mails.chunks(AT_ONCE) {
            let mut words = Vec::with_capacity(1 + mails.len() * 6);
            words.push(from.to_owned());
            for mail in mails {
                let letter = serde_json::to_string(&Letter::of(mail));
                words.push(mail.id.to_string());
                words.push(mail.project_id.to_string());
                words.push(mail.created_at.0.to_string());
                words.push(match mail.thread_id == mail.id {
                    true => String::new(),
                    false => mail.thread_id.to_string(),
                });
                words.push(
                    mail.to_session_id
                        .as_ref()
                        .map_or_else(String::new, ToString::to_string),
                );
                words.push(letter.map_err(|error| MailError::Engine(error.to_string().into()))?);
            }
            new += self.run(&self.shared.scripts.put, words).await?;
        }
        Ok(new)
    }

    pub(super) async fn remove_all(
        &self,
        mails: impl IntoIterator<Item = (MailId, String)>,
    ) -> Result<u64, MailError> {
        let mails: Vec<(MailId, String)> = mails.into_iter().collect();
        let mut removed = 0;
        for mails in mails.chunks(AT_ONCE) {
            let words = mails
                .iter()
                .flat_map(|(id, project)| [id.to_string(), project.clone()])
                .collect();
            removed += self.run(&self.shared.scripts.remove, words).await?;
        }
        Ok(removed)
    }

    async fn run(&self, script: &Script, words: Vec<String>) -> Result<u64, MailError> {
        let mut call = script.prepare_invoke();
        call.arg(&self.shared.prefix);
        for word in words {
            call.arg(word);
        }
        let call = &call;
        let answer = self
            .shared
            .link
            .run(|mut line| async move { call.invoke_async(&mut line).await });
        answer.await.map_err(unavailable)
    }

    /// The `most` smallest ids after `after`, of all projects. There is no index by id: it would be paid for by every
    /// mail, and this is asked for when mail moves only.
    async fn ids(&self, after: Option<&MailId>, most: usize) -> Result<Vec<MailId>, MailError> {
        let mut ids = BTreeSet::new();
        for project in self.projects().await? {
            let mut command = redis::cmd("ZRANGE");
            command.arg(self.key(format!("project:{project}"))).arg(0).arg(-1);
            let found: Vec<String> = self.shared.link.query(&command).await.map_err(unavailable)?;
            for id in found.iter().filter_map(|id| MailId::parse(id).ok()) {
                if after.is_none_or(|after| id > *after) {
                    ids.insert(id);
                }
                if ids.len() > most {
                    ids.pop_last();
                }
            }
        }
        Ok(ids.into_iter().collect())
    }
}

impl StreamMailbox {
    /// Those that ever had mail.
    pub(super) async fn projects(&self) -> Result<Vec<ProjectId>, MailError> {
        let mut command = redis::cmd("HKEYS");
        command.arg(self.key("clock"));
        let found: Vec<String> = self.shared.link.query(&command).await.map_err(unavailable)?;
        let found = found.iter().filter_map(|project| ProjectId::parse(project).ok());
        Ok(found
            .filter(|project| self.only.as_ref().is_none_or(|only| only(project)))
            .collect())
    }
}

impl MailArchive for StreamMailbox {
    fn put(&self, mails: Vec<Mail>) -> Pending<'_, Result<u64, MailError>> {
        Box::pin(async move { self.store("", &mails).await })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a MailId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            let mut after = after.cloned();
            loop {
                let ids = self.ids(after.as_ref(), most).await?;
                let mails = self.fetch(&ids).await?;
                // An empty page is the end; one of which nothing is left is not.
                if !mails.is_empty() || ids.is_empty() {
                    return Ok(mails);
                }
                after = ids.last().cloned();
            }
        })
    }
}
