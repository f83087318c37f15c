//! How fast a crashed app runs again.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::bed::{self, Bed, Then};
use super::stats::{Samples, ratio};
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// supervisord restarts at once only what has run for its `startsecs`, 1 s.
const STARTED: Duration = Duration::from_millis(1500);

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let mut times = Samples::default();
    let mut bed = Bed::with_database(Then::Stays)?;
    // Each crash counts as the first one.
    let fresh = ["--restart-reset", "0s", "--start-limit", "1000000"];
    let running = bed.keeper(&fresh).start();
    let (_, mut app) = bed.started()?;
    for _ in 0..effort.of(50, 20) {
        let crashed = crash(app)?;
        let (started, next) = bed.started()?;
        times.push_time(started.duration_since(crashed));
        app = next;
    }
    bed::end(running);
    let peer = supervisord(effort)?;
    Ok(vec![Row {
        what: "crash of the app to the first byte of the next one, 100 ms of it backoff".to_owned(),
        n: times.n(),
        ours: times.spread("ms"),
        peer: "supervisord".to_owned(),
        theirs: peer.as_ref().map_or_else(|| "not installed".to_owned(), |peer| peer.spread("ms")),
        compared: peer.map_or_else(|| "–".to_owned(), |peer| ratio(times.median(), peer.median())),
        bar: Bar::at_most("median", times.median(), 150.0, "ms"),
    }])
}

fn supervisord(effort: Effort) -> Result<Option<Samples>, Error> {
    let mut bed = Bed::without_database(Then::Stays)?;
    let Some(spec) = bed.supervisord() else { return Ok(None) };
    let mut times = Samples::default();
    let running = spec.start();
    let (_, mut app) = bed.started()?;
    for _ in 0..effort.of(10, 3) {
        look::idle(STARTED);
        let crashed = crash(app)?;
        let (started, next) = bed.started()?;
        times.push_time(started.duration_since(crashed));
        app = next;
    }
    bed::end(running);
    Ok(Some(times))
}

fn crash(app: i32) -> Result<Instant, Error> {
    let now = Instant::now();
    kill(Pid::from_raw(app), Signal::SIGSEGV).map_err(|error| format!("cannot kill {app}: {error}"))?;
    Ok(now)
}
