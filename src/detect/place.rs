//! Paths as a project's files write them, with variables that stay variables.
//!
//! A variable that has no value here (`DATABASE_PATH` of a Phoenix release) is kept in the text
//! between two characters of Unicode's private use area, which survive YAML, joins and
//! interpolation; the file that is written has `${NAME}` there.

/// Opens a variable's name.
const OPEN: char = '\u{E000}';
/// Closes it.
const CLOSE: char = '\u{E001}';

/// Whether an environment can have a variable of this name, as `${NAME}` spells it.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A variable as part of a text.
pub(super) fn variable(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// The text without characters that would be taken for a variable's.
pub(super) fn without_marks(text: &str) -> String {
    text.replace([OPEN, CLOSE], "\u{FFFD}")
}

/// A text in pieces: literal ones, and the names of variables.
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

/// The text with `${NAME}` for its variables: for people, and for commands.
pub(super) fn shown(text: &str) -> String {
    let piece = |piece| match piece {
        Ok(literal) => String::from(literal),
        Err(name) => format!("${{{name}}}"),
    };
    pieces(text).into_iter().map(piece).collect()
}

/// The names of the variables in a text.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(Result::err)
}

/// `path` against `base`, in its shortest form.
pub(super) fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{base}/{path}")) }
}

/// No `.`, no `a/..`, no doubled or final slashes, by the text alone; the folder itself is `.`.
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

/// The folder that a path is in.
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

/// The last part of a path.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The last part of a path, without its extension.
pub(super) fn stem(path: &str) -> &str {
    let name = name(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}

/// Whether a path is a folder, or lies in it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path leaves the folder that it is relative to.
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
