//! Chance writes the answers, the verdicts and the deaths.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::town::Town;
use crate::core::machine::Membership;
use crate::core::{ExitCode, Phase};

#[derive(Clone, Debug)]
enum Op {
    Answer(Vec<(u8, u8)>, bool),
    /// The n-th of what is under way of that kind goes well, or not.
    Look(usize, bool),
    Probe(usize, bool),
    Register(usize, bool),
    Unregister(usize, bool),
    Find(u8, bool, bool),
    Vanish(u8),
    Die,
    GoOn,
    Pass,
    Up,
    Stop,
}

/// No answer has two databases in one place.
fn answers() -> impl Strategy<Value = Vec<(u8, u8)>> {
    vec((0..4_u8, 0..5_u8), 0..5).prop_map(|said| {
        let mut named = BTreeMap::new();
        for (file, place) in said {
            if named.values().all(|taken| *taken != place) {
                named.insert(file, place);
            }
        }
        named.into_iter().collect()
    })
}

fn ops() -> impl Strategy<Value = Op> {
    let ok = || prop::bool::weighted(0.75);
    prop_oneof![
        6 => (answers(), prop::bool::weighted(0.3)).prop_map(|(named, by_hand)| Op::Answer(named, by_hand)),
        6 => (0..4_usize, ok()).prop_map(|(place, ok)| Op::Look(place, ok)),
        5 => (0..4_usize, ok()).prop_map(|(place, ok)| Op::Probe(place, ok)),
        6 => (0..4_usize, ok()).prop_map(|(place, ok)| Op::Register(place, ok)),
        6 => (0..4_usize, ok()).prop_map(|(place, ok)| Op::Unregister(place, ok)),
        2 => (0..4_u8, ok(), ok()).prop_map(|(file, fit, lock)| Op::Find(file, fit, lock)),
        1 => (0..4_u8).prop_map(Op::Vanish),
        1 => Just(Op::Die),
        2 => Just(Op::GoOn),
        1 => Just(Op::Pass),
        1 => Just(Op::Up),
        1 => Just(Op::Stop),
    ]
}

impl Town {
    /// The town checks what always holds after each.
    fn suffer(&mut self, op: Op) {
        match op {
            Op::Answer(named, by_hand) => {
                self.answer(&named, by_hand);
                if self.machine.moment().runs {
                    for (file, _) in named {
                        self.at(file);
                    }
                }
            }
            Op::Look(place, ok) => {
                let number = self.looks.keys().nth(place).copied();
                number.into_iter().for_each(|number| self.looked(number, ok));
            }
            Op::Probe(place, ok) => {
                let number = self.probes.keys().nth(place).copied();
                number.into_iter().for_each(|number| self.probed(number, ok));
            }
            Op::Register(place, ok) => {
                let db = self.registering.iter().nth(place).copied();
                db.into_iter().for_each(|db| self.registered(db, ok));
            }
            Op::Unregister(place, ok) => {
                let db = self.unregistering.iter().nth(place).copied();
                db.into_iter().for_each(|db| self.unregistered(db, ok));
            }
            Op::Find(file, fit, is_free) => {
                self.is_anothers = !is_free;
                self.find(file, fit);
                self.is_anothers = false;
            }
            Op::Vanish(file) => self.vanish(file),
            Op::Die => self.die(),
            Op::GoOn => self.go_on(),
            Op::Pass => self.pass(),
            Op::Up if !self.stopped => {
                for _ in 0..20 {
                    self.go_on();
                }
            }
            Op::Up => {}
            Op::Stop => self.stop(),
        }
    }
}

fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(3000), failure_persistence: None, ..config }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever is answered, refused and dies, no two are in one place, none is let go for nothing, and the machine sees
    /// each as it is. Once all goes well, Litestream has what is named.
    #[test]
    fn what_is_named_is_what_litestream_has_in_the_end(
        first in answers(),
        script in vec(ops(), 0..60),
        last in answers(),
    ) {
        let mut town = Town::new(&first);
        for op in script {
            if town.code.is_some() {
                break;
            }
            town.suffer(op);
        }
        if town.stopped || town.code.is_some() {
            return Ok(());
        }
        town.suffer(Op::Up);
        prop_assume!(town.machine.phase() == Phase::Running);
        // One may wait for the room of another, and who comes back from where it failed is asked once more.
        for _ in 0..6 {
            town.answer(&last, true);
            town.all_go_well();
        }
        prop_assert_eq!(town.all.under_way().count(), 0);
        let found = |file: &u8| town.locked.values().any(|said| said.file == *file && said.found);
        let wanted: BTreeMap<u8, u8> = last.iter().copied().filter(|(file, _)| !found(file)).collect();
        let here: BTreeMap<u8, u8> = town.here().into_iter().filter(|(file, _)| !found(file)).collect();
        prop_assert_eq!(here, wanted);
    }

    /// A stop at any moment: whoever was on its way is where it was, or is counted as not taken in.
    #[test]
    fn a_stop_leaves_nobody_on_its_way(
        first in answers(),
        script in vec(ops(), 0..40),
        later in vec(ops(), 0..10),
    ) {
        let mut town = Town::new(&first);
        for op in script.into_iter().chain([Op::Stop]).chain(later) {
            if town.code.is_none() {
                town.suffer(op);
            }
        }
        for _ in 0..300 {
            if town.code.is_none() {
                town.go_on();
                if town.drains.is_empty() {
                    town.pass();
                }
            }
        }
        let code = town.code.map(ExitCode::get);
        prop_assert!(code.is_some(), "no end in {:?}", town.machine.phase());
        let is_outside = |db| town.machine.membership(db) == Some(Membership::Outside);
        if town.all.known().any(is_outside) {
            prop_assert_eq!(code, Some(74));
        }
    }
}
