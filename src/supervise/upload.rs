//! How long an upload took, and for how long it may be silent in return.

use std::time::{Duration, Instant};

use super::attempts::MOVES;

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

/// So many looks in a row must find Litestream without a connection.
const QUIET_LOOKS: u32 = 3;

/// What is seen of a Litestream that is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Whether somebody answers on a connection that it made; none where that cannot be seen.
    pub(super) is_connected: Option<bool>,
    /// Bytes that it has written so far, to whatever; none where that cannot be seen.
    pub(super) written: Option<u64>,
    /// For so many databases it is waited.
    pub(super) waiting: usize,
}

/// How long a Litestream that is waited for has been silent.
#[derive(Debug)]
pub(super) struct Silence {
    upload: Upload,
    unanswered: Duration,
    /// What it had written, and how many databases were waited for, when something moved for the last time.
    written: Option<u64>,
    waiting: usize,
    /// So many looks in a row found it without a connection.
    quiet: u32,
}

impl Silence {
    /// It begins now. With a connection, `unanswered` is how long something may be waited for.
    pub(super) fn new(now: Instant, unanswered: Duration) -> Self {
        Self { upload: Upload::new(now), unanswered, written: None, waiting: 0, quiet: 0 }
    }

    /// Whether it has been silent for too long: it has no connection, or waits on one for an answer, and not because a server
    /// is putting together what it was sent.
    pub(super) fn looked(&mut self, now: Instant, look: Sample) -> bool {
        if look.waiting != self.waiting {
            *self = Self { written: look.written, waiting: look.waiting, ..Self::new(now, self.unanswered) };
        }
        let more = look.written.unwrap_or(u64::MAX).saturating_sub(self.written.unwrap_or(0));
        // A line in its log is no upload.
        if more >= MOVES {
            self.upload.moves(now);
            self.written = look.written;
        }
        self.quiet = if look.is_connected == Some(false) { self.quiet + 1 } else { 0 };
        let waits = look.is_connected == Some(true) && !self.upload.may_be_silent(now);
        let is_unanswered = waits && now.duration_since(self.upload.moved) >= self.unanswered;
        look.waiting > 0 && (self.quiet >= QUIET_LOOKS || is_unanswered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at a second, with so much written in KiB and so many waited for; the answer may take 5 s.
    fn looks(is_connected: Option<bool>) -> impl FnMut(u64, u64, usize) -> bool {
        let start = Instant::now();
        let mut silence = Silence::new(start, Duration::from_secs(5));
        move |second, kib, waiting| {
            let look = Sample { is_connected, written: Some(kib << 10), waiting };
            silence.looked(start + Duration::from_secs(second), look)
        }
    }

    #[test]
    fn an_answer_may_be_waited_for_and_longer_while_a_server_puts_together_what_it_got() {
        let mut silent = looks(Some(true));
        assert!(!silent(0, 1000, 2), "what it wrote before is no move");
        assert!(!silent(4, 1000, 2) && silent(5, 1001, 2), "a line in its log is none either");
        assert!(!silent(6, 1001, 1), "another database is done");
        assert!(!silent(10, 2000, 1), "an upload of 4 s");
        assert!(!silent(13, 3000, 1), "of 7 s");
        assert!(!silent(19, 3000, 1) && silent(20, 3000, 1), "as long again");
        assert!(!silent(21, 3000, 0), "nothing is waited for");
        assert!(!silent(90, 3000, 1), "it begins anew");
    }

    #[test]
    fn without_a_connection_it_is_silent_at_once_and_where_nothing_is_seen_never() {
        let mut silent = looks(Some(false));
        assert!(!silent(0, 0, 1) && !silent(1, 0, 1) && silent(2, 0, 1));
        let mut silent = looks(None);
        assert!((0..100).all(|second| !silent(second, 0, 1)));
        let (start, mut silence) = (Instant::now(), Silence::new(Instant::now(), Duration::from_secs(5)));
        let look = Sample { is_connected: Some(true), written: None, waiting: 1 };
        assert!((0..100).all(|second| !silence.looked(start + Duration::from_secs(second), look)));
    }

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
