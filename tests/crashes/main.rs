//! The daemon is killed between any two steps of whatever takes several, and started again: nothing is lost, nothing is
//! there twice, nothing is stuck.
//!
//! The places are read from the source (`crash::point("story.step")`), so none can be forgotten: a place whose story is
//! not told here fails the test, and so does one that its story never passes. Each is killed at once in every test run;
//! `make crashes N=1000` goes on, at other passages of the same places, until so many were killed.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says why and stops

#[path = "../harness/mod.rs"]
mod harness;
mod hub;
mod stories;
mod writing;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::{BoxFuture, FutureExt};

/// Stories told at the same time: they mostly wait.
const TOGETHER: usize = 6;

/// Places that their stories pass more than once, and how often at least.
const PASSAGES: &[(&str, usize)] = &[
    ("commit.", 40),
    ("stop.stepped", 10),
    ("import.committed", 4),
    ("carry.received", 2),
];

/// Where a story's hub is killed: at which passage of which place. Answers whether it came to that.
type Story = fn(&'static str) -> BoxFuture<'static, bool>;

/// What is going on at the places whose names begin so.
const STORIES: &[(&str, Story)] = &[
    ("commit.", |at| writing::tasks(at).boxed()),
    ("letter.", |at| writing::letter(at).boxed()),
    ("answer.", |at| writing::answer(at).boxed()),
    ("session.", |at| writing::session(at).boxed()),
    ("spawn.", |at| stories::spawn(at).boxed()),
    ("adopt.", |at| stories::adopt(at).boxed()),
    ("carry.", |at| stories::carry(at).boxed()),
    ("import.", |at| stories::import(at).boxed()),
    ("backup.", |at| stories::backup(at).boxed()),
    ("pair.", |at| stories::pair(at).boxed()),
    ("stop.", |at| stories::stop(at).boxed()),
];

/// All places there are in the source.
fn places() -> Vec<String> {
    let (mut places, mut dirs) = (
        Vec::new(),
        vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")],
    );
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("src is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(path).expect("source is readable");
                let named = text.split("crash::point(\"").skip(1);
                places.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    places.sort();
    places
}

#[test]
fn every_place_has_one_name_and_a_story() {
    let places = places();
    assert!(places.len() > 30, "{places:?}");
    for pair in places.windows(2) {
        assert_ne!(pair[0], pair[1], "two places have the same name");
    }
    for (begin, _) in STORIES {
        let told = places.iter().any(|place| place.starts_with(begin));
        assert!(told, "there is no place {begin}*: is the table true?");
    }
}

fn story(place: &str) -> Story {
    let found = STORIES.iter().find(|(begin, _)| place.starts_with(begin));
    found
        .unwrap_or_else(|| panic!("nobody tells a story of {place}"))
        .1
}

fn passages(place: &str) -> usize {
    let found = PASSAGES.iter().find(|(begin, _)| place.starts_with(begin));
    found.map_or(1, |(_, times)| *times)
}

/// Place and passage of a turn: the first passage of every place first.
fn turn(places: &[String], turn: usize) -> (&str, usize) {
    let place = &places[turn % places.len()];
    // Steps of seven visit all of them; the first is the first.
    (place, turn / places.len() * 7 % passages(place) + 1)
}

#[test]
fn all_places_come_first_and_then_their_other_passages() {
    let places = ["backup.synced".to_owned(), "stop.stepped".to_owned()];
    assert_eq!(
        (turn(&places, 0), turn(&places, 1)),
        (("backup.synced", 1), ("stop.stepped", 1))
    );
    let passages: std::collections::BTreeSet<_> = (0..40)
        .map(|n| turn(&places, n))
        .filter(|(place, _)| place.starts_with("stop"))
        .collect();
    assert_eq!(passages.len(), 10, "{passages:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_place_nothing_is_lost_doubled_or_stuck() {
    let places = places();
    let places = Arc::new(places);
    let many = std::env::var("N").ok().and_then(|text| text.parse().ok());
    let many: usize = many.unwrap_or(places.len());
    let next = Arc::new(AtomicUsize::new(0));
    let killed = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let tellers: Vec<_> = (0..TOGETHER)
        .map(|_| {
            let (places, next, killed) = (Arc::clone(&places), Arc::clone(&next), Arc::clone(&killed));
            tokio::spawn(async move {
                // A passage that a story did not come to kills nobody; then it takes another turn.
                while kills(&killed.lock().expect("not poisoned")) < many {
                    let (place, passage) = turn(&places, next.fetch_add(1, Ordering::Relaxed));
                    // Told of as it begins: should it hang or panic, it is known where.
                    eprintln!("killed at passage {passage} of {place}");
                    let at: &'static str = format!("{place}:{passage}").leak();
                    let came_to_it = story(place)(at).await;
                    assert!(came_to_it || passage > 1, "{place} was never passed");
                    let mut killed = killed.lock().expect("not poisoned");
                    *killed.entry(place.to_owned()).or_default() += usize::from(came_to_it);
                }
            })
        })
        .collect();
    for teller in tellers {
        teller.await.expect("nothing is lost, doubled or stuck");
    }
    let killed = killed.lock().expect("not poisoned");
    println!("{} kills at {} places: {killed:?}", kills(&killed), killed.len());
    for place in places.iter() {
        assert!(
            killed.get(place).is_some_and(|times| *times > 0),
            "{place} was never passed"
        );
    }
}

fn kills(killed: &BTreeMap<String, usize>) -> usize {
    killed.values().sum()
}
