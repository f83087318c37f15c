//! Paths as a project's files write them, with variables that stay variables.
//!
//! A variable that has no value here (`DATABASE_PATH` of a Phoenix release) is kept in the text
//! between two characters of Unicode's private use area, which survive YAML, joins and
//! interpolation; the file that is written has `${NAME}` there.

/// Opens a variable's name.
const OPEN: char = '\u{E000}';
/// Closes it.
const CLOSE: char = '\u{E001}';

/// Tells whether an environment can have a variable of this name, as `${NAME}` spells it.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Writes a variable as a part of a text.
pub(super) fn variable(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// Replaces the characters that would be taken for a variable's.
pub(super) fn without_marks(text: &str) -> String {
    text.replace([OPEN, CLOSE], "\u{FFFD}")
}

/// Splits a text into literal pieces and the names of variables.
pub(super) fn pieces(text: &str) -> Vec<Result<&str, &str>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once(OPEN) {
        let (name, behind) = after.split_once(CLOSE).unwrap_or((after, ""));
        if !literal.is_empty() {
            found.push(Ok(literal));
        }
        found.push(Err(name));
        rest = behind;
    }
    if !rest.is_empty() {
        found.push(Ok(rest));
    }
    found
}

/// Shows a text with `${NAME}` for its variables: for people, and for commands.
pub(super) fn shown(text: &str) -> String {
    let piece = |piece| match piece {
        Ok(literal) => String::from(literal),
        Err(name) => format!("${{{name}}}"),
    };
    pieces(text).into_iter().map(piece).collect()
}

/// Lists the names of the variables in a text.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(Result::err)
}

/// Tells whether a path begins with a variable, which may be any folder.
pub(super) fn begins_with_variable(path: &str) -> bool {
    path.starts_with(OPEN)
}

/// Tells whether a text has a variable in it.
pub(super) fn has_variable(text: &str) -> bool {
    text.contains(OPEN)
}

/// Marks `$NAME` and `${NAME}`, as Litestream reads them, as variables.
pub(super) fn with_variables(text: &str) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let named = |text: &'_ str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.find(|c| !is_part(c)).unwrap_or(text.len())
        };
        // Only as far as a name goes: a million of `${` would each look through all the rest for a brace.
        let braced = after.strip_prefix('{').and_then(|after| {
            let (name, behind) = after.split_at(named(after));
            Some((name, behind.strip_prefix('}')?))
        });
        let (name, behind) = braced.unwrap_or_else(|| after.split_at(named(after)));
        if is_name(name) {
            filled.push_str(&variable(name));
            rest = behind;
        } else {
            filled.push('$');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

/// Joins `path` to `base`, in its shortest form.
pub(super) fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{base}/{path}")) }
}

/// Removes `.`, `a/..`, doubled and final slashes, by the text alone; the folder itself is `.`.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(&last)) if last != ".." && !last.contains(OPEN) => {
                parts.pop();
            }
            ("..", None) if absolute => {}
            _ => parts.push(part),
        }
    }
    match (absolute, parts.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".to_owned(),
        (false, joined) => joined,
    }
}

/// Names the folder that a path is in.
pub(super) fn parent(path: &str) -> String {
    if path == "." || path.ends_with("..") { clean(&format!("{path}/..")) } else { clean(folder(path)) }
}

fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

/// Takes the last part of a path.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Takes the last part of a path, without its extension.
pub(super) fn stem(path: &str) -> &str {
    let name = name(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}

/// Tells whether a path is a folder, or lies in it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Tells whether a path leaves the folder that it is relative to.
pub(super) fn is_outside(path: &str) -> bool {
    path.starts_with('/') || path == ".." || path.starts_with("../")
}

pub(super) use crate::database_url::{Named, Slashes, named};

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn paths_are_shortened_by_their_text() {
        for (base, path, joined) in [
            (".", "storage/x.db", "storage/x.db"),
            ("prisma", "./dev.db", "prisma/dev.db"),
            ("prisma", "../dev.db", "dev.db"),
            (".", "../dev.db", "../dev.db"),
            ("..", "../dev.db", "../../dev.db"),
            ("a", "/b//c/", "/b/c"),
            ("/", "../b", "/b"),
            (".", ".", "."),
        ] {
            assert_eq!(join(base, path), joined, "{base} {path}");
        }
        assert_eq!(join(".", &format!("{}/x.db", variable("D"))), format!("{}/x.db", variable("D")));
        assert_eq!(parent("shop/settings.py"), "shop");
        assert_eq!(parent(&parent("shop/settings.py")), ".");
        assert_eq!(parent("."), "..");
        assert_eq!(parent("/x"), "/");
    }

    #[test]
    fn variables_stay_apart_from_the_text() {
        let text = format!("/data/{}/x.db", variable("TENANT"));
        assert_eq!(pieces(&text), [Ok("/data/"), Err("TENANT"), Ok("/x.db")]);
        assert_eq!(shown(&text), "/data/${TENANT}/x.db");
        assert_eq!(stem("a/.hidden"), ".hidden");
        assert_eq!(stem("a/b.sqlite3"), "b");
    }
}
