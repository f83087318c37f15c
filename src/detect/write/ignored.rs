//! Files that neither an image nor a repository should have: databases, and the files beside them during replication.

use crate::detect::{Database, Plan, path};

/// Extensions that only databases have, without what may follow: `-wal`, a number.
const ENDINGS: [&str; 6] = ["db", "sqlite", "sqlitedb", "sdb", "s3db", "sl3"];

/// What SQLite puts beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How many databases get lines of their own.
const MAX_OWN: usize = 20;

/// How a file of patterns is read.
pub(super) struct Syntax {
    /// In front of a name that is meant wherever it is.
    anywhere: &'static str,
    /// In front of a path from the top. Without a slash Git takes a name wherever it is.
    top: &'static str,
}

impl Syntax {
    /// `.gitignore` (gitignore(5)).
    pub const GIT: Self = Self { anywhere: "", top: "/" };
    /// `.dockerignore` (<https://docs.docker.com/build/concepts/context/#dockerignore-files>).
    pub const DOCKER: Self = Self { anywhere: "**/", top: "" };
}

/// Lists the lines that a file of patterns lacks.
pub(super) fn ignored(plan: &Plan, syntax: &Syntax, present: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    let anywhere = syntax.anywhere;
    let is_here =
        |database: &&Database| !path::is_outside(&database.path) && !path::has_variable(&database.path);
    let (mut has_ending, mut own, mut more) = (false, 0, 0);
    for database in plan.databases.iter().chain(&plan.spares).filter(is_here) {
        if let Some(ending) = ending(path::name(&database.path)) {
            add(format!("{anywhere}*.{ending}*"));
            has_ending = true;
        } else if own < MAX_OWN {
            own += 1;
            exact(database, syntax).into_iter().for_each(&mut add);
        } else {
            more += 1;
        }
    }
    if !has_ending && own == 0 {
        add(format!("{anywhere}*.db*"));
    }
    if has_ending || own == 0 {
        [".*-litestream", ".*-litekeeper.lock"].iter().for_each(|name| add(format!("{anywhere}{name}")));
    }
    // `*.db*` is `*.db3*` as well.
    let covers = |wide: &str, line: &str| {
        let wide = wide.strip_suffix('*').filter(|wide| wide.ends_with(char::is_alphanumeric));
        wide.is_some_and(|wide| wide.contains("*.") && line.starts_with(wide))
    };
    let same = |known: &str, line: &str| known.trim().trim_start_matches('/') == line.trim_start_matches('/');
    let all = lines.clone();
    lines.retain(|line| {
        let is_wider = |other: &str| other != line && covers(other, line);
        !all.iter().any(|other| is_wider(other))
            && !present.lines().any(|known| same(known, line) || is_wider(known.trim()))
    });
    if more > 0 && !lines.is_empty() {
        lines.push(format!("# and {more} more that are named above, without a database's ending"));
    }
    lines
}

/// Finds the extension of a name, if only databases have it.
fn ending(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    let plain = ending.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
    (!stem.is_empty() && ENDINGS.contains(&plain.as_str())).then_some(ending)
}

/// Lists a database by its own names and no others: `store*` would be `stores/` and `store.js` as well.
fn exact(database: &Database, syntax: &Syntax) -> Vec<String> {
    let line = |path: String| format!("{}{}", syntax.top, literal(&path));
    let path = &database.path;
    let mut lines = vec![line(path.clone())];
    // A copy is not opened, and has nothing beside it.
    if database.is_replicated() {
        lines.extend(BESIDE.iter().map(|tail| line(format!("{path}{tail}"))));
        let hidden = |tail: &str| {
            let name = format!(".{}-{tail}", path::name(path));
            line(path::join(&path::parent(path), &name))
        };
        lines.extend(["litestream", "litekeeper.lock"].map(hidden));
    }
    lines
}

/// Writes a path as a pattern that matches nothing else.
fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for (at, c) in path.char_indices() {
        if "*?[]\\".contains(c) || (at == 0 && "#!".contains(c)) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn an_ending_that_others_have_is_none() {
        for (name, found) in [
            ("app.db", Some("db")),
            ("app.sqlite3", Some("sqlite3")),
            ("app.DB3", Some("DB3")),
            ("store", None),
            (".db", None),
            ("app.db.bak", None),
            ("app.db.1", None),
            ("shop.data", None),
            ("v1.2", None),
        ] {
            assert_eq!(ending(name), found, "{name}");
        }
    }

    #[test]
    fn a_literal_path_is_no_pattern() {
        assert_eq!(literal("#a [1]*.x"), "\\#a \\[1\\]\\*.x");
    }
}
