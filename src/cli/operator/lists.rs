//! What is in one backup: `litekeeper ltx`, `snapshots`, `generations` and `wal`.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;

use serde_json::{Value, json};

use super::args;
use super::asker::Asker;
use super::candidate::{Candidate, Candidates, is_url};
use super::opened;
use super::shown::{self, Lines};
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::litestream::argv;
use crate::litestream::ltx;
use crate::litestream::version::Version;
use crate::os::permit;
use crate::printer::Paint;
use crate::replica::helper::{Formats, is_blind};

/// Lists the LTX files of a backup.
///
/// # Errors
/// There is no such database, or its replica does not answer.
pub(in crate::cli) fn ltx(args: &args::Ltx) -> Result<ExitCode, Failure> {
    let (_, text) = ask(&args.listing, |version| {
        if version.is_ltx() {
            Ok(("ltx", Vec::new()))
        } else {
            Err(without(version, "LTX files", "wal", "0.5"))
        }
    })?;
    let is_wanted = |file: &File| match args.level {
        args::Level::All => true,
        args::Level::Of(level) => file.level == level,
    };
    let files: Vec<File> = File::listed(&text).into_iter().filter(is_wanted).collect();
    if args.listing.json {
        return print(files.iter().map(File::json).collect());
    }
    let mut lines = Lines::new([">LEVEL", "FIRST TXID", "LAST TXID", ">SIZE", "CREATED"]);
    for file in files {
        let (min, max) = (argv::txid_text(file.min), argv::txid_text(file.max));
        let created = shown::known(file.created);
        lines.add(Paint::Plain, [file.level.to_string(), min, max, shown::size(file.size), created]);
    }
    lines.print("no file")?;
    Ok(ExitCode::OK)
}

/// Lists the snapshots of a backup: those of Litestream 0.3, or the LTX files that are some.
///
/// # Errors
/// As [`ltx`].
pub(in crate::cli) fn snapshots(args: &args::Replicated) -> Result<ExitCode, Failure> {
    let (version, text) = ask(&args.listing, |version| match version.is_ltx() {
        true if args.replica.is_some() => Err(one_replica(version)),
        true => Ok(("ltx", Vec::new())),
        false => Ok(("snapshots", option("-replica", args.replica.as_deref()))),
    })?;
    let found: Vec<Snapshot> = match version.is_ltx() {
        true => {
            let files = File::listed(&text).into_iter();
            files.filter(|file| file.level == u64::from(ltx::SNAPSHOTS)).map(Snapshot::of_file).collect()
        }
        false => text.lines().skip(1).filter_map(Snapshot::read).collect(),
    };
    if args.listing.json {
        return print(found.iter().map(Snapshot::json).collect());
    }
    let known = |text: &Option<String>| shown::known(text.clone());
    if version.is_ltx() {
        let mut lines = Lines::new(["TXID", ">SIZE", "CREATED"]);
        for one in &found {
            lines.add(Paint::Plain, [known(&one.txid), shown::size(one.size), known(&one.created)]);
        }
        lines.print("no snapshot")?;
        return Ok(ExitCode::OK);
    }
    let mut lines = Lines::new(["REPLICA", "GENERATION", "INDEX", ">SIZE", "CREATED"]);
    for one in &found {
        let place = [known(&one.replica), known(&one.generation), known(&one.index)];
        lines.add(Paint::Plain, place.into_iter().chain([shown::size(one.size), known(&one.created)]));
    }
    lines.print("no snapshot")?;
    Ok(ExitCode::OK)
}

/// Lists the generations of a backup (Litestream 0.3).
///
/// # Errors
/// As [`ltx`].
pub(in crate::cli) fn generations(args: &args::Replicated) -> Result<ExitCode, Failure> {
    let (_, text) = ask(&args.listing, |version| match version.is_ltx() {
        true => Err(without(version, "generations", "ltx", "0.3.13")),
        false => Ok(("generations", option("-replica", args.replica.as_deref()))),
    })?;
    // name generation lag start end
    let rows = text.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let rows: Vec<_> = rows
        .filter_map(|row| {
            let [replica, generation, lag, from, to] = row[..] else { return None };
            Some([replica, generation, lag, from, to].map(str::to_owned))
        })
        .collect();
    if args.listing.json {
        let row = |[replica, generation, _, from, to]: &[String; 5]| json!({"replica": replica, "generation": generation, "from": shown::time(from), "to": shown::time(to)});
        return print(rows.iter().map(row).collect());
    }
    let mut lines = Lines::new(["REPLICA", "GENERATION", ">LAG", "FROM", "TO"]);
    rows.into_iter().for_each(|row| lines.add(Paint::Plain, row));
    lines.print("no generation")?;
    Ok(ExitCode::OK)
}

/// Lists the pieces of the WAL in a backup (Litestream 0.3).
///
/// # Errors
/// As [`ltx`].
pub(in crate::cli) fn wal(args: &args::Wal) -> Result<ExitCode, Failure> {
    let args::Wal { of, generation } = args;
    let (_, text) = ask(&of.listing, |version| match version.is_ltx() {
        true => Err(without(version, "WAL files", "ltx", "0.3.13")),
        false => {
            let replica = option("-replica", of.replica.as_deref());
            Ok(("wal", [replica, option("-generation", generation.as_deref())].concat()))
        }
    })?;
    // replica generation index offset size created
    let rows = text.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let rows: Vec<_> = rows
        .filter_map(|row| {
            let [replica, generation, number, offset, size, created] = row[..] else { return None };
            let numbers = (offset.parse::<u64>().ok(), size.parse::<u64>().ok());
            Some((replica.to_owned(), generation.to_owned(), index(number), numbers, shown::time(created)))
        })
        .collect();
    if of.listing.json {
        let row = |(replica, generation, index, (offset, size), created): &_| json!({"replica": replica, "generation": generation, "index": index, "offset": offset, "size_bytes": size, "created_at": created});
        return print(rows.iter().map(row).collect::<Vec<Value>>());
    }
    let mut lines = Lines::new(["REPLICA", "GENERATION", "INDEX", ">OFFSET", ">SIZE", "CREATED"]);
    for (replica, generation, index, (offset, size), created) in rows {
        let offset = shown::number(offset);
        let (index, created) = (shown::known(index), shown::known(created));
        lines.add(Paint::Plain, [replica, generation, index, offset, shown::size(size), created]);
    }
    lines.print("no WAL file")?;
    Ok(ExitCode::OK)
}

/// Asks Litestream, with the command and options that its version has for it.
fn ask(
    args: &args::Listing,
    how: impl FnOnce(Version) -> Result<(&'static str, Vec<OsString>), Failure>,
) -> Result<(Version, String), Failure> {
    let url = args.db.as_deref().filter(|db| is_url(db));
    // A database that is nowhere, to be asked about by its replica.
    let opened = opened::open(&args.given, url.map(|url| (OsStr::new("url.db"), url)))?;
    let inventory = opened.inventory();
    let word = args.db.as_deref().filter(|_| url.is_none());
    let one = Candidates::look(&opened, &inventory)?.only(word)?;
    one_shot::block_on(|children| async {
        let asker = Asker::start(&opened, children).await?;
        let (command, options) = how(asker.version)?;
        let text = asker.list(&inventory, &one, (command, &options), args.timeout).await;
        // Its name is nobody's.
        let nameless = |failure: Failure| {
            let name = format!("{}: ", one.db.path.display());
            Failure { message: failure.message.replace(&name, ""), ..failure }
        };
        let text = if url.is_some() { text.map_err(nameless) } else { text }?;
        if text.lines().nth(1).is_none() {
            refuse_missing(&one)?;
            match asker.held(&inventory, &one, args.timeout).await {
                Some(Err(why)) if !is_blind(&why) => return Err(unproven(&one, &why)),
                held => refuse_other_series(&asker, &one, held.and_then(Result::ok))?,
            }
        }
        Ok((asker.version, text))
    })?
}

/// Refuses to call a folder empty that is not there.
fn refuse_missing(one: &Candidate) -> Result<(), Failure> {
    let Some(folder) = one.db.replica_folder.as_ref() else { return Ok(()) };
    let is_missing =
        permit::theirs(|| folder.metadata()).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if !is_missing {
        return Ok(());
    }
    Err(Failure::new(ExitCode::UNAVAILABLE, format!("{}: there is no such folder", folder.display()))
        .hint("is it the right path? one that nothing was replicated to yet is made by `litekeeper run`"))
}

/// Litestream lists nothing there, and what answers is none that says so.
fn unproven(one: &Candidate, why: &str) -> Failure {
    let what =
        format!("{}: nothing is listed there, which proves nothing: {}", one.db.replica, foreign::piece(why));
    Failure::new(ExitCode::UNAVAILABLE, what)
        .hint("check its endpoint, and what answers there: a proxy, a page that wants a login?")
}

/// Refuses to call a place empty that holds what only the other series reads.
fn refuse_other_series(asker: &Asker, one: &Candidate, held: Option<Formats>) -> Result<(), Failure> {
    let (holds, hint) = match (held, asker.version.is_ltx()) {
        (Some(Formats { ltx: None, generations: Some(_) }), true) => (
            "0.3",
            "litestream 0.3.13 lists it (`generations`, `snapshots`, `wal`; LITESTREAM_BINARY_PATH names it), and `litekeeper restore` restores it",
        ),
        (Some(Formats { ltx: Some(_), generations: None }), false) => {
            ("0.5", "litestream 0.5 lists it (`ltx`, `snapshots`): `litekeeper install` gets it")
        }
        _ => return Ok(()),
    };
    let (replica, version) = (&one.db.replica, asker.version);
    let message = format!(
        "{replica} holds a backup of Litestream {holds}, of which litestream {version} lists nothing"
    );
    Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(hint))
}

fn option(name: &str, value: Option<&str>) -> Vec<OsString> {
    value.map(|value| vec![name.into(), value.into()]).unwrap_or_default()
}

fn print(rows: Vec<Value>) -> Result<ExitCode, Failure> {
    shown::json(&rows.into())?;
    Ok(ExitCode::OK)
}

/// Refuses what this version has not, in one line.
pub(super) fn without(version: Version, what: &str, instead: &str, has: &str) -> Failure {
    Failure::new(ExitCode::USAGE, format!("litestream {version} has no {what}: litestream {has} has"))
        .hint(format!("`litekeeper {instead}` tells what this one has"))
}

/// Refuses the name of a replica where there is one.
pub(super) fn one_replica(version: Version) -> Failure {
    Failure::new(
        ExitCode::USAGE,
        format!("litestream {version} has one replica for each database: --replica is for litestream 0.3.13"),
    )
    .hint("leave --replica out")
}

/// The index of a WAL, which is listed in decimal, as `--index` takes it and the files are named.
fn index(number: &str) -> Option<String> {
    number.parse::<u64>().ok().map(|number| format!("{number:08x}"))
}

/// One LTX file.
pub(super) struct File {
    level: u64,
    pub(super) min: u64,
    pub(super) max: u64,
    size: Option<u64>,
    pub(super) created: Option<String>,
}

impl File {
    /// Those of a listing; who tells no level lists what is not put together yet.
    pub(super) fn listed(listing: &str) -> Vec<Self> {
        let file = |file: ltx::Listed<'_>| {
            let level = file.level.map_or(Some(0), |level| level.parse().ok())?;
            let (size, created) = (file.size.parse().ok(), shown::time(file.created));
            Some(Self { level, min: file.min, max: file.max, size, created })
        };
        ltx::listed(listing).filter_map(file).collect()
    }

    fn json(&self) -> Value {
        json!({
            "level": self.level,
            "min_txid": argv::txid_text(self.min),
            "max_txid": argv::txid_text(self.max),
            "size_bytes": self.size,
            "created_at": self.created,
        })
    }
}

/// A snapshot of either series.
struct Snapshot {
    replica: Option<String>,
    generation: Option<String>,
    index: Option<String>,
    txid: Option<String>,
    size: Option<u64>,
    created: Option<String>,
}

impl Snapshot {
    fn of_file(file: File) -> Self {
        let File { max, size, created, .. } = file;
        let txid = Some(argv::txid_text(max));
        Self { replica: None, generation: None, index: None, txid, size, created }
    }

    /// `replica generation index size created` (0.3).
    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [replica, generation, number, size, created] = words[..] else { return None };
        Some(Self {
            replica: Some(replica.to_owned()),
            generation: Some(generation.to_owned()),
            index: index(number),
            txid: None,
            size: size.parse().ok(),
            created: shown::time(created),
        })
    }

    fn json(&self) -> Value {
        json!({
            "replica": self.replica,
            "generation": self.generation,
            "index": self.index,
            "txid": self.txid,
            "size_bytes": self.size,
            "created_at": self.created,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_with_and_without_a_level() {
        let read = |line: &str| File::listed(&format!("head\n{line}\n")).pop();
        let with = "9      0000000000000001  000000000000000b  122106  2026-11-27T22:04:00Z";
        let file = read(with).expect("a file");
        assert_eq!((file.level, file.min, file.max, file.size), (9, 1, 11, Some(122_106)));
        assert_eq!(file.json()["created_at"], "2026-11-27T22:04:00Z");
        let without = "0000000000000001  0000000000000001  122106  2026-11-27T22:03:59Z";
        assert_eq!(read(without).map(|file| file.level), Some(0));
        for rubbish in ["", "a b c", "x 0000000000000001 0000000000000001 1 y", "1 2 3 4 5 6"] {
            assert!(read(rubbish).is_none(), "{rubbish}");
        }
    }

    #[test]
    fn an_index_is_written_as_its_file_is_named() {
        let line = "file     9e94b12f5f526852  26      121435  2026-11-27T22:03:55Z";
        assert_eq!(Snapshot::read(line).and_then(|one| one.index).as_deref(), Some("0000001a"));
    }
}
