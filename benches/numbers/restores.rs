//! How long it takes to restore many databases, against a line of shell that does nothing else.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::bed::{self, Bed};
use super::stats::{Samples, ratio};
use super::support::wait::wait_until;
use super::support::{litestream, sqlite};
use super::table::{Bar, Row};
use super::{Effort, Error};

/// Two hundred processes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let number = effort.of(200, 40);
    let mut bed = Bed::with_backups(number)?;
    let databases: Vec<PathBuf> =
        (0..number).map(|place| bed.world.path(&format!("data/{place}.db"))).collect();
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for round in 0..effort.of(6, 2) {
        lose(&bed)?;
        let began = Instant::now();
        xargs(&bed, &databases)?;
        let shell = began.elapsed();
        lose(&bed)?;
        let began = Instant::now();
        let running = bed.keeper(&["--restore-parallel", "4", "--gate-timeout", "10m"]).start();
        wait_until("the databases", PATIENCE, || databases.iter().all(|database| database.exists()));
        let kept = began.elapsed();
        bed.started_within(PATIENCE)?;
        bed::end(running);
        // The first pair fills the caches.
        if round > 0 {
            theirs.push_time(shell);
            ours.push_time(kept);
        }
    }
    let times = ours.median() / theirs.median();
    Ok(vec![Row {
        what: format!("start to {number} missing databases restored from a folder, 4 at once"),
        n: ours.n(),
        ours: ours.spread("ms"),
        peer: "`xargs -P4 litestream restore`".to_owned(),
        theirs: theirs.spread("ms"),
        compared: ratio(ours.median(), theirs.median()),
        bar: Bar::at_most("compared", times, 1.0, "times"),
    }])
}

fn lose(bed: &Bed) -> Result<(), Error> {
    let data = bed.world.path("data");
    let lost = fs::remove_dir_all(&data).and_then(|()| fs::create_dir(&data));
    lost.map_err(|error| format!("{}: {error}", data.display()))
}

fn xargs(bed: &Bed, databases: &[PathBuf]) -> Result<(), Error> {
    let mut lines = String::new();
    databases
        .iter()
        .for_each(|database| writeln!(lines, "{}", database.display()).expect("a String takes any text"));
    let list = bed.world.write("list", &lines);
    let list = fs::File::open(list).map_err(|error| error.to_string())?;
    let restored = Command::new("xargs")
        .args(["-P4", "-n1"])
        .arg(litestream::binary(litestream::LATEST))
        .args(["restore", "-config"])
        .arg(&bed.config)
        .stdin(list)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("xargs: {error}"))?;
    if !restored.success() {
        return Err(format!("xargs ended with {restored}"));
    }
    databases.iter().try_for_each(|database| match sqlite::count(database) {
        0 => Err(format!("{} is empty", database.display())),
        _ => Ok(()),
    })
}
