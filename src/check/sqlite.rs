//! What a database says of itself in its first hundred bytes (SQLite's file format, section 1.3).

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::context::CheckContext;
use super::rules::{
    CUT_OFF, DAMAGED, DATABASE_LINK, IN_THE_WAY, LARGE_WAL, NO_DATABASE_YET, NOT_SQLITE, NOT_WAL, ONE_FILE,
    SEVERAL_NAMES, STALE_WAL,
};
use crate::config::lint::Lint;
use crate::database_header::MAGIC;
use crate::litestream::database::{in_the_way, names, of_names, unfit, with_suffix};
use crate::litestream::{ltx, position};
use crate::os::open;

/// A WAL that is not checkpointed grows without an end; SQLite's own limit is 4 MB.
const LARGE: u64 = 100 << 20;

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut known = BTreeMap::new();
    context.of_each(|database, _| {
        let mut found = of(context, &database.path, &database.meta_path, database.line);
        if let Some((message, hint)) = in_the_way(&database.path, &database.meta_path) {
            found.push(context.lint(IN_THE_WAY, database.line, message).hint(hint));
        }
        let first = file_of(&database.path).and_then(|file| known.insert(file, database.path.clone()));
        if let Some(first) = first.filter(|first| *first != database.path) {
            let (first, second) = (first.display(), database.path.display());
            let message = format!("`{first}` and `{second}` are one file (hard links)");
            found.push(
                context.lint(ONE_FILE, database.line, message).hint("name each database by one name only"),
            );
        }
        found
    })
}

/// Which file it is, if it is one and has other names as well: device and inode.
fn file_of(path: &Path) -> Option<(u64, u64)> {
    let found = path.symlink_metadata().ok()?;
    (found.is_file() && found.nlink() > 1).then(|| (found.dev(), found.ino()))
}

fn of(context: &CheckContext<'_>, path: &Path, meta: &Path, line: usize) -> Vec<Lint> {
    let shown = path.display();
    let mut found = Vec::new();
    if let Some(why) = unfit(path) {
        return vec![context.lint(NOT_SQLITE, line, format!("`{shown}`: {why}")).hint("correct the path")];
    }
    // SQLite follows the link before it names the WAL, Litestream does not (tried with 0.5.17).
    if let Ok(target) = std::fs::read_link(path) {
        let message = format!(
            "`{shown}` is a link to {}: its WAL is there, where Litestream does not look",
            target.display()
        );
        found.push(
            context
                .lint(DATABASE_LINK, line, message)
                .hint("name the file itself; a link to its folder does no harm"),
        );
    }
    if let Some(names) = names(path) {
        let (message, hint) = of_names(path, names);
        found.push(context.lint(SEVERAL_NAMES, line, format!("`{shown}`: {message}")).hint(hint));
    }
    match read(path) {
        Ok(Header::Empty) | Err(Unread::Missing) => found.extend(of_missing(context, path, line)),
        Ok(Header::Foreign) if position::txids(&ltx::folder(meta)).next().is_some() => found.push(
            context.lint(DAMAGED, line, format!("`{shown}` does not begin as a SQLite database any more")).hint(
                "`litekeeper run --if-behind restore` keeps it under another name and restores the backup",
            ),
        ),
        Ok(Header::Foreign) => found.push(
            context.lint(NOT_SQLITE, line, format!("`{shown}` is no SQLite database"))
                .hint("correct the path; Litestream cannot replicate a database that is encrypted"),
        ),
        // Whether it may be read at all is another finding.
        Err(Unread::Other) => {}
        Ok(Header::Sqlite { is_wal, pages, page_size }) => {
            found.extend(of_database(context, path, line, (is_wal, pages * page_size)));
        }
    }
    found
}

/// What is found where there is no database yet.
fn of_missing(context: &CheckContext<'_>, path: &Path, line: usize) -> Vec<Lint> {
    let lint = context.lint(NO_DATABASE_YET, line, format!("`{}` does not exist yet", path.display()));
    let mut found =
        vec![lint.hint("it is restored at the start, or made by the app if the replica holds no backup")];
    let beside = ["-wal", "-journal"].map(|suffix| with_suffix(path, suffix));
    for beside in beside.iter().filter(|path| length(path) > 0) {
        let message = format!("`{}` lies beside a database that is not there", beside.display());
        let lint = context.lint(STALE_WAL, line, message);
        found.push(lint.hint("it is moved aside before a restore; delete it if nobody misses the database"));
    }
    found
}

/// What is found of a database by its header: whether it is in WAL mode, and how many bytes it says that it has, 0 for none.
fn of_database(
    context: &CheckContext<'_>,
    path: &Path,
    line: usize,
    (is_wal, said): (bool, u64),
) -> Vec<Lint> {
    let (shown, wal) = (path.display(), with_suffix(path, "-wal"));
    let (size, wal_length) = (length(path), length(&wal));
    let mut found = Vec::new();
    if !is_wal {
        let message = format!("`{shown}` is not in WAL mode");
        let hint = "Litestream switches it; let the app do it at its start (`PRAGMA journal_mode = WAL`), and never back";
        found.push(context.lint(NOT_WAL, line, message).hint(hint));
    }
    // A journal that was left rolls the file back to what it was.
    let is_settled = wal_length == 0 && length(&with_suffix(path, "-journal")) == 0;
    if is_settled && size < said {
        let message = format!("`{shown}` has {size} bytes, but says that it has {said}");
        found.push(context.lint(CUT_OFF, line, message).hint("it is a copy that was broken off: restore it"));
    }
    if wal_length > LARGE.max(size) {
        let message = format!("`{}` has {} MB, more than its database", wal.display(), wal_length >> 20);
        let hint = "somebody reads for long, or a checkpoint fails: look for open transactions";
        found.push(context.lint(LARGE_WAL, line, message).hint(hint));
    }
    found
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}

#[derive(Debug, PartialEq, Eq)]
enum Header {
    /// A file of 0 bytes is a database without tables, and as good as none.
    Empty,
    Foreign,
    Sqlite {
        is_wal: bool,
        page_size: u64,
        pages: u64,
    },
}

enum Unread {
    Missing,
    Other,
}

/// Opens the file for reading and takes no lock: nobody who uses it notices.
fn read(path: &Path) -> Result<Header, Unread> {
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Missing,
        _ => Unread::Other,
    };
    Ok(parse(&open::beginning(path, 100).map_err(unread)?))
}

fn parse(bytes: &[u8]) -> Header {
    if bytes.is_empty() {
        return Header::Empty;
    }
    let Some(header) = bytes.first_chunk::<100>().filter(|header| header.starts_with(MAGIC)) else {
        return Header::Foreign;
    };
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    // The number of pages counts only if it was written with the last change.
    let pages = if number(24) == number(92) { u64::from(number(28)) } else { 0 };
    Header::Sqlite { is_wal: header[18] == 2, page_size, pages }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn headers_of_real_databases_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let database = Connection::open(&path).unwrap();
        database.execute_batch("PRAGMA page_size = 8192; CREATE TABLE t (x)").unwrap();
        let header = |path: &Path| parse(&std::fs::read(path).unwrap());
        assert_eq!(header(&path), Header::Sqlite { is_wal: false, page_size: 8192, pages: 2 });
        database.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        assert_eq!(header(&path), Header::Sqlite { is_wal: true, page_size: 8192, pages: 2 });
        assert_eq!(parse(b""), Header::Empty);
        assert_eq!(parse(b"SQLite format 3\0 and no more"), Header::Foreign);
        assert_eq!(parse(&[7; 200]), Header::Foreign);
    }
}
