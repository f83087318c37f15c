//! Which file a URL of a SQLite database names, for whoever reads one: `run`, `check` and `init`.
//!
//! The libraries do not agree. `sqlite:///app.db` is a file of the working folder to SQLAlchemy and all that is
//! built on it, and to dj-database-url; it is `/app.db` to Rails, sqlx and Laravel.

use percent_encoding::percent_decode_str;

/// What a database setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A file, as the text says it.
    File(String),
    /// One of two, by the library that reads it.
    Either {
        /// Relative to the working folder.
        relative: String,
        /// From the root.
        absolute: String,
    },
    /// A database in memory.
    Memory,
    /// Something else, by its scheme or its own word.
    Foreign(String),
}

/// How many slashes after the scheme make a path absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slashes {
    /// Three: `sqlite:///abs`, as most read a URL.
    Three,
    /// Four: `sqlite:////abs`, and `sqlite:///rel`, as Python's libraries do.
    Four,
    /// Nobody knows which library it is.
    Unknown,
}

/// Reads a URL, an SQLite `file:` name, or a plain path.
pub fn named(text: &str, slashes: Slashes) -> Named {
    let text = text.trim();
    if text.is_empty() || text.contains(":memory:") || text.contains("mode=memory") {
        return Named::Memory;
    }
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        _ => return Named::File(text.to_owned()),
    };
    let scheme = scheme.as_str();
    if scheme == "jdbc" {
        return of_java(rest);
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let slashes = match (scheme, slashes) {
        // SQLAlchemy alone names the driver.
        (scheme, _) if scheme.starts_with("sqlite+") => Slashes::Four,
        // Django's alone.
        ("spatialite", _) => Slashes::Four,
        // Only Ruby calls it that.
        ("sqlite3", Slashes::Unknown) => Slashes::Three,
        (_, slashes) => slashes,
    };
    let decoded = |path: &str| {
        percent_decode_str(path).decode_utf8().map_or_else(|_| path.to_owned(), std::borrow::Cow::into_owned)
    };
    let file = |path: String| if path.is_empty() { Named::Memory } else { Named::File(path) };
    match scheme {
        "file" => file(decoded(after_host(rest))),
        _ if ["sqlite", "sqlite3", "spatialite"].contains(&scheme) || scheme.starts_with("sqlite+") => {
            let Some(path) = rest.strip_prefix("///") else { return file(decoded(after_host(rest))) };
            match (path.strip_prefix('/'), slashes) {
                (_, _) if path.is_empty() => Named::Memory,
                // Four are the root to everybody.
                (Some(path), _) => file(format!("/{}", decoded(path.trim_start_matches('/')))),
                (None, Slashes::Three) => file(format!("/{}", decoded(path))),
                (None, Slashes::Four) => file(decoded(path)),
                (None, Slashes::Unknown) => {
                    let relative = decoded(path);
                    Named::Either { absolute: format!("/{relative}"), relative }
                }
            }
        }
        other => Named::Foreign(other.to_owned()),
    }
}

/// What follows `jdbc:`: to Java's driver all behind `sqlite:` is a path as it is, or an SQLite `file:` name.
fn of_java(rest: &str) -> Named {
    let (scheme, path) = rest.split_once(':').unwrap_or((rest, ""));
    if !scheme.eq_ignore_ascii_case("sqlite") || path.starts_with(":resource:") {
        return Named::Foreign(format!("jdbc:{scheme}"));
    }
    if path.starts_with("file:") {
        return named(path, Slashes::Three);
    }
    match path.split('?').next().unwrap_or_default() {
        "" => Named::Memory,
        path if path.starts_with("//") => Named::File(format!("/{}", path.trim_start_matches('/'))),
        path => Named::File(path.to_owned()),
    }
}

/// Without the slashes of an authority, which can only be this machine.
fn after_host(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").filter(|rest| rest.starts_with('/')).unwrap_or(rest),
        None => rest,
    }
}

fn is_scheme(text: &str) -> bool {
    // One letter is a Windows drive.
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Which of two files can be meant: the one that is there, else the one whose folder can be written to. Nothing
/// where both can, or neither.
pub fn choose(
    relative: &str,
    absolute: &str,
    exists: impl Fn(&str) -> bool,
    may_be_made: impl Fn(&str) -> bool,
) -> Option<bool> {
    let both = |can: &dyn Fn(&str) -> bool| match (can(relative), can(absolute)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        (true, true) | (false, false) => None,
    };
    if exists(relative) && exists(absolute) { None } else { both(&exists).or_else(|| both(&may_be_made)) }
}

/// Prisma's settings since version 7; relative URLs are relative to the file.
pub const PRISMA_CONFIGS: [&str; 6] = [
    "prisma.config.ts",
    "prisma.config.js",
    "prisma.config.mjs",
    "prisma.config.mts",
    ".config/prisma.ts",
    ".config/prisma.js",
];

/// Where Prisma's schema may be, the likeliest first; relative URLs are relative to its folder.
pub fn prisma_schemas(package_json: Option<&str>) -> Vec<String> {
    let own = package_json.and_then(|text| {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        Some(json["prisma"]["schema"].as_str()?.trim_start_matches("./").to_owned())
    });
    let usual = ["prisma/schema.prisma", "schema.prisma", "prisma/schema"].map(str::to_owned);
    own.into_iter().chain(usual).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_file_names_are_told_apart() {
        let file = |text: &str| Named::File(text.to_owned());
        let either = |relative: &str| Named::Either {
            relative: relative.to_owned(),
            absolute: format!("/{relative}"),
        };
        use Slashes::{Four, Three, Unknown};
        for (text, slashes, expected) in [
            ("storage/x.db", Three, file("storage/x.db")),
            ("C:x", Three, file("C:x")),
            ("file:./dev.db?connection_limit=1", Unknown, file("./dev.db")),
            ("file:///data/a%20b.db", Unknown, file("/data/a b.db")),
            ("file://localhost/data/a.db", Unknown, file("/data/a.db")),
            ("SQLITE:///data/x.db", Three, file("/data/x.db")),
            ("File:./dev.db", Unknown, file("./dev.db")),
            ("spatialite:///x.db", Unknown, file("x.db")),
            ("SpatiaLite:////data/x.db", Unknown, file("/data/x.db")),
            ("jdbc:sqlite:x.db", Unknown, file("x.db")),
            ("JDBC:SQLite:/data/x.db?journal_mode=WAL", Unknown, file("/data/x.db")),
            ("jdbc:sqlite:///data/x.db", Unknown, file("/data/x.db")),
            ("jdbc:sqlite:file:x.db?cache=shared", Unknown, file("x.db")),
            ("jdbc:sqlite:", Unknown, Named::Memory),
            ("jdbc:sqlite::resource:x.db", Unknown, Named::Foreign("jdbc:sqlite".into())),
            ("jdbc:postgresql://h/d", Unknown, Named::Foreign("jdbc:postgresql".into())),
            ("sqlite3:db/x.db", Three, file("db/x.db")),
            ("sqlite:a.db", Unknown, file("a.db")),
            ("sqlite://a.db", Unknown, file("a.db")),
            ("sqlite:///data/x.db", Three, file("/data/x.db")),
            ("sqlite:///x.db", Four, file("x.db")),
            ("sqlite:///data/x.db?mode=rwc", Unknown, either("data/x.db")),
            ("sqlite3:///data/x.db", Unknown, file("/data/x.db")),
            ("sqlite+aiosqlite:///x.db", Three, file("x.db")),
            ("sqlite+pysqlite:////data/x.db", Unknown, file("/data/x.db")),
            ("sqlite:////data/x.db", Four, file("/data/x.db")),
            ("sqlite:////data/x.db", Unknown, file("/data/x.db")),
            ("sqlite://:memory:", Four, Named::Memory),
            ("file::memory:?cache=shared", Three, Named::Memory),
            ("sqlite://", Three, Named::Memory),
            ("sqlite:///", Unknown, Named::Memory),
            ("sqlite+aiosqlite://", Unknown, Named::Memory),
            ("postgres://u:secret@h/d", Three, Named::Foreign("postgres".into())),
            ("libsql://x.turso.io", Unknown, Named::Foreign("libsql".into())),
        ] {
            assert_eq!(named(text, slashes), expected, "{text}");
        }
    }

    #[test]
    fn one_of_two_is_taken_where_only_one_can_be() {
        let choose = |there: &[&str], makeable: &[&str]| {
            choose("a", "/a", |path| there.contains(&path), |path| makeable.contains(&path))
        };
        assert_eq!(choose(&["a"], &["/a"]), Some(true));
        assert_eq!(choose(&["/a"], &["a", "/a"]), Some(false));
        assert_eq!(choose(&["a", "/a"], &["a"]), None);
        assert_eq!(choose(&[], &["a"]), Some(true));
        assert_eq!(choose(&[], &["/a"]), Some(false));
        assert_eq!(choose(&[], &["a", "/a"]), None);
        assert_eq!(choose(&[], &[]), None);
    }
}
