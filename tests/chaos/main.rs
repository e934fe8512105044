//! Chaos: a real hub with everything it looks after, used by all its kinds of clients at once, while whatever can break
//! is broken: see [`faults::Fault`]. A model ([`model`]) knows what was promised and complains of what is not kept.
//!
//! ```sh
//! make chaos MINUTES=60 SEED=7
//! ```
//!
//! The seed decides what goes wrong and when, what is asked, and by whom; what the machine makes of it is its own.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says why and stops

mod agents;
mod faults;
mod followers;
#[path = "../harness/mod.rs"]
mod harness;
mod house;
mod line;
mod model;
mod replica;
mod settle;
mod workers;
mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    followers::{Follower, Known},
    house::House,
    settle::Settling,
    world::{POSTS, World},
};

/// How long a round of faults is (ms), before the quiet moment that ends it.
const ROUND: u64 = 12_000;

fn number(name: &str) -> Option<f64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Long enough to meet most faults, short enough to be part of every test run.
const SHORT: f64 = 2.5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_breaks_the_hub_keeps_its_promises() {
    let minutes = number("MINUTES").unwrap_or(SHORT);
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("chaos: MINUTES={minutes} SEED={seed}");
    let deadline = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let house = House::build().await;
    println!(
        "disks are {}, clocks are {}",
        if house.can_fill_disks() {
            "filled"
        } else {
            "left alone (only root may mount)"
        },
        if house.can_move_clocks() {
            "moved"
        } else {
            "left alone (no cc)"
        },
    );
    let mut hub = house.hub().await;
    house.start(&mut hub).await.expect("a start");
    drop(hub);
    let world = Arc::new(World::build(house, seed).await);
    let mut people = JoinSet::new();
    let followers = follow(&world, &mut people).await;
    work(&world, &mut people);
    let mut settling = Settling::new(followers);
    let (mut faults, mut rounds) = (BTreeMap::<String, u64>::new(), 0);
    while Instant::now() < deadline {
        let planned = faults::plan(seed, rounds, ROUND);
        for planned in &planned {
            *faults.entry(planned.fault.name()).or_default() += 1;
        }
        world.tell(format!("== round {rounds}"));
        let begun = Instant::now();
        let happened = faults::happen(&world, planned).await;
        // Whatever is left of the round is for what follows from its faults.
        tokio::time::sleep(Duration::from_millis(ROUND).saturating_sub(begun.elapsed())).await;
        let kept = match happened {
            Ok(()) => settling.settle(&world).await,
            broken => broken,
        };
        if let Err(broken) = kept {
            world.house.keep.store(true, Ordering::Relaxed);
            people.abort_all();
            println!(
                "SEED={seed}, round {rounds}; the last of what happened:\n{}",
                world.story()
            );
            panic!("in round {rounds} of SEED={seed}:\n{broken}");
        }
        rounds += 1;
        if rounds % 20 == 0 {
            report(&world, &settling, &faults, rounds);
        }
    }
    world.over.store(true, Ordering::Relaxed);
    people.abort_all();
    report(&world, &settling, &faults, rounds);
    let acknowledged: u64 = world.model().acknowledged().values().sum();
    assert!(acknowledged > 100, "hardly anything was done: {acknowledged}");
}

fn report(world: &World, settling: &Settling, faults: &BTreeMap<String, u64>, rounds: u64) {
    println!(
        "{rounds} rounds, {:.1} minutes",
        Duration::from_micros(world.now()).as_secs_f64() / 60.0
    );
    println!("acknowledged: {:?}", world.model().acknowledged());
    println!("faults: {faults:?}");
    for (name, known) in &settling.followers {
        let known = known.lock().expect("not poisoned");
        println!(
            "{name}: {} events, {} connections, {} resets",
            known.events, known.connections, known.resets
        );
    }
    let most = |of: fn(&settle::Level) -> u64| settling.levels.iter().map(of).max().unwrap_or_default();
    println!(
        "levels: first {:?}, last {:?}, most {} KB and {} descriptors",
        settling.levels.first(),
        settling.levels.last(),
        most(|level| level.memory_kb),
        most(|level| level.descriptors),
    );
}

/// Phones near and far, desktops old and new, a script.
async fn follow(world: &Arc<World>, people: &mut JoinSet<()>) -> Vec<(&'static str, Arc<Mutex<Known>>)> {
    let near = |name| Follower {
        name,
        known: Arc::default(),
        port: world.house.line.port,
        host: format!("localhost:{}", world.house.port),
        headers: Vec::new(),
        project: world.project.clone(),
        auth: json!({"projectId": world.project}),
        caller: world.house.caller(),
    };
    let paired = world.pair().await.expect("a paired phone");
    let edge = &world.house.edge;
    let far = Follower {
        port: edge.port(),
        host: edge.host(),
        headers: vec![("origin", edge.url()), ("cookie", paired.cookie)],
        auth: json!({"projectId": world.project, "token": paired.token}),
        ..near("a phone far away")
    };
    let all = [
        near("a phone"),
        near("another phone"),
        far,
        near("a desktop"),
        near("an old desktop"),
        near("a script"),
    ];
    let known = all
        .iter()
        .map(|follower| (follower.name, Arc::clone(&follower.known)))
        .collect();
    let [phone, another, far, desktop, old, script] = all;
    people.spawn(phone.be_a_phone());
    people.spawn(another.be_a_phone());
    people.spawn(far.be_a_phone());
    people.spawn(desktop.be_a_desktop());
    people.spawn(old.be_an_old_desktop());
    people.spawn(script.be_a_script());
    known
}

fn work(world: &Arc<World>, people: &mut JoinSet<()>) {
    for n in 0..3 {
        people.spawn(workers::tasks(Arc::clone(world), format!("tasks {n}")));
        people.spawn(workers::timelines(Arc::clone(world), format!("timelines {n}")));
        people.spawn(workers::letters(Arc::clone(world), format!("letters {n}")));
    }
    for post in &POSTS[..2] {
        people.spawn(workers::reader(Arc::clone(world), post));
    }
    for session in &world.claimers {
        people.spawn(workers::claimer(Arc::clone(world), session.clone()));
    }
    for n in 0..2 {
        people.spawn(workers::asker(Arc::clone(world), format!("asker {n}")));
    }
    for n in 0..4 {
        people.spawn(agents::local(Arc::clone(world), n % 2 == 0));
    }
    for _ in 0..2 {
        people.spawn(agents::remote(Arc::clone(world)));
    }
    people.spawn(agents::watcher(Arc::clone(world)));
}
