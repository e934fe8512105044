use proptest::prelude::*;

use super::*;
use crate::domain::Id;

fn code(n: u8) -> Code {
    Code::of([7, 7, 7, 7, n])
}

fn device() -> DeviceId {
    Id::parse("dev_1").unwrap()
}

fn minted(n: u8) -> (Codes, CodeId) {
    let mut codes = Codes::default();
    let (id, _) = codes.mint(&code(n), Pass::default(), Millis(0)).unwrap();
    (codes, id)
}

#[test]
fn a_code_lets_one_device_in_once() {
    let (mut codes, id) = minted(1);
    let (taken, pass) = codes.take(&code(1), Millis(LIFE - 1)).unwrap();
    assert_eq!((taken, pass), (id, Pass::default()));
    assert_eq!(
        codes.take(&code(1), Millis(LIFE - 1)),
        Err(Refused::Spent),
        "taken"
    );
    codes.settle(id, device());
    assert_eq!(codes.take(&code(1), Millis(LIFE - 1)), Err(Refused::Spent));
    assert_eq!(codes.fate(id), Fate::Redeemed(device()));
    assert_eq!(codes.live(), 0);
}

#[test]
fn a_code_whose_device_could_not_be_written_down_can_be_shown_again() {
    let (mut codes, id) = minted(1);
    codes.take(&code(1), Millis(1)).unwrap();
    codes.release(id);
    assert!(codes.take(&code(1), Millis(2)).is_ok());
}

#[test]
fn a_code_ends_with_its_time_and_with_a_clock_that_is_set_back() {
    let (mut codes, id) = minted(1);
    assert_eq!(codes.next_end(), Some(Millis(LIFE)));
    assert_eq!(codes.take(&code(1), Millis(LIFE)), Err(Refused::Expired));
    assert_eq!(codes.fate(id), Fate::Expired);
    let (mut codes, _) = minted(1);
    assert_eq!(codes.take(&code(1), Millis(-1)), Err(Refused::Expired));
}

#[test]
fn three_are_live_at_most_and_one_taken_back_makes_room() {
    let mut codes = Codes::default();
    let mut mint = |n| codes.mint(&code(n), Pass::default(), Millis(0));
    let first = mint(0).unwrap().0;
    mint(1).unwrap();
    mint(2).unwrap();
    assert_eq!(mint(3), Err(TooManyCodes));
    assert!(codes.withdraw(first) && !codes.withdraw(first));
    assert_eq!(codes.take(&code(0), Millis(1)), Err(Refused::Withdrawn));
    assert!(codes.mint(&code(3), Pass::default(), Millis(1)).is_ok());
}

#[test]
fn ten_wrong_guesses_in_all_burn_every_live_code() {
    let (mut codes, id) = minted(0);
    codes.mint(&code(1), Pass::default(), Millis(0)).unwrap();
    for n in 0..9 {
        assert_eq!(codes.take(&code(100 + n), Millis(1)), Err(Refused::Wrong));
    }
    assert_eq!(codes.live(), 2);
    assert_eq!(codes.take(&code(200), Millis(1)), Err(Refused::Wrong));
    assert_eq!((codes.live(), codes.fate(id)), (0, Fate::Burned));
    assert_eq!(codes.take(&code(0), Millis(1)), Err(Refused::Burned));
    assert_eq!(codes.take(&code(1), Millis(1)), Err(Refused::Burned));
    // The next one begins anew.
    codes.mint(&code(2), Pass::default(), Millis(2)).unwrap();
    assert_eq!(codes.take(&code(201), Millis(2)), Err(Refused::Wrong));
    assert!(codes.take(&code(2), Millis(2)).is_ok());
}

#[test]
fn guesses_while_no_code_is_live_and_codes_that_were_real_once_burn_nothing() {
    let mut codes = Codes::default();
    for n in 0..50 {
        assert_eq!(codes.take(&code(100 + n), Millis(0)), Err(Refused::Wrong));
    }
    let (spent, _) = codes.mint(&code(1), Pass::default(), Millis(0)).unwrap();
    codes.take(&code(1), Millis(0)).unwrap();
    codes.settle(spent, device());
    codes.mint(&code(2), Pass::default(), Millis(0)).unwrap();
    for _ in 0..50 {
        assert_eq!(codes.take(&code(1), Millis(0)), Err(Refused::Spent));
    }
    assert!(codes.take(&code(2), Millis(0)).is_ok());
}

#[test]
fn a_device_on_its_way_in_is_not_burned_by_guesses_of_others() {
    let (mut codes, id) = minted(1);
    codes.take(&code(1), Millis(0)).unwrap();
    for n in 0..20 {
        assert_eq!(codes.take(&code(100 + n), Millis(0)), Err(Refused::Wrong));
    }
    codes.settle(id, device());
    assert_eq!(codes.fate(id), Fate::Redeemed(device()));
}

#[derive(Clone, Debug)]
enum Step {
    Mint(u8),
    Show(u8),
    Settle,
    Release,
    Withdraw(u8),
    Guess(u8),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6u8).prop_map(Step::Mint),
        4 => (0..6u8).prop_map(Step::Show),
        2 => Just(Step::Settle),
        1 => Just(Step::Release),
        1 => (0..6u8).prop_map(Step::Withdraw),
        6 => (100..=255u8).prop_map(Step::Guess),
        2 => (0..LIFE).prop_map(Step::Wait),
    ]
}

/// What must be true of one text, kept beside the machine and by other means.
#[derive(Clone, Copy, Default)]
struct Truth {
    id: Option<CodeId>,
    minted_at: i64,
    dead: bool,
    taken: bool,
}

proptest! {
    /// No sequence lets a wrong, spent, expired, burned or withdrawn code in; and a live one always gets in.
    #[test]
    fn only_a_live_code_lets_anybody_in(steps in proptest::collection::vec(step(), 1..120)) {
        let mut codes = Codes::default();
        let mut truth = [Truth::default(); 6];
        let mut now = 0_i64;
        let mut wrong = 0;
        for step in steps {
            let live = |truth: &Truth, now: i64| {
                truth.id.is_some() && !truth.dead && (truth.taken || now < truth.minted_at + LIFE)
            };
            if !truth.iter().any(|truth| live(truth, now)) {
                wrong = 0;
            }
            match step {
                Step::Mint(n) => {
                    let of = &truth[usize::from(n)];
                    if live(of, now) {
                        continue; // forty random bits do not meet
                    }
                    let room = truth.iter().filter(|truth| live(truth, now)).count() < MOST;
                    let made = codes.mint(&code(n), Pass::default(), Millis(now));
                    prop_assert_eq!(made.is_ok(), room);
                    if let Ok((id, _)) = made {
                        truth[usize::from(n)] = Truth { id: Some(id), minted_at: now, ..Truth::default() };
                    }
                }
                Step::Show(n) => {
                    let known = truth[usize::from(n)];
                    let was_live = live(&known, now) && !known.taken;
                    let guess = known.id.is_none() && truth.iter().any(|truth| live(truth, now));
                    let shown = codes.take(&code(n), Millis(now));
                    prop_assert_eq!(shown.is_ok(), was_live, "{} at {}", n, now);
                    truth[usize::from(n)].taken |= shown.is_ok();
                    if guess {
                        wrong += 1;
                    }
                }
                Step::Settle => {
                    for known in truth.iter_mut().filter(|known| known.taken && !known.dead) {
                        codes.settle(known.id.unwrap(), device());
                        (known.dead, known.taken) = (true, false);
                    }
                }
                Step::Release => {
                    for known in truth.iter_mut().filter(|known| known.taken && !known.dead) {
                        codes.release(known.id.unwrap());
                        known.taken = false;
                    }
                }
                Step::Withdraw(n) => {
                    let known = &mut truth[usize::from(n)];
                    if let Some(id) = known.id {
                        known.dead |= codes.withdraw(id);
                    }
                }
                Step::Guess(n) => {
                    let any = truth.iter().any(|truth| live(truth, now));
                    prop_assert_eq!(codes.take(&code(n), Millis(now)), Err(Refused::Wrong));
                    wrong += u32::from(any);
                }
                Step::Wait(ms) => now += ms,
            }
            if wrong >= GUESSES {
                wrong = 0;
                for known in truth.iter_mut().filter(|known| !known.taken) {
                    known.dead |= known.id.is_some();
                }
            }
            prop_assert!(codes.live() <= MOST && codes.ended.len() <= REMEMBERED);
        }
    }
}
