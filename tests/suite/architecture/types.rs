//! Where a type is, and what is called the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{circles, readable_files};

/// A type with methods in another file than its own, and why it has them there. A list may only get shorter.
const SEVERAL_FILES: &[(&str, &str, &str)] = &[
    (
        "Machine",
        "core/machine/",
        "one state under one table of phases: what happens to whom is a file each, and all of them change it",
    ),
    ("Reconciliation", "core/reconcile/", "the same: one table of members, and a file for each kind of turn"),
    ("Driver", "supervise/", "the loop, what happens, what was decided, one asking: `DRIVER` has its files"),
    ("Restorer", "backup/", "the means of a restore, which have no state: a file for each of its steps"),
    ("Config", "config/output/generate.rs", "what is read knows nothing of the file that Litestream gets"),
    ("Wrong", "vfs/session.rs", "what crosses a pipe knows no word for people"),
];

/// The name at the beginning of a text.
fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The types that a code says, with how far each is seen: `pub`, `pub(super)`, or nothing.
fn types(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for whole in code.lines() {
        let line = whole.trim_start();
        let (seen, rest) = match line.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => {
                let end = rest.find(')').map_or(rest.len(), |end| end + 1);
                (format!("pub{}", &rest[..end]), rest[end..].trim_start())
            }
            Some(rest) => ("pub".to_owned(), rest.trim_start()),
            None => (String::new(), line),
        };
        let kinds = ["struct ", "enum ", "union ", "trait "];
        // One behind white space is a part of a trait.
        let alias = rest.strip_prefix("type ").filter(|_| !whole.starts_with(' '));
        if let Some(rest) = kinds.iter().find_map(|kind| rest.strip_prefix(*kind)).or(alias) {
            found.push((name(rest), seen));
        }
    }
    found
}

/// The types that a code has methods of their own for: the last name of each `impl` without a trait.
fn methods(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in code.lines().map(str::trim_start) {
        let Some(mut rest) = line.strip_prefix("impl").filter(|rest| rest.starts_with([' ', '<'])) else {
            continue;
        };
        if rest.starts_with('<') {
            let mut depth = 0;
            let end = rest.find(|c| {
                depth += i32::from(c == '<') - i32::from(c == '>');
                depth == 0
            });
            rest = &rest[end.map_or(0, |end| end + 1)..];
        }
        if !rest.contains(" for ") {
            let path = rest.trim().split(['<', ' ', '{']).next().unwrap_or_default();
            found.insert(name(path.rsplit("::").next().unwrap_or_default()));
        }
    }
    found
}

#[test]
fn a_type_has_its_methods_in_its_own_file() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (file, text) in readable_files() {
        let code = circles::code(&text);
        let own: BTreeSet<String> = types(&code).into_iter().map(|(name, _)| name).collect();
        for other in methods(&code).difference(&own) {
            match SEVERAL_FILES.iter().find(|(known, below, _)| known == other && file.starts_with(below)) {
                Some((known, ..)) => drop(used.insert(*known)),
                None => wrong.push(format!(
                    "src/{file}: `impl {other}`: make functions of it, or move it to its type"
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused: Vec<_> = SEVERAL_FILES.iter().filter(|(known, ..)| !used.contains(known)).collect();
    assert!(unused.is_empty(), "they are in one file by now: {unused:?}");
}

#[test]
fn types_and_their_methods_are_found() {
    let code = "pub struct A<T>(T);\npub(super) enum B {\n    struct_like { x: u8 },\n}\nstruct C;\ntype E = u8;\nimpl F for C {\n    type G = u8;\n}\nimpl<T: Into<u8>> A<T> {\n}\n\
                impl From<u8> for B {\n}\nimpl super::D {\n}\nimpl C {}\nfn f() -> impl Fn() {}\n";
    let all: Vec<String> = types(code).into_iter().map(|(name, seen)| format!("{seen} {name}")).collect();
    assert_eq!(all, ["pub A", "pub(super) B", " C", " E"]);
    assert_eq!(methods(code).into_iter().collect::<Vec<_>>(), ["A", "C", "D"]);
}

/// Names that two types of one room have all the same, and why.
const SAME_IN_A_ROOM: &[(&str, &str, &str)] = &[
    ("litestream", "Error", "the error of its module, and written with it: `control::Error`"),
    ("litestream", "Listed", "one line of a listing, written with whose: `control::Listed`, `ltx::Listed`"),
    ("core", "State", "that of a database, which is told; that of a lease is its machine's own"),
    ("cli", "Drill", "what is said to the command, `args::Drill`, and one that is made"),
    ("cli", "KeptOut", "what is said to the command, `args::KeptOut`, and what is kept"),
    ("cli", "Running", "what is said of a keeper, `args::Running`, and the keeper that was found by it"),
    ("cli", "Said", "all that is said about a run; what `status` was told is its own"),
];

#[test]
fn a_name_means_one_type_in_a_room() {
    let mut all: BTreeMap<(String, String), Vec<(String, bool)>> = BTreeMap::new();
    for (file, text) in readable_files() {
        let room = file.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        for (name, seen) in types(&circles::code(&text)) {
            all.entry((room.clone(), name)).or_default().push((file.clone(), !seen.is_empty()));
        }
    }
    // What nobody else can name is met with nothing.
    all.retain(|_, found| found.len() > 1 && found.iter().any(|(_, is_seen)| *is_seen));
    let known =
        |room: &str, name: &str| SAME_IN_A_ROOM.iter().any(|(of, same, _)| *of == room && *same == name);
    let wrong: Vec<String> = all
        .iter()
        .filter(|((room, name), _)| !known(room, name))
        .map(|((_, name), found)| {
            let files: Vec<&str> = found.iter().map(|(file, _)| file.as_str()).collect();
            format!("`{name}` is in {}", files.join(" and in "))
        })
        .collect();
    assert!(wrong.is_empty(), "name each by what it is:\n{}", wrong.join("\n"));
    let is_there = |room: &str, name: &str| all.contains_key(&(room.to_owned(), name.to_owned()));
    let unused: Vec<_> = SAME_IN_A_ROOM.iter().filter(|(room, name, _)| !is_there(room, name)).collect();
    assert!(unused.is_empty(), "they are not the same any more: {unused:?}");
}

/// Names that a file has of two rooms all the same, and why.
const SAME_IN_A_FILE: &[(&str, &str)] = &[
    ("Error", "the error of its room, and written with it: `config::Error`"),
    (
        "Database",
        "one as it is written, as Litestream has it, and as it is told of: `config::Database`, `status::Database`",
    ),
];

/// The paths of a code from the root of the program: those that it writes so, and those behind a name that it brings in so.
fn from_root(text: &str) -> BTreeSet<Vec<String>> {
    let uses = circles::file(text).uses;
    let whole: BTreeSet<Vec<String>> = uses
        .iter()
        .filter(|path| path.first().is_some_and(|first| first == "crate"))
        .map(|path| path.iter().filter(|part| *part != "self").cloned().collect())
        .collect();
    let behind = uses.iter().filter(|path| path.len() > 1).flat_map(|path| {
        let brought = whole.iter().filter(|known| known.last() == path.first());
        brought.map(|known| [known.as_slice(), &path[1..]].concat())
    });
    behind.chain(whole.iter().cloned()).collect()
}

#[test]
fn a_name_means_one_type_in_a_file() {
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all = readable_files();
    for (file, text) in &all {
        let room = file.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        for (name, _) in types(&circles::code(text)).into_iter().filter(|(_, seen)| seen == "pub") {
            rooms.entry(name).or_default().insert(room.to_owned());
        }
    }
    rooms.retain(|_, rooms| rooms.len() > 1);
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (file, text) in &all {
        let paths = from_root(text);
        for (name, rooms) in &rooms {
            let of = |path: &Vec<String>| path.iter().any(|part| part == name).then(|| path[1].clone());
            let met: BTreeSet<String> =
                paths.iter().filter_map(of).filter(|room| rooms.contains(room)).collect();
            match SAME_IN_A_FILE.iter().find(|(same, _)| same == name) {
                Some((same, _)) if met.len() > 1 => drop(used.insert(*same)),
                None if met.len() > 1 => wrong.push(format!("src/{file}: `{name}` is of {met:?}")),
                Some(_) | None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "name each by what it is:\n{}", wrong.join("\n"));
    assert_eq!(used.len(), SAME_IN_A_FILE.len(), "nobody has both any more: {SAME_IN_A_FILE:?}");
}

#[test]
fn paths_from_the_root_are_found() {
    let text = "use crate::{config::{self, A}, yaml};\nfn f(b: config::B) -> yaml::c::D { e::F }\n";
    let found: Vec<String> = from_root(text).into_iter().map(|path| path.join("::")).collect();
    for path in ["crate::config::A", "crate::config::B", "crate::yaml::c::D"] {
        assert!(found.iter().any(|found| found == path), "{path}: {found:?}");
    }
    assert!(!found.iter().any(|path| path.ends_with("F")), "{found:?}");
}
