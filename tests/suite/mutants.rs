//! The fixtures, changed by chance: nothing breaks the reader, and Litestream still agrees with it.

use std::path::Path;
use std::sync::OnceLock;

use litekeeper::config;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::differential::{self, Outcome};
use crate::support::corpus::{Reader, fixtures, runner};
use crate::support::litestream::LATEST;

#[path = "../../fuzz/invariants.rs"]
mod invariants;

/// What YAML, Litestream or Litekeeper sees something in.
const WORDS: &[&str] = &[
    "\n",
    "\n\n",
    "  ",
    "    ",
    "- ",
    ": ",
    "? ",
    ", ",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "\\",
    "#",
    " # ",
    "|",
    ">-\n",
    "&a ",
    "*a",
    "<<: ",
    "<<: *a\n",
    "!!str ",
    "!!int ",
    "! ",
    "~",
    "yes",
    "0600",
    "1_000",
    "10s",
    "7d",
    "1:30",
    ".5",
    "$",
    "${",
    "}",
    "$$",
    "$KEY",
    "${SECRET}",
    "$NOT_SET",
    "{env: KEY}",
    "---\n",
    "...\n",
    "%",
    "\t",
    "\r\n",
    "\u{feff}",
    "\u{e9}",
    "path: ",
    "replica: ",
    "replicas: ",
    "url: ",
    "type: ",
    "bucket: ",
    "dbs:\n",
    "s3://b/a",
    "file:///b",
    "sqlite://",
    "~/",
    "sync-interval: ",
    "sync_interval: ",
    "secret-access-key: ",
    "meta-path: ",
    "dir: ",
    "pattern: ",
    "null",
    "''",
    "[]",
    "{}",
    "s3",
];

#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, &'static str),
    Remove(Index, usize),
    Repeat(Index, Index, usize),
}

fn texts() -> &'static [String] {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let files = ["good", "broken", "stricter", "laxer"].into_iter().flat_map(fixtures);
        files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
    })
}

fn mutant() -> impl Strategy<Value = String> {
    let edit = prop_oneof![
        3 => (any::<Index>(), prop::sample::select(WORDS)).prop_map(|(at, word)| Edit::Insert(at, word)),
        1 => (any::<Index>(), 1..8_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (any::<Index>(), any::<Index>(), 1..30_usize).prop_map(|(from, to, length)| Edit::Repeat(from, to, length)),
    ];
    (any::<Index>(), prop::collection::vec(edit, 1..4)).prop_map(|(file, edits)| {
        let mut chars: Vec<char> = file.get(texts()).chars().collect();
        for edit in edits {
            match edit {
                Edit::Insert(at, word) => {
                    let at = at.index(chars.len() + 1);
                    chars.splice(at..at, word.chars());
                }
                Edit::Remove(at, length) => {
                    let at = at.index(chars.len() + 1);
                    chars.drain(at..chars.len().min(at + length));
                }
                Edit::Repeat(from, to, length) => {
                    let (from, to) = (from.index(chars.len() + 1), to.index(chars.len() + 1));
                    let part = chars[from..chars.len().min(from + length)].to_vec();
                    chars.splice(to..to, part);
                }
            }
        }
        chars.into_iter().collect()
    })
}

#[test]
fn every_fixture_keeps_the_invariants() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["good", "broken", "stricter", "laxer"].into_iter().flat_map(fixtures) {
        invariants::check(&std::fs::read(&file).expect("a fixture"), &folder.path().join("scratch"));
    }
}

proptest! {
    #[test]
    fn every_mutant_keeps_the_invariants(text in mutant()) {
        let folder = tempfile::tempdir().expect("a folder");
        invariants::check(text.as_bytes(), &folder.path().join("scratch"));
    }
}

/// The differences that `differential` has a reason for; and of a key that is there twice Litestream
/// looks at both values, but says nothing of the first. A replica may come from the environment.
fn is_known(text: &str, outcome: Outcome, why: &str) -> bool {
    let has_tab = |line: &str| {
        let line = line.trim_start_matches(' ');
        line.starts_with('\t') && (line.trim().is_empty() || line.trim().starts_with('#'))
    };
    let words = ["unknown replica type", "nil Handler", "must specify replica", "failed to scan directory"];
    let known = words.iter().any(|known| why.contains(known));
    // A setting with `_` is one with `-`.
    text.contains('_') && outcome == Outcome::Different
        || outcome == Outcome::Laxer && (known || text.lines().any(has_tab) || has_key_twice(text))
}

fn has_key_twice(text: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mutant.yml");
    std::fs::write(&file, text).expect("a file");
    let lints = READER.with(|reader| {
        reader.with_options(true, |options| {
            config::open(&file, options).map(|document| config::lint::lint(&document, options, None, &[]))
        })
    });
    lints.is_ok_and(|lints| lints.iter().any(|lint| lint.rule.code == "duplicate-key"))
}

thread_local!(static READER: Reader = Reader::new());

/// How Litestream and Litekeeper stand to each other over a text.
fn outcome(text: &str) -> (Outcome, String) {
    READER.with(|reader| {
        let file = reader.cwd().join("mutant.yml");
        std::fs::write(&file, text).expect("a file");
        differential::compare(reader, Path::new(&file), LATEST, true)
    })
}

/// The same mutants at each run, unless `PROPTEST_CASES` asks for a number of new ones.
#[test]
fn litestream_agrees_over_every_mutant() {
    let mut runner = runner(96);
    let checked = runner.run(&mutant(), |text| {
        let (outcome, why) = outcome(&text);
        let agrees = !matches!(outcome, Outcome::Laxer | Outcome::Different);
        prop_assert!(agrees || is_known(&text, outcome, &why), "{outcome:?}: {why}\n{text}");
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
}
