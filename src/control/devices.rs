//! What can be asked about devices over the control socket.

use tokio::sync::mpsc;

use super::{
    Lines, Pending,
    protocol::{
        Problem,
        devices::{DeviceAct, DeviceActDone, DeviceList, PairAsk, PairStep, RedeemAnswer, RedeemAsk},
    },
};

/// The daemon's side of pairing, devices and the audit.
pub trait DeviceDesk: Send + Sync {
    /// Makes a pairing code. If the asker waits, what becomes of it follows, and a code whose asker hangs up is taken
    /// back.
    fn pair(&self, ask: PairAsk) -> Pending<'_, Result<mpsc::Receiver<PairStep>, Problem>>;
    /// Redeems a code from this machine.
    fn redeem(&self, ask: RedeemAsk) -> Pending<'_, Result<RedeemAnswer, Problem>>;
    /// Takes a code back; false if it was not live any more.
    fn cancel(&self, id: u64) -> Pending<'_, bool>;
    /// All paired devices.
    fn list(&self) -> DeviceList;
    /// Changes or ends devices.
    fn change(&self, act: DeviceAct) -> Pending<'_, Result<DeviceActDone, Problem>>;
    /// Lines of the audit: the newest `lines`, then what follows if asked.
    fn audit(&self, lines: usize, follow: bool) -> Pending<'_, Result<Lines, Problem>>;
}
