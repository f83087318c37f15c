//! The numbers that Litekeeper holds, each beside a peer that is measured in the same run.
//!
//! ```text
//! cargo bench                        all of them, about ten minutes
//! cargo bench -- --quick             fewer rounds, under a minute
//! cargo bench -- death crash         some of them
//! LITEKEEPER_BENCH_BINARY=… cargo bench    another keeper
//! ```
//!
//! Cargo builds the keeper of a benchmark with the features that the tests need of its dependencies, tokio's
//! among them; the one that `cargo build --release` makes is a little smaller.
//!
//! A bar that does not hold is reported and is no failure: a benchmark is no test, and the machine may
//! be busy. Something that cannot be measured is one.
//!
//! ```text
//! memory   what keeper and shim keep in memory        bed    a folder, an app that reports, the programs
//! startup  what they add before the app runs          look   processes as the kernel accounts for them
//! death    how fast the app follows Litestream        stats  many measurements as a few numbers
//! crash    how fast it comes back                     table  the Markdown in the end
//! idle     what they cost when nothing happens
//! compare  what holding a database against its ledger costs
//! restores  how long many databases take that are missing
//! by_hand  the same by `litekeeper restore`, over a link with a delay as well, which is `link`
//! admission  what each of thousands of databases costs at the start
//! verify  how long a verification takes
//! named  the same of those that a resolver names, as far as nothing is asked of the machine
//! ```

mod admission;
mod bed;
mod by_hand;
mod compare;
mod crash;
mod death;
mod idle;
mod link;
mod look;
mod memory;
mod named;
mod restores;
mod startup;
mod stats;
#[expect(dead_code, reason = "the harness of the suite, of which a benchmark needs a part")]
#[path = "../../tests/suite/support/mod.rs"]
mod support;
mod table;
mod verify;

use std::process::ExitCode;

use table::Row;

/// Why something could not be measured.
type Error = String;

/// A family of rows: its name on the command line, and how it is measured.
type Family = (&'static str, fn(Effort) -> Result<Vec<Row>, Error>);

const FAMILIES: &[Family] = &[
    ("memory", memory::measure),
    ("startup", startup::measure),
    ("death", death::measure),
    ("crash", crash::measure),
    ("idle", idle::measure),
    ("compare", compare::measure),
    ("restores", restores::measure),
    ("by-hand", by_hand::measure),
    ("admission", admission::measure),
    ("named", named::measure),
    ("verify", verify::measure),
];

/// How many rounds are worth it.
#[derive(Clone, Copy)]
enum Effort {
    Full,
    Quick,
}

impl Effort {
    /// The one number or the other.
    fn of<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let mut effort = Effort::Full;
    let mut wanted = Vec::new();
    for arg in std::env::args().skip(1) {
        match arg.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--quick" => effort = Effort::Quick,
            name if FAMILIES.iter().any(|(family, _)| *family == name) => wanted.push(arg),
            _ => {
                let families = FAMILIES.iter().map(|(family, _)| *family).collect::<Vec<_>>().join(", ");
                return Err(format!("`{arg}` is neither --quick nor one of {families}"));
            }
        }
    }
    let mut rows = Vec::new();
    for &(name, measure) in FAMILIES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring: {name}");
            let found = measure(effort).map_err(|error| format!("{name}: {error}"))?;
            found.iter().for_each(Row::report);
            rows.extend(found);
        }
    }
    println!("{}", bed::describe()?);
    print!("{}", table::markdown(&rows));
    Ok(())
}
