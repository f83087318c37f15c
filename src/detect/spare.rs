//! SQLite files that nobody wants on the replica: copies that somebody has made, and what a program makes again.

use super::files;
use super::place;
use super::plan::Database;
use super::project::Project;

/// How many are named one by one.
const MAX_NAMED: usize = 5;

/// Why a file is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Copy,
    Cache,
}

/// Where in a path a name says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// As a folder's.
    Folder,
    /// As a folder's, and as the last ending of a file's: `app.db.old`, but not `old.db`.
    Ending,
    /// As a word of a file's name as well: `app-backup-2026.db`. Whoever keeps orders calls no database so.
    Word,
}

/// All the names, in any case of letters.
const NAMES: [(&str, Sort, Where); 20] = [
    ("backup", Sort::Copy, Where::Word),
    ("backups", Sort::Copy, Where::Word),
    ("bak", Sort::Copy, Where::Word),
    ("bkp", Sort::Copy, Where::Word),
    ("old", Sort::Copy, Where::Ending),
    ("orig", Sort::Copy, Where::Ending),
    ("copy", Sort::Copy, Where::Ending),
    ("copies", Sort::Copy, Where::Folder),
    ("archive", Sort::Copy, Where::Folder),
    ("archives", Sort::Copy, Where::Folder),
    ("dump", Sort::Copy, Where::Ending),
    ("dumps", Sort::Copy, Where::Folder),
    ("snapshot", Sort::Copy, Where::Folder),
    ("snapshots", Sort::Copy, Where::Folder),
    ("cache", Sort::Cache, Where::Word),
    ("caches", Sort::Cache, Where::Word),
    ("tmp", Sort::Cache, Where::Ending),
    ("temp", Sort::Cache, Where::Ending),
    ("log", Sort::Cache, Where::Folder),
    ("logs", Sort::Cache, Where::Folder),
];

/// A file that is not replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spare {
    /// Why not.
    pub why: String,
    /// Whether it is made again when it is gone.
    pub comes_back: bool,
}

impl Spare {
    /// What the path of a file says of it.
    pub fn of(path: &str) -> Option<Self> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        // A copy of a cache is a copy.
        let found = folders.split('/').find_map(|folder| Some((folder, sort(folder, Where::Folder)?)));
        if let Some((folder, sort)) = found {
            let why = match sort {
                Sort::Copy => format!("it lies in {folder}/, as a copy does"),
                Sort::Cache => format!("it lies in {folder}/, where nothing is kept"),
            };
            return Some(Self { why, comes_back: sort == Sort::Cache });
        }
        let mut words = name.split(['.', '-', '_', ' ']);
        let ending = name.rsplit_once('.').and_then(|(_, ending)| sort(ending, Where::Ending));
        let sort = ending.or_else(|| words.find_map(|word| sort(word, Where::Word)))?;
        let what = if sort == Sort::Copy { "copy" } else { "cache" };
        Some(Self { why: format!("its name is that of a {what}"), comes_back: sort == Sort::Cache })
    }

    /// Says it of a database.
    pub fn mark(self, database: &mut Database) {
        database.left_out = Some(self.why);
        database.comes_back = self.comes_back;
    }
}

/// The folder that a database's own folder counts as: all that lies below one of copies is one thing.
pub(super) fn folder(database: &Database) -> String {
    let parent = place::parent(&database.path);
    let parts: Vec<&str> = parent.split('/').collect();
    let spare = parts.iter().position(|part| sort(part, Where::Folder).is_some());
    match spare.filter(|_| database.left_out.is_some()) {
        Some(index) => parts[..=index].join("/"),
        None => parent,
    }
}

/// What a part of a path says where it stands.
fn sort(part: &str, place: Where) -> Option<Sort> {
    let part = part.to_ascii_lowercase();
    let counts = |known: Where| match place {
        Where::Folder => true,
        Where::Ending => known != Where::Folder,
        Where::Word => known == Where::Word,
    };
    NAMES.iter().find(|(name, _, known)| *name == part && counts(*known)).map(|(_, sort, _)| *sort)
}

/// Those that lie in a project whose databases are known from elsewhere.
pub(super) fn beside(project: &Project<'_>, known: &[Database]) -> Vec<Database> {
    let mut found = Vec::new();
    let _ = files::each(project, &mut |file| {
        let path = file.to_str().map(place::clean).filter(|path| !path.contains(char::is_control));
        let spare = path.and_then(|path| Some((Spare::of(&path)?, path)));
        if let Some((spare, path)) = spare
            && known.iter().all(|database| database.path != path)
            && files::is_database(project, file)
        {
            let mut database = Database::new(&path, path.clone());
            spare.mark(&mut database);
            found.push(database);
        }
        found.len()
    });
    found
}

/// That they are there, for people.
pub(super) fn said(spares: &[Database]) -> Option<String> {
    let named: Vec<&str> = spares.iter().take(MAX_NAMED).map(|spare| spare.path.as_str()).collect();
    let more = spares.len().saturating_sub(MAX_NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!named.is_empty()).then(|| {
        let named = named.join(", ");
        format!("copies or caches by their names, and not replicated: {named}{more}")
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn names_of_copies_and_caches_are_told_from_others() {
        for (path, comes_back) in [
            ("backups/app.db", false),
            ("data/Backup/2026/x", false),
            ("copies/a.sqlite3", false),
            ("app.db.bak", false),
            ("app-backup-2026.db", false),
            ("app.db.OLD", false),
            ("a.orig", false),
            ("logs/x.db", true),
            ("storage/cache/views.db", true),
            ("views.cache", true),
            ("app.db.tmp", true),
        ] {
            assert_eq!(Spare::of(path).map(|spare| spare.comes_back), Some(comes_back), "{path}");
        }
        for path in [
            "app.db",
            "old.db",
            "data/archive.db",
            "log.sqlite3",
            "snapshot.db",
            "data/catalogue.db",
            "bookkeeping_old_town.db",
            "templates/x.db",
            "dump_trucks.db",
        ] {
            assert_eq!(Spare::of(path), None, "{path}");
        }
    }
}
