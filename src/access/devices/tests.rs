use std::{
    net::IpAddr,
    sync::atomic::{AtomicI64, Ordering},
};

use super::*;
use crate::access::{CHAPTER, Code, Fate, Pass, Refused, Size, credential::ABSOLUTE, credential::SLIDING};
use crate::domain::{Caller, Id, Scope, Scopes};

/// A clock that is set by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

struct Desk {
    devices: Devices,
    clock: Hand,
    db: Database,
    tasks: TaskGroup,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self::at(
            tempfile::tempdir().unwrap(),
            Hand(Arc::new(AtomicI64::new(1_000_000))),
        )
    }

    fn at(dir: tempfile::TempDir, clock: Hand) -> Self {
        let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER]).unwrap();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let audit = Audit::open(dir.path(), Size::default(), shared.clone()).unwrap();
        let tasks = TaskGroup::default();
        let devices = Devices::load(db.clone(), audit, shared, &tasks).unwrap();
        Self {
            devices,
            clock,
            db,
            tasks,
            dir,
        }
    }

    /// As after a restart: nothing is kept but the disk and the time.
    async fn again(self) -> Self {
        assert!(self.tasks.close(Duration::from_secs(10)).await);
        self.db.close();
        Self::at(self.dir, self.clock)
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    fn wait(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    async fn code(&self) -> String {
        let minted = self.devices.mint(Pass::default(), &Caller::Local).await;
        minted.unwrap().code.to_string()
    }

    async fn redeem(&self, code: &str) -> Result<Paired, Refused> {
        let who = Introduction {
            name: Some("iPhone of Anna".into()),
            ..Introduction::default()
        };
        self.devices.redeem(code, who, self.now()).await
    }

    async fn paired(&self) -> Paired {
        let code = self.code().await;
        self.redeem(&code).await.unwrap()
    }

    fn ask(&self, paired: &Paired) -> Result<Arc<Device>, Denied> {
        self.devices.authenticate(both(paired), self.now())
    }

    fn audit(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap()
    }
}

fn both(paired: &Paired) -> Credential<'_> {
    Credential {
        cookie: Some(&paired.cookie),
        token: Some(&paired.token),
    }
}

fn wrong(n: u32) -> String {
    let bytes = n.to_be_bytes();
    Code::of([99, bytes[0], bytes[1], bytes[2], bytes[3]]).plain()
}

#[tokio::test]
async fn a_device_is_paired_once_and_let_in_with_both_halves_only() {
    let desk = Desk::new();
    let code = desk.code().await;
    let paired = desk.redeem(&code.to_lowercase()).await.unwrap();
    assert_eq!(paired.device.name, "iPhone of Anna");
    assert_eq!(paired.device.scopes, Scopes::of_a_phone());
    assert_eq!(desk.ask(&paired).unwrap().id, paired.device.id);
    assert_eq!(desk.redeem(&code).await.unwrap_err(), Refused::Spent);

    let other = desk.paired().await;
    let ask = |cookie: Option<&str>, token: Option<&str>| {
        let shown = Credential { cookie, token };
        desk.devices.authenticate(shown, desk.now()).unwrap_err()
    };
    for half in [
        (Some(paired.cookie.as_str()), None),
        (None, Some(paired.token.as_str())),
        (None, None),
    ] {
        assert_eq!(ask(half.0, half.1), Denied::Unpaired);
    }
    for (cookie, token) in [
        (paired.cookie.as_str(), other.token.as_str()),
        (&other.cookie, &paired.token),
        (&paired.token, &paired.cookie),
        (&paired.cookie, &paired.cookie),
        ("dev_1.x", "x"),
        ("", ""),
    ] {
        assert_eq!(ask(Some(cookie), Some(token)), Denied::Unknown);
    }
    assert_eq!(
        desk.devices.recognises(&paired.cookie),
        Some(paired.device.id.clone())
    );
    assert_eq!(desk.devices.recognises(&paired.token), None);
}

#[tokio::test]
async fn devices_survive_a_restart_and_codes_do_not() {
    let desk = Desk::new();
    let paired = desk.paired().await;
    let code = desk.code().await;
    let desk = desk.again().await;
    assert_eq!(desk.ask(&paired).unwrap(), paired.device);
    assert_eq!(desk.redeem(&code).await.unwrap_err(), Refused::Wrong);
    assert!(*desk.devices.open().borrow());
}

#[tokio::test]
async fn a_device_unseen_for_a_month_is_over_and_one_that_is_seen_ends_after_half_a_year() {
    let desk = Desk::new();
    let (idle, busy) = (desk.paired().await, desk.paired().await);
    for _ in 0..2 {
        desk.wait(SLIDING - 1);
        assert!(desk.ask(&busy).is_ok());
    }
    assert_eq!(desk.ask(&idle), Err(Denied::Expired));
    let mut desk = desk.again().await;
    for _ in 2..6 {
        desk.wait(SLIDING - 1);
        assert!(desk.ask(&busy).is_ok(), "that it was seen is on disk");
        desk = desk.again().await;
    }
    desk.wait(10);
    assert_eq!(desk.ask(&busy), Err(Denied::Expired), "half a year in all");
    assert_eq!(
        desk.devices.may_send(&busy.device.id, desk.now()),
        Err(Denied::Expired)
    );
}

#[tokio::test]
async fn an_end_that_comes_with_time_is_told_and_written_down() {
    let desk = Desk::new();
    let paired = desk.paired().await;
    let mut changes = desk.devices.changes();
    desk.wait(SLIDING);
    desk.devices.sweep().await;
    let DeviceChange::Gone(id, why) = changes.recv().await.unwrap() else {
        panic!("it is gone")
    };
    assert_eq!((id, why), (paired.device.id.clone(), Denied::Expired));
    assert!(desk.devices.device(&paired.device.id).is_none());
    assert!(!*desk.devices.open().borrow());
    assert!(desk.audit().contains(r#""action":"expire""#));
    let desk = desk.again().await;
    assert_eq!(desk.ask(&paired), Err(Denied::Expired));
    desk.wait(SLIDING);
    desk.devices.sweep().await;
    assert_eq!(desk.ask(&paired), Err(Denied::Unknown), "forgotten in the end");
}

#[tokio::test]
async fn a_revoked_device_is_told_so_at_once_and_after_a_restart() {
    let desk = Desk::new();
    let (paired, stays) = (desk.paired().await, desk.paired().await);
    let mut changes = desk.devices.changes();
    desk.devices
        .revoke(&paired.device.id, &Caller::Local)
        .await
        .unwrap();
    assert_eq!(desk.ask(&paired), Err(Denied::Revoked));
    assert!(desk.devices.recognises(&paired.cookie).is_none());
    let told = changes.try_recv().unwrap();
    assert!(matches!(told, DeviceChange::Gone(id, Denied::Revoked) if id == paired.device.id));
    let again = desk.devices.revoke(&paired.device.id, &Caller::Local).await;
    assert_eq!(again, Err(ChangeError::Gone));
    let desk = desk.again().await;
    assert_eq!(desk.ask(&paired), Err(Denied::Revoked));
    assert!(desk.ask(&stays).is_ok());
    // One half of a revoked device is not told what it was.
    let stolen = Credential {
        cookie: Some(&paired.cookie),
        token: Some("x"),
    };
    assert_eq!(
        desk.devices.authenticate(stolen, desk.now()),
        Err(Denied::Unknown)
    );
}

#[tokio::test]
async fn other_scopes_and_another_name_bite_at_once_and_are_told_and_kept() {
    let desk = Desk::new();
    let paired = desk.paired().await;
    let id = &paired.device.id;
    let mut changes = desk.devices.changes();
    let view = [Scope::View].into_iter().collect();
    desk.devices.set_scopes(id, view, &Caller::Local).await.unwrap();
    desk.devices
        .rename(id, " Old phone ", &Caller::Local)
        .await
        .unwrap();
    let device = desk.devices.device(id).unwrap();
    assert!(!device.scopes.allow(Scope::Answer) && device.name == "Old phone");
    for _ in 0..2 {
        assert!(matches!(changes.try_recv().unwrap(), DeviceChange::Changed(of) if of.id == *id));
    }
    let none = desk
        .devices
        .set_scopes(id, Scopes::default(), &Caller::Local)
        .await;
    assert_eq!(none, Err(ChangeError::NoScope));
    let desk = desk.again().await;
    assert_eq!(desk.ask(&paired).unwrap(), device);
}

#[tokio::test]
async fn a_lockdown_ends_everything_outlives_a_restart_and_is_lifted_by_hand() {
    let desk = Desk::new();
    let (one, other) = (desk.paired().await, desk.paired().await);
    let code = desk.code().await;
    let (open, mut changes) = (desk.devices.open(), desk.devices.changes());
    assert_eq!(desk.devices.lockdown(&Caller::Local).await, Ok(2));
    assert!(!*open.borrow());
    for _ in 0..2 {
        assert!(matches!(
            changes.try_recv().unwrap(),
            DeviceChange::Gone(_, Denied::LockedDown)
        ));
    }
    let desk = desk.again().await;
    assert_eq!(desk.ask(&one), Err(Denied::LockedDown));
    assert_eq!(desk.redeem(&code).await.unwrap_err(), Refused::LockedDown);
    let refused = desk.devices.mint(Pass::default(), &Caller::Local).await;
    assert_eq!(refused.unwrap_err(), MintRefused::LockedDown);
    assert_eq!(desk.devices.lift(&Caller::Local).await, Ok(true));
    assert_eq!(desk.devices.lift(&Caller::Local).await, Ok(false));
    assert_eq!(desk.ask(&other), Err(Denied::Revoked), "who was revoked stays so");
    desk.paired().await;
    let audit = desk.audit();
    assert!(audit.contains(r#""action":"lockdown""#) && audit.contains(r#""action":"lift""#));
}

#[tokio::test]
async fn it_is_open_while_a_code_is_live_or_a_device_is_paired() {
    let desk = Desk::new();
    let mut open = desk.devices.open();
    assert!(!*open.borrow_and_update());
    let minted = desk.devices.mint(Pass::default(), &Caller::Local).await.unwrap();
    assert!(*open.borrow_and_update());
    assert!(desk.devices.cancel(minted.id, &Caller::Local).await);
    assert!(!*open.borrow_and_update());
    // A code whose time is over closes it without anybody asking.
    desk.code().await;
    assert!(*open.borrow_and_update());
    desk.wait(11 * 60_000);
    desk.devices.sweep().await;
    assert!(!*open.borrow_and_update());
    let paired = desk.paired().await;
    assert!(*open.borrow_and_update());
    desk.devices
        .revoke(&paired.device.id, &Caller::Local)
        .await
        .unwrap();
    assert!(!*open.borrow_and_update());
}

#[tokio::test]
async fn who_waits_for_a_code_hears_what_became_of_it() {
    let desk = Desk::new();
    let mint = async || desk.devices.mint(Pass::default(), &Caller::Local).await.unwrap();
    let minted = mint().await;
    let mut waiting = desk.devices.watch_code(minted.id);
    let waits = tokio::spawn(async move { waiting.end().await });
    let paired = desk.redeem(&minted.code.plain()).await.unwrap();
    assert_eq!(waits.await.unwrap(), Fate::Redeemed(paired.device.id.clone()));

    let minted = mint().await;
    let mut waiting = desk.devices.watch_code(minted.id);
    desk.devices.cancel(minted.id, &Caller::Local).await;
    assert_eq!(waiting.end().await, Fate::Withdrawn);

    let minted = mint().await;
    let mut waiting = desk.devices.watch_code(minted.id);
    for n in 0..10 {
        // From ten places: one guesser alone does not get that far.
        let who = Introduction {
            from: Origin {
                ip: Some(IpAddr::from([192, 0, 2, n])),
                country: None,
            },
            ..Introduction::default()
        };
        let guess = desk.devices.redeem(&wrong(n.into()), who, desk.now()).await;
        assert_eq!(guess.unwrap_err(), Refused::Wrong);
    }
    assert_eq!(waiting.end().await, Fate::Burned);
    assert!(desk.devices.burned().is_some());
    mint().await;
    assert!(desk.devices.burned().is_none());
}

#[tokio::test]
async fn one_guesser_cannot_burn_the_codes_and_the_right_phone_gets_in_meanwhile() {
    let desk = Desk::new();
    let code = desk.code().await;
    let guesser = || Introduction {
        from: Origin {
            ip: "192.0.2.66".parse().ok(),
            country: None,
        },
        ..Introduction::default()
    };
    let mut refused = 0;
    for n in 0..100 {
        let guess = desk.devices.redeem(&wrong(n), guesser(), desk.now()).await;
        refused += u32::from(matches!(guess, Err(Refused::TooMany { .. })));
    }
    assert_eq!(refused, 95);
    assert!(desk.redeem(&code).await.is_ok());
}

#[tokio::test]
async fn failures_in_a_devices_name_lock_its_owner_out_never() {
    let desk = Desk::new();
    let paired = desk.paired().await;
    let stolen = Credential {
        cookie: Some(&paired.cookie),
        token: Some("guess"),
    };
    let from = Origin {
        ip: "192.0.2.66".parse().ok(),
        country: Some("XX".into()),
    };
    let mut last = Ok(());
    for _ in 0..1000 {
        let denied = desk.devices.authenticate_from(stolen, &from, desk.now());
        last = denied.map(|_| ());
    }
    assert!(
        matches!(last, Err(Denied::TooMany { retry_after_s: 1.. })),
        "{last:?}"
    );
    assert!(
        desk.devices
            .authenticate_from(both(&paired), &from, desk.now())
            .is_ok()
    );
    desk.devices.audit().close().await;
    let audit = desk.audit();
    let refusals = audit.lines().filter(|line| line.contains("authenticate")).count();
    assert!(refusals <= 4, "{audit}");
    assert!(audit.contains(r#""ip":"192.0.2.66","country":"XX""#));
}

#[tokio::test]
async fn a_pairing_that_cannot_be_audited_does_not_happen_and_the_code_can_be_shown_again() {
    let desk = Desk::new();
    let code = desk.code().await;
    let file = desk.dir.path().join("audit.jsonl");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let refused = desk.redeem(&code).await.unwrap_err();
    assert!(matches!(refused, Refused::Unwritten(_)), "{refused:?}");
    assert!(desk.devices.all().is_empty());
    // Who is on this machine goes on.
    assert!(desk.devices.mint(Pass::default(), &Caller::Local).await.is_ok());
    std::fs::remove_dir(&file).unwrap();
    assert!(desk.redeem(&code).await.is_ok());
}

#[tokio::test]
async fn no_secret_is_on_disk_or_in_debug() {
    let desk = Desk::new();
    let code = desk.code().await;
    let paired = desk.redeem(&code).await.unwrap();
    let token = paired.token.clone();
    let cookie = paired.cookie.rsplit('.').next().unwrap().to_owned();
    let shown = format!("{paired:?} {:?}", both(&paired));
    let plain = Code::parse(&code).unwrap().plain();
    let mut files = 0;
    for entry in std::fs::read_dir(desk.dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in [&token, &cookie, &code, &plain] {
            assert!(!text.contains(secret.as_str()) && !shown.contains(secret.as_str()));
        }
        files += 1;
    }
    assert!(files >= 2);
}

#[tokio::test]
async fn devices_are_found_by_id_by_name_and_by_what_is_only_theirs() {
    let desk = Desk::new();
    let first = desk.paired().await.device;
    desk.wait(5);
    let second = desk.paired().await.device;
    desk.devices
        .rename(&second.id, "Tablet", &Caller::Local)
        .await
        .unwrap();
    let find = |text: &str| desk.devices.find(text).map(|device| device.id.clone());
    assert_eq!(find(first.id.as_str()), Ok(first.id.clone()));
    assert_eq!(find("iphone"), Ok(first.id.clone()));
    assert_eq!(find("Tablet"), Ok(second.id.clone()));
    assert_eq!(find("watch"), Err(Unfound::None("watch".into())));
    assert!(matches!(find("dev_"), Err(Unfound::Several { devices, .. }) if devices.len() == 2));
    assert!(find("").is_err());
}

#[tokio::test]
async fn a_device_may_say_so_much_and_nobody_elses_words_count() {
    let desk = Desk::new();
    let (one, other) = (desk.paired().await.device, desk.paired().await.device);
    let said = (0..1000)
        .filter(|_| desk.devices.may_send(&one.id, desk.now()).is_ok())
        .count();
    assert_eq!(said, 120);
    assert!(desk.devices.may_send(&other.id, desk.now()).is_ok());
    let stranger: DeviceId = Id::parse("dev_x").unwrap();
    assert_eq!(desk.devices.may_send(&stranger, desk.now()), Err(Denied::Unknown));
}

#[tokio::test]
async fn a_place_for_an_agent_is_given_back() {
    let desk = Desk::new();
    let slots: Vec<_> = (0..4)
        .map(|_| desk.devices.may_spawn(0, desk.now()).ok().unwrap())
        .collect();
    assert!(matches!(
        desk.devices.may_spawn(0, desk.now()),
        Err(Denied::TooMany { .. })
    ));
    drop(slots);
    assert!(desk.devices.may_spawn(0, desk.now()).is_ok());
}

#[tokio::test]
async fn a_phone_that_hangs_up_while_it_is_paired_leaves_a_whole_device() {
    let desk = Desk::new();
    let code = desk.code().await;
    {
        let redeeming = desk.redeem(&code);
        tokio::pin!(redeeming);
        // Begun, and given up before it is done.
        assert!(futures_util::poll!(redeeming.as_mut()).is_pending());
    }
    let mut open = desk.devices.shared.codes.subscribe();
    while desk.devices.all().is_empty() {
        open.changed().await.unwrap();
    }
    assert_eq!(desk.redeem(&code).await.unwrap_err(), Refused::Spent);
    let desk = desk.again().await;
    assert_eq!(desk.devices.all().len(), 1);
}

#[tokio::test]
async fn the_default_devices_let_nobody_in_and_pair_nobody() {
    let devices = Devices::default();
    let shown = Credential {
        cookie: Some("a.b"),
        token: Some("c"),
    };
    assert_eq!(devices.authenticate(shown, Millis(0)), Err(Denied::Unknown));
    assert!(devices.mint(Pass::default(), &Caller::Local).await.is_err());
    let redeemed = devices
        .redeem("7K3M9QXD", Introduction::default(), Millis(0))
        .await;
    assert!(redeemed.is_err() && !*devices.open().borrow());
}
