//! How long a verification takes, against a script that does what `verify` is there for by hand: restore, have SQLite look at it, count the
//! rows of all tables here and there. It compares no pages, and reads of the backup what the restore needs.

use std::time::{Duration, Instant};

use super::bed::{Bed, PATIENCE, Then};
use super::stats::{Samples, ratio};
use super::support::litestream;
use super::support::process::Spec;
use super::table::{Bar, Row};
use super::{Effort, Error};

/// What a verification of a small database on a folder may take, in milliseconds.
const LIMIT: f64 = 1000.0;

const SCRIPT: &str = "#!/bin/sh
set -e
litestream=$1 config=$2 database=$3
copy=$(mktemp -d)
trap 'rm -rf \"$copy\"' EXIT
\"$litestream\" restore -config \"$config\" -o \"$copy/copy.db\" \"$database\" 2>/dev/null
test \"$(sqlite3 \"$copy/copy.db\" 'PRAGMA quick_check')\" = ok
for file in \"$database\" \"$copy/copy.db\"; do
    sqlite3 \"$file\" \"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '~_litestream%' ESCAPE '~'\" |
        while read -r table; do
            echo \"$table $(sqlite3 \"$file\" \"SELECT count(*) FROM \\\"$table\\\"\")\"
        done >\"$copy/${file##*/}.rows\"
done
cmp \"$copy/${database##*/}.rows\" \"$copy/copy.db.rows\"
echo same
";

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let small = compared(&Bed::with_database(Then::Ends)?, "a small database", effort)?;
    let bar = Bar::at_most("verify", small.0.median(), LIMIT, "ms");
    let mut rows = vec![row("a small database", &small, bar)];
    if effort.of(true, false) {
        let large = compared(&Bed::with_large_database(100, Then::Ends)?, "100 MB", effort)?;
        rows.push(row("100 MB", &large, None));
    }
    Ok(rows)
}

fn row(what: &str, (ours, theirs): &(Samples, Samples), bar: Option<Bar>) -> Row {
    Row {
        what: format!("`verify` of {what} on a folder, no keeper"),
        n: ours.n(),
        ours: ours.spread("ms"),
        peer: "a script of `litestream restore` and `sqlite3`".to_owned(),
        theirs: theirs.spread("ms"),
        compared: ratio(ours.median(), theirs.median()),
        bar,
    }
}

fn compared(bed: &Bed, what: &str, effort: Effort) -> Result<(Samples, Samples), Error> {
    let script = bed.world.program("by-hand", SCRIPT);
    let by_hand = || {
        let mut spec = Spec::new(&script, bed.world.root());
        spec.args([
            litestream::binary(litestream::LATEST).as_os_str(),
            bed.config.as_os_str(),
            bed.world.db().as_os_str(),
        ]);
        spec
    };
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for round in 0..=effort.of(10, 3) {
        let shell = took(by_hand(), "same", what)?;
        let own = took(bed.operator("verify"), "in-sync", what)?;
        // The first pair fills the caches.
        if round > 0 {
            theirs.push_time(shell);
            ours.push_time(own);
        }
    }
    Ok((ours, theirs))
}

/// How long one takes that says this.
fn took(spec: Spec, says: &str, what: &str) -> Result<Duration, Error> {
    let began = Instant::now();
    let ended = spec.run(PATIENCE);
    let took = began.elapsed();
    match ended.status.success() && ended.stdout.contains(says) {
        true => Ok(took),
        false => Err(format!("{what}: {}: {}{}", ended.status, ended.stdout, ended.log)),
    }
}
