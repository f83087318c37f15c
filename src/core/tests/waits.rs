//! Somebody waits for all that is in a database to be on its replica.

use std::collections::BTreeSet;

use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::world::World;
use crate::core::{Action, Db, Ended, Event, Gate, Note, OnLag, Phase, Policy};

/// Somebody who waits for the rows that were there when he came.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    db: Db,
    rows: u64,
    /// The question that is under way was asked after that.
    is_asked: bool,
}

/// All who wait, and what Litestream is being asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    waiters: Vec<Waiter>,
    asking: BTreeSet<Db>,
    /// So many got what they waited for.
    durable: usize,
}

impl Waits {
    /// What the last Litestream was asked is void.
    pub(super) fn relaunched(&mut self) {
        self.asking.clear();
        self.waiters.iter_mut().for_each(|waiter| waiter.is_asked = false);
    }
}

impl World {
    /// Somebody waits from now on.
    pub(super) fn wait(&mut self, db: Db) {
        if let Some(rows) = self.dbs.rows.get(db.0).map(|rows| rows.written) {
            self.waits.waiters.push(Waiter { db, rows, is_asked: false });
            self.tell(Event::Wanted(db));
        }
    }

    /// Whoever waits for it has enough of that.
    fn leave(&mut self, db: Db) {
        self.waits.waiters.retain(|waiter| waiter.db != db);
        self.tell(Event::Unwanted(db));
    }

    pub(super) fn wait_asks(&mut self, db: Db) {
        let is_only = self.waits.asking.insert(db);
        assert!(is_only, "two questions about {db:?} at once:\n{}", self.story());
        self.waits.waiters.iter_mut().filter(|waiter| waiter.db == db).for_each(|one| one.is_asked = true);
    }

    pub(super) fn wait_answered(&mut self, db: Db, ok: bool) {
        self.waits.asking.remove(&db);
        let here = self.dbs.rows[db.0];
        let is_asked = |waiter: &Waiter| waiter.db == db && waiter.is_asked;
        let (asked, others): (Vec<Waiter>, _) = self.waits.waiters.iter().partition(|one| is_asked(one));
        if !ok {
            let asked = asked.into_iter().map(|waiter| Waiter { is_asked: false, ..waiter });
            self.waits.waiters = others.into_iter().chain(asked).collect();
            return;
        }
        for waiter in asked {
            assert!(waiter.rows <= here.replicated, "{waiter:?} of {here:?}:\n{}", self.story());
            self.waits.durable += 1;
        }
        self.waits.waiters = others;
    }

    /// Who cannot get what he waits for any more is told so.
    pub(super) fn settle_waits(&mut self) {
        let may_wait = self.machine.moment().waits;
        let rows = &self.dbs.rows;
        self.waits.waiters.retain(|waiter| may_wait && rows[waiter.db.0].here);
    }
}

/// A unit whose app has just written, and whose questions take a while.
fn running(plan: Plan) -> World {
    let mut world = World::new(policy(), plan);
    world.until(Phase::Running).pass(secs(40));
    world
}

fn slow() -> Plan {
    Plan { confirm: secs(1), ..Plan::default() }
}

fn asked(world: &World) -> usize {
    world.did(&Action::Confirm(Db(0)))
}

/// Lets it come to just after an answer, so that the next question of the watch is a while away.
fn just_confirmed(world: &mut World) {
    let before = asked(world);
    world.until_true("a question", |world| asked(world) > before);
    world.until_true("its answer", |world| world.waits.asking.is_empty());
}

#[test]
fn whoever_waits_is_asked_for_at_once() {
    let mut world = running(slow());
    just_confirmed(&mut world);
    let before = asked(&world);
    world.wait(Db(0));
    world.pass(ms(10));
    assert_eq!(asked(&world), before + 1, "{}", world.story());
    world.pass(secs(1));
    assert_eq!(world.waits.durable, 1);
}

#[test]
fn whoever_comes_during_a_question_is_answered_by_the_next_which_follows_at_once() {
    let mut world = running(slow());
    just_confirmed(&mut world);
    let before = asked(&world);
    for _ in 0..500 {
        world.wait(Db(0));
    }
    world.pass(ms(500));
    for _ in 0..500 {
        world.wait(Db(0));
    }
    world.pass(ms(600));
    assert_eq!((world.waits.durable, asked(&world)), (500, before + 2), "{}", world.story());
    world.pass(secs(1));
    assert_eq!((world.waits.durable, asked(&world)), (1000, before + 2), "one question for all of them");
}

#[test]
fn a_wait_makes_no_idle_database_lag() {
    for on_lag in [OnLag::Unready, OnLag::Stop] {
        let mut world = World::new(Policy { on_lag, ..policy() }, Plan { writes: secs(10_000), ..slow() });
        world.until(Phase::Running).pass(secs(60)).suffer(Fault::Replica(Replica::Away));
        world.pass(secs(1)).wait(Db(0));
        world.pass(secs(600));
        let lags = world.count(|action| matches!(action, Action::Note(Note::Lagging(..))));
        assert_eq!((world.phase(), lags, world.waits.durable), (Phase::Running, 0, 0), "{}", world.story());
        world.suffer(Fault::Replica(Replica::Answers));
        world.pass(secs(4));
        assert_eq!(world.waits.durable, 1);
    }
}

#[test]
fn a_change_during_the_question_of_a_wait_is_as_old_as_it_is() {
    let mut world = World::new(policy(), Plan { writes: secs(10_000), ..slow() });
    world.until(Phase::Running).pass(secs(60)).suffer(Fault::LitestreamHangs);
    world.pass(secs(1)).wait(Db(0));
    world.pass(secs(1)).tell(Event::Changed(Db(0)));
    world.pass(secs(59));
    let lags = |world: &World| world.count(|action| matches!(action, Action::Note(Note::Lagging(..))));
    assert_eq!(lags(&world), 0);
    world.pass(secs(2));
    assert_eq!(lags(&world), 1, "{}", world.story());
}

#[test]
fn a_question_that_failed_is_asked_again_after_a_while_for_as_long_as_somebody_waits() {
    let mut world = World::new(policy(), Plan { writes: secs(10_000), ..slow() });
    world.until(Phase::Running).pass(secs(60)).suffer(Fault::Replica(Replica::Away));
    world.pass(secs(1)).wait(Db(0));
    let before = asked(&world);
    world.pass(secs(20));
    assert!((8..=12).contains(&(asked(&world) - before)), "{}", asked(&world) - before);
    // Whoever comes then makes it no faster.
    for _ in 0..100 {
        world.wait(Db(0));
        world.pass(ms(100));
    }
    assert!((12..=17).contains(&(asked(&world) - before)), "{}", asked(&world) - before);
    world.leave(Db(0));
    world.pass(secs(5));
    let before = asked(&world);
    world.pass(secs(600));
    assert_eq!(asked(&world), before, "nobody wants to know");
}

#[test]
fn what_a_dead_litestream_was_asked_is_asked_again_by_the_next() {
    let mut world = running(Plan { confirm: secs(8), ..Plan::default() });
    world.wait(Db(0));
    world.pass(secs(1)).suffer(Fault::LitestreamDies);
    world.until(Phase::Backoff).until(Phase::Running);
    assert_eq!(world.waits.durable, 0);
    world.pass(secs(10));
    assert_eq!(world.waits.durable, 1, "{}", world.story());
}

#[test]
fn whoever_waits_during_a_start_is_answered_once_the_app_runs() {
    for gate in [Gate::Replicated, Gate::Reachable, Gate::None] {
        let mut world = World::new(Policy { gate, ..policy() }, slow());
        world.wait(Db(1));
        world.until(Phase::Running).pass(secs(2));
        assert_eq!(world.waits.durable, 1, "{gate:?}: {}", world.story());
    }
}

#[test]
fn a_command_before_the_app_can_wait() {
    let before = vec![(secs(30), Ended::Code(0))];
    let mut world = World::new(policy(), Plan { before, ..slow() });
    world.until(Phase::Before).pass(secs(2));
    world.wait(Db(0));
    world.pass(secs(2));
    assert_eq!((world.phase(), world.waits.durable), (Phase::Before, 1), "{}", world.story());
    // The gate that follows has nothing to do with a question that is under way.
    world.pass(secs(26)).wait(Db(0));
    world.until(Phase::Running).pass(secs(3));
    assert_eq!(world.waits.durable, 2, "{}", world.story());
}

#[test]
fn an_app_that_comes_to_its_end_can_wait_and_is_told_when_nobody_is_asked_any_more() {
    let mut world = running(Plan { stops: Some((secs(5), Ended::Code(0))), ..slow() });
    world.suffer(Fault::Stop(15));
    world.until(Phase::Stopping).wait(Db(0));
    assert!(world.machine.moment().waits);
    world.pass(secs(3));
    assert_eq!((world.phase(), world.waits.durable), (Phase::Stopping, 1), "{}", world.story());
    world.until(Phase::Draining).wait(Db(0));
    assert!(world.waits.waiters.is_empty() && !world.machine.moment().waits);
    assert_eq!(world.end(), 0);
}

#[test]
fn a_failed_question_is_asked_again_while_the_app_comes_to_its_end_and_none_for_a_change() {
    let mut world = running(Plan { stops: Some((secs(5), Ended::Code(0))), confirm: ms(100), ..slow() });
    world.suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    world.until(Phase::Stopping).wait(Db(0));
    let before = world.did(&Action::Confirm(Db(1)));
    world.pass(secs(2)).suffer(Fault::Replica(Replica::Answers));
    world.pass(secs(2));
    assert_eq!((world.phase(), world.waits.durable), (Phase::Stopping, 1), "{}", world.story());
    assert_eq!(world.did(&Action::Confirm(Db(1))), before, "nobody waits for the other");
}

#[test]
fn nothing_answers_for_a_replaced_file_until_litestream_has_it() {
    let mut world = running(slow());
    world.suffer(Fault::Replaced(Db(0)));
    world.pass(secs(1)).wait(Db(0));
    let before = asked(&world);
    world.pass(secs(60));
    assert_eq!((world.waits.durable, asked(&world)), (0, before), "{}", world.story());
}

#[test]
fn what_is_outside_is_answered_for_once_litestream_has_it() {
    let mut world = running(slow());
    world.tell(Event::Awaited(Db(2)));
    world.tell(Event::Wanted(Db(2)));
    world.tell(Event::Wanted(Db(7)));
    world.pass(secs(5));
    assert_eq!(world.did(&Action::Confirm(Db(2))) + world.did(&Action::Confirm(Db(7))), 0);

    let asking = Policy { resolves: true, resolve_interval: Some(secs(5)), ..policy() };
    let mut world = World::new(asking, Plan { admit: secs(3), register: secs(3), ..slow() });
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Names(1));
    world.until_true("its name", |world| world.dbs.rows.len() > 2).wait(Db(2));
    world.pass(secs(12));
    assert_eq!(world.waits.durable, 1, "{}", world.story());
}
