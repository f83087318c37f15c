//! The table of settings against the binaries: a value of the wrong type shows what a key is read as.

use std::path::Path;
use std::process::Command;

use litekeeper::config::schema::{Key, Reading, Section, Type};

use crate::support;

/// A file in which `key` of `section` has the value `value`.
fn file(section: Section, key: &str, value: &str) -> String {
    let inside = format!("{{{key}: {value}}}");
    match section {
        Section::Top => format!("{key}: {value}\n"),
        Section::Database => format!("dbs: [{inside}]\n"),
        Section::Replica => format!("dbs: [{{replicas: [{inside}]}}]\n"),
        Section::Snapshot => format!("snapshot: {inside}\n"),
        Section::Level => format!("levels: [{inside}]\n"),
        Section::Socket => format!("socket: {inside}\n"),
        Section::Logging => format!("logging: {inside}\n"),
        Section::Validation => format!("validation: {inside}\n"),
        Section::Retention => format!("retention: {inside}\n"),
        Section::Age => format!("dbs: [{{replicas: [{{age: {inside}}}]}}]\n"),
    }
}

/// A value that the type does not take, and Go's name for what it wants instead.
fn wrong(kind: Type) -> (&'static str, &'static [&'static str]) {
    match kind {
        Type::Text => ("[x]", &["!!seq into string"]),
        Type::Bool => ("[x]", &["!!seq into bool"]),
        Type::Int => ("[x]", &["!!seq into int"]),
        Type::Duration => ("[x]", &["!!seq into time.Duration"]),
        Type::Size => ("wide", &["invalid size format"]),
        Type::Octal => ("[x]", &["!!seq into uint32"]),
        Type::Texts => ("{x: y}", &["!!map into []string"]),
        Type::Mapping(_) => (
            "[x]",
            &["!!seq into main.", "!!seq into litestream.", "!!seq into internal.", "!!seq into struct"],
        ),
        Type::Mappings(_) => ("{x: y}", &["!!map into []*main."]),
        Type::Litekeeper => ("[x]", &[]),
    }
}

fn complaint(version: &str, folder: &Path, text: &str) -> String {
    let path = folder.join("litestream.yml");
    std::fs::write(&path, text).expect("a file");
    let mut command = Command::new(support::litestream::binary(version));
    let output =
        command.args(["databases", "-config"]).arg(&path).env_clear().output().expect("litestream runs");
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn check(version: &str, reading: impl Fn(&Key) -> Reading) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong_rows = Vec::new();
    for section in Section::ALL {
        for key in section.keys() {
            let (value, types) = wrong(key.kind);
            let said = complaint(version, folder.path(), &file(section, key.name, value));
            let typed = said.contains("cannot unmarshal") || said.contains("invalid size");
            let right = match reading(&key) {
                Reading::Ignored => !typed,
                Reading::Read | Reading::Unused | Reading::Refused => {
                    types.iter().any(|name| said.contains(name))
                }
            };
            if !right {
                wrong_rows.push(format!("{section:?} {}: {said}", key.name));
            }
        }
    }
    assert!(wrong_rows.is_empty(), "{}", wrong_rows.join("\n"));
}

#[test]
fn every_key_is_read_as_the_table_says_by_0_5() {
    check(support::litestream::LATEST, |key| key.v05);
}

#[test]
fn every_key_is_read_as_the_table_says_by_0_3() {
    check(support::litestream::OLD, |key| key.v03);
}

/// Go keeps the tags of its structs as text. Those of other packages in the binary are not of this form.
#[test]
fn the_table_has_every_key_that_is_in_the_binaries() {
    let known = |name: &str| Section::ALL.iter().any(|section| section.key(name).is_some());
    for version in [support::litestream::LATEST, support::litestream::NO_SOCKET, support::litestream::OLD] {
        let binary = std::fs::read(support::litestream::binary(version)).expect("the binary");
        let mut found = 0;
        for at in memmem(&binary, b"yaml:\"") {
            let name: String =
                binary[at..].iter().take_while(|c| **c != b'"').map(|c| char::from(*c)).collect();
            let is_key = name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
            if is_key && name.len() > 1 {
                found += 1;
                assert!(known(&name), "{version} knows `{name}`");
            }
        }
        assert!(found > 30, "{version}: {found}");
    }
}

/// Where each `needle` ends.
fn memmem<'a>(haystack: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let starts = haystack.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle);
    starts.map(move |(at, _)| at + needle.len())
}
