//! Questions of agents, and what each device was told of them.

use crate::domain::{DeviceId, Event, Millis, ProjectId, SessionId};

use super::{
    super::{
        news::{About, News},
        question::{self, How, Step, Told},
    },
    OLD, Office,
};

impl Office {
    /// Who turns notifications on has the page before him.
    pub(super) fn knows_what_is_open(&self, id: &DeviceId) {
        let at = self.app.now();
        let heads = self.app.view().session_heads(None);
        let open = heads
            .iter()
            .filter_map(|head| Some((head.id.clone(), head.open_request()?.clone())));
        self.desk.change(id, |record| {
            for (session, request) in open {
                let known = record
                    .told
                    .get(&session)
                    .is_some_and(|told| told.request == request);
                if !known {
                    let how = How::Not;
                    record.note(session, Told { request, at, how });
                }
            }
        });
    }

    /// All questions as they stand: at the start, and when something may have been missed.
    pub(super) fn look_at_all(&mut self) {
        let (view, now) = (self.app.view(), self.app.now());
        let told: Vec<SessionId> = {
            let records = self.desk.records();
            records
                .values()
                .flat_map(|record| record.told.keys().cloned())
                .collect()
        };
        for session in told {
            match view.session_head(&session) {
                Some(head) => self.look_at(&session, &head.project_id),
                None => self.forget_session(&session),
            }
        }
        for head in view.session_heads(None) {
            let young = now.0.saturating_sub(head.last_activity.0) < OLD;
            if young && head.open_request().is_some() {
                self.look_at(&head.id, &head.project_id);
            }
        }
    }

    /// A session that is gone, and nobody knows any more what it was called.
    fn forget_session(&self, session: &SessionId) {
        let devices: Vec<DeviceId> = self.desk.records().keys().cloned().collect();
        for device in devices {
            self.desk.change(&device, |record| record.told.remove(session));
        }
    }

    /// One session's question, for every device.
    pub(super) fn look_at(&mut self, session: &SessionId, project: &ProjectId) {
        let head = self.app.view().session_head(session);
        let open = head.as_ref().and_then(|head| head.open_request()).cloned();
        for device in self.subscribed() {
            let told = self.told(&device.id, session);
            let news = match question::step(open.as_ref(), told.as_ref()) {
                Step::Rest => continue,
                Step::Ask => head.as_ref().and_then(|head| News::question(head)),
                Step::TakeBack(request) => {
                    self.desk.change(&device.id, |record| record.told.remove(session));
                    Some(match &head {
                        Some(head) => News::over(head, &request),
                        None => News::Over {
                            about: About {
                                session: session.clone(),
                                project: project.clone(),
                                name: String::new(),
                            },
                            request,
                            by: None,
                        },
                    })
                }
                Step::Forget => {
                    self.desk.change(&device.id, |record| record.told.remove(session));
                    None
                }
            };
            if let Some(news) = news {
                self.tell(&device, news);
            }
        }
    }

    /// What a device was told of a session's question, or will be by what is on its way.
    fn told(&self, device: &DeviceId, session: &SessionId) -> Option<Told> {
        let pushed = |request| Told {
            request,
            at: Millis(0),
            how: How::Pushed,
        };
        let waiting = self.out.get(device).and_then(|out| out.question(session));
        let collected = || {
            let settling = self.settling.as_ref()?;
            settling
                .news
                .get(device)?
                .iter()
                .rev()
                .find_map(|news| match news {
                    News::Asks { about, request, .. } if about.session == *session => Some(request),
                    _ => None,
                })
        };
        match waiting.or_else(collected) {
            Some(request) => Some(pushed(request.clone())),
            None => self.desk.records().get(device)?.told.get(session).cloned(),
        }
    }

    /// A question that a device is not told of is not thought of again, and not taken back.
    pub(super) fn note_not_told(&self, device: &DeviceId, news: &News) {
        if let News::Asks { about, request, .. } = news {
            let told = Told {
                request: request.clone(),
                at: self.app.now(),
                how: How::Not,
            };
            self.desk
                .change(device, |record| record.note(about.session.clone(), told));
        }
    }
}

/// The session whose question may be another one after this.
pub(super) fn questioned(event: &Event) -> Option<(SessionId, ProjectId)> {
    match event {
        Event::SessionCreated(session)
        | Event::SessionUpdated(session)
        | Event::NotifyNeedsInput { session, .. }
        | Event::NotifySessionFailed(session)
        | Event::NotifySessionCompleted(session) => {
            Some((session.head.id.clone(), session.head.project_id.clone()))
        }
        Event::SessionInputAnswered { answered, project } => {
            Some((answered.session_id.clone(), project.clone()))
        }
        Event::SessionDeleted { id, project } => Some((id.clone(), project.clone())),
        _ => None,
    }
}
