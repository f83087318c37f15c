//! The shim's decisions as a value: no descriptor, no clock, no system call.
//!
//! [`super::resident`] tells the [`Policy`] what happened ([`Event`]) and when, and carries out what it wants
//! ([`Action`]); [`Policy::poll_timeout`] says when to come back without an event. What follows, by whom the shim
//! still has ([`Stage`]):
//!
//! | event                 | `Serving`                       | `WithoutKeeper`       | `WithoutLitestream`, `WithoutBoth` | `Draining` |
//! |-----------------------|---------------------------------|-----------------------|------------------------------------|------------|
//! | start                 | starts, if nothing of an app is | –                     | –                                  | –          |
//! | signal                | signals                         | –                     | signals¹                           | –          |
//! | kill                  | kills until nothing is left     | –                     | the same¹                          | –          |
//! | release               | `Over` with 0                   | –                     | `Over` with 0¹                     | –          |
//! | TERM or INT came      | tells                           | –                     | tells¹                             | –          |
//! | became the app        | tells                           | –                     | tells¹                             | –          |
//! | never will, or late   | kills it                        | kills it              | kills it                           | –          |
//! | a leader stopped      | tells; continues an unborn one  | continues an unborn   | tells¹; continues an unborn one    | –          |
//! | the leader ended      | tells how                       | stops what it left    | tells how¹, or stops what it left  | –          |
//! | nothing is left       | tells                           | `Draining`            | tells¹; `Over` with 70             | –          |
//! | the keeper is gone    | stops the app: `WithoutKeeper`² | –                     | `WithoutBoth`¹                     | –          |
//! | Litestream is gone    | kills the app³, tells: `WithoutLitestream`⁴ | kills the app³: `WithoutBoth` | –              | `Over` with 70 |
//! | the lease is over     | kills Litestream and the app, tells | kills both        | kills the app, tells¹              | kills Litestream |
//! | the grace is over     | –                               | kills                 | kills                              | –          |
//! | drained               | –                               | –                     | –                                  | `Over` with 0 |
//!
//! ¹ with a keeper. ² `Draining` if nothing of an app is. ³ with `orphan-grace` it asks first. ⁴ `Over` with 70 if nothing of an
//! app is. Behind `Over` nothing follows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nix::libc;

use super::action::{Action, Note, Remains, To};
use super::event::Event;
use super::stage::Stage;
use super::wire::{Target, ToKeeper};
use crate::core::{Ended, ExitCode};

/// How often a tree that is being killed is looked at again for what was born meanwhile.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What the keeper said beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long a child may take to become the app.
    pub(super) birth: Duration,
    /// How long the app may live on after Litestream.
    pub(super) orphan_grace: Duration,
    /// How long it may take to stop when the keeper is dead.
    pub(super) grace: Duration,
    /// The signal that asks it to.
    pub(super) stop_signal: i32,
}

/// What is of the app, or of a one-shot command.
///
/// ```text
/// Gone ──> Starting ──┬─> Becoming ──┬─> Led ─────┬─> Left ──┬─> Gone
///                     │              ├─> Failed ──┤          │
///                     │              └────────────┴──────────┤
///                     └──────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// Nothing.
    Gone,
    /// It is to be started.
    Starting,
    /// This child is to become the leader, and has until then.
    Becoming(i32, Instant),
    /// This one never will, for this `errno`: it is dead, or as good as that.
    Failed(i32, i32),
    /// The leader lives.
    Led(i32),
    /// The leader ended, what it started lives.
    Left,
}

/// The pure core of the shim; see this file's head for how it is driven.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    limits: Limits,
    stage: Stage,
    tree: Tree,
    /// The end of the app's grace.
    kill_at: Option<Instant>,
    /// It is being killed, again at this time.
    kill_again: Option<Instant>,
    actions: VecDeque<Action>,
}

impl Policy {
    /// A shim that Litestream has just started.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            stage: Stage::Serving,
            tree: Tree::Gone,
            kill_at: None,
            kill_again: None,
            actions: VecDeque::new(),
        }
    }

    /// Whom the shim still has.
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// The leader, or the child that is to become it.
    pub(super) fn leader(&self) -> Option<i32> {
        match self.tree {
            Tree::Becoming(pid, _) | Tree::Failed(pid, _) | Tree::Led(pid) => Some(pid),
            Tree::Gone | Tree::Starting | Tree::Left => None,
        }
    }

    /// The next thing to do.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Policy::handle_timeout`] has to be called, unless an event comes first.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let birth = match self.tree {
            Tree::Becoming(_, until) => Some(until),
            Tree::Gone | Tree::Starting | Tree::Failed(..) | Tree::Led(_) | Tree::Left => None,
        };
        if self.stage == Stage::Over {
            return None;
        }
        [birth, self.kill_at, self.kill_again].into_iter().flatten().min()
    }

    /// Takes in what happened.
    pub(super) fn handle(&mut self, now: Instant, event: Event) {
        if self.stage == Stage::Over {
            return;
        }
        match event {
            Event::Start | Event::Signal(..) | Event::KillTree | Event::Release | Event::Received(_)
                if !self.stage.has_keeper() => {}
            Event::Start => self.start(),
            Event::Signal(target, number) => self.signal(target, number),
            Event::KillTree => self.kill(now),
            // It has counted what lives, and what it could not end is its business.
            Event::Release => self.exit(ExitCode::OK),
            Event::Received(number) => self.received(number),
            Event::Born(pid) => self.born(now, pid),
            Event::NotBorn(errno) => self.not_born(errno),
            Event::Became => self.became(),
            Event::NotBecome(errno) => self.not_become(errno),
            Event::Stopped(pid, number) => self.stopped(pid, number),
            Event::LeaderEnded(how, left) => self.leader_ended(how, left),
            Event::Childless => self.childless(),
            Event::KeeperGone => self.keeper_gone(now),
            Event::LitestreamGone => self.litestream_gone(now),
            Event::LeaseOver => self.lease_over(now),
            Event::Drained { confirmed, asked } => self.drained(confirmed, asked),
        }
        self.check();
    }

    /// Takes in that time has passed, after each look at what happened: what is being killed is killed each time, so that
    /// what was born meanwhile has no long life.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.stage == Stage::Over {
            return;
        }
        if let Tree::Becoming(_, until) = self.tree
            && until <= now
        {
            // What nothing else here says: exec has no such answer.
            self.not_become(libc::ETIME);
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            self.kill_at = None;
            self.say(Note::GraceOver);
            self.kill(now);
        }
        if self.kill_again.is_some() {
            self.kill_again = Some(now + LOOK_AGAIN);
            self.act(Action::KillTree);
            self.act(Action::Reap);
        }
        self.check();
    }

    // What the keeper says.

    fn start(&mut self) {
        if self.stage == Stage::Serving && self.tree == Tree::Gone {
            self.tree = Tree::Starting;
            self.act(Action::Start);
        }
    }

    fn signal(&mut self, target: Target, number: i32) {
        let to = match (target, self.leader()) {
            (Target::Leader, Some(pid)) => To::Leader(pid),
            (Target::Group, Some(pid)) => To::Group(pid),
            (Target::Tree, _) => To::Tree,
            (Target::Leader | Target::Group, None) => return,
        };
        // The others are left alone: some do something on SIGCONT.
        let wakes = number == self.limits.stop_signal && target != Target::Group;
        self.act(Action::Signal { to, number, wakes });
    }

    fn kill(&mut self, now: Instant) {
        if self.tree != Tree::Gone {
            self.kill_again = Some(now);
        }
    }

    /// Litestream passes these on and waits: somebody told it to stop. Nobody else has business with the shim.
    fn received(&mut self, number: i32) {
        if [libc::SIGTERM, libc::SIGINT].contains(&number) {
            self.tell(ToKeeper::Asked(number));
        }
    }

    // What becomes of the app.

    fn born(&mut self, now: Instant, pid: i32) {
        if self.tree != Tree::Starting {
            return;
        }
        self.tree = Tree::Becoming(pid, now + self.limits.birth);
        if self.stage != Stage::Serving {
            // It was not there to be asked.
            self.kill(now);
        }
    }

    fn not_born(&mut self, errno: i32) {
        if self.tree == Tree::Starting {
            self.tell(ToKeeper::NotStarted(errno));
            self.nothing_is_left();
        }
    }

    fn became(&mut self) {
        if let Tree::Becoming(pid, _) = self.tree {
            self.tree = Tree::Led(pid);
            self.tell(ToKeeper::Started(pid));
        }
    }

    /// Its end tells why. Until then it may be stopped, also one that has said so itself.
    fn not_become(&mut self, errno: i32) {
        if let Tree::Becoming(pid, _) = self.tree {
            self.tree = Tree::Failed(pid, errno);
            self.act(Action::Signal { to: To::Leader(pid), number: libc::SIGKILL, wakes: false });
        }
    }

    fn stopped(&mut self, pid: i32, number: i32) {
        match self.tree {
            Tree::Led(leader) if leader == pid => self.tell(ToKeeper::Stopped(number)),
            // No terminal's job yet, and nobody would continue it. SIGSTOP is somebody's wish.
            Tree::Becoming(leader, _) | Tree::Failed(leader, _)
                if leader == pid && number != libc::SIGSTOP =>
            {
                self.act(Action::Signal { to: To::Leader(pid), number: libc::SIGCONT, wakes: false });
            }
            Tree::Gone
            | Tree::Starting
            | Tree::Becoming(..)
            | Tree::Failed(..)
            | Tree::Led(_)
            | Tree::Left => {}
        }
    }

    fn leader_ended(&mut self, how: Ended, left: u32) {
        let unborn = match self.tree {
            Tree::Failed(_, errno) => Some(errno),
            Tree::Becoming(..) | Tree::Led(_) => None,
            Tree::Gone | Tree::Starting | Tree::Left => return,
        };
        self.tree = Tree::Left;
        if left > 0 && !self.stage.has_keeper() {
            // Whoever the leader's end leaves is to end in order as well: with the keeper there, the keeper says so.
            self.signal(Target::Tree, self.limits.stop_signal);
        }
        self.say(Note::Ended { how, unborn, left });
        self.tell(match (unborn, how) {
            (Some(errno), _) => ToKeeper::NotStarted(errno),
            (None, Ended::Code(code)) => ToKeeper::Exited { code, left },
            (None, Ended::Signal(number)) => ToKeeper::Signaled { number, left },
        });
        if left == 0 {
            self.nothing_is_left();
        }
    }

    fn childless(&mut self) {
        if self.tree == Tree::Left {
            self.tell(ToKeeper::TreeGone);
            self.nothing_is_left();
        }
    }

    fn nothing_is_left(&mut self) {
        (self.tree, self.kill_at, self.kill_again) = (Tree::Gone, None, None);
        match self.stage {
            Stage::WithoutKeeper => self.drain(),
            Stage::WithoutLitestream | Stage::WithoutBoth => self.exit(ExitCode::LITESTREAM),
            Stage::Serving | Stage::Draining | Stage::Over => {}
        }
    }

    // Who is there no more.

    fn keeper_gone(&mut self, now: Instant) {
        match self.stage {
            Stage::Serving => {}
            Stage::WithoutLitestream => {
                self.become_stage(Stage::WithoutBoth);
                return self.act(Action::TakeOver);
            }
            Stage::WithoutKeeper | Stage::WithoutBoth | Stage::Draining | Stage::Over => return,
        }
        self.act(Action::TakeOver);
        let (remains, target) = match self.tree {
            Tree::Gone => {
                self.act(Action::Say(Note::KeeperDied(Remains::Nothing, self.limits.grace)));
                return self.drain();
            }
            Tree::Left => (Remains::Leftovers, Target::Tree),
            Tree::Starting | Tree::Becoming(..) | Tree::Failed(..) | Tree::Led(_) => {
                (Remains::App, Target::Leader)
            }
        };
        self.become_stage(Stage::WithoutKeeper);
        self.say(Note::KeeperDied(remains, self.limits.grace));
        self.signal(target, self.limits.stop_signal);
        self.kill_at = Some(now + self.limits.grace);
    }

    fn litestream_gone(&mut self, now: Instant) {
        let without = match self.stage {
            Stage::Serving => Stage::WithoutLitestream,
            Stage::WithoutKeeper => Stage::WithoutBoth,
            Stage::Draining => {
                self.say(Note::LitestreamDied);
                return self.exit(ExitCode::LITESTREAM);
            }
            Stage::WithoutLitestream | Stage::WithoutBoth | Stage::Over => return,
        };
        self.become_stage(without);
        let lives = self.tree != Tree::Gone;
        if lives && self.limits.orphan_grace.is_zero() {
            // Before the keeper is told: what counts now is milliseconds.
            self.act(Action::KillTree);
            self.kill_again = Some(now + LOOK_AGAIN);
        } else if lives {
            self.signal(Target::Leader, self.limits.stop_signal);
            self.kill_at = Some(now + self.limits.orphan_grace);
        }
        self.say(Note::LitestreamDied);
        self.tell(ToKeeper::LitestreamGone);
        if lives { self.act(Action::Reap) } else { self.nothing_is_left() }
    }

    /// Whatever is uploaded from now on may be among another machine's files.
    fn lease_over(&mut self, now: Instant) {
        if self.stage.has_litestream() {
            self.act(Action::KillLitestream);
        }
        self.kill(now);
        self.say(Note::LeaseOver);
        self.tell(ToKeeper::LeaseOver);
    }

    fn drained(&mut self, confirmed: usize, asked: usize) {
        if self.stage == Stage::Draining {
            self.say(Note::Drained { confirmed, asked });
            // Always: Litestream skips its final sync when its child fails.
            self.exit(ExitCode::OK);
        }
    }

    // The one place for each kind of change.

    fn become_stage(&mut self, next: Stage) {
        debug_assert!(self.stage.may_become(next), "{:?} may not become {next:?}", self.stage);
        self.stage = next;
    }

    fn drain(&mut self) {
        self.become_stage(Stage::Draining);
        self.act(Action::Drain);
    }

    fn exit(&mut self, code: ExitCode) {
        debug_assert!(self.tree == Tree::Gone || self.stage.has_keeper(), "an end over a living app");
        self.become_stage(Stage::Over);
        (self.kill_at, self.kill_again) = (None, None);
        self.act(Action::Exit(code));
    }

    /// The keeper, if it is there: what it is told, it says itself.
    fn tell(&mut self, message: ToKeeper) {
        if self.stage.has_keeper() {
            self.act(Action::Tell(message));
        }
    }

    /// In the keeper's place.
    fn say(&mut self, note: Note) {
        if !self.stage.has_keeper() {
            self.act(Action::Say(note));
        }
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    /// What holds after every event.
    fn check(&self) {
        let (stage, lives) = (self.stage, self.tree != Tree::Gone);
        let (grace, killing) = (self.kill_at.is_some(), self.kill_again.is_some());
        match stage {
            // Only the keeper says when a living app is to end.
            Stage::Serving => debug_assert!(!grace, "a grace with everybody there"),
            // Nobody is left who could say anything: the app has an end, and then the shim has one.
            Stage::WithoutKeeper | Stage::WithoutLitestream | Stage::WithoutBoth => {
                debug_assert!(lives, "nothing lives, and no end: {stage:?}");
                debug_assert!(grace || killing, "an app without an end: {stage:?}");
            }
            Stage::Draining => debug_assert!(!lives, "a drain under a living app: {:?}", self.tree),
            Stage::Over => debug_assert!(!grace && !killing, "a timer after the end"),
        }
        debug_assert!(lives || !killing, "nothing that could be killed");
    }
}
