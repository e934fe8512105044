//! Which lines of a child reach our own log: repeats are counted, and a flood is summed up. Pure.

use std::time::Duration;

/// Lines at once, and per second after that.
const BURST: f64 = 50.0;
const RATE: f64 = 10.0;

/// Lets lines through at a bounded rate.
#[derive(Debug)]
pub struct Collapser {
    last: String,
    repeats: u64,
    dropped: u64,
    tokens: f64,
    filled: Duration,
}

impl Collapser {
    /// Nothing said yet, at `now`.
    pub fn new(now: Duration) -> Collapser {
        Collapser {
            last: String::new(),
            repeats: 0,
            dropped: 0,
            tokens: BURST,
            filled: now,
        }
    }

    /// What to log for this line: nothing, or the line with what was held back before it.
    pub fn line(&mut self, line: &str, now: Duration) -> Vec<String> {
        if line == self.last && !line.is_empty() {
            self.repeats += 1;
            return Vec::new();
        }
        self.refill(now);
        if self.tokens < 1.0 {
            self.dropped += 1 + std::mem::take(&mut self.repeats);
            self.last.clear();
            return Vec::new();
        }
        self.tokens -= 1.0;
        let mut said = self.held_back();
        self.last = line.to_owned();
        said.push(line.to_owned());
        said
    }

    /// What is still held back, once in a while and at the end.
    pub fn flush(&mut self, now: Duration) -> Vec<String> {
        self.refill(now);
        if self.tokens < 1.0 {
            return Vec::new();
        }
        self.held_back()
    }

    fn held_back(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        match std::mem::take(&mut self.repeats) {
            0 => {}
            1 => said.push("(the last line once more)".to_owned()),
            times => said.push(format!("(the last line {times} times more)")),
        }
        match std::mem::take(&mut self.dropped) {
            0 => {}
            lines => said.push(format!("({lines} lines not copied; see the child's own log)")),
        }
        said
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * RATE).min(BURST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn repeats_are_counted_instead_of_copied() {
        let mut collapser = Collapser::new(NOW);
        assert_eq!(collapser.line("again", NOW), ["again"]);
        for _ in 0..1_000 {
            assert!(collapser.line("again", NOW).is_empty());
        }
        assert_eq!(
            collapser.line("else", NOW),
            ["(the last line 1000 times more)", "else"]
        );
        collapser.line("else", NOW);
        assert_eq!(collapser.flush(NOW), ["(the last line once more)"]);
        assert!(collapser.flush(NOW).is_empty());
    }

    #[test]
    fn a_flood_is_summed_up() {
        let mut collapser = Collapser::new(NOW);
        let said: usize = (0..30_000)
            .map(|i| collapser.line(&i.to_string(), NOW).len())
            .sum();
        assert_eq!(said, 50);
        let later = Duration::from_secs(1);
        assert_eq!(
            collapser.line("calm", later),
            ["(29950 lines not copied; see the child's own log)", "calm"]
        );
    }

    #[test]
    fn a_flood_that_goes_on_is_copied_at_the_rate() {
        let mut collapser = Collapser::new(NOW);
        let lines = (0..100_000u64).map(|i| (i.to_string(), Duration::from_millis(i)));
        let said: usize = lines.map(|(line, at)| collapser.line(&line, at).len()).sum();
        assert!((1_000..2_200).contains(&said), "{said} lines in 100 s");
    }
}
