//! How much of what another program says goes into the log: so much in a while, and the rest is counted.

use std::time::{Duration, Instant};

/// That while.
const WHILE: Duration = Duration::from_secs(60);

/// What one program has said of late.
#[derive(Debug)]
pub(super) struct Loudness {
    lines: usize,
    bytes: usize,
    since: Option<Instant>,
    said: (usize, usize),
    left_out: u64,
    told: bool,
}

impl Loudness {
    /// So many lines with so many bytes.
    pub(super) const fn new(lines: usize, bytes: usize) -> Self {
        Self { lines, bytes, since: None, said: (0, 0), left_out: 0, told: false }
    }

    /// Whether a line is said now, and how many were left out before that are to be told of.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> (bool, u64) {
        let before = self.begin(now);
        let (lines, said) = self.said;
        let is_said = lines < self.lines && said < self.bytes;
        if is_said {
            self.said = (lines + 1, said + bytes);
        } else {
            self.left_out += 1;
        }
        (is_said, before)
    }

    /// It says no more for now: how many were left out, which is told once in a while.
    pub(super) fn rest(&mut self, now: Instant) -> u64 {
        let before = self.begin(now);
        if self.left_out == 0 || self.told {
            return before;
        }
        self.told = true;
        std::mem::take(&mut self.left_out)
    }

    /// The next while, when one is over: how many were left out in that and not told of.
    fn begin(&mut self, now: Instant) -> u64 {
        if self.since.is_some_and(|since| now.saturating_duration_since(since) < WHILE) {
            return 0;
        }
        (self.since, self.said, self.told) = (Some(now), (0, 0), false);
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_once_in_a_while() {
        let (start, mut loud) = (Instant::now(), Loudness::new(3, 100));
        for _ in 0..3 {
            assert_eq!(loud.take(start, 10), (true, 0));
        }
        for _ in 0..7 {
            assert_eq!(loud.take(start, 10), (false, 0));
        }
        assert_eq!((loud.rest(start), loud.rest(start)), (7, 0));
        assert_eq!(loud.take(start + WHILE / 2, 10), (false, 0));
        assert_eq!(loud.rest(start + WHILE / 2), 0, "it was told of in this while");
        assert_eq!(loud.take(start + WHILE, 200), (true, 1));
        assert_eq!(loud.take(start + WHILE, 1), (false, 0), "one line was too long");
        assert_eq!(loud.rest(start + WHILE * 3), 1);
        assert_eq!(loud.rest(start + WHILE * 3), 0);
    }
}
