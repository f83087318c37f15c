//! Files of one room that use each other, directly or over others: none can be read before the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{files, source};

/// The circles that are there still, by rooms. A list may only get shorter; a room that is not named has none.
const CIRCLES: &[(&str, &str)] = &[
    ("core", "machine machine/membership"),
    ("os", "open permit user way"),
    ("secrets", "mod tokens words"),
];

/// A file by its modules: `["config", "lint", "rules"]`.
type Module = Vec<String>;

/// What a file has for this test.
pub(super) struct File {
    /// The paths that it uses, as they are written.
    pub(super) uses: Vec<Module>,
    /// What it passes on from its own files, by name: a map of a folder uses none of that itself.
    pub(super) passes_on: BTreeMap<String, Module>,
}

/// The names of a path or of a `use` tree at the beginning of a text, and how long it is.
fn tree(text: &str, above: &[String], found: &mut Vec<Module>) -> usize {
    let mut path = above.to_vec();
    let mut at = 0;
    loop {
        let name = text[at..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len() - at);
        if name > 0 {
            path.push(text[at..at + name].to_owned());
        }
        at += name;
        match text[at..].strip_prefix("::") {
            Some(rest) if rest.starts_with('{') => at += 3,
            Some(_) if name > 0 => {
                at += 2;
                continue;
            }
            Some(_) | None => {
                found.push(path);
                return at;
            }
        }
        // A list: each of its parts up to a comma or the end, a new name apart.
        loop {
            at += text[at..].find(|c: char| !c.is_whitespace() && c != ',').unwrap_or(text.len() - at);
            if !text[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                return at + text[at..].chars().next().map_or(0, char::len_utf8);
            }
            at += tree(&text[at..], &path, found);
            at += text[at..].find([',', '}']).unwrap_or(text.len() - at);
        }
    }
}

/// The code of a text, without comments and without the tests at its end.
pub(super) fn code(text: &str) -> String {
    // A module of tests stands at the end; one in a file of its own does not end this one.
    let of_tests = |(at, mark): &(usize, &str)| {
        text[at + mark.len()..].lines().next().is_some_and(|line| line.ends_with('{'))
    };
    let end = text.match_indices("#[cfg(test)]\nmod ").find(of_tests).map_or(text.len(), |(at, _)| at);
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn file(text: &str) -> File {
    let mut code = code(text);
    let mut passes_on = BTreeMap::new();
    while let Some(start) = code.match_indices("use ").map(|(at, _)| at).find(|at| {
        let before = code[..*at].rsplit('\n').next().unwrap_or_default().trim_start();
        before.starts_with("pub")
    }) {
        let end = start + code[start..].find(';').unwrap_or(code.len() - start);
        let mut paths = Vec::new();
        tree(&code[start + 4..end], &[], &mut paths);
        passes_on.extend(paths.into_iter().filter_map(|path| Some((path.last()?.clone(), path))));
        code.replace_range(start..end, "");
    }
    let mut uses = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find(|c: char| c.is_alphabetic() || c == '_') {
        let before = &code[..at + start];
        let begins = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || ":.'\"".contains(c));
        // A crate may be named with two colons in front, but no type is.
        let is_crate = |before: &str| begins(before) && !before.ends_with('>');
        let is_start = begins(before) || before.strip_suffix("::").is_some_and(is_crate);
        at += start;
        // Who may use a file is nothing that it uses.
        let is_visibility = before.ends_with("(in ") || before.ends_with("pub(");
        let mut paths = Vec::new();
        at += tree(&code[at..], &[], &mut paths);
        uses.extend(paths.into_iter().filter(|_| is_start && !is_visibility));
    }
    File { uses, passes_on }
}

/// Every file of the program but the tests.
fn all() -> BTreeMap<Module, File> {
    let module = |path: &std::path::Path| {
        let below = path.strip_prefix(source()).unwrap().with_extension("");
        let mut parts: Module = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        parts.pop_if(|last| last == "mod");
        parts
    };
    let is_test = |module: &Module| module.iter().any(|part| part == "tests");
    let named = files(&source()).into_iter().map(|path| (module(&path), path));
    named
        .filter(|(module, _)| !is_test(module))
        .map(|(module, path)| (module, file(&fs::read_to_string(path).unwrap())))
        .collect()
}

/// The file that a path names which is written in another one.
fn named(all: &BTreeMap<Module, File>, from: &Module, path: &[String]) -> Option<Module> {
    let child = |first: &String| all.contains_key(&[from.as_slice(), std::slice::from_ref(first)].concat());
    let (mut at, mut rest) = match path {
        [first, rest @ ..] if first == "crate" => (Vec::new(), rest),
        [first, rest @ ..] if first == "self" => (from.clone(), rest),
        [first, ..] if first == "super" => (from.clone(), path),
        [first, _, ..] if child(first) => (from.clone(), path),
        _ => return None,
    };
    while let [first, behind @ ..] = rest {
        if first == "super" {
            at.pop();
        } else {
            let below = [at.as_slice(), std::slice::from_ref(first)].concat();
            if !all.contains_key(&below) {
                let passed_on = all.get(&at).and_then(|file| file.passes_on.get(first));
                return match passed_on {
                    Some(path) => named(all, &at, path),
                    None => Some(at),
                };
            }
            at = below;
        }
        rest = behind;
    }
    Some(at)
}

/// What each file uses of its own room.
fn neighbours() -> BTreeMap<Module, BTreeSet<Module>> {
    let all = all();
    let of = |(from, file): (&Module, &File)| {
        let found = file.uses.iter().filter_map(|path| named(&all, from, path));
        let own =
            found.filter(|other| other != from && other.first() == from.first() && all.contains_key(other));
        (from.clone(), own.collect())
    };
    all.iter().map(of).collect()
}

fn reached(from: &Module, uses: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&Module> = uses[from].iter().collect();
    while let Some(next) = left.pop() {
        if found.insert(next.clone()) {
            left.extend(&uses[next]);
        }
    }
    found
}

/// What a file is called in its room.
fn shown(module: &Module) -> String {
    if module.len() > 1 { module[1..].join("/") } else { "mod".to_owned() }
}

#[test]
fn files_of_a_room_use_each_other_one_way() {
    let uses = neighbours();
    let reaches: BTreeMap<&Module, BTreeSet<Module>> =
        uses.keys().map(|module| (module, reached(module, &uses))).collect();
    let circle = |module: &Module| -> BTreeSet<Module> {
        reaches[module].iter().filter(|other| reaches[*other].contains(module)).cloned().collect()
    };
    let circles: BTreeSet<BTreeSet<Module>> =
        uses.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
    let mut wrong = Vec::new();
    let mut known: Vec<(&str, BTreeSet<String>)> = CIRCLES
        .iter()
        .map(|(room, names)| (*room, names.split_whitespace().map(str::to_owned).collect()))
        .collect();
    let mut found = BTreeSet::new();
    for circle in &circles {
        let room = circle.first().unwrap()[0].clone();
        let names: BTreeSet<String> = circle.iter().map(shown).collect();
        found.extend(names.iter().map(|name| (room.clone(), name.clone())));
        if known.iter().any(|(of, known)| *of == room && known.is_superset(&names)) {
            continue;
        }
        let names: Vec<String> = names.into_iter().collect();
        wrong.push(format!("a circle in {room}: {}", names.join(" ")));
        for module in circle {
            let others: Vec<String> = uses[module].intersection(circle).map(shown).collect();
            wrong.push(format!("  {} uses {}", shown(module), others.join(", ")));
        }
    }
    for (room, names) in &mut known {
        names.retain(|name| !found.contains(&((*room).to_owned(), name.clone())));
        if !names.is_empty() {
            wrong.push(format!("in no circle of {room} any more, take them out of the list: {names:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_paths_of_a_file_are_found() {
    let text = "pub use list::Item;\nuse super::{a::{self, B as C}, d};\npub(in crate::x) fn f() {}\npub(super) fn g() { crate::y::z(E::F) }\n\
                #[cfg(test)]\nmod tests {\n    use super::g::H;\n}\n";
    let file = file(text);
    let paths: Vec<String> =
        file.uses.iter().map(|path| path.join("::")).filter(|path| path.contains("::")).collect();
    assert_eq!(paths, ["super::a::self", "super::a::B", "super::d", "crate::y::z", "E::F"]);
    assert!(!file.uses.iter().any(|path| path == &["super"]), "{:?}", file.uses);
    assert_eq!(file.passes_on["Item"], ["list", "Item"]);
}
