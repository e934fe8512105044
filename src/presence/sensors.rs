//! Hearing of the end of local agents: the kernel tells, and where it will not, we ask now and then.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::SessionId;
use crate::process::{Identity, Life, Watch};
use crate::shutdown::TaskGroup;

use super::registry::WatchId;

/// Descriptors that watching may take. Beyond it processes are asked about.
const KERNEL_WATCHES: usize = 1024;
/// How often those are asked about.
const POLL: Duration = Duration::from_secs(2);
/// Ends that may wait to be heard; a watch whose end does not fit waits itself.
const QUEUE: usize = 256;

/// A watched process has ended.
#[derive(Debug)]
pub struct Ended {
    /// Whose agent it was.
    pub session: SessionId,
    /// Which watch says so.
    pub watch: WatchId,
}

/// All watches. One task each; a watch ends with its entry here.
pub struct Sensors {
    tasks: TaskGroup,
    room: Arc<Semaphore>,
    ends: mpsc::Sender<Ended>,
    watches: HashMap<SessionId, DropGuard>,
}

impl Sensors {
    /// No watches yet, and where their ends will be heard.
    pub fn new(tasks: TaskGroup) -> (Self, mpsc::Receiver<Ended>) {
        Self::with_room(tasks, KERNEL_WATCHES)
    }

    /// The same with room for so many watches of the kernel's.
    pub fn with_room(tasks: TaskGroup, room: usize) -> (Self, mpsc::Receiver<Ended>) {
        let (ends, heard) = mpsc::channel(QUEUE);
        let sensors = Self {
            tasks,
            room: Arc::new(Semaphore::new(room)),
            ends,
            watches: HashMap::new(),
        };
        (sensors, heard)
    }

    /// Watches a process in place of whatever was watched for this session.
    pub fn watch(&mut self, session: SessionId, identity: Identity, watch: WatchId) {
        let over = CancellationToken::new();
        self.watches.insert(session.clone(), over.clone().drop_guard());
        let (room, ends) = (self.room.clone(), self.ends.clone());
        self.tasks.spawn("agent", move |stop| async move {
            let heard = async {
                end_of(&identity, &room).await;
                let _ = ends.send(Ended { session, watch }).await; // nobody hears: we are stopping
            };
            tokio::select! {
                biased; // a watch that was replaced says nothing, even if its process has ended meanwhile
                () = stop.cancelled() => {}
                () = over.cancelled() => {}
                () = heard => {}
            }
        });
    }

    /// Ends the watch of a session's agent.
    pub fn unwatch(&mut self, session: &SessionId) {
        self.watches.remove(session);
    }
}

/// Returns when the process is gone. The watch is opened first and the identity compared then, so that no other process
/// of that pid can slip in between.
async fn end_of(identity: &Identity, room: &Semaphore) {
    match room.try_acquire() {
        Ok(_permit) => {
            let Ok(watch) = Watch::new(identity) else {
                return until_dead(identity).await; // gone, or no descriptor to be had
            };
            if !matches!(identity.life(), Ok(Life::Dead)) {
                watch.ended().await;
            }
        }
        Err(_) => until_dead(identity).await,
    }
}

async fn until_dead(identity: &Identity) {
    while !matches!(identity.life(), Ok(Life::Dead)) {
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use crate::process::identity;

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn new() -> Self {
            Self(Command::new("sleep").arg("60").spawn().expect("sleep starts"))
        }

        fn identity(&self) -> Identity {
            identity::of(self.0.id().cast_signed())
                .expect("readable")
                .expect("alive")
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn session(id: &str) -> SessionId {
        SessionId::parse(id).expect("an id")
    }

    async fn next(ends: &mut mpsc::Receiver<Ended>) -> (String, WatchId) {
        let ended = tokio::time::timeout(Duration::from_secs(20), ends.recv()).await;
        let ended = ended.expect("in time").expect("open");
        (ended.session.to_string(), ended.watch)
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_heard_with_and_without_the_kernel() {
        for room in [8, 0] {
            let tasks = TaskGroup::default();
            let (mut sensors, mut ends) = Sensors::with_room(tasks.clone(), room);
            let mut sleeper = Sleeper::new();
            sensors.watch(session("s"), sleeper.identity(), 7);
            sleeper.0.kill().expect("killed"); // and not waited for: a zombie is dead
            assert_eq!(next(&mut ends).await, ("s".to_owned(), 7), "room for {room}");
            assert!(tasks.close(Duration::from_secs(20)).await);
        }
    }

    #[tokio::test]
    async fn a_process_that_is_somebody_else_by_now_has_ended() {
        let (mut sensors, mut ends) = Sensors::new(TaskGroup::default());
        let sleeper = Sleeper::new();
        let mut identity = sleeper.identity();
        identity.token -= 1;
        sensors.watch(session("s"), identity, 1);
        assert_eq!(next(&mut ends).await, ("s".to_owned(), 1));
    }

    #[tokio::test]
    async fn a_watch_that_was_replaced_says_nothing() {
        let tasks = TaskGroup::default();
        let (mut sensors, mut ends) = Sensors::new(tasks.clone());
        let (mut old, mut new) = (Sleeper::new(), Sleeper::new());
        sensors.watch(session("s"), old.identity(), 1);
        sensors.watch(session("s"), new.identity(), 2);
        old.0.kill().expect("killed");
        new.0.kill().expect("killed");
        assert_eq!(next(&mut ends).await, ("s".to_owned(), 2));
        sensors.unwatch(&session("s"));
        assert!(tasks.close(Duration::from_secs(20)).await);
        assert!(ends.try_recv().is_err());
    }
}
