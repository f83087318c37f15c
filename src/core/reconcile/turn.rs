//! What happens to databases that sources name, and what is to be done about it.

use std::collections::BTreeSet;

use super::Wanted;
use crate::core::{Db, Event};

/// Where the unit is, as far as its databases, its app and its Litestream go by it: all that others than the machine decide by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The app runs: whatever is named comes.
    pub runs: bool,
    /// The app waits for Litestream to confirm what it has: who is named no more is let go of meanwhile, and nobody comes.
    pub gates: bool,
    /// The app runs, or a one-shot command before it, and nobody has asked it to end.
    pub has_app: bool,
    /// Litestream is being started.
    pub launches: bool,
    /// The app does not run and is to, once Litestream has been started or has confirmed: who went meanwhile is found gone then.
    pub relaunches: bool,
    /// The app may make databases in its folders, which are taken in.
    pub finds: bool,
    /// The app runs, or is to run once more.
    pub goes_on: bool,
    /// All comes to its end, and what is confirmed until the drain is over still counts.
    pub ends: bool,
    /// Litestream is asked for the last writes.
    pub drains: bool,
    /// All has come to its end, and each of Litestream's has been drained.
    pub over: bool,
    /// Whoever waits for a confirmation can get one: by now, or by a Litestream that comes.
    pub waits: bool,
}

/// What happened.
pub enum Turn<W: Wanted> {
    /// It was named at the start, and is locked: it is launched with the rest.
    Admitted(W, W::Lock),
    /// The sources name these, and no others.
    Answered {
        /// All of them.
        wanted: Vec<W>,
        /// Somebody has asked for it: what came to nothing is tried again.
        by_hand: bool,
    },
    /// The look at one that Litestream does not have is over.
    LookedAt {
        /// Which.
        db: Db,
        /// Which of all looks.
        number: u64,
        /// It is locked, and there if it has a backup; or it cannot be taken in.
        result: Result<W::Lock, W::Reason>,
    },
    /// The look at the other place of one that Litestream has is over.
    Probed {
        /// Which.
        db: Db,
        /// Which of all looks.
        number: u64,
        /// It can be replicated there, or not.
        result: Result<(), W::Reason>,
    },
    /// Litestream took one in and confirmed it; or it did not, and knows nothing of it.
    Registered {
        /// Which.
        db: Db,
        /// It did.
        result: Result<(), W::Reason>,
    },
    /// Litestream let go of one; or it still has it.
    Unregistered {
        /// Which.
        db: Db,
        /// It let go.
        result: Result<(), W::Reason>,
    },
    /// It has appeared in a folder, where Litestream finds it; or it cannot be replicated as it is there.
    Found(W, Result<(), W::Reason>),
    /// What was to be locked is, or another keeper has it.
    Locked {
        /// Which.
        db: Db,
        /// It is.
        result: Result<W::Lock, W::Reason>,
    },
    /// What was found, and Litestream does not have, is not in its folder any more.
    Vanished(Db),
    /// The machine has it wait for the next answer.
    PutOff(Db),
    /// It is let go, and is nobody's.
    Forgotten(Db),
    /// A fresh Litestream gets all that counts: what the last one was told, or asked, is void.
    Relaunched,
    /// All comes to its end.
    Ending,
    /// The drain begins.
    Draining {
        /// Those that Litestream does not have, and that have something in them.
        written: BTreeSet<Db>,
    },
}

/// What the driver carries out, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<W: Wanted> {
    /// Tell the machine.
    Tell(Event),
    /// Tell the machine that it counts, and whether there is something in it.
    Await(Db),
    /// Look at it, and restore it if it is missing.
    Look {
        /// Which.
        db: Db,
        /// Which of all looks.
        number: u64,
        /// Litestream had it until a moment ago, so nobody else has.
        had: bool,
    },
    /// Look whether a live one can be replicated to this other place.
    Probe(Db, u64, W),
    /// The look of this number is over, or for nothing.
    Stop(u64),
    /// Lock it: it was found, or goes back to where it was.
    Lock(Db),
    /// It is Litestream's from now on, with its lock.
    Take(Db, W::Lock),
    /// The same is said of it in other words: the next Litestream reads it as it is written now.
    Respell(Db),
    /// Nobody needs this lock.
    Release(W::Lock),
    /// Litestream, which is being told of it at its new place, is told of it at this one, which is the old one.
    RegisterAgain(Db, W),
    /// Litestream has it.
    Came(Db),
    /// It is drained as the others are already.
    Drain(Db),
    /// Litestream has let it go, or it was given up before that had it.
    Went {
        /// Which.
        db: Db,
        /// It was.
        given_up: bool,
    },
    /// Litestream does not have it after all: let go of the lock, and of what was begun for it.
    LetGo(Db),
    /// Litestream does not have this one, and nobody names it any more.
    Dropped(W),
    /// It cannot be taken in as it is wanted.
    Refuse(W, Why<W>),
    /// The same, and it goes back to where it was.
    GoBack {
        /// Where it was to go.
        from: W,
        /// Where it goes.
        to: W,
        /// Why.
        why: Why<W>,
    },
    /// It cannot be let go.
    Hold(Db, W::Reason),
    /// It cannot be replicated to its other place, and stays where it is.
    Keep(Db, W::Reason),
    /// Whoever asked is told that it is replicated from now on.
    Added(W),
    /// Or not any more.
    Removed(W),
}

/// Why a database is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why<W: Wanted> {
    /// This was said.
    Told(W::Reason),
    /// What it needs is this one's, which stays.
    Occupied(W),
    /// Its new place has confirmed nothing before the end.
    Unconfirmed,
    /// The same before Litestream ended.
    Ended,
}
