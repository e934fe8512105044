//! Costs of one operation at three sizes, and what is complained of.

use std::{collections::HashMap, fmt::Write as _};

/// What something costs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub allocations: f64,
    /// Asked for, or for those who wait: in use.
    pub bytes: f64,
    /// Of the hub, in microseconds; 0 where it is not known.
    pub cpu: f64,
}

impl Cost {
    /// The lesser of two, in each respect.
    pub fn cheaper(self, other: Self) -> Self {
        Self {
            allocations: self.allocations.min(other.allocations),
            bytes: self.bytes.min(other.bytes),
            cpu: self.cpu.min(other.cpu),
        }
    }

    /// Of each of so many.
    pub fn shared_by(self, many: usize) -> Self {
        let many = many as f64;
        Self {
            allocations: self.allocations / many,
            bytes: self.bytes / many,
            cpu: self.cpu / many,
        }
    }
}

/// An operation.
#[derive(Debug)]
pub struct Curve {
    what: &'static str,
    /// The unit of output that it is counted for.
    per: &'static str,
    /// What there is more of.
    of: &'static str,
    points: Vec<(usize, Cost)>,
}

/// What may be more at a hundred times the size: trees are a few steps deeper.
const DEEPER: (f64, f64, f64) = (1.3, 6.0, 2500.0);
/// What may be more than recorded: builds and libraries differ a little.
const DRIFT: (f64, f64, f64) = (1.15, 3.0, 2500.0);

impl Curve {
    pub fn new(what: &'static str, per: &'static str, of: &'static str) -> Self {
        Self {
            what,
            per,
            of,
            points: Vec::new(),
        }
    }

    /// Notes what it cost at a size.
    pub fn at(&mut self, size: usize, cost: Cost) {
        self.points.push((size, cost));
    }

    fn name(&self) -> String {
        format!("{}, per {}", self.what, self.per)
    }

    /// What is not as it should be.
    pub fn complaints(&self, record: &Record) -> Vec<String> {
        let mut complaints = Vec::new();
        let (Some((least, first)), Some((most, last))) = (self.points.first(), self.points.last()) else {
            return vec![format!("{}: not measured", self.name())];
        };
        if let Some(more) = exceeds(*last, *first, DEEPER) {
            complaints.push(format!(
                "{} costs more with more {}: {more} at {most}, at {least} {} allocations and {} bytes",
                self.name(),
                self.of,
                round(first.allocations),
                round(first.bytes),
            ));
        }
        for (size, cost) in &self.points {
            match record.0.get(&(self.name(), *size)) {
                None => complaints.push(format!("{} at {size} is not recorded: make costs", self.name())),
                Some(recorded) => {
                    if let Some(more) = exceeds(*cost, *recorded, DRIFT) {
                        complaints.push(format!(
                            "{} at {size}: {more}, recorded are {} allocations and {} bytes",
                            self.name(),
                            round(recorded.allocations),
                            round(recorded.bytes),
                        ));
                    }
                }
            }
        }
        complaints
    }
}

fn exceeds(cost: Cost, other: Cost, (times, allocations, bytes): (f64, f64, f64)) -> Option<String> {
    let more = cost.allocations > other.allocations * times + allocations
        || cost.bytes > other.bytes * times + bytes;
    more.then(|| {
        format!(
            "{} allocations and {} bytes",
            round(cost.allocations),
            round(cost.bytes)
        )
    })
}

/// What stands in docs/BENCHMARKS.md, by operation and size.
pub struct Record(HashMap<(String, usize), Cost>);

impl Record {
    /// Reads what [`table`] wrote.
    pub fn read(text: &str) -> Self {
        let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
        let mut record = HashMap::new();
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, name, sizes, allocations, bytes, ..] = cells[..] else {
                continue;
            };
            let sizes = numbers(sizes.split_once(' ').map_or(sizes, |(sizes, _)| sizes));
            let costs = numbers(allocations).into_iter().zip(numbers(bytes));
            for (size, (allocations, bytes)) in sizes.into_iter().zip(costs) {
                let cost = Cost {
                    allocations,
                    bytes,
                    cpu: 0.0,
                };
                record.insert((name.to_owned(), size as usize), cost);
            }
        }
        Self(record)
    }
}

fn numbers(cell: &str) -> Vec<f64> {
    cell.split('/')
        .filter_map(|number| number.trim().parse().ok())
        .collect()
}

/// All of them, as a table of Markdown.
pub fn table(curves: &[Curve]) -> String {
    let mut table = String::from(
        "| operation | with how many | allocations | bytes | CPU, µs |\n| --- | --- | --- | --- | --- |\n",
    );
    for curve in curves {
        let cells = |of: fn(&Cost) -> f64| {
            let numbers: Vec<String> = curve.points.iter().map(|(_, cost)| round(of(cost))).collect();
            numbers.join(" / ")
        };
        let sizes: Vec<String> = curve.points.iter().map(|(size, _)| size.to_string()).collect();
        let _infallible = writeln!(
            table,
            "| {} | {} {} | {} | {} | {} |",
            curve.name(),
            sizes.join("/"),
            curve.of,
            cells(|cost| cost.allocations),
            cells(|cost| cost.bytes),
            cells(|cost| cost.cpu),
        );
    }
    table
}

/// Without more digits than it is worth.
fn round(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}
