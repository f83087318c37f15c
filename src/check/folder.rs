//! What is in the folders of databases, as Litestream finds it at its start (`FindSQLiteDatabases` in its
//! main.go).

use super::context::CheckContext;
use super::files::entrusted;
use super::rules::{EMPTY_DIR, LARGE_DIR, NOT_READABLE, PASSED_OVER, PIPE_IN_DIR};
use crate::config::Directory;
use crate::config::lint::Lint;
use crate::litestream::folder::{Contents, NotDatabase};
use crate::litestream::glob;
use crate::os::access::{self, Access};

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let folders = context.config.directories().iter().zip(context.contents);
    folders.flat_map(|(folder, contents)| context.few(of(context, folder, contents))).collect()
}

fn of(context: &CheckContext<'_>, folder: &Directory, contents: &Contents) -> Vec<Lint> {
    let (dir, line) = (folder.dir.display(), folder.line);
    let is_pattern = folder.dir.to_str().is_some_and(glob::is_pattern);
    if !folder.dir.exists() && (folder.watch || is_pattern) {
        // A start makes it, and what is to be a pattern is told elsewhere.
        return Vec::new();
    }
    if !folder.dir.is_dir() {
        let what = if folder.dir.exists() { "no folder" } else { "not there" };
        let message = format!("`{dir}` is {what}, and without it Litestream does not start");
        let hint = "make it, or correct `dir`; a start makes it with `watch: true`, or if a backup is restored there";
        return vec![context.lint(EMPTY_DIR, line, message).hint(hint)];
    }
    let mut found: Vec<Lint> = contents
        .others
        .iter()
        .map(|(below, other)| odd(context, folder, &folder.dir.join(below), *other))
        .collect();
    if let Some(user) = &context.user {
        let closed = |path: &std::path::PathBuf| !access::may(path, Access::Read, Some(user));
        let folders = contents.folders.iter().map(|below| folder.dir.join(below)).filter(closed);
        found.extend(folders.map(|path| odd(context, folder, &path, NotDatabase::Closed)));
    }
    if contents.is_cut_off {
        let message =
            format!("`{dir}` holds too much to be looked at here: some of its databases were not found");
        found.push(
            context.lint(LARGE_DIR, line, message).hint(
                "Litestream looks at all of it, at each start: choose a folder that holds databases only",
            ),
        );
    } else if contents.databases.is_empty() && contents.others.is_empty() && !folder.watch {
        let message = format!(
            "no database in `{dir}` is called `{}`, and with none Litestream does not start",
            folder.pattern
        );
        found.push(
            context
                .lint(EMPTY_DIR, line, message)
                .hint("set `watch: true`, unless a backup is restored there at the start"),
        );
    }
    found
}

fn odd(context: &CheckContext<'_>, folder: &Directory, path: &std::path::Path, other: NotDatabase) -> Lint {
    let remedy =
        || entrusted(path).unwrap_or_else(|| access::remedy(path, Access::Read, context.user.as_ref()));
    let (who, path) = (context.who(), path.display());
    let lint = |rule, message| context.lint(rule, folder.line, message);
    match other {
        NotDatabase::Closed => lint(NOT_READABLE, format!("{who} cannot list the folder `{path}`"))
            .hint(format!("Litestream does not start: {}; or choose a folder without it", remedy())),
        NotDatabase::Unreadable => lint(NOT_READABLE, format!("{who} cannot read `{path}`"))
            .hint(format!("Litestream passes over it without a word: {}", remedy())),
        NotDatabase::Pipe => {
            lint(PIPE_IN_DIR, format!("`{path}` is a pipe, from which Litestream wants to read"))
                .hint("remove it, or choose a `pattern` that leaves it out")
        }
        NotDatabase::Foreign => lint(
            PASSED_OVER,
            format!("`{path}` is no SQLite database: Litestream passes over it"),
        )
        .hint(
            "if it is encrypted Litestream cannot replicate it; else choose a `pattern` that leaves it out",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, load};

    #[test]
    fn a_folder_that_holds_too_much_is_told_and_not_called_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yml");
        std::fs::write(&file, "dbs: [{dir: ., pattern: '*.db', replica: {path: /b}}]").unwrap();
        let none = |_: &str| None;
        let options = LoadOptions { no_expand_env: true, env: &none, cwd: folder.path(), home: None, pid: 1 };
        let config = load(&file, &options).unwrap();
        let contents = [Contents { is_cut_off: true, ..Contents::default() }];
        let context = CheckContext { contents: &contents, cwd: folder.path(), ..CheckContext::of(&config) };
        let found = look(&context).into_iter().map(|lint| format!("{} [{}]", lint.message, lint.rule.code));
        let found: Vec<String> = found.map(|text| text.split_once(' ').unwrap().1.to_owned()).collect();
        let wanted = "holds too much to be looked at here: some of its databases were not found [large-dir]";
        assert_eq!(found, [wanted]);
    }
}
