//! Chance writes the scenarios: any order of events, any world, any faults.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::plan::{Fault, Plan, Replica, ms, secs};
use super::world::World;
use crate::core::{
    Action, BackoffPolicy, Db, Ended, Event, ExitCode, Gate, Machine, NotStarted, OnLag, Phase, Policy,
    Restart,
};

fn millis(most: u64) -> impl Strategy<Value = Duration> {
    // Mostly short, so that races happen; sometimes longer than the limit that it runs into.
    prop_oneof![4 => (0..=most / 20).prop_map(ms), 1 => (0..=most).prop_map(ms)]
}

fn how() -> impl Strategy<Value = Ended> {
    prop_oneof![
        Just(Ended::Code(0)),
        Just(Ended::Code(1)),
        Just(Ended::Code(130)),
        Just(Ended::Code(143)),
        Just(Ended::Signal(2)),
        Just(Ended::Signal(9)),
        Just(Ended::Signal(15)),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let restart = prop_oneof![Just(Restart::Never), Just(Restart::OnFailure), Just(Restart::Always)];
    let gate = prop_oneof![3 => Just(Gate::Replicated), 1 => Just(Gate::Reachable), 1 => Just(Gate::None)];
    let on_lag = prop_oneof![Just(OnLag::Warn), Just(OnLag::Unready), Just(OnLag::Stop)];
    let times = (1..=20_u64, 1..=60_u64, 1..=60_u64, prop_oneof![2 => Just(0), 1 => 1..=30_u64]);
    let sources = (any::<bool>(), option::of((1..=20_u64).prop_map(secs)));
    (restart, gate, on_lag, times, 0..=3_usize, 0..=2_usize, any::<bool>(), 1..=12_usize, sources).prop_map(
        |(
            restart,
            gate,
            on_lag,
            (stop, gate_timeout, max_lag, orphan),
            databases,
            before,
            terminal,
            limit,
            (resolves, resolve_interval),
        )| Policy {
            restart,
            backoff: BackoffPolicy { limit, ..BackoffPolicy::default() },
            stop_timeout: secs(stop),
            stop_signal: 15,
            gate,
            gate_timeout: secs(gate_timeout),
            max_lag: secs(max_lag),
            on_lag,
            before,
            databases,
            resolves,
            resolve_interval: resolve_interval.filter(|_| resolves),
            orphan_grace: secs(orphan),
            terminal,
        },
    )
}

fn replicas() -> impl Strategy<Value = Replica> {
    prop_oneof![3 => Just(Replica::Answers), 1 => Just(Replica::Away), 1 => Just(Replica::Refuses)]
}

fn faults() -> impl Strategy<Value = (Duration, Fault)> {
    let fault = prop_oneof![
        2 => Just(Fault::Stop(15)),
        1 => Just(Fault::Stop(2)),
        1 => Just(Fault::Signal(1)),
        4 => Just(Fault::LitestreamDies),
        2 => Just(Fault::LitestreamAsked),
        1 => (0..4_usize).prop_map(|place| Fault::Parts(Db(place))),
        1 => Just(Fault::LitestreamHangs),
        1 => Just(Fault::LitestreamWakes),
        1 => (0..4_usize).prop_map(|place| Fault::Stalled(Db(place))),
        4 => Just(Fault::ShimDies),
        3 => how().prop_map(Fault::AppDies),
        2 => replicas().prop_map(Fault::Replica),
        1 => (0..4_usize).prop_map(|place| Fault::Replaced(Db(place))),
        2 => (0..4_usize, any::<bool>()).prop_map(|(place, made)| Fault::Makes(Db(place), made)),
        3 => (0..3_u8).prop_map(Fault::Names),
        2 => (0..3_u8).prop_map(Fault::Drops),
        2 => Just(Fault::Reload),
        4 => (0..4_usize).prop_map(|place| Fault::Waits(Db(place))),
    ];
    (prop_oneof![millis(3000), millis(60_000)], fault)
}

fn plans() -> impl Strategy<Value = Plan> {
    let start = (millis(2000), option::weighted(0.3, millis(5000)), option::weighted(0.95, millis(20_000)));
    let launch_fails = (option::weighted(0.05, millis(2000)), option::weighted(0.05, 1_u64..=3));
    let gate = (millis(20_000), option::of(millis(5000).prop_map(|every| every.max(ms(10)))));
    let failures = (
        option::weighted(0.05, Just(ExitCode::CONFIG)),
        option::weighted(0.05, Just(ExitCode::UNAVAILABLE)),
        prop::bool::weighted(0.1),
    );
    let app = (
        vec((millis(10_000), prop_oneof![3 => Just(Ended::Code(0)), 1 => how()]), 0..=2),
        vec((millis(40_000), how()), 0..=4),
        option::weighted(0.8, (millis(20_000), how())),
        prop::bool::weighted(0.3),
        option::of(millis(20_000)),
        option::weighted(0.05, prop_oneof![Just(NotStarted::NotFound), Just(NotStarted::NotExecutable)]),
    );
    let stuck = (prop::bool::weighted(0.05), prop::bool::weighted(0.05), option::weighted(0.5, millis(3000)));
    let end = (millis(5000), millis(10_000), millis(40_000), millis(100), millis(2000));
    let flags = (prop::bool::weighted(0.8), any::<bool>(), any::<bool>());
    let sources = (
        millis(20_000),
        option::weighted(0.05, Just(ExitCode::UNAVAILABLE)),
        any::<bool>(),
        millis(20_000),
        millis(10_000),
    );
    (start, launch_fails, gate, failures, app, stuck, end, flags, sources).prop_map(
        |(
            (prepare, restore, launch),
            (launch_dies, damaged),
            (gate, gate_moves),
            (prepare_fails, restore_fails, abort_hangs),
            (before, lives, stops, leaves, leftovers_stop, not_started),
            (tree_unkillable, litestream_unkillable, notices),
            (confirm, drain, close, reaped, writes),
            (confirms, shim_gone_first, stale),
            (resolve, resolve_fails, resolve_restores, admit, register),
        )| Plan {
            owed: 0,
            prepare,
            prepare_fails,
            restore,
            restore_fails,
            resolve,
            resolve_fails,
            resolve_restores,
            admit,
            register,
            abort_hangs,
            launch,
            launch_dies,
            damaged,
            confirms,
            gate,
            gate_moves,
            before,
            not_started,
            lives: lives.into(),
            stops,
            leaves,
            leftovers_stop,
            tree_unkillable,
            litestream_unkillable,
            confirm,
            drain,
            close,
            reaped,
            shim_gone_first,
            stale,
            notices: notices.map(|after| after.max(ms(10))),
            writes: writes.max(ms(100)),
        },
    )
}

fn events() -> impl Strategy<Value = Event> {
    let db = || (0..5_usize).prop_map(Db);
    prop_oneof![
        1 => (any::<bool>(), any::<bool>()).prop_map(|(restore, confirms)| Event::Prepared { restore, confirms }),
        1 => Just(Event::PrepareFailed(ExitCode::CONFIG)),
        1 => db().prop_map(Event::Owed),
        1 => Just(Event::Restored),
        1 => Just(Event::RestoreFailed(ExitCode::UNAVAILABLE)),
        2 => db().prop_map(Event::Awaited),
        2 => db().prop_map(Event::Named),
        1 => db().prop_map(Event::Returned),
        1 => db().prop_map(Event::Abandoned),
        1 => db().prop_map(Event::FoundAgain),
        1 => db().prop_map(Event::Dropped),
        2 => any::<bool>().prop_map(|restore| Event::Resolved { restore }),
        1 => Just(Event::ResolveFailed(ExitCode::UNAVAILABLE)),
        1 => Just(Event::Reload),
        1 => (db(), any::<bool>()).prop_map(|(db, ok)| Event::Registered { db, ok }),
        1 => (db(), any::<bool>()).prop_map(|(db, ok)| Event::Unregistered { db, ok }),
        1 => db().prop_map(Event::Removed),
        3 => Just(Event::ShimReady),
        1 => Just(Event::LitestreamAsked),
        2 => Just(Event::ShimGone),
        2 => any::<bool>().prop_map(|clean| Event::LitestreamEnded { clean }),
        1 => Just(Event::GateProgress),
        3 => Just(Event::GateOpened),
        1 => Just(Event::GateRefused),
        1 => Just(Event::AppNotStarted(NotStarted::NotFound)),
        2 => (how(), 0..3u32).prop_map(|(how, left)| Event::AppEnded { how, left }),
        2 => Just(Event::TreeGone),
        1 => db().prop_map(Event::Changed),
        1 => db().prop_map(Event::Replaced),
        1 => db().prop_map(Event::Missing),
        2 => db().prop_map(Event::Wanted),
        1 => db().prop_map(Event::Unwanted),
        1 => (db(), any::<bool>()).prop_map(|(db, ok)| Event::Confirmed { db, ok }),
        1 => db().prop_map(Event::Diverged),
        1 => Just(Event::Damaged),
        2 => db().prop_map(Event::Drained),
        1 => Just(Event::Silent),
        1 => db().prop_map(Event::Stalled),
        1 => Just(Event::StopSignal(15)),
        1 => Just(Event::Signal(1)),
    ]
}

/// More with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(4000), failure_persistence: None, ..config }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever happens, a stop signal ends the unit within its budget, and what is not on the
    /// replica is never passed over. The world checks the rest after every step.
    #[test]
    fn a_stop_ends_any_world_in_time(
        policy in policies(),
        plan in plans(),
        faults in vec(faults(), 0..6),
        later in vec(faults(), 0..4),
        stop in prop_oneof![millis(2000), millis(100_000)],
    ) {
        let mut world = World::new(policy, plan);
        for (delay, fault) in faults {
            world.suffer_in(delay, fault);
        }
        world.pass(stop);
        let asked = world.time();
        let budget = world.policy.stop_timeout;
        world.suffer(Fault::Stop(15));
        for (delay, fault) in later {
            world.suffer_in(delay, fault);
        }
        // A kill takes a moment, and one that the kernel does not carry out a second.
        world.pass(budget + ms(1100));
        prop_assert!(
            world.code().is_some(),
            "{:?} at {asked:?} + {budget:?} + 1.1 s:\n{}",
            world.phase(),
            world.story()
        );
    }

    /// No order of events, however absurd, makes the machine break its own rules.
    #[test]
    fn no_order_of_events_breaks_the_machine(
        policy in policies(),
        script in vec((prop_oneof![3 => Just(Duration::ZERO), 1 => millis(60_000)], events()), 0..120),
    ) {
        let mut now = Instant::now();
        let mut machine = Machine::new(policy, 7);
        let mut exits = 0;
        let mut kills = 0;
        machine.handle(now, Event::Start);
        let mut script = script.into_iter();
        loop {
            while let Some(action) = machine.poll_action() {
                prop_assert_eq!(exits, 0, "{:?} after the end", action);
                exits += usize::from(matches!(action, Action::Exit(..)));
                kills = if action == Action::Launch { 0 } else { kills + usize::from(action == Action::KillLitestream) };
                prop_assert!(kills <= 1, "two signals to one Litestream");
            }
            let Some((delay, event)) = script.next() else { break };
            let then = now + delay;
            while let Some(at) = machine.poll_timeout().filter(|at| *at <= then) {
                now = now.max(at);
                machine.handle_timeout(now);
            }
            now = then;
            machine.handle(now, event);
        }
        prop_assert_eq!(exits == 1, machine.phase() == Phase::Exited);
        for breath in 0..3 {
            machine.handle(now + secs(breath), Event::StopSignal(15));
        }
        prop_assert_eq!(machine.phase(), Phase::Exited);
    }
}
