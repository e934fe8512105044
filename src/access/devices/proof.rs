//! What a request shows to prove a device, and why that may not let it in.

use thiserror::Error;

use crate::access::rate::Wait;

/// What a request shows to prove a device.
#[derive(Clone, Copy, Default)]
pub struct Credential<'a> {
    /// The half in the `__Host-maestro` cookie.
    pub cookie: Option<&'a str>,
    /// The half the page sends: `X-Maestro-Device` of a request, `auth.token` of a Socket.IO handshake.
    pub token: Option<&'a str>,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |half: Option<&str>| half.map(|_| "***");
        f.debug_struct("Credential")
            .field("cookie", &shown(self.cookie))
            .field("token", &shown(self.token))
            .finish()
    }
}

/// Why a device is not let in. The words are what phones get to know as `code`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Denied {
    /// Nothing, or not everything, was shown.
    #[error("this needs a paired device")]
    Unpaired,
    /// What was shown proves nothing.
    #[error("this device is not known here: pair it again")]
    Unknown,
    /// It was paired once, and is no more.
    #[error("this device was revoked: pair it again")]
    Revoked,
    /// It was not seen for too long, or paired too long ago.
    #[error("this pairing is over: pair the device again")]
    Expired,
    /// Nobody is let in now.
    #[error("the hub is locked down")]
    LockedDown,
    /// Too many wrong ones came lately.
    #[error("too many failed attempts: try again later")]
    TooMany {
        /// Seconds to wait.
        retry_after_s: u32,
    },
}

impl Denied {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unpaired => "unpaired",
            Self::Unknown => "unknown_device",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::LockedDown => "locked_down",
            Self::TooMany { .. } => "rate",
        }
    }
}

impl From<Wait> for Denied {
    fn from(wait: Wait) -> Self {
        Self::TooMany {
            retry_after_s: wait.0,
        }
    }
}
