//! SQLite files that are not replicated: copies, and caches that a program makes again.

use super::{Database, Tree, path, walk};

/// How many are named one by one.
const MAX_NAMED: usize = 5;

/// Why a file is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Copy,
    Cache,
}

/// The part of a path that has such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// As a folder's.
    Folder,
    /// As a folder's, and as the last ending of a file's: `app.db.old`, but not `old.db`.
    Ending,
    /// As a word of a file's name as well: `app-backup-2026.db`. No app calls its database so.
    Word,
}

/// All the names, in any case of letters.
const NAMES: [(Sort, Where, &str); 6] = [
    (Sort::Copy, Where::Word, "backup backups bak bkp"),
    (Sort::Copy, Where::Ending, "old orig copy dump"),
    (Sort::Copy, Where::Folder, "copies archive archives dumps snapshot snapshots"),
    (Sort::Cache, Where::Word, "cache caches"),
    (Sort::Cache, Where::Ending, "tmp temp"),
    (Sort::Cache, Where::Folder, "log logs"),
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
    /// Judges a file by its path.
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

    /// Leaves a database out.
    pub fn mark(self, database: &mut Database) {
        database.left_out = Some(self.why);
        database.comes_back = self.comes_back;
    }
}

/// Names the folder that a database counts for: all below a folder of copies is one.
pub(super) fn folder(database: &Database) -> String {
    let parent = path::parent(&database.path);
    let parts: Vec<&str> = parent.split('/').collect();
    let spare = parts.iter().position(|part| sort(part, Where::Folder).is_some());
    match spare.filter(|_| !database.is_replicated()) {
        Some(index) => parts[..=index].join("/"),
        None => parent,
    }
}

/// Tells what a part of a path stands for at its place.
fn sort(part: &str, place: Where) -> Option<Sort> {
    let part = part.to_ascii_lowercase();
    let counts = |known: Where| match place {
        Where::Folder => true,
        Where::Ending => known != Where::Folder,
        Where::Word => known == Where::Word,
    };
    let is_it = |(_, known, names): &&(Sort, Where, &str)| {
        counts(*known) && names.split(' ').any(|name| name == part)
    };
    NAMES.iter().find(is_it).map(|(sort, ..)| *sort)
}

/// Finds those in a project whose databases are known from elsewhere.
pub(super) fn beside(tree: &dyn Tree, known: &[Database]) -> Vec<Database> {
    let mut found = Vec::new();
    let _ = walk::each(tree, &mut |file| {
        let path = file.to_str().map(path::clean).filter(|path| !path.contains(char::is_control));
        let spare = path.and_then(|path| Some((Spare::of(&path)?, path)));
        if let Some((spare, path)) = spare
            && known.iter().all(|database| database.path != path)
            && walk::is_database(tree, file)
        {
            let mut database = Database::new(&path, path.clone());
            spare.mark(&mut database);
            found.push(database);
        }
        found.len()
    });
    found
}

/// Notes that they exist.
pub(super) fn note(spares: &[Database]) -> Option<String> {
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
