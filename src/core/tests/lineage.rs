//! Databases and places that meet in any order.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::core::lineage::{Here, Id, Lineage, There};

#[test]
fn each_row_of_the_table() {
    let (one, two) = (Id(1), Id(2));
    for (here, there, lineage) in [
        (Here::Missing, There::Nothing, Lineage::New),
        (Here::Missing, There::Backup, Lineage::New),
        (Here::Missing, There::Marked(one), Lineage::Take(one)),
        (Here::Unmarked, There::Nothing, Lineage::New),
        (Here::Unmarked, There::Backup, Lineage::New),
        (Here::Unmarked, There::Marked(one), Lineage::Take(one)),
        (Here::Marked(one), There::Nothing, Lineage::Emptied(one)),
        (Here::Marked(one), There::Backup, Lineage::Adopt(one)),
        (Here::Marked(one), There::Marked(one), Lineage::Same),
        (Here::Marked(one), There::Marked(two), Lineage::Another(two)),
        (Here::Missing, There::Reserved(one), Lineage::Take(one)),
        (Here::Unmarked, There::Reserved(one), Lineage::Take(one)),
        (Here::Marked(one), There::Reserved(one), Lineage::Same),
        (Here::Marked(one), There::Reserved(two), Lineage::Emptied(one)),
    ] {
        assert_eq!(Lineage::of(here, there), lineage, "{here:?} {there:?}");
    }
}

#[test]
fn an_id_is_read_as_it_is_written() {
    for id in [Id(0), Id(0xfe), Id(u128::MAX)] {
        assert_eq!((id.to_string().len(), Id::parse(&id.to_string())), (32, Some(id)));
    }
    for text in ["", "1", "+0000000000000000000000000000001", "g0000000000000000000000000000001"] {
        assert_eq!(Id::parse(text), None, "{text}");
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// A keeper runs this database at this place, and its app writes once.
    Run(usize, usize),
    /// The file is lost, and what is beside it is not; or all is.
    Lose(usize, bool),
    /// Somebody makes a file by hand.
    Make(usize),
    Empty(usize),
}

#[derive(Clone, Default)]
struct Side {
    id: Option<Id>,
    /// Each row that was ever written is another one.
    rows: Option<Vec<u32>>,
}

#[derive(Default)]
struct World {
    databases: [Side; 3],
    places: [Side; 3],
    written: u32,
}

impl World {
    fn write(&mut self) -> u32 {
        self.written += 1;
        self.written
    }

    /// Beside the ids the newest transaction of the backup tells, of which there is a file here as well; what has nothing beside it
    /// is compared as a whole.
    fn run(&mut self, database: usize, place: usize) {
        let row = self.write();
        let (here, there) = (self.databases[database].clone(), self.places[place].clone());
        let side = match (&here.rows, here.id) {
            (None, _) => Here::Missing,
            (Some(_), None) => Here::Unmarked,
            (Some(_), Some(id)) => Here::Marked(id),
        };
        let at = match (&there.rows, there.id) {
            (Some(_), Some(id)) => There::Marked(id),
            (None, Some(id)) => There::Reserved(id),
            (Some(_), None) => There::Backup,
            (None, None) => There::Nothing,
        };
        let id = match Lineage::of(side, at) {
            Lineage::Another(_) => return,
            Lineage::Same => here.id.unwrap(),
            Lineage::New => Id(row.into()),
            Lineage::Take(id) | Lineage::Adopt(id) | Lineage::Emptied(id) => id,
        };
        let backup = there.rows.unwrap_or_default();
        let mut rows = match here.rows {
            None => backup,
            Some(rows) if here.id.is_none() && !backup.is_empty() && rows != backup => return,
            Some(rows) if !backup.is_empty() && rows.get(backup.len() - 1) != backup.last() => return,
            Some(rows) => rows,
        };
        rows.push(row);
        self.databases[database] = Side { id: Some(id), rows: Some(rows.clone()) };
        self.places[place] = Side { id: Some(id), rows: Some(rows) };
    }

    fn suffer(&mut self, op: &Op) {
        match *op {
            Op::Run(database, place) => self.run(database, place),
            Op::Lose(database, all) => {
                self.databases[database].rows = None;
                if all {
                    self.databases[database].id = None;
                }
            }
            Op::Make(database) => {
                let row = self.write();
                self.databases[database] = Side { id: None, rows: Some(vec![row]) };
            }
            Op::Empty(place) => self.places[place] = Side::default(),
        }
    }
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..3_usize, 0..3_usize).prop_map(|(database, place)| Op::Run(database, place)),
        1 => (0..3_usize, any::<bool>()).prop_map(|(database, all)| Op::Lose(database, all)),
        1 => (0..3_usize).prop_map(Op::Make),
        1 => (0..3_usize).prop_map(Op::Empty),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is run where, what a place has is gone on with, or it was emptied by somebody; nothing takes its place.
    #[test]
    fn no_run_replaces_what_a_place_has_by_something_else(script in vec(ops(), 0..40)) {
        let mut world = World::default();
        for op in script {
            let before: Vec<Side> = world.places.to_vec();
            world.suffer(&op);
            for (place, (was, is)) in before.iter().zip(&world.places).enumerate() {
                if !matches!(op, Op::Empty(emptied) if emptied == place) {
                    let was = was.rows.clone().unwrap_or_default();
                    let is = is.rows.clone().unwrap_or_default();
                    prop_assert!(is.starts_with(&was), "{op:?}: {place} had {was:?} and has {is:?}");
                }
            }
        }
    }
}

#[test]
fn a_place_stays_its_databases_and_what_nothing_ever_came_to_goes_to_who_has_something() {
    let mut world = World::default();
    for (database, place) in [(0, 0), (1, 1)] {
        world.run(database, place);
    }
    let there = world.places[1].clone();
    world.run(0, 1);
    assert_eq!((world.places[1].id, &world.places[1].rows), (there.id, &there.rows));
    world.places[1].rows = None;
    world.run(0, 1);
    assert_eq!(
        (world.places[1].id, &world.places[1].rows),
        (world.databases[0].id, &world.databases[0].rows)
    );
    world.run(1, 1);
    assert_eq!(world.places[1].id, world.databases[0].id, "and is that one's from then on");
}
