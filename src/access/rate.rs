//! How often somebody may try: budgets that refill, pure over a clock value, in memory that does not grow.
//!
//! Who fails spends his own budgets, never those of a device that shows a valid secret: an attacker who forges an
//! address or names a device cannot lock its owner out.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
};

use crate::domain::{DeviceId, Millis};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// So many at once, and one more each `every` milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What can be spent at once by who was quiet.
    pub burst: u32,
    /// Milliseconds until one more.
    pub every: i64,
}

impl Rate {
    const fn new(burst: u32, every: i64) -> Self {
        Self { burst, every }
    }
}

/// Seconds to wait, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(pub u32);

/// One budget: the instant at which it will be full again says all of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    full_at: i64,
}

impl Budget {
    /// What is left at `now`, as how long one has to wait for the next; nothing if there is some.
    pub fn wait(&mut self, rate: Rate, now: Millis) -> Option<Wait> {
        let spent = self.debt(rate, now);
        // What a clock that was set back adds to the debt is forgiven for good: else it stayed empty until the old time
        // is reached again.
        self.full_at = now.0.saturating_add(spent);
        let room = rate.every.saturating_mul(i64::from(rate.burst));
        let wait = spent + rate.every - room;
        (wait > 0).then(|| Wait(u32::try_from(wait.saturating_add(SECOND - 1) / SECOND).unwrap_or(u32::MAX)))
    }

    /// Spends one, if there is one.
    pub fn take(&mut self, rate: Rate, now: Millis) -> Result<(), Wait> {
        if let Some(wait) = self.wait(rate, now) {
            return Err(wait);
        }
        self.full_at = self.full_at.max(now.0).saturating_add(rate.every);
        Ok(())
    }

    /// True if nothing is spent.
    pub fn is_full(self, now: Millis) -> bool {
        self.full_at <= now.0
    }

    /// Milliseconds until it is full again; never more than an empty one needs, whatever the clock did.
    fn debt(self, rate: Rate, now: Millis) -> i64 {
        let most = rate.every.saturating_mul(i64::from(rate.burst));
        self.full_at.saturating_sub(now.0).clamp(0, most)
    }
}

/// A budget for each of many. At most `most` are remembered; whoever comes when all of these owe something shares one
/// budget with the others who came too late.
#[derive(Debug)]
pub(super) struct Budgets<K> {
    rate: Rate,
    most: usize,
    each: HashMap<K, Budget>,
    rest: Budget,
}

impl<K: Eq + Hash> Budgets<K> {
    pub fn new(rate: Rate, most: usize) -> Self {
        Self {
            rate,
            most,
            each: HashMap::new(),
            rest: Budget::default(),
        }
    }

    /// How long this one has to wait; `None` if it may go on.
    pub fn wait(&mut self, key: &K, now: Millis) -> Option<Wait> {
        let room = self.each.len() < self.most;
        match self.each.get_mut(key) {
            Some(known) => known.wait(self.rate, now),
            None if room => None,
            None => self.rest.wait(self.rate, now),
        }
    }

    /// Spends one of this one's.
    pub fn take(&mut self, key: K, now: Millis) -> Result<(), Wait> {
        if !self.each.contains_key(&key) && self.each.len() >= self.most {
            self.each.retain(|_, budget| !budget.is_full(now));
        }
        if self.each.contains_key(&key) || self.each.len() < self.most {
            return self.each.entry(key).or_default().take(self.rate, now);
        }
        self.rest.take(self.rate, now)
    }

    /// Forgets what this one spent.
    pub fn forget(&mut self, key: &K) {
        self.each.remove(key);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.each.len()
    }
}

/// Who asks from outside, as far as budgets go: an address, or the network of one that has a whole network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Neighbour(IpAddr);

impl From<IpAddr> for Neighbour {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            // One customer has a /64 at least.
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// Clients remembered at once, for each budget.
const CLIENTS: usize = 4096;
/// Devices remembered at once; there are fewer.
const DEVICES: usize = 1024;

/// Wrong secrets from one client.
const WRONG_BY_CLIENT: Rate = Rate::new(20, 15 * SECOND);
/// Wrong secrets in the name of one device.
const WRONG_BY_DEVICE: Rate = Rate::new(20, 15 * SECOND);
/// Wrong secrets in all.
const WRONG: Rate = Rate::new(300, SECOND);
/// Wrong codes from one client: half of what burns them, so that one guesser cannot even delay a pairing for long.
const CODES_BY_CLIENT: Rate = Rate::new(5, MINUTE);
/// Requests and messages of one device.
const MESSAGES: Rate = Rate::new(120, SECOND / 4);
/// Agents started from outside, by whichever device.
const SPAWNS: Rate = Rate::new(12, HOUR / 12);
/// Agents started from outside that may be at work at once.
pub(super) const SPAWNED: usize = 4;

/// All budgets of who comes from outside.
#[derive(Debug)]
pub(super) struct Rates {
    wrong: Budget,
    wrong_by_device: Budgets<DeviceId>,
    wrong_by_client: Budgets<Option<Neighbour>>,
    codes_by_client: Budgets<Option<Neighbour>>,
    messages: Budgets<DeviceId>,
    spawns: Budget,
    /// Spawns that are being carried out.
    pub spawning: usize,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            wrong: Budget::default(),
            wrong_by_device: Budgets::new(WRONG_BY_DEVICE, DEVICES),
            wrong_by_client: Budgets::new(WRONG_BY_CLIENT, CLIENTS),
            codes_by_client: Budgets::new(CODES_BY_CLIENT, CLIENTS),
            messages: Budgets::new(MESSAGES, DEVICES),
            spawns: Budget::default(),
            spawning: 0,
        }
    }
}

impl Rates {
    /// Somebody failed to prove to be a device, `named` if there is one of that name. The longest wait of his budgets.
    pub fn wrong_secret(
        &mut self,
        named: Option<&DeviceId>,
        from: Option<IpAddr>,
        now: Millis,
    ) -> Result<(), Wait> {
        // Who is refused by his own budget does not spend everybody's.
        let device = named.map_or(Ok(()), |id| self.wrong_by_device.take(id.clone(), now));
        let client = self.wrong_by_client.take(from.map(Neighbour::from), now);
        match device.err().max(client.err()) {
            Some(wait) => Err(wait),
            None => self.wrong.take(WRONG, now),
        }
    }

    /// Whether somebody there may try a code.
    pub fn may_try_code(&mut self, from: Option<IpAddr>, now: Millis) -> Result<(), Wait> {
        match self.codes_by_client.wait(&from.map(Neighbour::from), now) {
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    /// Somebody there tried a wrong one.
    pub fn wrong_code(&mut self, from: Option<IpAddr>, now: Millis) {
        let _spent = self.codes_by_client.take(from.map(Neighbour::from), now);
    }

    /// A device says something.
    pub fn message(&mut self, device: &DeviceId, now: Millis) -> Result<(), Wait> {
        self.messages.take(device.clone(), now)
    }

    /// A device wants an agent started, while `running` of those started from outside are at work.
    pub fn spawn(&mut self, running: usize, now: Millis) -> Result<(), Wait> {
        if running.saturating_add(self.spawning) >= SPAWNED {
            return Err(Wait(u32::try_from(MINUTE / SECOND).unwrap_or(60)));
        }
        self.spawns.take(SPAWNS, now)?;
        self.spawning += 1;
        Ok(())
    }

    /// A device is gone.
    pub fn forget(&mut self, device: &DeviceId) {
        self.wrong_by_device.forget(device);
        self.messages.forget(device);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Id;

    const SLOW: Rate = Rate::new(3, 10 * SECOND);

    #[test]
    fn a_budget_is_spent_and_refills_one_by_one() {
        let mut budget = Budget::default();
        for _ in 0..3 {
            assert_eq!(budget.take(SLOW, Millis(0)), Ok(()));
        }
        assert_eq!(budget.take(SLOW, Millis(0)), Err(Wait(10)));
        assert_eq!(budget.take(SLOW, Millis(9_999)), Err(Wait(1)));
        assert_eq!(budget.take(SLOW, Millis(10_000)), Ok(()));
        assert_eq!(budget.take(SLOW, Millis(10_000)), Err(Wait(10)));
        assert!(budget.is_full(Millis(40_000)) && !budget.is_full(Millis(39_999)));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_longer_than_an_empty_budget() {
        let mut budget = Budget::default();
        while budget.take(SLOW, Millis(1_000_000_000)).is_ok() {}
        assert_eq!(budget.take(SLOW, Millis(0)), Err(Wait(10)));
        assert_eq!(
            budget.take(SLOW, Millis(10_000)),
            Ok(()),
            "and then it refills as ever"
        );
        assert_eq!(budget.take(SLOW, Millis(10_000)), Err(Wait(10)));
        assert_eq!(budget.take(SLOW, Millis(-1_000_000_000)), Err(Wait(10)));

        let mut rates = Rates::default();
        let guesser = "192.0.2.1".parse().ok();
        (0..5).for_each(|_| rates.wrong_code(guesser, Millis(1_000_000_000)));
        assert!(rates.may_try_code(guesser, Millis(0)).is_err());
        assert!(rates.may_try_code(guesser, Millis(MINUTE)).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_who_comes_too_late_shares_one_budget() {
        let mut budgets = Budgets::new(SLOW, 10);
        for client in 0..10_000 {
            let _ = budgets.take(client, Millis(0));
        }
        assert_eq!(budgets.len(), 10);
        assert!(budgets.take(10_001, Millis(0)).is_err() && budgets.take(3, Millis(0)).is_ok());
        // Those who are quiet are forgotten, and make room.
        assert!(budgets.take(10_002, Millis(60_000)).is_ok());
        assert_eq!(budgets.len(), 1);
    }

    #[test]
    fn a_network_of_one_customer_is_one_neighbour() {
        let of = |text: &str| Neighbour::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn one_guesser_is_stopped_before_he_costs_the_others_anything() {
        let mut rates = Rates::default();
        let (guesser, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        let mut let_through = 0;
        for _ in 0..1000 {
            let_through += usize::from(rates.wrong_secret(None, guesser, Millis(0)).is_ok());
        }
        assert_eq!(let_through, 20);
        assert!(rates.wrong_secret(None, other, Millis(0)).is_ok());
        for _ in 0..5 {
            assert!(rates.may_try_code(guesser, Millis(0)).is_ok());
            rates.wrong_code(guesser, Millis(0));
        }
        assert!(rates.may_try_code(guesser, Millis(0)).is_err());
        assert!(rates.may_try_code(other, Millis(0)).is_ok());
    }

    #[test]
    fn many_guessers_share_one_budget_and_one_device_name_has_its_own() {
        let mut rates = Rates::default();
        let device: DeviceId = Id::parse("dev_1").unwrap();
        let from = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
        let tries = |rates: &mut Rates, named: Option<&DeviceId>, some: std::ops::Range<u32>| {
            some.filter(|n| rates.wrong_secret(named, from(*n), Millis(0)).is_ok())
                .count()
        };
        assert_eq!(tries(&mut rates, Some(&device), 0..1000), 20);
        assert_eq!(tries(&mut rates, None, 2000..3000), 280);
    }

    #[test]
    fn agents_are_started_from_outside_so_often_and_so_many_at_once() {
        let mut rates = Rates::default();
        assert!(rates.spawn(SPAWNED, Millis(0)).is_err());
        assert!(rates.spawn(SPAWNED - 1, Millis(0)).is_ok());
        assert!(rates.spawn(SPAWNED - 1, Millis(0)).is_err(), "one is on its way");
        rates.spawning = 0;
        for _ in 0..11 {
            assert!(rates.spawn(0, Millis(0)).is_ok());
            rates.spawning = 0;
        }
        assert_eq!(rates.spawn(0, Millis(0)), Err(Wait(300)));
        assert!(rates.spawn(0, Millis(HOUR / 12)).is_ok());
    }

    proptest! {
        /// Never more than the burst and what time has given since.
        #[test]
        fn no_more_is_spent_than_was_there(steps in proptest::collection::vec((0..20_000_i64, 1..6_usize), 1..100)) {
            let (mut budget, mut now, mut spent) = (Budget::default(), 0_i64, 0_i64);
            for (pause, tries) in steps {
                now += pause;
                for _ in 0..tries {
                    spent += i64::from(budget.take(SLOW, Millis(now)).is_ok());
                }
                prop_assert!(spent <= 3 + now / SLOW.every, "{spent} at {now}");
            }
        }
    }
}
