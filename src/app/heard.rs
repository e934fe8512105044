//! A bus that somebody listens to without a queue, behind all who have one.

use std::sync::Arc;

use crate::domain::{Event, Published};
use crate::ports::EventBus;

/// Delivers to `bus`, and then tells `hear` each event. Who is woken by it may be answered at once, and must not be told
/// of anything before the sockets are.
pub(super) fn heard(
    bus: Arc<dyn EventBus>,
    hear: impl Fn(&Event) + Send + Sync + 'static,
) -> Arc<dyn EventBus> {
    Arc::new(Heard { bus, hear })
}

struct Heard<F> {
    bus: Arc<dyn EventBus>,
    hear: F,
}

impl<F: Fn(&Event) + Send + Sync + 'static> EventBus for Heard<F> {
    fn publish(&self, events: Vec<Arc<Published>>) {
        self.bus.publish(events.clone());
        for published in &events {
            (self.hear)(&published.event);
        }
    }
}
