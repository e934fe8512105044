//! What goes wrong, chosen by the dice: the same seed has the same faults at the same times of the same rounds.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use nix::sys::signal::Signal;

use crate::{
    harness::Dice,
    house::{House, signal},
    world::World,
};

/// One thing that goes wrong. Times are in milliseconds, jumps in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    KillHub {
        down: u64,
    },
    /// Killed, started, and killed again in the middle of its start.
    KillHubTwice {
        after: u64,
    },
    StopHub {
        long: u64,
    },
    EndHub {
        down: u64,
    },
    ReloadHub,
    KillRedis,
    EndRedis,
    StopRedis {
        long: u64,
    },
    KillTunnel,
    StopTunnel {
        long: u64,
    },
    LoseEdge {
        long: u64,
    },
    FloodLog {
        long: u64,
    },
    FillDisk {
        which: usize,
        long: u64,
    },
    CutLines,
    HoldLines {
        long: u64,
    },
    SlowLines {
        delay: u64,
        long: u64,
    },
    JumpClock {
        by: i64,
    },
    Sleep {
        by: i64,
    },
    KillAgent,
    StopAgent {
        long: u64,
    },
}

impl Fault {
    /// Only one of these at a time: they handle the hub's own process.
    fn is_about_the_hub(&self) -> bool {
        matches!(
            self,
            Self::KillHub { .. } | Self::KillHubTwice { .. } | Self::StopHub { .. } | Self::EndHub { .. }
        )
    }

    /// For counts.
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    }
}

/// A fault and when it comes, from the beginning of its round (ms).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub at: u64,
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms: {:?}", self.at, self.fault)
    }
}

/// What goes wrong in a round of this length (ms).
pub fn plan(seed: u64, round: u64, long: u64) -> Vec<Planned> {
    let mut dice = Dice::of(seed, &format!("faults of round {round}"));
    let many = dice.between(3, 6);
    let mut planned: Vec<Planned> = (0..many)
        .map(|_| Planned {
            at: dice.below(long),
            fault: choose(&mut dice),
        })
        .collect();
    planned.sort_by_key(|planned| planned.at);
    planned
}

fn choose(dice: &mut Dice) -> Fault {
    let long = dice.between(200, 4_000);
    match dice.below(40) {
        0..=5 => Fault::KillHub {
            down: dice.below(1500),
        },
        6..=7 => Fault::KillHubTwice {
            after: dice.below(400),
        },
        8..=9 => Fault::StopHub { long },
        10 => Fault::StopHub {
            long: dice.between(9_000, 17_000),
        },
        11..=12 => Fault::EndHub {
            down: dice.below(500),
        },
        13 => Fault::ReloadHub,
        14..=17 => Fault::KillRedis,
        18 => Fault::EndRedis,
        19..=20 => Fault::StopRedis { long },
        21 => Fault::KillTunnel,
        22 => Fault::StopTunnel { long },
        23 => Fault::LoseEdge { long },
        24 => Fault::FloodLog {
            long: dice.between(300, 1_200),
        },
        25..=27 => Fault::FillDisk {
            which: usize::from(dice.once_in(2)),
            long,
        },
        28..=30 => Fault::CutLines,
        31 => Fault::HoldLines { long },
        32 => Fault::SlowLines {
            delay: dice.between(5, 60),
            long: 2 * long,
        },
        33 => Fault::JumpClock {
            by: i64::try_from(dice.between(1, 7200)).unwrap_or(1),
        },
        34 => Fault::JumpClock {
            by: -i64::try_from(dice.between(1, 7200)).unwrap_or(1),
        },
        35 => Fault::Sleep {
            by: i64::try_from(dice.between(5, 36_000)).unwrap_or(5),
        },
        36..=37 => Fault::KillAgent,
        _ => Fault::StopAgent { long },
    }
}

/// Lets a round's faults happen; answers when all of them are over.
///
/// # Errors
/// The hub could not be started again.
pub async fn happen(world: &Arc<World>, planned: Vec<Planned>) -> Result<(), String> {
    let all = planned.into_iter().enumerate().map(|(n, planned)| {
        let world = Arc::clone(world);
        async move {
            tokio::time::sleep(Duration::from_millis(planned.at)).await;
            let mut dice = Dice::of(world.seed, &format!("{n} {planned}"));
            let ended = carry_out(&world, &planned.fault, &mut dice).await;
            world.tell(format!("-- over: {:?}", planned.fault));
            ended
        }
    });
    join_all(all).await.into_iter().collect()
}

async fn carry_out(world: &World, fault: &Fault, dice: &mut Dice) -> Result<(), String> {
    if fault.is_about_the_hub() {
        return hub(world, fault).await;
    }
    world.tell(format!("-- {fault:?}"));
    let house = &world.house;
    let wait = |ms: u64| tokio::time::sleep(Duration::from_millis(ms));
    match *fault {
        Fault::KillRedis => all(&house.redis(), Signal::SIGKILL),
        Fault::EndRedis => all(&house.redis(), Signal::SIGTERM),
        Fault::KillTunnel => all(&house.tunnel(), Signal::SIGKILL),
        Fault::StopRedis { long } | Fault::StopTunnel { long } => {
            let pids = match fault {
                Fault::StopRedis { .. } => house.redis(),
                _ => house.tunnel(),
            };
            all(&pids, Signal::SIGSTOP);
            wait(long).await;
            all(&pids, Signal::SIGCONT);
        }
        Fault::LoseEdge { long } => {
            house.edge.lose();
            wait(long).await;
            house.edge.restore();
        }
        Fault::FloodLog { long } => {
            house.edge.state("flood");
            wait(long).await;
            house.edge.restore();
        }
        Fault::FillDisk { which, long } => {
            house.fill(which);
            tokio::select! {
                () = wait(long) => {}
                () = swell(world) => {}
            }
            house.make_room();
        }
        Fault::CutLines => house.line.cut(),
        Fault::HoldLines { long } => {
            house.line.hold(true);
            wait(long).await;
            house.line.hold(false);
        }
        Fault::SlowLines { delay, long } => {
            house.line.slow(Duration::from_millis(delay));
            wait(long).await;
            house.line.slow(Duration::ZERO);
        }
        Fault::JumpClock { by } => house.move_clocks(by, 0),
        Fault::Sleep { by } => house.move_clocks(0, by),
        Fault::KillAgent => {
            if let Some(session) = world.agents.kill(world, dice) {
                world.tell(format!("   the agent of {session} was ended"));
            }
        }
        Fault::StopAgent { long } => {
            if let Some(pid) = world.agents.stop(dice) {
                wait(long).await;
                signal(pid, Signal::SIGCONT);
            }
        }
        Fault::ReloadHub => {
            if let Some(pid) = house.hub().await.as_ref().map(|hub| hub.id().cast_signed()) {
                signal(pid, Signal::SIGHUP);
            }
        }
        Fault::KillHub { .. } | Fault::KillHubTwice { .. } | Fault::StopHub { .. } | Fault::EndHub { .. } => {
        }
    }
    Ok(())
}

/// Writes much, so that the want of room is felt soon. Never ends.
async fn swell(world: &World) {
    let (hub, path) = (world.house.caller(), format!("/api/projects/{}", world.project));
    loop {
        let body = serde_json::json!({"description": "x".repeat(200_000)});
        let reply = hub.call("PUT", &path, Some(body), &[]).await;
        world.heard("a long description", &reply, &[]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn all(pids: &[i32], what: Signal) {
    pids.iter().for_each(|pid| signal(*pid, what));
}

/// What is about the hub's own process: one after the other.
async fn hub(world: &World, fault: &Fault) -> Result<(), String> {
    let house: &House = &world.house;
    let mut hub = house.hub().await;
    world.tell(format!("-- {fault:?}"));
    let wait = |ms: u64| tokio::time::sleep(Duration::from_millis(ms));
    match *fault {
        Fault::StopHub { long } => {
            if let Some(pid) = hub.as_ref().map(|hub| hub.id().cast_signed()) {
                signal(pid, Signal::SIGSTOP);
                wait(long).await;
                signal(pid, Signal::SIGCONT);
            }
            return Ok(());
        }
        Fault::EndHub { down } => {
            if let Some(child) = hub.as_mut() {
                signal(child.id().cast_signed(), Signal::SIGTERM);
                ended(child).await?;
            }
            wait(down).await;
        }
        Fault::KillHub { down } => {
            kill(&mut hub).await?;
            wait(down).await;
        }
        Fault::KillHubTwice { after } => {
            kill(&mut hub).await?;
            *hub = Some(house.spawn());
            wait(after).await;
            kill(&mut hub).await?;
        }
        _ => return Ok(()),
    }
    *hub = None;
    house.start(&mut hub).await
}

async fn kill(hub: &mut Option<std::process::Child>) -> Result<(), String> {
    if let Some(child) = hub.as_mut() {
        let _gone = child.kill();
        ended(child).await?;
    }
    *hub = None;
    Ok(())
}

async fn ended(child: &mut std::process::Child) -> Result<(), String> {
    for _ in 0..6000 {
        if let Ok(Some(status)) = child.try_wait() {
            return match status.code() {
                Some(70) => Err(format!("maestrod ended with {status}")),
                _ => Ok(()),
            };
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("maestrod did not end within a minute".into())
}

#[test]
fn a_seed_has_its_faults_and_in_many_rounds_there_is_everything() {
    assert_eq!(plan(7, 3, 1000), plan(7, 3, 1000));
    assert_ne!(plan(7, 3, 1000), plan(8, 3, 1000));
    let names: std::collections::BTreeSet<String> = (0..300)
        .flat_map(|round| plan(1, round, 1000))
        .map(|planned| planned.fault.name())
        .collect();
    assert_eq!(names.len(), 20, "{names:?}");
}

#[test]
fn the_same_seed_throws_the_same_and_names_are_apart() {
    let throws = |mut dice: Dice| (0..20).map(|_| dice.below(1000)).collect::<Vec<_>>();
    assert_eq!(throws(Dice::of(7, "a")), throws(Dice::of(7, "a")));
    assert_ne!(throws(Dice::of(7, "a")), throws(Dice::of(7, "b")));
    assert_ne!(throws(Dice::of(7, "a")), throws(Dice::of(8, "a")));
    let firsts: std::collections::BTreeSet<u64> =
        (0..10_000).map(|n| Dice::of(7, &n.to_string()).roll()).collect();
    assert_eq!(firsts.len(), 10_000);
    let mut dice = Dice::new(1);
    assert!((0..500).all(|_| (3..=5).contains(&dice.between(3, 5))));
}
