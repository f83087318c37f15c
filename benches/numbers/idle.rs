//! What keeper and shim cost when nothing happens.

use std::time::{Duration, Instant};

use super::bed::{self, Bed, Then, Unit};
use super::stats::ratio;
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// What happens at the start is over by then.
const SETTLED: Duration = Duration::from_secs(2);

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let window = Duration::from_secs(effort.of(20, 5));
    let mut bed = Bed::with_database(Then::Stays)?;
    let running = bed.keeper(&[]).start();
    let (_, app) = bed.started()?;
    let unit = Unit::of(app)?;
    look::idle(SETTLED);
    let look = || {
        let ours = look::cpu(unit.keeper)? + look::cpu(unit.shim)?;
        Ok::<_, Error>((Instant::now(), ours, look::cpu(unit.litestream)?))
    };
    let (start, ours, theirs) = look()?;
    look::idle(window);
    let (end, ours_then, theirs_then) = look()?;
    bed::end(running);
    let percent = |time: Duration| time.as_secs_f64() / end.duration_since(start).as_secs_f64() * 100.0;
    let (ours, theirs) = (percent(ours_then - ours), percent(theirs_then - theirs));
    Ok(vec![Row {
        what: format!("CPU of an idle keeper and shim, one database, over {} s", window.as_secs()),
        n: 1,
        ours: format!("{ours:.3} %"),
        peer: "Litestream in the same unit".to_owned(),
        theirs: format!("{theirs:.3} %"),
        compared: ratio(ours, theirs),
        bar: Bar::at_most("share of one CPU", ours, 0.1, "%"),
    }])
}
