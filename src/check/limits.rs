//! What the system allows a process, against the number of databases.

use super::context::CheckContext;
use super::rules::{FEW_FILES, LITTLE_MEMORY};
use crate::config::Origin;
use crate::config::lint::Lint;
use crate::os::{cgroup, limit};

/// What Litestream 0.5.17 has open of each database (counted: the file, its WAL, its index and a read transaction),
/// and the lock that it inherits.
const OF_EACH: u64 = 6;
/// More than so many are copied all at once at a start, with two files more of each open meanwhile (7.2 of each were seen
/// with 2 700, 6.2 with 1 000). What fails for want of a descriptor is tried again, and that keeps it so.
const MANY: usize = 1000;
const OF_EACH_OF_MANY: u64 = OF_EACH + 2;
/// What it has open besides.
const BESIDES: u64 = 16;
/// Room for uploads and requests.
const ROOM: u64 = 100;
/// What it takes in memory, measured at rest, in KiB: by itself, and for each database.
const MEMORY: (u64, u64) = (36 << 10, 430);

/// The keeper's own, with one database (counted: 29), and some more. Litestream's share is another process's.
const OF_KEEPER: u64 = 40;

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let in_folders = context.contents.iter().map(|contents| contents.databases.len()).sum::<usize>();
    // What is not there yet is not open.
    let named = context.config.databases().iter().filter(|database| database.path.exists()).count();
    of(named + in_folders)
}

/// What is too little for so many databases that are there.
pub(super) fn of(databases: usize) -> Vec<Lint> {
    let found = [
        limit::open_files().and_then(|most| files(databases, most)),
        memory(databases, cgroup::memory().map(|memory| memory.limit)),
    ];
    found.into_iter().flatten().collect()
}

fn files(databases: usize, most: u64) -> Option<Lint> {
    let of_each = if databases > MANY { OF_EACH_OF_MANY } else { OF_EACH };
    let least = (databases as u64 * of_each + BESIDES).max(OF_KEEPER);
    if most >= least {
        return None;
    }
    let who = match databases {
        0 => "a start needs".to_owned(),
        1 => "1 database needs".to_owned(),
        many => format!("{many} databases need"),
    };
    let message = format!("{most} files may be open (`ulimit -Hn`), but {who} {}", least + ROOM);
    let hint = format!(
        "allow {} or more: `ulimit -n`, `LimitNOFILE=` of systemd, `ulimits: nofile` of Compose, `--ulimit nofile=` of Docker",
        least + ROOM
    );
    Some(Lint::new(FEW_FILES, &Origin::Environment, message).hint(hint))
}

fn memory(databases: usize, most: Option<u64>) -> Option<Lint> {
    let needed = (MEMORY.0 + MEMORY.1 * databases as u64) << 10;
    let most = most.filter(|most| *most < needed)?;
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let message = format!(
        "{} MB of memory are allowed here, but Litestream takes about {} MB for {databases} databases at rest",
        megabytes(most),
        megabytes(needed)
    );
    let hint = "allow more, or spread the databases over several machines; the app needs memory as well";
    Some(Lint::new(LITTLE_MEMORY, &Origin::Environment, message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_held_against_the_number_of_databases() {
        let lint = files(150, 600).unwrap();
        assert_eq!(
            format!("{} [{}]", lint.message, lint.rule.code),
            "600 files may be open (`ulimit -Hn`), but 150 databases need 1016 [few-files]"
        );
        assert!(files(150, 1024).is_none() && files(0, 64).is_none());
        assert!(files(0, 25).is_some() && files(1, 29).is_some() && files(1, 40).is_none());
        assert!(
            files(1000, 6100).is_none() && files(3000, 20_000).is_some() && files(2000, 20_000).is_none()
        );
        let lint = memory(4000, Some(512 << 20)).unwrap();
        assert_eq!(
            format!("{} [{}]", lint.message, lint.rule.code),
            "512 MB of memory are allowed here, but Litestream takes about 1716 MB for 4000 databases at rest [little-memory]"
        );
        assert!(memory(100, Some(512 << 20)).is_none() && memory(4000, None).is_none());
    }
}
