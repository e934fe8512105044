//! The one task that hears what happens, asks who is to be told, and sees to it that it is carried. It waits for nothing
//! but news: carrying is done beside it, one letter of a device at a time.

mod carrying;
mod questions;

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
use tracing::{debug, warn};

use crate::access::{DeviceChange, Devices};
use crate::app::App;
use crate::bus::{Bounds, Delivery, Kind, Local, Subscription};
use crate::domain::{Device, DeviceId, Millis, SessionId};

use super::{
    decide::{self, Verdict},
    desk::{Desk, Order},
    letter,
    news::News,
    outbox::{Letter, Outbox},
    post::Outcome,
    question::How,
    record::Last,
    watching::Parting,
};

use self::questions::questioned;

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
/// A page that is no longer to be seen has this long to come back.
const GRACE: Duration = Duration::from_secs(5);
/// What a page was thought to have shown is told after all, if it is not older than this when that time is over, in
/// milliseconds: a phone whose connection ended without a word is found to be gone within 45 s.
const THOUGHT_SEEN: i64 = 60_000;
/// The same for one that said it was put away: [`GRACE`], and the five seconds before, whose news nobody may have read.
const GLIMPSED: i64 = 10_000;
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
    /// Devices whose page may be gone, when that is sure, and how it left.
    leaving: HashMap<DeviceId, (Instant, Parting)>,
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
                left = watching.left() => {
                    let sure = Instant::now() + GRACE;
                    for (device, how) in left {
                        let leaving = self.leaving.entry(device).or_insert((sure, how));
                        *leaving = (sure, how.max(leaving.1));
                    }
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
            .chain(self.leaving.values().map(|(sure, _)| *sure))
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
        self.leaving.retain(|device, (sure, how)| {
            let over = *sure <= now;
            if over {
                gone.push((device.clone(), *how));
            }
            !over
        });
        for (device, how) in gone {
            self.was_not_seen(&device, how);
        }
    }

    /// The page of this device was thought to be on its screen, and did not stay there.
    fn was_not_seen(&mut self, id: &DeviceId, how: Parting) {
        if self.desk.watching.is_looking(id) {
            return; // it is back, and shows how things stand
        }
        let seen = self.seen.remove(id).unwrap_or_default();
        let Some(device) = self.devices.device(id) else {
            return;
        };
        let now = self.app.now();
        let unsure_for = match how {
            Parting::Said => GLIMPSED,
            Parting::Lost => THOUGHT_SEEN,
        };
        let young = |at: Millis| now.0.saturating_sub(at.0) < unsure_for;
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
}
