//! Where a type is, and what is called the same.

use std::collections::BTreeSet;

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
    for line in code.lines() {
        let line = line.trim_start();
        let (seen, rest) = match line.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => {
                let end = rest.find(')').map_or(rest.len(), |end| end + 1);
                (format!("pub{}", &rest[..end]), rest[end..].trim_start())
            }
            Some(rest) => ("pub".to_owned(), rest.trim_start()),
            None => (String::new(), line),
        };
        let kinds = ["struct ", "enum ", "union ", "trait "];
        if let Some(rest) = kinds.iter().find_map(|kind| rest.strip_prefix(*kind)) {
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
    let code = "pub struct A<T>(T);\npub(super) enum B {\n    struct_like { x: u8 },\n}\nstruct C;\nimpl<T: Into<u8>> A<T> {\n}\n\
                impl From<u8> for B {\n}\nimpl super::D {\n}\nimpl C {}\nfn f() -> impl Fn() {}\n";
    let all: Vec<String> = types(code).into_iter().map(|(name, seen)| format!("{seen} {name}")).collect();
    assert_eq!(all, ["pub A", "pub(super) B", " C"]);
    assert_eq!(methods(code).into_iter().collect::<Vec<_>>(), ["A", "C", "D"]);
}
