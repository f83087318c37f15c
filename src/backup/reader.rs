//! Restores of many small databases in one process, by a reader of our own: most of what Litestream needs for one of those is the start
//! of its process. The command `__restore`.
//!
//! What comes of it is byte for byte what Litestream restores (`tests/suite/operator_many.rs`), each file that is read is held against its own
//! checksum, and whatever is not as it should be is left to Litestream, and to what that says of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::litestream::ltx::{Ltx, lock_page};
use crate::litestream::restore_plan::{self, PlannedFile, Point};
use crate::os::{dir, open, order};
use crate::sqlite::check::{self, Depth, Verdict};

/// A backup of more bytes than this takes longer than the start of a process.
const LARGEST: u64 = 16 << 20;
/// A database of more pages than this is not begun with.
const MOST_PAGES: u32 = 1 << 20;

/// What is to be done.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Order {
    /// The restores.
    pub(super) jobs: Vec<Job>,
    /// How closely each is looked at, in the word for it on a command line.
    pub(super) depth: String,
    /// What was there before this time is restored, in nanoseconds since 1970.
    pub(super) before: Option<u64>,
}

/// One restore.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Job {
    /// The folder that the database is replicated to.
    pub(super) replica: PathBuf,
    /// The file that is to be made: the only thing that is written.
    pub(super) output: PathBuf,
}

/// What came of one.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Answer {
    /// The file is there and whole.
    Restored {
        /// The last transaction that is in it.
        txid: u64,
        /// How long it took.
        took: Duration,
    },
    /// It is Litestream's, and this is why.
    Left(String),
}

/// Does what the memory under this descriptor says, and prints an answer for each; the exit code is for the process.
pub fn main(order: Option<&str>) -> u8 {
    order::carry_out(order, carry_out)
}

fn carry_out(order: &[u8]) -> Result<Vec<u8>, String> {
    let order: Order = serde_json::from_slice(order).map_err(|error| error.to_string())?;
    let depth = Depth::parse(&order.depth).unwrap_or_default();
    let before = order.before.map(|time| UNIX_EPOCH + Duration::from_nanos(time));
    let answer = |job| restore(job, before, depth).unwrap_or_else(|error| Answer::Left(error.to_string()));
    let answers: Vec<Answer> = order.jobs.iter().map(answer).collect();
    serde_json::to_vec(&answers).map_err(|error| error.to_string())
}

fn restore(job: &Job, before: Option<SystemTime>, depth: Depth) -> io::Result<Answer> {
    let left = |why: &str| Ok(Answer::Left(why.to_owned()));
    let began = Instant::now();
    if job.replica.join("generations").symlink_metadata().is_ok() {
        return left("there are files of litestream 0.3 as well");
    }
    let point = before.map_or(Point::Newest, Point::Before);
    let Some(files) = restore_plan::plan(restore_plan::list(&job.replica)?, point) else {
        return left("its files do not make up a database");
    };
    if files.iter().fold(0_u64, |all, file| all.saturating_add(file.size)) > LARGEST {
        return left("it is large");
    }
    let txid = files.last().map_or(0, |file| file.max);
    let output = open::make(&job.output)?;
    output.set_permissions(dir::rights_of_a_new_file())?;
    put_together(&files, &output)?;
    drop(output);
    match check::look(&job.output, depth).map_err(io::Error::other)? {
        Verdict::Whole => Ok(Answer::Restored { txid, took: began.elapsed() }),
        Verdict::Odd(words) | Verdict::Malformed(words) => Ok(Answer::Left(words)),
    }
}

/// Writes the pages of these files into an empty one: what a later one has takes the place of what an earlier had.
fn put_together(files: &[PlannedFile], output: &File) -> io::Result<()> {
    let mut page_size = None;
    let mut written = Vec::new();
    let mut commit = 0;
    for file in files {
        let ltx = Ltx::open(&file.path)?.ok_or_else(|| unlike("a file is none of litestream's"))?;
        let size = u64::from(*page_size.get_or_insert(ltx.page_size));
        if ltx.span != (file.min..=file.max) || u64::from(ltx.page_size) != size || ltx.commit > MOST_PAGES {
            return Err(unlike("a file is not what its name says"));
        }
        commit = ltx.commit;
        written.resize(written.len().max(ltx.commit as usize), false);
        ltx.each(|number, content| {
            let place = (number - 1) as usize;
            written[place] = true;
            output.write_all_at(content, place as u64 * size)
        })?;
    }
    let size = page_size.unwrap_or_default();
    output.set_len(u64::from(commit) * u64::from(size))?;
    let unwritten = lock_page(size);
    let is_there = |number: u32| number == unwritten || written[(number - 1) as usize];
    if (1..=commit).all(is_there) { Ok(()) } else { Err(unlike("a page of the database is in no file")) }
}

fn unlike(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
