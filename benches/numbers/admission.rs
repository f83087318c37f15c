//! What taking in a folder's databases costs the keeper, and whether many cost more than their number.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

use super::bed::{self, Bed, Then, Unit};
use super::stats::ratio;
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// Litestream opens them one after the other.
const PATIENCE: Duration = Duration::from_secs(900);

/// What each cost until the app ran, in milliseconds of CPU.
struct Cost {
    ours: f64,
    litestreams: f64,
}

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    // A machine often allows 20,000 descriptors, and each of so many needs eight.
    let hard = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("getrlimit: {error}"))?.1;
    let (few, many) = effort.of((1000, if hard < 33_000 { 2400 } else { 4000 }), (100, 400));
    let (first, last) = (take_in(few)?, take_in(many)?);
    let row = |number: usize, cost: &Cost, bar| Row {
        what: format!("CPU of the keeper for each of {number} databases of a folder, until the app runs"),
        n: 1,
        ours: format!("{:.2} ms", cost.ours),
        peer: "Litestream in the same unit".to_owned(),
        theirs: format!("{:.2} ms", cost.litestreams),
        compared: ratio(cost.ours, cost.litestreams),
        bar,
    };
    let growth = last.ours / first.ours;
    Ok(vec![
        row(few, &first, None),
        row(many, &last, Bar::at_most(&format!("to each of {few}"), growth, 2.0, "times")),
    ])
}

fn take_in(number: usize) -> Result<Cost, Error> {
    let mut bed = Bed::with_folder(number, Then::Stays)?;
    let running = bed.keeper(&["--gate-timeout", "10m"]).start();
    let (_, app) = bed.started_within(PATIENCE)?;
    let unit = Unit::of(app)?;
    let each = |cpu: Duration| cpu.as_secs_f64() * 1000.0 / number as f64;
    let cost = Cost { ours: each(look::cpu(unit.keeper)?), litestreams: each(look::cpu(unit.litestream)?) };
    bed::end(running);
    let replica = bed.world.path("replica");
    match fs::read_dir(&replica).map(Iterator::count) {
        Ok(found) if found == number => Ok(cost),
        found => Err(format!("{}: {found:?} backups instead of {number}", replica.display())),
    }
}
