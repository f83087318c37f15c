//! A shim's world whose clock jumps from one thing to the next: what the loop would carry out, and what comes of it.
//!
//! The rules that hold whatever happens are checked with each action and after each step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::libc;

use super::rig::ms;
use crate::core::{Ended, ExitCode};
use crate::shim::action::{Action, To};
use crate::shim::event::Event;
use crate::shim::policy::{Limits, Policy};
use crate::shim::stage::Stage;

/// How a child becomes an app, or does not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Birth {
    /// There is no child.
    None,
    /// It is stopped on its way.
    Hangs,
    /// Its exec fails after this time.
    Fails(Duration),
    /// It becomes one after this time.
    Becomes(Duration),
}

/// How an app behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) birth: Birth,
    /// It ends by itself after this time.
    pub(super) lives: Option<Duration>,
    /// It ends so long after a signal to stop.
    pub(super) stops: Option<Duration>,
    /// Its leader's end leaves so many.
    pub(super) leaves: u32,
    /// They end so long after a signal to stop.
    pub(super) leftovers_stop: Option<Duration>,
    /// What is killed is dead after this time.
    pub(super) dies: Duration,
    /// What the drain takes.
    pub(super) drains: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Orders(Event),
    KeeperDies,
    LitestreamDies,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    Fault(Fault),
    /// Of the n-th child.
    Becomes(u32),
    Fails(u32),
    LeaderEnds(u32, Ended),
    LeftoversEnd(u32),
}

pub(super) struct World {
    policy: Policy,
    stop_signal: i32,
    plan: Plan,
    now: Instant,
    due: BTreeMap<(Instant, usize), Due>,
    count: usize,
    keeper: bool,
    litestream: bool,
    /// The app's number; each start has another.
    child: u32,
    leader: bool,
    is_app: bool,
    leftovers: u32,
    /// The keeper was told that nothing of the last start is left.
    answered: bool,
    released: bool,
    /// The shim's end.
    pub(super) over: Option<(Instant, ExitCode)>,
    /// For a test that fails.
    pub(super) story: Vec<String>,
}

impl World {
    pub(super) fn new(limits: Limits, plan: Plan) -> Self {
        Self {
            policy: Policy::new(limits),
            stop_signal: limits.stop_signal,
            plan,
            now: Instant::now(),
            due: BTreeMap::new(),
            count: 0,
            keeper: true,
            litestream: true,
            child: 0,
            leader: false,
            is_app: false,
            leftovers: 0,
            answered: true,
            released: false,
            over: None,
            story: Vec::new(),
        }
    }

    pub(super) fn time(&self) -> Instant {
        self.now
    }

    pub(super) fn suffer_in(&mut self, delay: Duration, fault: Fault) {
        self.comes(delay, Due::Fault(fault));
    }

    /// Lets so much time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            let timer = self.policy.poll_timeout();
            let next = self.due.first_key_value().map(|((at, _), _)| *at);
            match (next, timer) {
                // As in one `poll(2)`: what happened first, then the time.
                (Some(at), timer) if timer.is_none_or(|timer| at <= timer) && at <= end => {
                    self.now = self.now.max(at);
                    if let Some((_, due)) = self.due.pop_first() {
                        self.takes_place(due);
                    }
                }
                (_, Some(timer)) if timer <= end => self.now = self.now.max(timer),
                _ => return self.now = self.now.max(end),
            }
            self.policy.handle_timeout(self.now);
            self.act();
            self.look();
        }
        panic!("no end of it:\n{}", self.story.join("\n"));
    }

    fn comes(&mut self, delay: Duration, due: Due) {
        self.count += 1;
        self.due.insert((self.now + delay, self.count), due);
    }

    fn takes_place(&mut self, due: Due) {
        match due {
            Due::Fault(Fault::Orders(order)) if self.keeper => self.happens(order),
            Due::Fault(Fault::KeeperDies) if self.keeper => {
                self.keeper = false;
                self.happens(Event::KeeperGone);
            }
            Due::Fault(Fault::LitestreamDies) if self.litestream => {
                self.litestream = false;
                self.happens(Event::LitestreamGone);
            }
            Due::Becomes(child) if self.lives(child) => {
                self.is_app = true;
                if let Some(lives) = self.plan.lives {
                    self.comes(lives, Due::LeaderEnds(child, Ended::Code(0)));
                }
                self.happens(Event::Became);
            }
            Due::Fails(child) if self.lives(child) => self.happens(Event::NotBecome(libc::ENOENT)),
            Due::LeaderEnds(child, how) if self.lives(child) => {
                self.leader = false;
                if self.is_app {
                    self.leftovers += self.plan.leaves;
                }
                self.happens(Event::LeaderEnded(how, self.leftovers));
            }
            Due::LeftoversEnd(child) if child == self.child && self.leftovers > 0 => {
                self.leftovers = 0;
                if !self.leader {
                    self.happens(Event::Childless);
                }
            }
            Due::Fault(_) | Due::Becomes(_) | Due::Fails(_) | Due::LeaderEnds(..) | Due::LeftoversEnd(_) => {}
        }
    }

    fn lives(&self, child: u32) -> bool {
        child == self.child && self.leader
    }

    fn pid(&self) -> i32 {
        self.child as i32 + 100
    }

    fn happens(&mut self, event: Event) {
        self.story.push(format!("{:?}: {event:?}", self.now));
        self.released |= event == Event::Release && self.over.is_none();
        self.policy.handle(self.now, event);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.policy.poll_action() {
            self.story.push(format!("    {action:?}"));
            assert!(self.over.is_none(), "after the end:\n{}", self.story.join("\n"));
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Start => {
                assert!(self.keeper && self.litestream, "a start without {}", self.story.join("\n"));
                assert!(!self.leader && self.leftovers == 0, "a second one:\n{}", self.story.join("\n"));
                assert!(self.answered, "the last one was never told:\n{}", self.story.join("\n"));
                self.answered = false;
                self.child += 1;
                let child = self.child;
                match self.plan.birth {
                    Birth::None => return self.happens(Event::NotBorn(libc::EAGAIN)),
                    Birth::Hangs => {}
                    Birth::Fails(after) => self.comes(after, Due::Fails(child)),
                    Birth::Becomes(after) => self.comes(after, Due::Becomes(child)),
                }
                (self.leader, self.is_app) = (true, false);
                self.happens(Event::Born(self.pid()));
            }
            Action::Signal { to, number, .. } => self.signal(to, number),
            Action::KillTree => self.kill(),
            Action::KillLitestream => self.comes(self.plan.dies, Due::Fault(Fault::LitestreamDies)),
            Action::Drain => {
                assert!(!self.keeper && !self.leader && self.leftovers == 0, "{}", self.story.join("\n"));
                if !self.litestream {
                    return self.happens(Event::LitestreamGone);
                }
                // The loop stands still.
                self.now += self.plan.drains;
                self.happens(Event::Drained { confirmed: 1, asked: 1 });
            }
            Action::Exit(code) => {
                let alone = !self.leader && self.leftovers == 0;
                assert!(alone || self.released, "over a living app:\n{}", self.story.join("\n"));
                assert!(self.released || !self.keeper || !self.litestream, "{}", self.story.join("\n"));
                assert_eq!(code == ExitCode::OK, self.released || self.litestream, "{code}");
                self.over = Some((self.now, code));
            }
            Action::Tell(message) => {
                assert!(self.keeper, "told to the dead: {message:?}");
                self.answered |= message.says_that_all_are_gone();
            }
            Action::Say(note) => assert!(!self.keeper, "said beside the keeper: {note:?}"),
            Action::TakeOver => assert!(!self.keeper, "in a living keeper's place"),
            Action::Reap => {}
        }
    }

    fn signal(&mut self, to: To, number: i32) {
        let child = self.child;
        match to {
            To::Leader(pid) | To::Group(pid) => {
                assert!(self.leader && pid == self.pid(), "to somebody else: {}", self.story.join("\n"));
                if number == libc::SIGKILL {
                    self.comes(self.plan.dies, Due::LeaderEnds(child, Ended::Signal(number)));
                } else if number == self.stop_signal
                    && self.is_app
                    && let Some(after) = self.plan.stops
                {
                    self.comes(after, Due::LeaderEnds(child, Ended::Signal(number)));
                }
            }
            To::Tree => {
                if number == self.stop_signal
                    && let Some(after) = self.plan.leftovers_stop
                {
                    self.comes(after, Due::LeftoversEnd(child));
                }
            }
        }
    }

    /// What is born later is not hit.
    fn kill(&mut self) {
        let (child, dies) = (self.child, self.plan.dies);
        if self.leader {
            self.comes(dies, Due::LeaderEnds(child, Ended::Signal(libc::SIGKILL)));
        }
        if self.leftovers > 0 {
            self.comes(dies, Due::LeftoversEnd(child));
        }
    }

    /// What holds after each step.
    fn look(&self) {
        let stage = self.policy.stage();
        if stage != Stage::Over {
            assert_eq!(stage.has_keeper(), self.keeper, "{}", self.story.join("\n"));
            assert_eq!(stage.has_litestream(), self.litestream, "{}", self.story.join("\n"));
            assert_eq!(self.policy.leader().is_some(), self.leader, "{}", self.story.join("\n"));
        }
        assert_eq!(stage == Stage::Over, self.over.is_some(), "{}", self.story.join("\n"));
    }
}

/// So long after a keeper's death at the latest there is no shim any more.
pub(super) fn bound(limits: Limits, plan: Plan) -> Duration {
    // The grace may be over for an app whose end leaves something that is met by the next look.
    limits.grace + limits.orphan_grace + plan.dies * 2 + ms(20) + plan.drains
}
