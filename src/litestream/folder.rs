//! A folder of databases: which files of it Litestream takes for databases, and when it does.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::glob;
use crate::database_header::MAGIC;
use crate::os::{open, permit};
use crate::remote::Place;

/// A folder whose databases Litestream finds itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder, absolute.
    pub dir: PathBuf,
    /// Which names are databases: Go's `filepath.Match`.
    pub pattern: String,
    /// Folders below it are looked into as well.
    pub recursive: bool,
    /// Litestream takes in what appears while it runs.
    pub watch: bool,
    /// Where the metadata folders of its databases are, each under the database's path below the folder.
    pub meta_base: PathBuf,
    /// What the name of each begins with, before that of the database.
    pub meta_prefix: &'static str,
    /// Where its backups are.
    pub backups: Backups,
}

/// Where the backups of a folder's databases are, each under its path below the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backups {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A place on a server, as people know it, and the way to it.
    There(String, Place),
    /// They cannot be listed from here, and why.
    Unlisted(String),
}

/// What is in a folder of databases, each by its path below the folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The databases, sorted.
    pub databases: Vec<PathBuf>,
    /// What could have been a database by its name or place, and is not one.
    pub others: Vec<(PathBuf, NotDatabase)>,
    /// Every folder that was looked into, this one first.
    pub folders: Vec<PathBuf>,
    /// There is more than was to be looked at.
    pub is_cut_off: bool,
}

/// Why something is no database of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDatabase {
    /// A file that cannot be read, over which Litestream passes without a word.
    Unreadable,
    /// A folder that cannot be read, at which Litestream's start ends.
    Closed,
    /// A file without the header of SQLite, over which Litestream passes without a word.
    Foreign,
    /// A pipe, whose header Litestream waits for.
    Pipe,
}

impl Folder {
    /// Returns every database in it, by its path below the folder; sorted. What cannot be looked into is left
    /// out, as Litestream's watch leaves it out; so are those that `known` names, unopened.
    pub fn databases(&self, known: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
        self.look(known, usize::MAX).databases
    }

    /// Does the same with all that is worth to be known of it, from the first `most` names.
    ///
    /// With the rights of whoever the databases belong to, since links may lead anywhere.
    pub fn look(&self, known: &BTreeSet<PathBuf>, most: usize) -> Contents {
        // Who may not act as their owner finds nothing, as one who may not look into them.
        permit::theirs(|| Ok(self.scan_as_owner(known, most))).unwrap_or_default()
    }

    fn scan_as_owner(&self, known: &BTreeSet<PathBuf>, most: usize) -> Contents {
        let mut found = Contents::default();
        let mut folders = vec![PathBuf::new()];
        let mut left = most;
        'folders: while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(self.dir.join(&folder)) {
                Ok(entries) => entries,
                Err(error) => {
                    // It may be gone meanwhile.
                    if error.kind() == ErrorKind::PermissionDenied {
                        found.others.push((folder, NotDatabase::Closed));
                    }
                    continue;
                }
            };
            for entry in entries.flatten() {
                match left.checked_sub(1) {
                    Some(fewer) => left = fewer,
                    None => {
                        found.is_cut_off = true;
                        break 'folders;
                    }
                }
                let below = folder.join(entry.file_name());
                let Ok(kind) = entry.file_type() else { continue };
                // Litestream's own folders hold no database. It does not follow links to folders.
                if kind.is_dir() && self.recursive && !ends_with(&below, "-litestream") {
                    folders.push(below);
                } else if !kind.is_dir() && self.matches(&below) {
                    let path = self.dir.join(&below);
                    if known.contains(&path) {
                        continue;
                    }
                    match header(&path) {
                        Header::Sqlite => found.databases.push(below),
                        Header::Other(other) => found.others.push((below, other)),
                        Header::None => {}
                    }
                }
            }
            found.folders.push(folder);
        }
        found.databases.sort_unstable();
        found
    }

    /// Returns every database that is not there and whose metadata folder is, by its path below the folder; sorted.
    /// It was there once. What cannot be looked into is left out.
    pub fn lost(&self) -> Vec<PathBuf> {
        // See `look`.
        permit::theirs(|| Ok(self.lost_as_they())).unwrap_or_default()
    }

    fn lost_as_they(&self) -> Vec<PathBuf> {
        let mut lost = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(self.meta_base.join(&folder)).into_iter().flatten();
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                let name = entry.file_name();
                let of = name.to_str().and_then(|name| name.strip_suffix("-litestream"));
                match of.and_then(|name| name.strip_prefix(self.meta_prefix)) {
                    Some(name) if self.matches(&folder.join(name)) => {
                        let below = folder.join(name);
                        if std::fs::metadata(self.dir.join(&below)).map_or(true, |found| found.len() == 0) {
                            lost.push(below);
                        }
                    }
                    Some(_) => {}
                    None if self.recursive && of.is_none() => folders.push(folder.join(&name)),
                    None => {}
                }
            }
        }
        lost.sort_unstable();
        lost
    }

    /// Says whether a database of this path below the folder would be one of its databases.
    pub fn matches(&self, below: &Path) -> bool {
        let depth = below.components().count();
        let name = below.file_name().and_then(|name| name.to_str());
        // A restore of our own that is under way begins like a database.
        let name = name.filter(|name| !name.contains("-litekeeper-restore"));
        (depth == 1 || (self.recursive && depth > 1))
            && name.is_some_and(|name| glob::matches(&self.pattern, name.as_bytes()))
    }
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes())
}

/// What a file begins with.
enum Header {
    Sqlite,
    Other(NotDatabase),
    /// It is empty or no file, or gone meanwhile.
    None,
}

fn header(path: &Path) -> Header {
    let Ok(found) = path.metadata() else { return Header::None };
    let kind = found.file_type();
    if !kind.is_file() {
        return if kind.is_fifo() { Header::Other(NotDatabase::Pipe) } else { Header::None };
    }
    // So are the files of `/proc`, some of which do something when they are read.
    if found.len() == 0 {
        return Header::None;
    }
    let mut header = [0; 16];
    match open::file(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) if &header == MAGIC => Header::Sqlite,
        // What SQLite itself keeps beside a database, under a pattern such as `*`.
        Ok(()) if ["-wal", "-shm", "-journal"].iter().any(|end| ends_with(path, end)) => Header::None,
        Ok(()) => Header::Other(NotDatabase::Foreign),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Header::Other(NotDatabase::Unreadable),
        // Of a file that is shorter there is nothing to be lost yet.
        Err(_) => Header::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_databases_of_the_right_name_and_depth_are_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let database = [&MAGIC[..], b"rest"].concat();
        for name in ["a.db", "b.db", "x/c.db", "d.sqlite", ".e.db-litestream/f.db", "a.db-wal"] {
            write(name, &database);
        }
        write("text.db", b"no database at all");
        write("empty.db", b"");
        let mut folder = Folder {
            dir: root.path().to_owned(),
            pattern: "*.db".into(),
            recursive: false,
            watch: false,
            meta_base: root.path().to_owned(),
            meta_prefix: ".",
            backups: Backups::Unlisted("x".into()),
        };
        let found = |folder: &Folder| {
            folder
                .databases(&BTreeSet::new())
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&folder), ["a.db", "b.db"]);
        folder.recursive = true;
        assert_eq!(found(&folder), ["a.db", "b.db", "x/c.db"]);
        assert!(!folder.look(&BTreeSet::new(), 9).is_cut_off);
        let some = folder.look(&BTreeSet::new(), 2);
        assert!(some.is_cut_off && some.databases.len() <= 2, "{some:?}");
        folder.dir = root.path().join("nowhere");
        assert!(found(&folder).is_empty());
    }

    #[test]
    fn a_metadata_folder_tells_of_a_database_that_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in [
            "t/.a.db-litestream",
            "t/.b.db-litestream",
            "t/.e.db-litestream",
            "t/x/.c.db-litestream",
            "t/.d.txt-litestream",
            "t/.a.db-litestream.2026",
            "m/a.db-litestream",
            "m/x/c.db-litestream",
        ] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::fs::write(path("t/b.db"), MAGIC).unwrap();
        std::fs::write(path("t/e.db"), "").unwrap();
        std::fs::write(path("t/.f.db-litestream"), "a file").unwrap();
        let lost = |recursive, (meta_base, meta_prefix): (&str, &'static str)| {
            let folder = Folder {
                dir: path("t"),
                pattern: "*.db".into(),
                recursive,
                watch: false,
                meta_base: path(meta_base),
                meta_prefix,
                backups: Backups::Unlisted("x".into()),
            };
            folder.lost().iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(lost(false, ("t", ".")), ["a.db", "e.db"]);
        assert_eq!(lost(true, ("t", ".")), ["a.db", "e.db", "x/c.db"]);
        assert_eq!(lost(true, ("m", "")), ["a.db", "x/c.db"]);
        assert!(lost(true, ("nowhere", ".")).is_empty());
    }

    #[test]
    fn what_is_no_database_is_told_and_never_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::write(path("secret.db"), [7; 100]).unwrap();
        std::fs::write(path("empty.db"), b"").unwrap();
        nix::unistd::mkfifo(&path("pipe.db"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("pipe.db", path("link.db")).unwrap();
        std::os::unix::fs::symlink("loop.db", path("loop.db")).unwrap();
        std::os::unix::fs::symlink(".", path("folder.db")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket.db")).unwrap();
        let folder = Folder {
            dir: root.path().to_owned(),
            pattern: "*.db".into(),
            recursive: true,
            watch: false,
            meta_base: root.path().to_owned(),
            meta_prefix: ".",
            backups: Backups::Unlisted("x".into()),
        };
        let mut found = folder.look(&BTreeSet::new(), usize::MAX);
        found.others.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let others = [
            ("link.db", NotDatabase::Pipe),
            ("pipe.db", NotDatabase::Pipe),
            ("secret.db", NotDatabase::Foreign),
        ];
        assert_eq!(found.others, others.map(|(name, other)| (name.into(), other)));
        assert_eq!((found.databases, found.is_cut_off), (Vec::new(), false));
    }
}
