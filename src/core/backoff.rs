//! How long to wait before something that failed is started again, and when to give up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// An exponential backoff with a cap, a jitter, a reset and a start limit.
#[derive(Clone, Debug)]
pub struct BackoffPolicy {
    /// The first delay.
    pub initial: Duration,
    /// No delay is longer, jitter aside.
    pub cap: Duration,
    /// What was up for this long starts from the first delay again.
    pub reset_after: Duration,
    /// This many restarts within `window` are the last.
    pub limit: usize,
    /// The time over which restarts are counted.
    pub window: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            cap: Duration::from_secs(30),
            reset_after: Duration::from_secs(30),
            limit: 10,
            window: Duration::from_secs(300),
        }
    }
}

/// The restarts of one thing.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    failures: u32,
    restarts: VecDeque<Instant>,
    random: u64,
}

impl Backoff {
    /// A fresh backoff; `seed` makes the jitter.
    pub fn new(policy: BackoffPolicy, seed: u64) -> Self {
        Self { policy, failures: 0, restarts: VecDeque::new(), random: seed | 1 }
    }

    /// The delay before the next start of what just ended after `up_for`, or `None` to give up.
    pub fn next(&mut self, now: Instant, up_for: Duration) -> Option<Duration> {
        if up_for >= self.policy.reset_after {
            self.failures = 0;
        }
        while self.restarts.front().is_some_and(|at| now.duration_since(*at) >= self.policy.window) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.policy.limit {
            return None;
        }
        self.restarts.push_back(now);
        // 2^20 times any sensible first delay is above any sensible cap.
        let delay = self.policy.initial.saturating_mul(1 << self.failures.min(20)).min(self.policy.cap);
        self.failures = self.failures.saturating_add(1);
        Some(delay + delay / 1000 * self.jitter())
    }

    /// 0 to 100 thousandths, so that a fleet that crashed together does not come back together.
    fn jitter(&mut self) -> u32 {
        // xorshift64 (Marsaglia 2003): nothing here needs better.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % 101) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn backoff(limit: usize) -> Backoff {
        Backoff::new(BackoffPolicy { limit, ..BackoffPolicy::default() }, 7)
    }

    #[test]
    fn doubles_from_100_ms_to_30_s_with_a_jitter_of_a_tenth() {
        let (now, mut backoff) = (Instant::now(), backoff(100));
        for expected in [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000] {
            let delay = backoff.next(now, Duration::ZERO).unwrap();
            let least = Duration::from_millis(expected);
            assert!(delay >= least && delay <= least * 11 / 10, "{delay:?} for {least:?}");
        }
    }

    #[test]
    fn starts_anew_after_a_long_life() {
        let (now, mut backoff) = (Instant::now(), backoff(100));
        for _ in 0..5 {
            backoff.next(now, Duration::from_secs(29)).unwrap();
        }
        assert!(backoff.next(now, Duration::from_secs(30)).unwrap() <= Duration::from_millis(110));
    }

    #[test]
    fn gives_up_at_the_limit_and_forgets_after_the_window() {
        let (now, mut backoff) = (Instant::now(), backoff(3));
        assert!((0..3).all(|_| backoff.next(now, Duration::ZERO).is_some()));
        assert_eq!(backoff.next(now + Duration::from_secs(299), Duration::ZERO), None);
        assert!(backoff.next(now + Duration::from_secs(300), Duration::ZERO).is_some());
    }

    #[test]
    fn the_jitter_is_any_up_to_a_tenth_and_none_is_usual() {
        let mut backoff = backoff(usize::MAX);
        let mut seen = [0; 101];
        for _ in 0..101_000 {
            seen[backoff.jitter() as usize] += 1;
        }
        assert!(seen.iter().all(|times| (800..1200).contains(times)), "{seen:?}");
    }

    #[test]
    fn those_that_crashed_together_do_not_come_back_together() {
        let first = |seed: u64| {
            let mut backoff =
                Backoff::new(BackoffPolicy::default(), seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            backoff.next(Instant::now(), Duration::ZERO).unwrap()
        };
        let delays: BTreeSet<Duration> = (1..=100).map(first).collect();
        assert!(delays.len() > 40, "{delays:?}");
        assert!(delays.iter().all(|delay| (100..=110).contains(&delay.as_millis())), "{delays:?}");
    }
}
