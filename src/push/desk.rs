//! What the rest of the hub asks about notifications. Each answer comes from memory; each change is on disk first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::access::Devices;
use crate::app::App;
use crate::bus::Local;
use crate::domain::{DeviceId, Millis};
use crate::shutdown::TaskGroup;
use crate::sqlite::{Database, SqliteError};

use super::{
    book::Book,
    endpoint::{AllowList, NotAllowed},
    office::Office,
    record::{Last, Record, Shown, Wish},
    vapid::{Vapid, VapidError},
    watching::Watching,
};

/// Wishes to the office that may wait.
const ORDERS: usize = 64;
/// Longest time for what a test comes to: one delivery.
const TEST: Duration = Duration::from_secs(12);
/// Shorter sleeps are nobody's business.
const A_NAP: Duration = Duration::from_secs(60);
/// Who we are if no public address is known that anybody could reach.
const NOBODY: &str = "https://maestro.invalid";

/// Why something about notifications was not done.
#[derive(Debug, Error)]
pub enum PushError {
    /// The address is none of a known service.
    #[error(transparent)]
    Endpoint(#[from] NotAllowed),
    /// The browser's keys are none.
    #[error("the push keys are not what browsers make: p256dh has 65 bytes, auth 16, both in base64url")]
    Keys,
    /// The device gets no notifications.
    #[error("this device gets no notifications: turn them on first")]
    NotSubscribed,
    /// Too much is waiting, or the hub stops.
    #[error("too much is waiting: try again")]
    Busy,
    /// It could not be written.
    #[error("it could not be written down: {0}")]
    Unwritten(#[from] SqliteError),
}

/// Notifications of a hub. Clones are the same.
#[derive(Clone)]
pub struct Push {
    shared: Arc<Desk>,
}

/// What the desk and the office share.
pub(super) struct Desk {
    pub vapid: Vapid,
    pub allow: AllowList,
    pub book: Book,
    pub watching: Watching,
    contact: Option<String>,
    records: Mutex<HashMap<DeviceId, Record>>,
    orders: mpsc::Sender<Order>,
}

/// A wish to the office.
pub(super) enum Order {
    /// This device subscribed.
    Subscribed(DeviceId),
    /// It wants to see one.
    Test(DeviceId, oneshot::Sender<Last>),
    /// The machine slept from then until then.
    Woke(Millis, Millis),
}

/// What notifications are made from.
pub struct Ground {
    /// Where subscriptions are kept; opened with [`CHAPTER`](super::CHAPTER).
    pub db: Database,
    /// What there is to know.
    pub app: App,
    /// What happens.
    pub bus: Local,
    /// Who may know it.
    pub devices: Devices,
    /// Where pushes may go.
    pub allow: AllowList,
    /// Where operators of push services can reach us; unset means the public address.
    pub contact: Option<String>,
}

impl Push {
    /// Begins to notify. What goes on does so in tasks of `tasks`.
    ///
    /// # Errors
    /// When the key or the subscriptions cannot be read.
    pub async fn open(ground: Ground, tasks: &TaskGroup) -> Result<Self, VapidError> {
        let book = Book::new(ground.db);
        let vapid = book.key().await?;
        let mut records = book.all().await?;
        // Those of devices that were revoked in the moment of a crash.
        records.retain(|id, _| {
            let known = ground.devices.device(id).is_some();
            if !known {
                drop(book.remove(id));
            }
            known
        });
        let (orders, placed) = mpsc::channel(ORDERS);
        let shared = Arc::new(Desk {
            vapid,
            allow: ground.allow,
            book,
            watching: Watching::default(),
            contact: ground.contact,
            records: Mutex::new(records),
            orders,
        });
        let office = Office::new(shared.clone(), ground.app, ground.bus, ground.devices);
        tasks.spawn("push", move |stop| office.run(placed, stop));
        Ok(Self { shared })
    }

    /// What a browser binds its subscription to.
    pub fn public_key(&self) -> String {
        self.shared.vapid.public()
    }

    /// How it stands with a device; `None` if it gets no notifications.
    pub fn shown(&self, device: &DeviceId) -> Option<Shown> {
        self.shared.records().get(device).map(Record::shown)
    }

    /// Who looks.
    pub fn watching(&self) -> &Watching {
        &self.shared.watching
    }

    /// Whether a wish can be fulfilled.
    ///
    /// # Errors
    /// When the address is none of a known service, or the keys are none.
    pub fn check(&self, wish: &Wish) -> Result<(), PushError> {
        self.shared.allow.admit(&wish.subscription.endpoint)?;
        wish.subscription.keys.read().ok_or(PushError::Keys)?;
        Ok(())
    }

    /// Notifies this device from now on. `origin`: the address under which it knows us.
    ///
    /// # Errors
    /// When the address or the keys are none, or it could not be written.
    pub async fn subscribe(
        &self,
        device: &DeviceId,
        wish: Wish,
        origin: Option<&str>,
        now: Millis,
    ) -> Result<Shown, PushError> {
        let endpoint = self.shared.allow.admit(&wish.subscription.endpoint)?;
        wish.subscription.keys.read().ok_or(PushError::Keys)?;
        let service = endpoint.authority();
        let reachable = origin.filter(|origin| origin.starts_with("https://"));
        let contact = self
            .shared
            .contact
            .as_deref()
            .or(reachable)
            .unwrap_or(NOBODY)
            .to_owned();
        let (shown, written) = {
            let mut records = self.shared.records();
            // The same browser, paired anew: it is not to be told everything twice.
            let same = |other: &Record| {
                other
                    .to
                    .as_ref()
                    .is_some_and(|to| to.endpoint == wish.subscription.endpoint)
            };
            let twins: Vec<DeviceId> = records
                .iter()
                .filter(|(id, other)| *id != device && same(other))
                .map(|(id, _)| id.clone())
                .collect();
            for twin in twins {
                records.remove(&twin);
                drop(self.shared.book.remove(&twin));
            }
            let before = records.get(device).filter(|before| same(before));
            let record = Record {
                since: before.map_or(now, |before| before.since),
                last: before.and_then(|before| before.last.clone()),
                told: before.map(|before| before.told.clone()).unwrap_or_default(),
                to: Some(wish.subscription),
                service,
                contact,
                privacy: wish.privacy,
                kinds: wish.kinds,
                stopped: None,
            };
            let written = self.shared.book.put(device, &record);
            let shown = record.shown();
            records.insert(device.clone(), record);
            (shown, written)
        };
        written.await?;
        info!(%device, service = shown.service, "a device gets notifications");
        // The office looks at it; should it be busy, it does so with the next event.
        let _busy = self.shared.orders.try_send(Order::Subscribed(device.clone()));
        Ok(shown)
    }

    /// Notifies this device no more; false if it did not get any.
    ///
    /// # Errors
    /// When that could not be written.
    pub async fn unsubscribe(&self, device: &DeviceId) -> Result<bool, PushError> {
        let (was, written) = {
            let mut records = self.shared.records();
            (records.remove(device).is_some(), self.shared.book.remove(device))
        };
        written.await?;
        Ok(was)
    }

    /// Sends one, and says what came of it.
    ///
    /// # Errors
    /// When this device gets none, or too much is waiting.
    pub async fn test(&self, device: &DeviceId) -> Result<Last, PushError> {
        let subscribed = self
            .shared
            .records()
            .get(device)
            .is_some_and(|record| record.to.is_some());
        if !subscribed {
            return Err(PushError::NotSubscribed);
        }
        let (tell, told) = oneshot::channel();
        let order = Order::Test(device.clone(), tell);
        self.shared.orders.try_send(order).map_err(|_| PushError::Busy)?;
        match tokio::time::timeout(TEST, told).await {
            Ok(Ok(last)) => Ok(last),
            Ok(Err(_)) | Err(_) => Err(PushError::Busy),
        }
    }

    /// The machine slept, or we were stopped, for so long, until now: what follows is told in one piece.
    pub fn woke(&self, slept: Duration, now: Millis) {
        if slept < A_NAP {
            return;
        }
        let slept = i64::try_from(slept.as_millis()).unwrap_or(i64::MAX);
        let from = Millis(now.0.saturating_sub(slept));
        let _busy = self.shared.orders.try_send(Order::Woke(from, now));
    }
}

impl Desk {
    // A poisoned lock is taken all the same: the records are whole after every step.
    pub fn records(&self) -> MutexGuard<'_, HashMap<DeviceId, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a record, in memory and then on disk; nobody waits for the disk. Nothing if there is none.
    pub fn change<T>(&self, device: &DeviceId, change: impl FnOnce(&mut Record) -> T) -> Option<T> {
        let mut records = self.records();
        let record = records.get_mut(device)?;
        let changed = change(record);
        drop(self.book.put(device, record)); // queued by now
        Some(changed)
    }

    /// Forgets a device that is none of ours any more.
    pub fn forget(&self, device: &DeviceId) {
        if self.records().remove(device).is_some() {
            drop(self.book.remove(device)); // queued by now
        }
    }
}
