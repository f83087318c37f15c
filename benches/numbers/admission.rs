//! What it costs the keeper to take in thousands of databases of a folder, before anything is launched.

use std::fs;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::bed::{Bed, PATIENCE, Then};
use super::stats::Samples;
use super::support::process::Spec;
use super::support::sqlite;
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// How many, and four times as many, which may cost four times as much, and some more for a busy machine.
const MANY: [usize; 2] = [1000, 4000];
const LIMIT: f64 = 6.0;

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let (mut few, mut many) = (Samples::default(), Samples::default());
    for _ in 0..effort.of(3, 1) {
        for (number, samples) in [(MANY[0], &mut few), (MANY[1], &mut many)] {
            samples.push(taken_in(number)?);
        }
    }
    let ratio = many.median() / few.median();
    Ok(vec![Row {
        what: format!("the keeper's CPU until {} databases of a resolver are taken in", MANY[1]),
        n: many.n(),
        ours: many.spread("ms"),
        peer: format!("{} databases", MANY[0]),
        theirs: few.spread("ms"),
        compared: format!("{ratio:.1} times as much for 4 times as many"),
        bar: Bar::at_most("ratio", ratio, LIMIT, ""),
    }])
}

/// The milliseconds that the keeper has computed when its app runs.
fn taken_in(number: usize) -> Result<f64, Error> {
    let mut bed = Bed::without_database(Then::Stays)?;
    sqlite::create(&bed.world.path("one.db"), 1);
    let entry = |n: usize| format!(r#"{{"path":"t/{n}.db","replica":{{"path":"b/{n}"}}}}"#);
    let answer: Vec<String> = (0..number).map(entry).collect();
    bed.world.write("answer", &format!("[{}]", answer.join(",")));
    fs::create_dir(bed.world.path("t")).map_err(|error| format!("t: {error}"))?;
    let config = "litekeeper: {resolver: {command: [cat, answer]}}\n";
    bed.config = bed.world.write("litestream.yml", config);
    let running = Spec::start(bed.keeper(&["--stop-timeout", "20s"]));
    let start = Instant::now();
    bed.started()?;
    let cpu = look::cpu(running.pid())?;
    running.signal(Signal::SIGTERM);
    let mut running = running;
    running.wait_within(PATIENCE * 2);
    if start.elapsed() > PATIENCE * 4 {
        return Err("it took too long".to_owned());
    }
    Ok(cpu.as_secs_f64() * 1000.0)
}
