//! What the keeper adds before the app runs, and around the whole run of an app that ends at once.

use std::time::Instant;

use super::bed::{Bed, PATIENCE, Then};
use super::stats::Samples;
use super::support::process::Spec;
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// The same of one side.
#[derive(Default)]
struct Side {
    first_byte: Samples,
    whole: Samples,
}

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let none = [Bed::without_database(Then::Ends)?, Bed::without_database(Then::Ends)?];
    let mut rows = compare(none, "without a database", 15.0, effort)?;
    let one = [Bed::with_database(Then::Ends)?, Bed::with_database(Then::Ends)?];
    rows.extend(compare(one, "one database, gate on a file replica", 80.0, effort)?);
    Ok(rows)
}

/// In turns, so that both meet the same noise; each in a bed of its own.
fn compare(
    [mut bare, mut kept]: [Bed; 2],
    case: &str,
    limit: f64,
    effort: Effort,
) -> Result<Vec<Row>, Error> {
    let (mut theirs, mut ours) = (Side::default(), Side::default());
    // The first pair fills the caches.
    let mut warm_up = (Side::default(), Side::default());
    once(bare.bare(), &mut bare, &mut warm_up.0)?;
    once(kept.keeper(&[]), &mut kept, &mut warm_up.1)?;
    for _ in 0..effort.of(40, 10) {
        once(bare.bare(), &mut bare, &mut theirs)?;
        once(kept.keeper(&[]), &mut kept, &mut ours)?;
    }
    let row = |what: &str, ours: &Samples, theirs: &Samples, bar| Row {
        what: format!("{what}, {case}"),
        n: ours.n(),
        ours: ours.spread("ms"),
        peer: "bare `litestream replicate -exec`".to_owned(),
        theirs: theirs.spread("ms"),
        compared: format!("+{:.1} ms", ours.median() - theirs.median()),
        bar,
    };
    let added = ours.first_byte.median() - theirs.first_byte.median();
    let bar = Bar::at_most("added", added, limit, "ms");
    Ok(vec![
        row("start to the app's first byte", &ours.first_byte, &theirs.first_byte, bar),
        row("start to end of an app that ends at once", &ours.whole, &theirs.whole, None),
    ])
}

fn once(spec: Spec, bed: &mut Bed, side: &mut Side) -> Result<(), Error> {
    let start = Instant::now();
    let mut running = spec.start();
    let (started, _) = bed.started()?;
    let ended = look::end_of(running.pid(), PATIENCE)?;
    let status = running.wait();
    if !status.success() {
        return Err(format!("it ended with {status}: {}", running.log()));
    }
    side.first_byte.push_time(started.duration_since(start));
    side.whole.push_time(ended.duration_since(start));
    Ok(())
}
