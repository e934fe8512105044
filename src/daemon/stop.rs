//! The order of stop. Clients first, the store behind them, redis last: nobody outlives what it stands on.

use std::{thread, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::service::{logging::Logging, manager::StopLimits, signals::Wish};

use super::{
    Daemon, Exit,
    plan::{Step, carry_out},
    settings,
};

/// What is left of a step's time for saying goodbye to sockets and for answers on their way.
const GOODBYE: Duration = Duration::from_millis(500);
/// From the word to clients to the end of the tunnel that carries it (SUPERVISION 4.4).
const NOTICE_FIRST: Duration = Duration::from_millis(150);
/// What telling a child's task takes.
const HAND_OVER: Duration = Duration::from_millis(100);
/// How much later than planned the process ends whatever hangs.
const LAST_RESORT: Duration = Duration::from_secs(1);
/// What the store and a kill get even when nobody has patience: they are quick, unless something is badly wrong.
const FIRM: Duration = Duration::from_secs(1);

impl Daemon {
    /// Stops everything in order, within the profile's time. A second wish to stop takes the patience out of it.
    pub(super) async fn stop(self, why: &str) -> Exit {
        let (loaded, launchd) = (self.loaded.load(), self.launchd_waits.get().copied());
        let limits = settings::stop_profile(&loaded.config, &self.ground.owner, launchd).limits();
        drop(loaded);
        info!(within_s = limits.exit.as_secs_f32(), "stopping");
        end_whatever_hangs(limits.exit + LAST_RESORT);
        let Self {
            ground,
            hub,
            gateway,
            connections,
            listeners,
            ingress,
            scrapes,
            store,
            server_url,
            operator,
            background,
            children,
            redis,
            tunnel,
            desk,
            ..
        } = self;
        let (children, redis, tunnel) = (&children, redis.as_ref(), tunnel.handle());
        let (hub, gateway, connections) = (&hub, &gateway, &connections);
        let (listeners, ingress, scrapes) = (&listeners, &ingress, &scrapes);
        let (store, background, notifier) = (&store, &background, &ground.notifier);
        let hurry = CancellationToken::new();
        let mut signals = ground.signals;
        let impatience = {
            let hurry = hurry.clone();
            async move {
                while !matches!(signals.next().await, Wish::Stop | Wish::StopNow) {}
                warn!("asked again: stopping at once");
                hurry.cancel();
                std::future::pending::<()>().await;
            }
        };
        let steps = vec![
            Step::new("say so", Duration::ZERO, |_| async {
                hub.stopping().cancel();
                notifier.stopping("stopping");
                notifier.extend_timeout(limits.exit + LAST_RESORT);
                connections.finish();
                ingress.finish();
                scrapes.finish();
            }),
            Step::new("close the tunnel", NOTICE_FIRST + HAND_OVER, |_| async {
                if let Some(tunnel) = tunnel {
                    // The notice to clients leaves first; then it ends beside what follows.
                    tokio::time::sleep(NOTICE_FIRST).await;
                    let rest = limits.kill.saturating_sub(NOTICE_FIRST);
                    tunnel.shut_down_soon(rest).await;
                }
            }),
            Step::new("answer what was asked", limits.close_clients, |_| async {
                hub.in_flight().close();
                hub.in_flight().wait().await;
            }),
            Step::new(
                "close sockets",
                limits.close_clients + GOODBYE,
                |limit| async move {
                    hub.sockets().close(limit).await;
                    gateway.close(limit.min(GOODBYE)).await;
                },
            ),
            Step::new(
                "close listeners",
                limits.close_clients + 2 * GOODBYE,
                |limit| async move {
                    ingress.close(limit.min(GOODBYE)).await;
                    listeners.close(limit).await;
                    connections.close(limit.min(GOODBYE)).await;
                    scrapes.close(limit.min(GOODBYE)).await;
                },
            ),
            Step::new("stop looking after things", limits.kill, |limit| async move {
                background.close(limit).await;
            }),
            Step::new("close the store", limits.kill, |_| async {
                hub.devices().audit().close().await;
                let database = store.database().clone();
                // Waits for what was accepted, then folds the log into the file.
                let closed = tokio::task::spawn_blocking(move || database.close()).await;
                if let Err(error) = closed {
                    warn!("the store did not close: {error}");
                }
            })
            .at_least(FIRM),
            Step::new("end redis", limits.exit, |limit| async move {
                // Asks, and kills when four fifths of the time are over: that is the plan's time to kill.
                if let Some(redis) = redis {
                    redis.shutdown(limit).await;
                }
            }),
            Step::new("kill what is left", limits.exit, |limit| async move {
                let left = [tunnel, redis].into_iter().flatten();
                for child in left.filter(|child| child.status().pid.is_some()) {
                    let _ended = child.kill().await;
                    child.wait(limit / 2, |status| status.pid.is_none()).await;
                }
                children.close(limit).await;
            })
            .at_least(FIRM),
            Step::new("close the control socket", limits.exit, |limit| async move {
                desk.close(limit).await;
            }),
        ];
        tokio::select! {
            () = carry_out(steps, &hurry) => {}
            () = impatience => {} // never: it only cancels
        }
        drop(server_url);
        operator.note(Some(why));
        info!("stopped");
        flush(&ground.logging, limits);
        Exit::Stopped
    }
}

fn flush(logging: &Logging, limits: StopLimits) {
    logging.flush(Duration::from_millis(500).min(limits.exit));
}

/// A thread of its own: what hangs may be the runtime itself.
fn end_whatever_hangs(after: Duration) {
    thread::spawn(move || {
        thread::sleep(after);
        eprintln!("maestrod: the stop took too long: ending now");
        std::process::exit(Exit::Bug as i32);
    });
}
