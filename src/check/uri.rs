//! Paths that Litestream opens another file for.

use std::path::Path;

use super::context::CheckContext;
use super::glob;
use super::rules::MISREAD_PATH;
use crate::config::lint::Lint;
use crate::litestream::database::misread;

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let folders = context.config.directories().iter();
    let mut found: Vec<Lint> =
        folders.filter_map(|folder| of(context, &folder.dir, folder.line, "dir")).collect();
    found.extend(of_named(context));
    found
}

/// The same of the databases alone, and in a folder only of what its own path does not tell.
pub(super) fn of_named(context: &CheckContext<'_>) -> Vec<Lint> {
    context.of_each(|database, folder| {
        let is_told = folder.is_some_and(|folder| misread(&folder.dir, context.is_old).is_some());
        let lint = (!is_told).then(|| of(context, &database.path, database.line, "path"));
        lint.flatten().into_iter().collect()
    })
}

fn of(context: &CheckContext<'_>, path: &Path, line: usize, key: &str) -> Option<Lint> {
    let why = misread(path, context.is_old)?;
    // What is meant for a pattern is told as one.
    if glob::of(context, path, line, key).is_some() {
        return None;
    }
    let message = format!("`{}`: litestream opens another file: {why}", path.display());
    Some(context.lint(MISREAD_PATH, line, message).hint(
        "rename the file, or the folder: Litestream takes no path with `?`, `#`, or `%` in front of two hexadecimal digits",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, load};

    #[test]
    fn a_folder_is_told_once_and_not_for_each_of_its_databases() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yml");
        std::fs::write(
            &file,
            "dbs: [{path: 'a#b.db', replica: {path: /b}}, {path: 'c%.db', replica: {path: /c}}, {dir: 'x%41', pattern: '*.db', replica: {path: /d}}]",
        )
        .unwrap();
        let none = |_: &str| None;
        let options = LoadOptions { no_expand_env: true, env: &none, cwd: folder.path(), home: None, pid: 1 };
        let config = load(&file, &options).unwrap();
        let found = |is_old: bool| {
            let mut databases = config.databases().to_vec();
            let mut below = databases[1].clone();
            (below.path, below.line) = (folder.path().join("x%41/e.db"), config.directories()[0].line);
            databases.push(below);
            let context = CheckContext {
                databases: &databases,
                cwd: folder.path(),
                is_old: &move || is_old,
                ..CheckContext::of(&config)
            };
            let root = format!("{}/", folder.path().display());
            let shown = |lint: Lint| format!("{} [{}]", lint.message.replace(&root, ""), lint.rule.code);
            look(&context).into_iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(
            found(false),
            [
                "`x%41`: litestream opens another file: it takes `%41` for one character [misread-path]",
                "`a#b.db`: litestream opens another file: it takes `#` for the end of the path [misread-path]",
            ]
        );
        assert!(found(true).is_empty());
    }
}
