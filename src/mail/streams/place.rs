//! Redis as a place that mail is moved into or out of.

use std::collections::HashMap;

use redis::{cmd, pipe};
use tokio::time::sleep;

use crate::domain::{Mail, MailId, ProjectId};
use crate::mail::{Place, Receipt, Stage};
use crate::ports::{MailError, Pending};
use crate::redis_link::LinkError;

use super::{StreamMailbox, TOGETHER, unavailable};

impl StreamMailbox {
    /// Made up by the first who asks; it goes with the data.
    async fn own_name(&self) -> Result<String, MailError> {
        let key = self.key("this:name");
        let (mut set, mut get) = (cmd("SET"), cmd("GET"));
        set.arg(&key).arg(self.shared.pen.name()).arg("NX");
        get.arg(&key);
        let link = &self.shared.link;
        link.query::<Option<String>>(&set).await.map_err(unavailable)?;
        let name: Option<String> = link.query(&get).await.map_err(unavailable)?;
        let name = name.ok_or_else(|| MailError::Engine("the name of the mail in redis is gone".into()))?;
        Ok(format!("redis-{name}"))
    }

    async fn read_stage(&self, from: &str) -> Result<Stage, MailError> {
        let mut command = cmd("GET");
        command.arg(self.key(format!("moving:{from}")));
        let word: Option<String> = self.shared.link.query(&command).await.map_err(unavailable)?;
        match word.as_deref() {
            None => Ok(Stage::Nothing),
            Some("receiving") => Ok(Stage::Receiving),
            Some("complete") => Ok(Stage::Complete),
            Some(other) => Err(MailError::Engine(
                format!("a move is at an unknown stage: {other}").into(),
            )),
        }
    }

    /// The mails of a move; of new ones the project, of others nothing.
    async fn list(&self, from: &str) -> Result<Vec<(MailId, String)>, MailError> {
        let mut command = cmd("HGETALL");
        command.arg(self.key(format!("received:{from}")));
        let listed: HashMap<String, String> = self.shared.link.query(&command).await.map_err(unavailable)?;
        let named = |(id, project): (String, String)| Some((MailId::parse(&id).ok()?, project));
        Ok(listed.into_iter().filter_map(named).collect())
    }

    async fn take_back(&self, from: &str) -> Result<(), MailError> {
        let listed = self.list(from).await?;
        self.remove_all(listed.into_iter().filter(|(_, project)| !project.is_empty()))
            .await?;
        self.end_move(from).await
    }

    /// The list goes with the stage, or a later move would take it for its own.
    async fn end_move(&self, from: &str) -> Result<(), MailError> {
        let mut command = cmd("DEL");
        command
            .arg(self.key(format!("received:{from}")))
            .arg(self.key(format!("moving:{from}")));
        self.shared.link.query(&command).await.map_err(unavailable)
    }

    async fn sync(&self) -> Result<(), MailError> {
        let mut wait = cmd("WAITAOF");
        wait.arg(1).arg(0).arg(1500);
        match self.shared.link.query::<(u64, u64)>(&wait).await {
            Ok((1, _)) => return Ok(()),
            // An older server, one without a log, or a slow disk: time is all that is left to give.
            Ok(_) | Err(LinkError::Command(_)) => {}
            Err(error) => return Err(unavailable(error)),
        }
        let before = self.run_id();
        sleep(self.shared.sync).await;
        let mut ask = cmd("PING");
        ask.arg("synced");
        self.shared
            .link
            .query::<String>(&ask)
            .await
            .map_err(unavailable)?;
        match self.run_id() == before {
            true => Ok(()),
            false => Err(MailError::Unavailable {
                reason: "redis was started anew".into(),
                retry_after_s: 1,
            }),
        }
    }

    fn run_id(&self) -> Option<String> {
        self.shared.link.state().up().map(|up| up.server.run_id.clone())
    }

    async fn last(&self, project: Option<&ProjectId>, most: usize) -> Result<Vec<Mail>, MailError> {
        let projects = match project {
            Some(project) => vec![project.clone()],
            None => self.projects().await?,
        };
        let mut pipe = pipe();
        for project in projects {
            let key = self.key(format!("project:{project}"));
            pipe.cmd("ZREVRANGE").arg(key).arg(0).arg(most).arg("WITHSCORES");
        }
        let found: Vec<Vec<(String, f64)>> = self.shared.link.pipeline(&pipe).await.map_err(unavailable)?;
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
        let ids: Vec<MailId> = found
            .iter()
            .take(most)
            .filter_map(|(id, _)| MailId::parse(id).ok())
            .collect();
        self.fetch(&ids).await
    }

    async fn which_are_missing(&self, ids: &[MailId]) -> Result<Vec<MailId>, MailError> {
        let mut missing = Vec::new();
        for ids in ids.chunks(TOGETHER) {
            let mut pipe = pipe();
            for id in ids {
                pipe.cmd("EXISTS").arg(self.key(id));
            }
            let found: Vec<bool> = self.shared.link.pipeline(&pipe).await.map_err(unavailable)?;
            let gone = ids.iter().zip(found).filter(|(_, found)| !found);
            missing.extend(gone.map(|(id, _)| id.clone()));
        }
        Ok(missing)
    }
}

impl Place for StreamMailbox {
    fn name(&self) -> Pending<'_, Result<String, MailError>> {
        Box::pin(self.own_name())
    }

    fn stage<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Stage, MailError>> {
        Box::pin(self.read_stage(from))
    }

    fn receive<'a>(&'a self, from: &'a str, mails: Vec<Mail>) -> Pending<'a, Result<(), MailError>> {
        Box::pin(async move { self.store(from, &mails).await.map(drop) })
    }

    fn undo<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        Box::pin(self.take_back(from))
    }

    fn settle(&self) -> Pending<'_, Result<(), MailError>> {
        Box::pin(self.sync())
    }

    fn missing(&self, ids: Vec<MailId>) -> Pending<'_, Result<Vec<MailId>, MailError>> {
        Box::pin(async move { self.which_are_missing(&ids).await })
    }

    fn complete<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        Box::pin(async move {
            let mut command = cmd("SET");
            command.arg(self.key(format!("moving:{from}"))).arg("complete");
            self.shared
                .link
                .query::<()>(&command)
                .await
                .map_err(unavailable)?;
            // The source forgets them next: this word has to outlive a power cut as well.
            self.sync().await
        })
    }

    fn finish<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        Box::pin(self.end_move(from))
    }

    fn received<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Vec<MailId>, MailError>> {
        Box::pin(async move { Ok(self.list(from).await?.into_iter().map(|(id, _)| id).collect()) })
    }

    fn forget(&self, ids: Vec<MailId>) -> Pending<'_, Result<(), MailError>> {
        Box::pin(async move {
            let mails = self.fetch(&ids).await?;
            let named = mails
                .into_iter()
                .map(|mail| (mail.id, mail.project_id.to_string()));
            self.remove_all(named).await.map(drop)
        })
    }

    fn receipts(&self) -> Pending<'_, Result<Vec<Receipt>, MailError>> {
        Box::pin(self.list_receipts())
    }

    fn keep(&self, receipts: Vec<Receipt>) -> Pending<'_, Result<(), MailError>> {
        Box::pin(self.keep_receipts(receipts))
    }

    fn unfinished(&self) -> Pending<'_, Result<Vec<String>, MailError>> {
        Box::pin(async { Ok(Vec::new()) }) // other hubs may be moving in
    }

    fn newest<'a>(
        &'a self,
        project: Option<&'a ProjectId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(self.last(project, most))
    }

    fn count(&self) -> Pending<'_, Result<u64, MailError>> {
        Box::pin(async move {
            let projects = self.projects().await?;
            let mut pipe = pipe();
            for project in projects {
                pipe.cmd("ZCARD").arg(self.key(format!("project:{project}")));
            }
            let counts: Vec<u64> = self.shared.link.pipeline(&pipe).await.map_err(unavailable)?;
            Ok(counts.iter().sum())
        })
    }
}
