//! One database that sources name, and where it is on its way.

use crate::core::Db;

/// What is known of it.
#[derive(Clone, Debug)]
pub(super) struct Member<W> {
    /// What Litestream has of it or is told; of one that Litestream does not have, what it is to get.
    pub(super) wanted: W,
    /// Where it was replicated until now: it goes back there if this comes to nothing.
    pub(super) before: Option<W>,
    /// It goes back there, since its move has come to nothing.
    pub(super) returning: bool,
    pub(super) state: MemberState<W>,
}

/// What is done about it.
///
/// ```text
///                    named, locked, found      named no more, or
///  Litestream            confirmed            probed with success
///  does not have it ──> Coming ──> Here <──> Probing
///  Waits, Looking, <──────┤         │ ^         │
///  Refused, Later  refused│         v │ kept    │
///                         │       Going <───────┘
///                         v         │
///                      Leaving ─────┴──> nobody's, or once more from the left
/// ```
///
/// A relaunch makes all that Litestream has `Here`, and what is `Coming` goes back to the left unless all ends; from there,
/// what was moving is `Here` at its old place.
#[derive(Clone, Debug)]
pub(super) enum MemberState<W> {
    /// What it needs is this one's, as long as Litestream has that.
    Waits(Db),
    /// It is being looked at, for the n-th time of all.
    Looking(u64),
    /// It was refused, and is tried again after the next answer.
    Refused,
    /// Nobody comes just now: it is tried with the answer that the sources give when the app runs.
    Later,
    /// Litestream is being told of it; if that fails, it is refused, where it was `awaited`, and else nobody's.
    Coming { awaited: bool },
    /// Litestream has it.
    Here,
    /// The same, and this other place for it is being looked at, as the n-th of all.
    Probing(u64, W),
    /// It is being drained, and let go.
    Going,
    /// It was only coming: it is let go.
    Leaving,
}

impl<W> Member<W> {
    /// Whether Litestream has it, or is being told of it, so that what it needs is taken.
    pub(super) fn is_litestreams(&self) -> bool {
        match self.state {
            MemberState::Waits(_) | MemberState::Looking(_) | MemberState::Refused | MemberState::Later => {
                false
            }
            MemberState::Coming { .. }
            | MemberState::Here
            | MemberState::Probing(..)
            | MemberState::Going
            | MemberState::Leaving => true,
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        match self.state {
            MemberState::Going | MemberState::Leaving => true,
            MemberState::Waits(_)
            | MemberState::Looking(_)
            | MemberState::Refused
            | MemberState::Later
            | MemberState::Coming { .. }
            | MemberState::Here
            | MemberState::Probing(..) => false,
        }
    }

    /// The number of the look that is under way.
    pub(super) fn look(&self) -> Option<u64> {
        match self.state {
            MemberState::Looking(number) | MemberState::Probing(number, _) => Some(number),
            MemberState::Waits(_)
            | MemberState::Refused
            | MemberState::Later
            | MemberState::Coming { .. }
            | MemberState::Here
            | MemberState::Going
            | MemberState::Leaving => None,
        }
    }
}
