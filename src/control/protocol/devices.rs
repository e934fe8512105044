//! What is said about devices: pairing them, changing them, and what they did.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A wish for a pairing code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PairAsk {
    /// The device's name, if it is not to choose it itself.
    pub name: Option<String>,
    /// What it may do; what a phone may do unless somebody says otherwise if there is none.
    pub scopes: Vec<String>,
    /// The projects it may see; none named means all.
    pub projects: Vec<String>,
    /// Tell what becomes of the code, and take it back if the asker hangs up.
    pub wait: bool,
}

/// What becomes of a code; a line each. `code` comes first, `paired` or `ended` last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum PairStep {
    /// It can be redeemed.
    Code {
        /// Names it without giving it away.
        id: u64,
        /// As it is shown: `7K3M-9QXD`.
        code: String,
        /// What it gives.
        scopes: Vec<String>,
        /// The projects it gives; none means all.
        projects: Vec<String>,
        /// When it ends by itself, milliseconds since the epoch.
        expires_at: i64,
        /// The page that redeems it, if the hub can be reached from outside.
        url: Option<String>,
        /// True if it may become known later: a tunnel is coming up.
        url_may_come: bool,
    },
    /// The page that redeems it is known now.
    Url {
        /// Its address.
        url: String,
    },
    /// It let a device in.
    Paired {
        /// Which.
        device: DeviceRow,
    },
    /// It is over, and let nobody in.
    Ended {
        /// `expired`, `burned`, `withdrawn`.
        how: String,
        /// For people.
        message: String,
    },
    /// Something a newer daemon knows.
    #[serde(other)]
    Unknown,
}

/// A code to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodeRef {
    /// As told when it was made.
    pub id: u64,
}

/// A code that is redeemed from this machine, for a program that stands in for a phone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct RedeemAsk {
    /// The code, as it was typed.
    pub code: String,
    /// What the device calls itself.
    #[serde(default)]
    pub name: Option<String>,
}

/// A device and what proves it; told once.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct RedeemAnswer {
    /// The device.
    pub device: DeviceRow,
    /// The half for the `__Host-maestro` cookie.
    pub cookie: String,
    /// The half for `X-Maestro-Device`, or the `auth.token` of a socket.
    pub token: String,
}

impl fmt::Debug for RedeemAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedeemAnswer")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// A paired device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRow {
    /// Its name among all devices.
    pub id: String,
    /// Shown to people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The projects it may see; none named means all.
    pub projects: Vec<String>,
    /// When it was paired, milliseconds since the epoch.
    pub paired_at: i64,
    /// When it was last let in, to the minute.
    pub last_seen: i64,
    /// How it is notified, if it is.
    pub push: Option<PushRow>,
}

/// Notifications of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushRow {
    /// The push service.
    pub service: String,
    /// `nothing`, `names`, `preview`: how much a notification says.
    pub privacy: String,
    /// Since when, milliseconds since the epoch.
    pub since: i64,
    /// When the newest one was sent, milliseconds since the epoch.
    pub last_at: Option<i64>,
    /// What came of it: `accepted`, `retrying`, `refused`, `unreachable`, `gone`, `expired`.
    pub last_outcome: Option<String>,
    /// More about that, for people.
    pub last_detail: Option<String>,
    /// Since when there are none any more, milliseconds since the epoch.
    pub stopped_since: Option<i64>,
    /// Why.
    pub stopped_reason: Option<String>,
}

/// How one device is notified, in the status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushOf {
    /// The device's id.
    pub device: String,
    /// Its name.
    pub name: String,
    /// How it goes.
    #[serde(flatten)]
    pub push: PushRow,
}

/// All paired devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceList {
    /// The one paired first before the others.
    pub devices: Vec<DeviceRow>,
    /// Codes that can be redeemed now.
    pub live_codes: usize,
    /// Since when the hub is locked down, milliseconds since the epoch.
    pub locked_since: Option<i64>,
}

/// What is to become of devices. A device is named by its id, its name, or the beginning of either.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum DeviceAct {
    /// End one.
    Revoke {
        /// Which.
        device: String,
    },
    /// End all.
    RevokeAll,
    /// Give one another name.
    Rename {
        /// Which.
        device: String,
        /// Its new name.
        name: String,
    },
    /// Give one other scopes.
    Scopes {
        /// Which.
        device: String,
        /// All it may do from now on.
        scopes: Vec<String>,
    },
    /// End all, and let nobody in until that is lifted.
    Lockdown,
    /// Let devices be paired again.
    Lift,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceActDone {
    /// The device, as it is now or was, if it was about one.
    pub device: Option<DeviceRow>,
    /// Devices that were revoked.
    pub revoked: usize,
    /// False if it was so already.
    pub changed: bool,
}

/// Devices at a glance, in the status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceCounts {
    /// Paired.
    pub paired: usize,
    /// Codes that can be redeemed now.
    pub live_codes: usize,
    /// Since when the hub is locked down, milliseconds since the epoch.
    pub locked_since: Option<i64>,
    /// Those that are notified when they do not look.
    pub push: Vec<PushOf>,
}
