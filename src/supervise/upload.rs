//! How long an upload took, and for how long it may be silent in return.

use std::time::{Duration, Instant};

/// A part that the system has taken whole is on its way for a while, and nothing is written until it has arrived: a pause
/// of this length still belongs to the upload. One of Litestream's own between two attempts gets longer than that.
const PAUSE: Duration = Duration::from_secs(10);

/// What was seen of Litestream's uploads.
///
/// A server puts the parts of a large upload together before it answers, and S3 may take minutes for it (its
/// `CompleteMultipartUpload`): no longer than the parts took. That is time by the clock. A count of the looks at which
/// something had moved, less those at which nothing had, would be near nothing where every part is written in one go.
#[derive(Debug)]
pub(super) struct Upload {
    /// When something moved for the last time.
    moved: Instant,
    /// How long the parts took, less the silences that were allowed for it.
    took: Duration,
}

impl Upload {
    /// Nothing has moved up to now.
    pub(super) fn new(now: Instant) -> Self {
        Self { moved: now, took: Duration::ZERO }
    }

    /// Something has moved since the last look.
    pub(super) fn moves(&mut self, now: Instant) {
        let pause = now.duration_since(self.moved);
        self.took = if pause <= PAUSE { self.took + pause } else { self.took.saturating_sub(pause) };
        self.moved = now;
    }

    /// Whether silence may mean that the parts are being put together.
    pub(super) fn may_be_silent(&self, now: Instant) -> bool {
        now.duration_since(self.moved) < self.took
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds after the start; at each of `moves` something has moved.
    fn upload(moves: impl IntoIterator<Item = u64>) -> (Upload, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |second| start + Duration::from_secs(second);
        let mut upload = Upload::new(start);
        moves.into_iter().for_each(|second| upload.moves(at(second)));
        (upload, at)
    }

    #[test]
    fn silence_may_last_as_long_as_the_parts_took_however_often_they_were_seen_to_move() {
        for every in [1, 2, 4, 5, 10] {
            let (upload, at) = upload((0..=20).step_by(every));
            assert!(upload.may_be_silent(at(39)) && !upload.may_be_silent(at(40)), "every {every} s");
        }
        let (nothing, at) = upload([]);
        assert!(!nothing.may_be_silent(at(0)));
    }

    #[test]
    fn silence_is_allowed_once() {
        let (upload, at) = upload((0..=20).chain([35]));
        assert!(upload.may_be_silent(at(39)) && !upload.may_be_silent(at(40)), "5 s are left");
    }

    #[test]
    fn attempts_that_get_rarer_come_to_an_end() {
        // The pauses of a client that backs off, each with an attempt that is written and refused.
        let (upload, at) = upload([1, 2, 4, 8, 16, 32, 52]);
        assert!(!upload.may_be_silent(at(53)));
    }
}
