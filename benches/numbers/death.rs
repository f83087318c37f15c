//! How fast the app follows Litestream into death.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::bed::{self, Bed, PATIENCE, Then, Unit};
use super::stats::Samples;
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// What lives on this long after a bare Litestream lives for ever.
const FOR_EVER: Duration = Duration::from_secs(1);

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let mut times = Samples::default();
    let mut bed = Bed::with_database(Then::Stays)?;
    // The wait between the rounds is no part of what is measured.
    let quick = ["--restart-delay", "10ms", "--restart-delay-max", "10ms", "--start-limit", "1000000"];
    let running = bed.keeper(&quick).start();
    for _ in 0..effort.of(200, 100) {
        let (_, app) = bed.started()?;
        let died = look::death_after_kill(Unit::of(app)?.litestream, app, PATIENCE)?;
        times.push_time(died.ok_or_else(|| format!("the app lived for {PATIENCE:?} after Litestream"))?);
    }
    bed.started()?;
    bed::end(running);
    Ok(vec![Row {
        what: "SIGKILL of Litestream to the app's death".to_owned(),
        n: times.n(),
        ours: times.tail("ms"),
        peer: "bare `litestream replicate -exec`".to_owned(),
        theirs: bare()?,
        compared: "–".to_owned(),
        bar: Bar::at_most("p99", times.p99(), 10.0, "ms"),
    }])
}

fn bare() -> Result<String, Error> {
    let mut bed = Bed::with_database(Then::Stays)?;
    let running = bed.bare().start();
    let (_, app) = bed.started()?;
    let died = look::death_after_kill(running.pid(), app, FOR_EVER)?;
    Ok(match died {
        Some(time) => format!("{:.2} ms", time.as_secs_f64() * 1e3),
        None => {
            kill(Pid::from_raw(app), Signal::SIGKILL)
                .map_err(|error| format!("cannot kill {app}: {error}"))?;
            running.finish();
            format!("never (it runs on after {} s)", FOR_EVER.as_secs())
        }
    })
}
