//! One owner of a place at a time, by a lock that lies there and is written on condition alone.
//!
//! No clock of another machine counts. An owner has a place until a time to live after it *asked* for its last write, by its own clock, and
//! writes again before that. Whoever wants a place that has an owner takes it over only when the same version of the lock has stood
//! there for that long by *its* own clock: the owner's time was over by then, and its next write is refused.

use std::time::{Duration, Instant};

/// What stands at a place. Each write has a version of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lock<O, V> {
    /// Nothing.
    Nothing,
    /// The lock of its last owner.
    Of {
        /// Who wrote it.
        owner: O,
        /// Which write it is.
        version: V,
        /// The owner has given the place up.
        is_released: bool,
    },
}

/// What is to be done next about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<V> {
    /// Write this one's lock: over this version and no other, or where nothing is.
    Write(Option<V>),
    /// Look again, after a while, whether its owner is still there.
    Look,
    /// Nothing any more: it is somebody else's.
    Leave,
}

/// What one keeper knows of a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease<O, V> {
    own: O,
    ttl: Duration,
    /// An owner that is known to be dead.
    dead: Option<O>,
    state: State<O, V>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<O, V> {
    /// It is wanted, and can be had by a write over this.
    Free(Option<V>),
    /// It has an owner, whose lock is this one since then.
    Watched { owner: O, version: V, since: Instant },
    /// It is this keeper's until then, by a write that made this version, or which is to be made over this one.
    Held { version: Option<V>, until: Instant },
    /// It was this keeper's, and is somebody else's.
    Lost { owner: O },
}

impl<O: Clone + PartialEq, V: Clone + PartialEq> Lease<O, V> {
    /// Of a place that is wanted for `own`, an id that nobody else has or ever had; `dead` is an owner that cannot come back.
    pub fn new(own: O, dead: Option<O>, ttl: Duration) -> Self {
        Self { own, ttl, dead, state: State::Free(None) }
    }

    /// What is to be done.
    pub fn next(&self, now: Instant) -> Next<V> {
        match &self.state {
            State::Free(over) => Next::Write(over.clone()),
            State::Watched { version, since, .. } if now >= *since + self.ttl => {
                Next::Write(Some(version.clone()))
            }
            State::Watched { .. } => Next::Look,
            State::Held { version, .. } => Next::Write(version.clone()),
            State::Lost { .. } => Next::Leave,
        }
    }

    /// A write that was asked for at `asked` was carried out, and made this version.
    pub fn written(&mut self, asked: Instant, version: V) {
        match self.state {
            State::Free(_) | State::Watched { .. } | State::Held { .. } => {
                self.state = State::Held { version: Some(version), until: asked + self.ttl };
            }
            State::Lost { .. } => {}
        }
    }

    /// This stands there: a look has found it, or a write was refused for it.
    pub fn saw(&mut self, now: Instant, lock: Lock<O, V>) {
        self.state = match (&self.state, lock) {
            (State::Lost { .. }, _) => return,
            // Whoever has emptied the place has emptied it of the lock as well.
            (State::Held { until, .. }, Lock::Nothing) => State::Held { version: None, until: *until },
            // The answer to a write was lost.
            (State::Held { until, .. }, Lock::Of { owner, version, .. }) if owner == self.own => {
                State::Held { version: Some(version), until: *until }
            }
            (State::Held { .. }, Lock::Of { owner, .. }) => State::Lost { owner },
            (State::Free(_) | State::Watched { .. }, Lock::Nothing) => State::Free(None),
            (State::Free(_) | State::Watched { .. }, Lock::Of { owner, version, is_released })
                if is_released || owner == self.own || self.dead.as_ref() == Some(&owner) =>
            {
                State::Free(Some(version))
            }
            (State::Watched { version: before, since, .. }, Lock::Of { owner, version, .. })
                if *before == version =>
            {
                State::Watched { owner, version, since: *since }
            }
            (State::Free(_) | State::Watched { .. }, Lock::Of { owner, version, .. }) => {
                State::Watched { owner, version, since: now }
            }
        };
    }

    /// Until when it is this keeper's alone, if it is.
    pub fn held_until(&self) -> Option<Instant> {
        match &self.state {
            State::Held { until, .. } => Some(*until),
            State::Free(_) | State::Watched { .. } | State::Lost { .. } => None,
        }
    }

    /// Whose it is, if it is somebody else's; and when that can be taken over at the earliest, where it was not this keeper's before.
    pub fn rival(&self) -> Option<(&O, Option<Instant>)> {
        match &self.state {
            State::Watched { owner, since, .. } => Some((owner, Some(*since + self.ttl))),
            State::Lost { owner } => Some((owner, None)),
            State::Free(_) | State::Held { .. } => None,
        }
    }
}
