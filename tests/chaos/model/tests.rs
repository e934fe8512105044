//! The judge is judged first: it must not complain of what may be, and must of everything else.

use super::*;

fn found(subject: &str, id: &str) -> Found {
    Found {
        id: id.to_owned(),
        subject: subject.to_owned(),
    }
}

#[test]
fn a_field_holds_what_was_acknowledged_last_or_something_unanswered() {
    let mut title = Register::new("a".into());
    title.wrote("b".into(), Fate::Done);
    title.wrote("c".into(), Fate::Lost);
    title.wrote("d".into(), Fate::Refused);
    assert!(title.found("t", "a").is_err(), "an acknowledged write is lost");
    assert!(title.found("t", "d").is_err(), "a refused one was done");
    assert!(title.found("t", "c").is_ok());
    assert!(
        title.found("t", "b").is_err(),
        "and that was the end of the doubt"
    );
}

#[test]
fn a_history_has_each_entry_once_and_in_order() {
    let series = || {
        let mut series = Series::default();
        for (entry, fate) in [
            ("1", Fate::Done),
            ("2", Fate::Lost),
            ("3", Fate::Refused),
            ("4", Fate::Done),
        ] {
            series.wrote(entry.into(), fate);
        }
        series
    };
    for fine in [&["1", "4"][..], &["1", "2", "4"], &["1", "4", "2"]] {
        assert_eq!(series().found("s", fine), Ok(()), "{fine:?}");
    }
    for wrong in [
        &["1"][..],
        &["4", "1"],
        &["1", "4", "4"],
        &["1", "3", "4"],
        &["1", "4", "x"],
    ] {
        assert!(series().found("s", wrong).is_err(), "{wrong:?}");
    }
    let mut settled = series();
    settled.found("s", &["1", "4", "2"]).unwrap();
    assert_eq!(settled.found("s", &["1", "4", "2"]), Ok(()));
    assert!(
        settled.found("s", &["1", "2"]).is_err(),
        "4 was there, and is gone"
    );
}

#[test]
fn what_was_made_is_there_once_and_what_was_removed_is_gone() {
    let made = || {
        let mut made = Made::default();
        made.made("a", Fate::Done, Some("1".into()));
        made.made("b", Fate::Lost, None);
        made.made("c", Fate::Refused, None);
        made.made("d", Fate::Done, Some("4".into()));
        made.removed("d", Fate::Done);
        made
    };
    let all = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(mark, id)| ((*mark).to_owned(), (*id).to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(made().found(&all(&[("a", "1")])), Ok(vec![]));
    assert_eq!(
        made().found(&all(&[("a", "1"), ("b", "2")])),
        Ok(all(&[("b", "2")]))
    );
    for wrong in [
        &[][..],
        &[("a", "2")],
        &[("a", "1"), ("a", "2")],
        &[("a", "1"), ("c", "3")],
        &[("a", "1"), ("d", "4")],
        &[("a", "1"), ("x", "9")],
    ] {
        assert!(made().found(&all(wrong)).is_err(), "{wrong:?}");
    }
    let mut settled = made();
    settled.found(&all(&[("a", "1"), ("b", "2")])).unwrap();
    assert!(
        settled.found(&all(&[("a", "1")])).is_err(),
        "b was seen, and is gone"
    );
}

#[test]
fn a_letter_is_where_it_was_for_once_however_often_it_was_sent() {
    let mut letters = Letters::default();
    letters.sent("x", Some("s"), Fate::Lost, None).unwrap();
    letters
        .sent("x", Some("s"), Fate::Done, Some("1".into()))
        .unwrap();
    assert!(
        letters
            .sent("x", Some("s"), Fate::Done, Some("2".into()))
            .is_err()
    );
    letters.sent("all", None, Fate::Done, Some("3".into())).unwrap();
    letters.sent("never", Some("s"), Fate::Refused, None).unwrap();
    letters.sent("perhaps", Some("s"), Fate::Lost, None).unwrap();
    let (x, all) = (found("x", "1"), found("all", "3"));
    assert_eq!(letters.found("s", &[x.clone(), all.clone()]), Ok(()));
    assert_eq!(letters.found("t", std::slice::from_ref(&all)), Ok(()));
    assert!(letters.found("t", &[]).is_err(), "the one to everybody is lost");
    assert!(
        letters.found("t", &[all.clone(), x.clone()]).is_err(),
        "not for t"
    );
    assert!(letters.found("s", &[x.clone(), x.clone(), all.clone()]).is_err());
    assert!(
        letters
            .found("s", &[x.clone(), all.clone(), found("never", "4")])
            .is_err()
    );
    assert_eq!(
        letters.found("s", &[x.clone(), all.clone(), found("perhaps", "5")]),
        Ok(())
    );
    letters.settle(&[x.clone(), all.clone(), found("perhaps", "5")]);
    assert!(
        letters.found("s", &[x.clone(), all.clone()]).is_err(),
        "it was there"
    );
    letters.removed("1", Fate::Done);
    letters.removed("5", Fate::Lost);
    assert_eq!(letters.found("s", std::slice::from_ref(&all)), Ok(()));
    assert!(letters.found("s", &[x, all]).is_err(), "it was removed");
}

#[test]
fn a_claim_has_one_holder_at_a_time_and_numbers_grow() {
    const TTL: u64 = 2_000_000;
    let mut claims = Claims::default();
    claims.granted("t", "a", 5, (0, 10), TTL).unwrap();
    assert_eq!(
        claims.granted("t", "a", 5, (500_000, 500_010), TTL),
        Ok(()),
        "prolonged"
    );
    assert!(
        claims.granted("t", "b", 6, (600_000, 600_010), TTL).is_err(),
        "a holds it"
    );
    assert!(
        claims.granted("t", "b", 5, (9_000_000, 9_000_010), TTL).is_err(),
        "used before"
    );
    assert!(claims.granted("t", "b", 4, (9_000_000, 9_000_010), TTL).is_err());
    claims.releasing("t", "a", 700_000);
    assert_eq!(claims.granted("t", "b", 6, (700_001, 700_010), TTL), Ok(()));
    // Two at once, told in whatever order.
    assert_eq!(claims.granted("t", "c", 8, (8_000_000, 8_000_900), TTL), Ok(()));
    assert!(
        claims.granted("t", "d", 9, (8_001_000, 8_001_010), TTL).is_err(),
        "c holds it"
    );
    claims.unsure("t", "c");
    assert_eq!(claims.granted("t", "d", 9, (8_001_000, 8_001_010), TTL), Ok(()));
    claims.settle();
    assert!(
        claims
            .granted("t", "e", 7, (99_000_000, 99_000_010), TTL)
            .is_err(),
        "9 was given"
    );
}

#[test]
fn a_question_has_one_answer_and_it_is_the_acknowledged_one() {
    let asked = |answers: &[(&str, Fate)]| {
        let mut questions = Questions::default();
        questions.asked("r");
        for (text, fate) in answers {
            questions.answered("r", text, *fate)?;
        }
        Ok::<_, String>(questions)
    };
    assert!(asked(&[("a", Fate::Done), ("b", Fate::Done)]).is_err());
    assert!(
        asked(&[("a", Fate::Done), ("a", Fate::Done)]).is_ok(),
        "the same, repeated"
    );
    let one = || asked(&[("a", Fate::Done), ("b", Fate::Lost)]).unwrap();
    assert_eq!(one().found("r", Some("a"), 1), Ok(()));
    assert!(one().found("r", Some("b"), 1).is_err());
    assert!(one().found("r", None, 0).is_err());
    assert!(one().found("r", Some("a"), 2).is_err());
    let none = || asked(&[("a", Fate::Lost), ("b", Fate::Refused)]).unwrap();
    assert_eq!(none().found("r", None, 0), Ok(()));
    assert_eq!(none().found("r", Some("a"), 1), Ok(()));
    assert!(none().found("r", Some("b"), 1).is_err());
}

#[test]
fn who_lives_is_not_to_be_given_up() {
    let mut model = Model::default();
    model.alive.insert("s".into(), "pid 7".into());
    model.seen("s", "working");
    model.seen("other", "failed");
    assert!(model.complaints().is_empty());
    model.seen("s", "failed");
    assert_eq!(model.complaints().len(), 1);
    model.alive.remove("s");
    model.seen("s", "failed");
    assert_eq!(model.complaints().len(), 1);
}
