//! The one task that hears what happens, asks who is to be told, and sees to it that it is carried. It waits for nothing
//! but news: carrying is done beside it, one letter of a device at a time.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{broadcast::error::RecvError, mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::access::{DeviceChange, Devices};
use crate::app::App;
use crate::bus::{Bounds, Delivery, Kind, Local, Subscription};
use crate::domain::{Device, DeviceId, Event, Id, Millis, ProjectId, Scope, SessionId};

use super::{
    choice::Privacy,
    content,
    decide::{self, Verdict},
    desk::{Desk, Order},
    letter::{self, Labels, Payload},
    news::{About, News},
    outbox::{Letter, Outbox},
    post::{self, Outcome, Parcel},
    question::{self, How, Step, Told},
    record::Last,
};

/// Events that may wait for us.
const QUEUE: Bounds = Bounds {
    frames: 4096,
    bytes: usize::MAX,
};
/// Events taken at once.
const BATCH: usize = 256;
/// Deliveries at once, all devices together.
const CARRIED: usize = 8;
/// After a sleep, news of this long are told in one piece: agents are found dead, sockets come back.
const SETTLING: Duration = Duration::from_secs(15);
/// A page whose connection ended without a word has this long to come back.
const GRACE: Duration = Duration::from_secs(5);
/// What such a page was thought to have seen is told after all, if it is not older than this, in milliseconds: a phone
/// that was put away is found to be gone within 45 s.
const THOUGHT_SEEN: i64 = 60_000;
/// How much of that is kept for one device.
const SEEN: usize = 16;
/// A question older than this, in milliseconds, is not told of at the start: everybody knows.
const OLD: i64 = 3_600_000;

/// What is carried, and what came of it.
type Carried = (DeviceId, Letter, Outcome);

pub(super) struct Office {
    desk: Arc<Desk>,
    app: App,
    bus: Local,
    devices: Devices,
    out: HashMap<DeviceId, Outbox>,
    /// What was not told because the page was on the screen.
    seen: HashMap<DeviceId, VecDeque<(Millis, News)>>,
    /// Devices whose page may be gone, and when that is sure.
    leaving: HashMap<DeviceId, Instant>,
    settling: Option<Settling>,
    carried: JoinSet<Carried>,
}

/// What is collected after a sleep.
struct Settling {
    from: Millis,
    until: Millis,
    over: Instant,
    news: HashMap<DeviceId, Vec<News>>,
}

impl Office {
    pub fn new(desk: Arc<Desk>, app: App, bus: Local, devices: Devices) -> Self {
        Self {
            desk,
            app,
            bus,
            devices,
            out: HashMap::new(),
            seen: HashMap::new(),
            leaving: HashMap::new(),
            settling: None,
            carried: JoinSet::new(),
        }
    }

    /// Works until the stop. What is not delivered then is told at the next start, if it is a question that is open.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>, stop: CancellationToken) {
        let mut heard = self.bus.subscribe(Kind::Inside, QUEUE);
        let mut changes = self.devices.changes();
        let watching = self.desk.watching.clone();
        self.look_at_all();
        loop {
            self.carry_what_is_due();
            let due = self.due();
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                change = changes.recv() => match change {
                    Ok(change) => self.device(change),
                    Err(RecvError::Lagged(_)) => self.forget_the_gone(),
                    Err(RecvError::Closed) => return,
                },
                Some(done) = self.carried.join_next(), if !self.carried.is_empty() => {
                    // Those of revoked devices are aborted.
                    if let Ok(done) = done {
                        self.came_of(done);
                    }
                }
                Some(order) = orders.recv() => self.order(order),
                heard_now = heard.next(&mut batch, BATCH) => match heard_now {
                    Ok(()) => self.events(&batch),
                    Err(cut) => {
                        warn!(%cut, "notifications did not keep up: only questions are looked at anew");
                        heard = self.listen_again();
                    }
                },
                lost = watching.lost() => {
                    let sure = Instant::now() + GRACE;
                    self.leaving.extend(lost.into_iter().map(|device| (device, sure)));
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.what_is_over();
        }
    }

    fn listen_again(&mut self) -> Subscription {
        let heard = self.bus.subscribe(Kind::Inside, QUEUE);
        self.look_at_all();
        heard
    }

    fn events(&mut self, batch: &[Delivery]) {
        for delivery in batch {
            let Delivery::Event(published) = delivery else {
                continue;
            };
            if let Some((session, project)) = questioned(&published.event) {
                self.look_at(&session, &project);
            }
            if let Some(news) = News::of(&published.event) {
                self.tell_all(&news);
            }
        }
    }

    fn device(&mut self, change: DeviceChange) {
        match change {
            DeviceChange::Gone(id, _) => {
                self.drop_device(&id);
                self.desk.forget(&id);
            }
            DeviceChange::Paired(device) => self.tell_all(&News::Paired {
                device: device.id.clone(),
                name: device.name.clone(),
            }),
            // What it may know is asked again when it is told.
            DeviceChange::Changed(_) => {}
        }
    }

    fn forget_the_gone(&mut self) {
        let known: Vec<DeviceId> = self.desk.records().keys().cloned().collect();
        for id in known {
            if self.devices.device(&id).is_none() {
                self.drop_device(&id);
                self.desk.forget(&id);
            }
        }
    }

    fn drop_device(&mut self, id: &DeviceId) {
        self.out.remove(id);
        self.seen.remove(id);
        self.leaving.remove(id);
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Subscribed(id) => {
                if self.devices.device(&id).is_none() {
                    // Revoked while it was written.
                    self.desk.forget(&id);
                    return;
                }
                self.knows_what_is_open(&id);
            }
            Order::Test(id, told) => self.post(&id, News::Test, Some(told)),
            Order::Woke(from, until) => {
                self.settling = Some(Settling {
                    from,
                    until,
                    over: Instant::now() + SETTLING,
                    news: HashMap::new(),
                });
            }
        }
    }

    /// Who turns notifications on has the page before him.
    fn knows_what_is_open(&self, id: &DeviceId) {
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
    fn look_at_all(&mut self) {
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
    fn look_at(&mut self, session: &SessionId, project: &ProjectId) {
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

    fn subscribed(&self) -> Vec<Arc<Device>> {
        let records = self.desk.records();
        let active = records.iter().filter(|(_, record)| record.to.is_some());
        active.filter_map(|(id, _)| self.devices.device(id)).collect()
    }

    fn tell_all(&mut self, news: &News) {
        for device in self.subscribed() {
            self.tell(&device, news.clone());
        }
    }

    fn verdict(&self, device: &Device, news: &News) -> Verdict {
        let kinds = self.desk.records().get(&device.id).map(|record| record.kinds);
        let Some(kinds) = kinds else { return Verdict::Not };
        decide::verdict(news, device, kinds, self.desk.watching.is_looking(&device.id))
    }

    fn tell(&mut self, device: &Device, news: News) {
        let verdict = self.verdict(device, &news);
        debug!(device = %device.id, tag = news.tag(), ?verdict, "news");
        match verdict {
            Verdict::Tell => match &mut self.settling {
                Some(settling) => settling.news.entry(device.id.clone()).or_default().push(news),
                None => self.post(&device.id, news, None),
            },
            Verdict::Sees => {
                self.note_not_told(&device.id, &news);
                let seen = self.seen.entry(device.id.clone()).or_default();
                if !matches!(news, News::Asks { .. } | News::Over { .. }) {
                    seen.push_back((self.app.now(), news));
                    seen.drain(..seen.len().saturating_sub(SEEN));
                }
            }
            Verdict::Not => self.note_not_told(&device.id, &news),
        }
    }

    /// A question that a device is not told of is not thought of again, and not taken back.
    fn note_not_told(&self, device: &DeviceId, news: &News) {
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

    fn post(&mut self, device: &DeviceId, news: News, told: Option<oneshot::Sender<Last>>) {
        let letter = Letter {
            until: Instant::now() + letter::good_for(&news),
            at: self.app.now(),
            news,
            tried: false,
            told,
        };
        self.out.entry(device.clone()).or_default().put(letter);
    }

    /// When there is something to do, if nothing happens before.
    fn due(&self) -> Option<Instant> {
        let letters = self.out.values().filter_map(Outbox::due);
        let settling = self.settling.as_ref().map(|settling| settling.over);
        letters
            .chain(self.leaving.values().copied())
            .chain(settling)
            .min()
    }

    fn what_is_over(&mut self) {
        let now = Instant::now();
        if let Some(settled) = self.settling.take_if(|settling| settling.over <= now) {
            for (device, news) in settled.news {
                let alone = news.len() < 2;
                for asked in news.iter().filter(|_| !alone) {
                    self.note_not_told(&device, asked);
                }
                for news in decide::after_sleep(news, settled.from, settled.until) {
                    self.post(&device, news, None);
                }
            }
        }
        let mut gone = Vec::new();
        self.leaving.retain(|device, sure| {
            let over = *sure <= now;
            if over {
                gone.push(device.clone());
            }
            !over
        });
        for device in gone {
            self.was_not_seen(&device);
        }
    }

    /// The page of this device was thought to be on its screen, and its connection is gone without a word.
    fn was_not_seen(&mut self, id: &DeviceId) {
        let seen = self.seen.remove(id).unwrap_or_default();
        if self.desk.watching.is_looking(id) {
            return; // it is back, and shows how things stand
        }
        let Some(device) = self.devices.device(id) else {
            return;
        };
        let now = self.app.now();
        let young = |at: Millis| now.0.saturating_sub(at.0) < THOUGHT_SEEN;
        let unsure = self.desk.change(id, |record| {
            let unsure = record
                .told
                .iter()
                .filter(|(_, told)| told.how == How::Not && young(told.at));
            let unsure: Vec<SessionId> = unsure.map(|(session, _)| session.clone()).collect();
            for session in &unsure {
                record.told.remove(session);
            }
            unsure
        });
        for session in unsure.unwrap_or_default() {
            if let Some(head) = self.app.view().session_head(&session) {
                self.look_at(&session, &head.project_id);
            }
        }
        for (at, news) in seen {
            if young(at) {
                self.tell(&device, news);
            }
        }
    }

    fn carry_what_is_due(&mut self) {
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

    fn came_of(&mut self, (id, mut letter, outcome): Carried) {
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

/// The session whose question may be another one after this.
fn questioned(event: &Event) -> Option<(SessionId, ProjectId)> {
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
