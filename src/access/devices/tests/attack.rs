//! Guessers, thieves, full disks and phones that hang up.

use super::*;

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
async fn a_lockdown_that_overtakes_a_phone_leaves_neither_a_device_nor_a_code() {
    let desk = Desk::new();
    let code = desk.code().await;
    // Nobody gets a turn, so the phone that has shown its code waits behind the lockdown.
    let turn = desk.devices.shared.turn.lock().await;
    let locking = desk.devices.lockdown(&Caller::Local);
    tokio::pin!(locking);
    assert!(futures_util::poll!(locking.as_mut()).is_pending());
    tokio::task::yield_now().await;
    let redeeming = desk.redeem(&code);
    tokio::pin!(redeeming);
    assert!(futures_util::poll!(redeeming.as_mut()).is_pending());
    drop(turn);
    assert_eq!(locking.await, Ok(0));
    assert_eq!(redeeming.await.unwrap_err(), Refused::LockedDown);
    desk.devices.lift(&Caller::Local).await.unwrap();
    assert_eq!(desk.redeem(&code).await.unwrap_err(), Refused::Withdrawn);
    assert!(desk.devices.all().is_empty());
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
