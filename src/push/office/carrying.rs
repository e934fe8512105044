//! What is carried: asked once more, sealed, sent off, and what came of it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::domain::{Device, DeviceId, Id, Scope};

use super::{
    super::{
        choice::Privacy,
        content,
        decide::Verdict,
        letter::{self, Labels, Payload},
        news::News,
        outbox::Letter,
        post::{self, Outcome, Parcel},
        question::{How, Told},
        record::Last,
    },
    CARRIED, Carried, Office,
};

impl Office {
    pub(super) fn carry_what_is_due(&mut self) {
        let now = Instant::now();
        let ids: Vec<DeviceId> = self.out.keys().cloned().collect();
        for id in ids {
            while self.carried.len() < CARRIED {
                let Some(letter) = self.out.get_mut(&id).and_then(|out| out.next(now)) else {
                    break;
                };
                self.carry(&id, letter, now);
            }
        }
        self.out.retain(|_, out| !out.is_idle() || out.due().is_some());
    }

    /// Asks once more whether this may and should be said, and sends it off.
    fn carry(&mut self, id: &DeviceId, mut letter: Letter, now: Instant) {
        let Some(device) = self.devices.device(id) else {
            return;
        };
        if letter.until <= now {
            self.note_outcome(id, &mut letter, "expired", None);
            return;
        }
        let verdict = self.verdict(&device, &letter.news);
        if verdict != Verdict::Tell {
            self.note_not_told(id, &letter.news);
            return;
        }
        if let News::Asks { about, request, .. } = &letter.news {
            let head = self.app.view().session_head(&about.session);
            if head.and_then(|head| head.open_request().cloned()).as_ref() != Some(request) {
                return; // answered meanwhile
            }
        }
        let parcel = match self.parcel(&device, &letter, now) {
            Ok(parcel) => parcel,
            Err(why) => {
                self.note_outcome(id, &mut letter, "refused", Some(why));
                return;
            }
        };
        letter.tried = true;
        let (news, carried) = (letter.news.clone(), id.clone());
        let task = self
            .carried
            .spawn(async move { (carried, letter, post::carry(parcel).await) });
        if let Some(out) = self.out.get_mut(id) {
            out.carries(&news, task);
        }
    }

    fn parcel(&self, device: &Device, letter: &Letter, now: Instant) -> Result<Parcel, String> {
        let (address, privacy, contact) = {
            let records = self.desk.records();
            let record = records.get(&device.id).ok_or("it was turned off")?;
            let address = record.to.clone().ok_or("it was turned off")?;
            (address, record.privacy, record.contact.clone())
        };
        let to = self
            .desk
            .allow
            .admit(&address.endpoint)
            .map_err(|error| error.to_string())?;
        let keys = address.keys.read().ok_or("the keys of the browser are damaged")?;
        let text = Payload::new(
            &letter.news,
            &self.labels(&letter.news, privacy),
            privacy,
            self.open_for(device),
            letter.at,
        );
        let text = text.bytes().map_err(|error| error.to_string())?;
        let content = content::seal(&text, &keys).map_err(|_| "the keys of the browser are none")?;
        let authorization = self
            .desk
            .vapid
            .authorization(&to.origin(), &contact, self.app.now())
            .map_err(|error| error.to_string())?;
        Ok(Parcel {
            authorization,
            content,
            good_for: letter.until - now,
            urgency: letter::urgency(&letter.news),
            topic: letter::topic(&letter.news.tag(), &keys.secret),
            to,
        })
    }

    fn labels(&self, news: &News, privacy: Privacy) -> Labels {
        if privacy == Privacy::Nothing {
            return Labels::default();
        }
        let view = self.app.view();
        let project = news.project().and_then(|id| view.project(id));
        let sender = match news {
            News::Mail { from, .. } => Id::parse(from).ok().and_then(|id| view.session_head(&id)),
            _ => None,
        };
        Labels {
            project: project.map(|project| project.name.clone()),
            sender: sender.map(|head| head.name.clone()),
        }
    }

    /// Open questions that this device may see: the number on its icon.
    fn open_for(&self, device: &Device) -> usize {
        let heads = self.app.view().session_heads(None);
        let open = heads.iter().filter(|head| head.open_request().is_some());
        open.filter(|head| device.may(Scope::View, Some(head.project_id.as_str())))
            .count()
    }

    pub(super) fn came_of(&mut self, (id, mut letter, outcome): Carried) {
        let now = Instant::now();
        let out = self.out.entry(id.clone()).or_default();
        match outcome {
            Outcome::Accepted => {
                out.settled();
                if let News::Asks { about, request, .. } = &letter.news {
                    let told = Told {
                        request: request.clone(),
                        at: self.app.now(),
                        how: How::Pushed,
                    };
                    self.desk
                        .change(&id, |record| record.note(about.session.clone(), told));
                }
                self.note_outcome(&id, &mut letter, "accepted", None);
                // It may have been answered on the way.
                if let News::Asks { about, .. } = &letter.news {
                    self.look_at(&about.session, &about.project);
                }
            }
            Outcome::Gone(why) => {
                self.drop_device(&id);
                info!(device = %id, why, "the push service knows this device no more");
                self.note_outcome(&id, &mut letter, "gone", Some(why));
                let (at, reason) = (
                    self.app.now(),
                    "the push service does not know this phone any more",
                );
                self.desk.change(&id, |record| record.stop(at, reason));
            }
            Outcome::Refused(why) => {
                out.settled();
                warn!(device = %id, why, "a push was refused");
                self.note_not_told(&id, &letter.news);
                self.note_outcome(&id, &mut letter, "refused", Some(why));
            }
            Outcome::Later(asked, why) => self.again(&id, letter, "retrying", why, asked, now),
            Outcome::Unreachable(why) => self.again(&id, letter, "unreachable", why, None, now),
        }
    }

    fn again(
        &mut self,
        id: &DeviceId,
        mut letter: Letter,
        word: &str,
        why: String,
        asked: Option<Duration>,
        now: Instant,
    ) {
        let out = self.out.entry(id.clone()).or_default();
        let again = out.failed(asked, now);
        let in_time = again < letter.until;
        let word = if in_time { word } else { "expired" };
        info!(device = %id, why, in_time, "a push was not taken");
        // Who waits for the outcome hears it now.
        self.note_outcome(id, &mut letter, word, Some(why));
        if in_time && let Some(out) = self.out.get_mut(id) {
            out.give_back(letter);
        }
    }

    fn note_outcome(&self, id: &DeviceId, letter: &mut Letter, outcome: &str, detail: Option<String>) {
        let last = Last {
            at: self.app.now(),
            outcome: outcome.to_owned(),
            detail,
        };
        self.desk.change(id, |record| record.last = Some(last.clone()));
        if let Some(told) = letter.told.take() {
            let _hung_up = told.send(last);
        }
    }
}
