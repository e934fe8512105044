//! How the daemon counts: meters that rooms hold and move, and the page on which all of them are shown, in the text format
//! of Prometheus. The library is named here and nowhere else.
//!
//! A meter is an atomic number that its room owns; nothing is global, so two daemons in one process count apart. Facts
//! that are known anyway are not counted twice: they are written onto the page when somebody asks for it.
//!
//! Names begin with `maestro_`, hold the unit (`_seconds`, `_bytes`), and what only grows ends in `_total`. A label has
//! a handful of values that the code knows: never an id, a path as it was sent, or a text of a client.

// Names, labels and buckets of meters are written in this crate; the test of the page makes every one of them.
#![allow(clippy::expect_used)]

use prometheus::{
    HistogramOpts, Opts, Registry, TextEncoder,
    core::{Collector, GenericCounterVec, GenericGaugeVec},
};
use tracing::error;

/// A number that only grows.
pub type Counter = prometheus::IntCounter;
/// Numbers that only grow, by label.
pub type Counters = prometheus::IntCounterVec;
/// A number that goes up and down.
pub type Gauge = prometheus::IntGauge;
/// How often, and how much in all, by size.
pub type Histogram = prometheus::Histogram;
/// The same by label.
pub type Histograms = prometheus::HistogramVec;

/// The content type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A counter at zero.
pub fn counter(name: &str, help: &str) -> Counter {
    Counter::new(name, help).expect("a proper name")
}

/// Counters that appear once they are moved.
pub fn counters(name: &str, help: &str, labels: &[&str]) -> Counters {
    Counters::new(Opts::new(name, help), labels).expect("a proper name")
}

/// A gauge at zero.
pub fn gauge(name: &str, help: &str) -> Gauge {
    Gauge::new(name, help).expect("a proper name")
}

/// A histogram of nothing yet.
pub fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())).expect("a proper name")
}

/// Histograms that appear once they are moved.
pub fn histograms(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Histograms {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    Histograms::new(opts, labels).expect("a proper name")
}

/// What is shown to whoever asks once.
#[derive(Default)]
pub struct Page {
    registry: Registry,
}

impl Page {
    /// With nothing on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A meter as well.
    pub fn meter(&self, meter: &(impl Collector + Clone + 'static)) {
        if let Err(error) = self.registry.register(Box::new(meter.clone())) {
            error!("a metric is not shown: {error}"); // two of one name: the test of the page fails
        }
    }

    /// A fact that goes up and down.
    pub fn gauge(&self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [], [([], value)]);
    }

    /// A fact that only grows.
    pub fn counter(&self, name: &str, help: &str, value: u64) {
        self.counters(name, help, [], [([], value)]);
    }

    /// Facts that go up and down, by label.
    pub fn gauges<'a, const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = ([&'a str; N], f64)>,
    ) {
        let gauges = GenericGaugeVec::<prometheus::core::AtomicF64>::new(Opts::new(name, help), &labels)
            .expect("a proper name");
        for (values, value) in rows {
            gauges.with_label_values(&values).set(value);
        }
        self.meter(&gauges);
    }

    /// Facts that only grow, by label.
    pub fn counters<'a, const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = ([&'a str; N], u64)>,
    ) {
        let counters = GenericCounterVec::<prometheus::core::AtomicU64>::new(Opts::new(name, help), &labels)
            .expect("a proper name");
        for (values, value) in rows {
            counters.with_label_values(&values).inc_by(value);
        }
        self.meter(&counters);
    }

    /// The page as text.
    pub fn text(&self) -> String {
        let encoded = TextEncoder::new().encode_to_string(&self.registry.gather());
        encoded.unwrap_or_else(|error| {
            error!("the metrics could not be written: {error}");
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_meters_and_facts_as_prometheus_reads_them() {
        let page = Page::new();
        let asked = counters("maestro_asked_total", "Questions", &["who"]);
        asked.with_label_values(&["ann"]).inc_by(2);
        let took = histogram("maestro_took_seconds", "Time", &[0.1, 1.0]);
        took.observe(0.5);
        page.meter(&asked);
        page.meter(&took);
        page.gauge("maestro_open", "Open", 1.5);
        page.counters("maestro_cut_total", "Cut", ["kind"], [(["raw"], 7)]);
        let text = page.text();
        for line in [
            "# TYPE maestro_asked_total counter",
            "maestro_asked_total{who=\"ann\"} 2",
            "maestro_took_seconds_bucket{le=\"0.1\"} 0",
            "maestro_took_seconds_bucket{le=\"1\"} 1",
            "maestro_took_seconds_count 1",
            "# HELP maestro_open Open",
            "maestro_open 1.5",
            "maestro_cut_total{kind=\"raw\"} 7",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn a_name_is_shown_once() {
        let page = Page::new();
        page.gauge("maestro_open", "Open", 1.0);
        page.gauge("maestro_open", "Open", 2.0);
        assert_eq!(
            page.text()
                .lines()
                .filter(|l| l.starts_with("maestro_open "))
                .count(),
            1
        );
    }
}
