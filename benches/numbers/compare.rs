//! What it costs that each database is held against its ledger: the comparison of all of it by itself, and the stop
//! of a unit, which has one in it.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::bed::{Bed, PATIENCE, Then};
use super::stats::Samples;
use super::support::process::Spec;
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// What the stop of a unit with 100 MB may take more, in milliseconds.
const LIMIT: f64 = 300.0;

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for mebibytes in [1, 100, 1024] {
        if mebibytes > 100 && effort.of(false, true) {
            continue;
        }
        let mut bare = Bed::with_large_database(mebibytes, Then::Stays)?;
        let mut kept = Bed::with_large_database(mebibytes, Then::Stays)?;
        rows.push(stop(&mut bare, &mut kept, mebibytes, effort)?);
        rows.push(whole(&kept, mebibytes, effort)?);
    }
    Ok(rows)
}

fn stop(bare: &mut Bed, kept: &mut Bed, mebibytes: u32, effort: Effort) -> Result<Row, Error> {
    let (mut theirs, mut ours) = (Samples::default(), Samples::default());
    for round in 0..=effort.of(10, 3) {
        let (bare_took, kept_took) = (stopped(bare.bare(), bare)?, stopped(kept.keeper(&[]), kept)?);
        // The first pair fills the caches.
        if round > 0 {
            theirs.push_time(bare_took);
            ours.push_time(kept_took);
        }
    }
    let added = ours.median() - theirs.median();
    Ok(Row {
        what: format!("TERM to the end, {mebibytes} MB"),
        n: ours.n(),
        ours: ours.spread("ms"),
        peer: "bare `litestream replicate -exec`".to_owned(),
        theirs: theirs.spread("ms"),
        compared: format!("{added:+.1} ms"),
        bar: if mebibytes == 100 { Bar::at_most("added", added, LIMIT, "ms") } else { None },
    })
}

fn stopped(spec: Spec, bed: &mut Bed) -> Result<std::time::Duration, Error> {
    let mut running = spec.start();
    bed.started()?;
    let start = Instant::now();
    // Litestream's first snapshot would hold up whoever syncs.
    while !bed.has_snapshot() {
        if start.elapsed() >= PATIENCE {
            return Err("no snapshot was made".to_owned());
        }
        look::idle(std::time::Duration::from_millis(20));
    }
    let start = Instant::now();
    running.signal(Signal::SIGTERM);
    let ended = look::end_of(running.pid(), PATIENCE)?;
    running.wait();
    Ok(ended.duration_since(start))
}

fn whole(bed: &Bed, mebibytes: u32, effort: Effort) -> Result<Row, Error> {
    let (mut theirs, mut ours) = (Samples::default(), Samples::default());
    let meta = bed.world.path(".app.db-litestream");
    for _ in 0..effort.of(10, 3) {
        // Of a ledger that is not there everything is due.
        let _ = std::fs::remove_file(meta.join("litekeeper-ledger"));
        let start = Instant::now();
        let ended = bed.ledger("all", &meta).run(PATIENCE);
        ours.push_time(start.elapsed());
        if !ended.stdout.contains("Equal") {
            return Err(format!("the comparison says {} {}", ended.stdout, ended.log));
        }
        let start = Instant::now();
        bed.quick_check()?;
        theirs.push_time(start.elapsed());
    }
    Ok(Row {
        what: format!("making a ledger and comparing all, {mebibytes} MB"),
        n: ours.n(),
        ours: ours.spread("ms"),
        peer: "`PRAGMA quick_check`".to_owned(),
        theirs: theirs.spread("ms"),
        compared: format!("{:.2} ×", ours.median() / theirs.median()),
        bar: None,
    })
}
