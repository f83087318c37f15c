//! The soak's command line, and what `cargo test -- …` passes to every test binary.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::plan::{Backend, KINDS};

/// What to do.
pub enum Asked {
    /// Soak.
    Soak(Options),
    /// Say that there is one test; in few words or with a count.
    List { terse: bool },
    /// Nothing: another test was asked for.
    Nothing,
}

/// How to soak.
pub struct Options {
    /// How long lives begin.
    pub time: Duration,
    /// The backends, in turns.
    pub backends: Vec<Backend>,
    /// What everything follows from.
    pub seed: u64,
    /// Worlds side by side.
    pub jobs: u64,
    /// Where failures are kept.
    pub keep: PathBuf,
    /// Only this world.
    pub world: Option<u64>,
    /// Kinds of faults that are left out.
    pub without: Vec<String>,
    /// So many tenants that come and go, instead of worlds.
    pub tenants: Option<usize>,
    /// Another keeper than this package's.
    pub keeper: Option<PathBuf>,
}

/// What `--help` says.
pub const HELP: &str = "\
The soak: lives of the keeper with chance faults; after each end that it calls confirmed, all databases are compared
with their restores.

cargo test --test soak -- [OPTIONS]
    --minutes N             how long new lives begin [default: 2]
    --backend file|s3|both  where the backups are, in turns [default: both]
    --seed N|date           what everything follows from [default: 1]
    --jobs N                worlds side by side [default: one more than there are processors]
    --keep DIR              where all that belongs to a failure is kept [default: target/tmp/soak]
    --world N               only this world of the seed, whatever time it takes
    --without KIND          leaves a kind of fault out; repeatable; --without list names them
    --tenants N             instead of worlds, so many tenants that come and go, by a resolver and in a folder
    --keeper FILE           another litekeeper
";

/// The flags of the usual test harness that take a value in a word of its own.
const WITH_VALUE: [&str; 5] = ["--test-threads", "--color", "--logfile", "--shuffle-seed", "-Z"];

/// Reads the command line; the error is for its user.
pub fn parse(words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut options = Options {
        time: Duration::from_secs(120),
        backends: vec![Backend::File, Backend::S3],
        seed: 1,
        jobs: std::thread::available_parallelism().map_or(2, |number| number.get() as u64 + 1),
        keep: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("soak"),
        world: None,
        without: Vec::new(),
        tenants: None,
        keeper: None,
    };
    let (mut filters, mut skips) = (Vec::new(), Vec::new());
    let (mut exact, mut list, mut terse, mut ignored) = (false, false, false, false);
    let mut words = words.flat_map(|word| match word.split_once('=') {
        Some((name, value)) if name.starts_with("--") => vec![name.to_owned(), value.to_owned()],
        _ => vec![word],
    });
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--minutes" => options.time = minutes(&value()?)?,
            "--backend" => options.backends = backends(&value()?)?,
            "--seed" => options.seed = seed(&value()?)?,
            "--jobs" => options.jobs = number("--jobs", &value()?)?.max(1),
            "--keep" => options.keep = value()?.into(),
            "--world" => options.world = Some(number("--world", &value()?)?),
            "--without" => {
                let kind = value()?;
                if !KINDS.contains(&kind.as_str()) {
                    return Err(format!("--without {kind}: not one of {}", KINDS.join(", ")));
                }
                options.without.push(kind);
            }
            "--tenants" => {
                let count = usize::try_from(number("--tenants", &value()?)?);
                options.tenants = Some(count.map_err(|_| "--tenants: too many".to_owned())?.max(4));
            }
            "--keeper" => options.keeper = Some(value()?.into()),
            "--help" | "-h" => return Err(HELP.to_owned()),
            "--list" => list = true,
            "--exact" => exact = true,
            "--ignored" => ignored = true,
            "--format" => terse = value()? == "terse",
            "--skip" => skips.push(value()?),
            flag if WITH_VALUE.contains(&flag) => drop(value()?),
            // A flag of the usual harness: --nocapture, --quiet, --include-ignored …
            flag if flag.starts_with('-') => (),
            _ => filters.push(word),
        }
    }
    let named = |filter: &String| if exact { filter == "soak" } else { "soak".contains(filter.as_str()) };
    let wanted = (filters.is_empty() || filters.iter().any(named)) && !skips.iter().any(named) && !ignored;
    Ok(match (wanted, list) {
        (false, _) => Asked::Nothing,
        (true, true) => Asked::List { terse },
        (true, false) => Asked::Soak(options),
    })
}

fn number(what: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{what} {text}: not a number"))
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| format!("--minutes {text}: not a number"))?;
    Duration::try_from_secs_f64(minutes * 60.0).map_err(|_| format!("--minutes {text}: no time"))
}

fn backends(text: &str) -> Result<Vec<Backend>, String> {
    match text {
        "file" => Ok(vec![Backend::File]),
        "s3" => Ok(vec![Backend::S3]),
        "both" => Ok(vec![Backend::File, Backend::S3]),
        _ => Err(format!("--backend {text}: not one of file, s3, both")),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    if text != "date" {
        return number("--seed", text);
    }
    let days = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() / 86_400);
    Ok(days)
}
