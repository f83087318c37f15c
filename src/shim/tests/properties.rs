//! Chance says what happens, and when.

use std::time::{Duration, Instant};

use nix::libc;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::rig::{APP, STOP, ms};
use super::world::{Birth, Fault, Plan, World, bound};
use crate::core::{Ended, ExitCode};
use crate::shim::action::Action;
use crate::shim::event::Event;
use crate::shim::policy::{Limits, Policy};
use crate::shim::stage::Stage;
use crate::shim::wire::Target;

fn millis(most: u64) -> impl Strategy<Value = Duration> {
    // Mostly short, so that races happen.
    prop_oneof![4 => (0..=most / 20).prop_map(ms), 1 => (0..=most).prop_map(ms), 1 => Just(Duration::ZERO)]
}

fn limits() -> impl Strategy<Value = Limits> {
    let orphan_grace = prop_oneof![2 => Just(Duration::ZERO), 1 => millis(5000)];
    (millis(2000), orphan_grace, millis(9000)).prop_map(|(birth, orphan_grace, grace)| Limits {
        birth,
        orphan_grace,
        grace,
        stop_signal: STOP,
    })
}

fn plans() -> impl Strategy<Value = Plan> {
    let birth = prop_oneof![
        1 => Just(Birth::None),
        1 => Just(Birth::Hangs),
        1 => millis(4000).prop_map(Birth::Fails),
        6 => millis(4000).prop_map(Birth::Becomes),
    ];
    let app = (option::weighted(0.3, millis(20_000)), option::weighted(0.7, millis(20_000)));
    let left = (prop_oneof![2 => Just(0), 1 => 1..=3_u32], option::weighted(0.7, millis(20_000)));
    (birth, app, left, millis(500), millis(3000)).prop_map(
        |(birth, (lives, stops), (leaves, leftovers_stop), dies, drains)| Plan {
            birth,
            lives,
            stops,
            leaves,
            leftovers_stop,
            dies,
            drains,
        },
    )
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![Just(Target::Leader), Just(Target::Group), Just(Target::Tree)]
}

/// The others come of what is done.
fn faults() -> impl Strategy<Value = (Duration, Fault)> {
    let orders = prop_oneof![
        6 => Just(Event::Start),
        2 => targets().prop_map(|target| Event::Signal(target, STOP)),
        1 => targets().prop_map(|target| Event::Signal(target, libc::SIGHUP)),
        1 => Just(Event::KillTree),
        1 => Just(Event::Received(libc::SIGTERM)),
        1 => Just(Event::LeaseOver),
    ];
    let fault = prop_oneof![8 => orders.prop_map(Fault::Orders), 1 => Just(Fault::LitestreamDies)];
    (prop_oneof![millis(2000), millis(20_000)], fault)
}

fn events() -> impl Strategy<Value = Event> {
    let how = || prop_oneof![Just(Ended::Code(0)), Just(Ended::Signal(9))];
    prop_oneof![
        4 => Just(Event::Start),
        1 => (targets(), prop_oneof![Just(STOP), Just(1)]).prop_map(|(target, number)| Event::Signal(target, number)),
        1 => Just(Event::KillTree),
        1 => Just(Event::LeaseOver),
        1 => (0..10_u8).prop_map(|chance| if chance == 0 { Event::Release } else { Event::Start }),
        1 => Just(Event::Received(libc::SIGTERM)),
        3 => Just(Event::Born(APP)),
        1 => Just(Event::NotBorn(libc::EAGAIN)),
        3 => Just(Event::Became),
        1 => Just(Event::NotBecome(libc::ENOENT)),
        1 => Just(Event::Stopped(APP, libc::SIGTSTP)),
        2 => (how(), 0..3_u32).prop_map(|(how, left)| Event::LeaderEnded(how, left)),
        2 => Just(Event::Childless),
        1 => Just(Event::KeeperGone),
        1 => Just(Event::LitestreamGone),
        1 => Just(Event::Drained { confirmed: 1, asked: 1 }),
    ]
}

/// More with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(4000), failure_persistence: None, ..config }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever happened before and happens then: a shim whose keeper dies stops the app, drains and ends, within the graces.
    #[test]
    fn the_keepers_death_ends_any_world_in_time(
        limits in limits(),
        plan in plans(),
        faults in vec(faults(), 0..8),
        death in prop_oneof![millis(2000), millis(40_000)],
        later in vec(faults(), 0..4),
    ) {
        let mut world = World::new(limits, plan);
        for (delay, fault) in faults {
            world.suffer_in(delay, fault);
        }
        world.pass(death);
        let died = world.time();
        world.suffer_in(Duration::ZERO, Fault::KeeperDies);
        for (delay, fault) in later {
            world.suffer_in(delay, fault);
        }
        world.pass(bound(limits, plan));
        let story = world.story.join("\n");
        prop_assert!(world.over.is_some(), "from {:?} for {:?}:\n{}", died, bound(limits, plan), story);
    }

    /// Litestream's death is the app's, and then the shim's, with a keeper or without.
    #[test]
    fn litestreams_death_ends_any_world_in_time(
        limits in limits(),
        plan in plans(),
        faults in vec(faults(), 0..8),
        death in prop_oneof![millis(2000), millis(40_000)],
        keeper in option::of(millis(9000)),
    ) {
        let mut world = World::new(limits, plan);
        for (delay, fault) in faults {
            world.suffer_in(delay, fault);
        }
        world.pass(death);
        world.suffer_in(Duration::ZERO, Fault::LitestreamDies);
        if let Some(delay) = keeper {
            world.suffer_in(delay, Fault::KeeperDies);
        }
        world.pass(limits.orphan_grace + plan.dies * 2 + ms(20));
        let story = world.story.join("\n");
        prop_assert_eq!(world.over.map(|(_, code)| code), Some(ExitCode::LITESTREAM), "{}", story);
    }

    /// A release is an end at any time.
    #[test]
    fn a_release_ends_any_world(
        limits in limits(),
        plan in plans(),
        faults in vec(faults(), 0..8),
        released in prop_oneof![millis(2000), millis(40_000)],
    ) {
        let mut world = World::new(limits, plan);
        for (delay, fault) in faults {
            world.suffer_in(delay, fault);
        }
        world.pass(released);
        let at = world.time();
        let before = world.over;
        world.suffer_in(Duration::ZERO, Fault::Orders(Event::Release));
        world.pass(ms(60_000));
        prop_assert_eq!(world.over, before.or(Some((at, ExitCode::OK))));
    }

    /// No order of events, however absurd, makes the policy break its own rules, which it checks itself.
    #[test]
    fn no_order_of_events_breaks_the_policy(
        limits in limits(),
        script in vec((prop_oneof![3 => Just(Duration::ZERO), 1 => millis(20_000)], events()), 0..80),
    ) {
        let mut now = Instant::now();
        let mut policy = Policy::new(limits);
        let (mut keeper, mut litestream, mut starting, mut exits) = (true, true, false, 0);
        for (delay, event) in script {
            let then = now + delay;
            for _ in 0..4 {
                let Some(at) = policy.poll_timeout().filter(|at| *at <= then) else { break };
                now = now.max(at);
                policy.handle_timeout(now);
            }
            now = then;
            keeper &= event != Event::KeeperGone;
            litestream &= event != Event::LitestreamGone;
            starting &= !matches!(event, Event::Born(_) | Event::NotBorn(_));
            policy.handle(now, event);
            let mut told_that_it_is_gone = false;
            while let Some(action) = policy.poll_action() {
                prop_assert_eq!(exits, 0, "{:?} after the end", action);
                match action {
                    Action::Start => {
                        prop_assert!(keeper && litestream && !starting, "a start after {:?}", event);
                        starting = true;
                    }
                    Action::Tell(_) => prop_assert!(keeper && !told_that_it_is_gone),
                    Action::Say(_) | Action::TakeOver => told_that_it_is_gone = true,
                    Action::Drain => prop_assert!(!keeper && litestream),
                    Action::Exit(_) => exits += 1,
                    Action::Signal { .. } | Action::KillTree | Action::KillLitestream | Action::Reap => {}
                }
            }
        }
        prop_assert_eq!(exits == 1, policy.stage() == Stage::Over);
        prop_assert!(policy.stage() != Stage::Over || policy.poll_timeout().is_none());
    }
}
