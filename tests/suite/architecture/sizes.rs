//! How long a file is.

use std::collections::BTreeSet;
use std::fs;

use super::{files, source};

/// Who reads a file has it in his head as a whole.
const LONGEST: usize = 500;

/// Longer ones, and why each is one all the same. The list may only get shorter.
const LONGER: &[(&str, &str)] = &[
    ("backup/lease.rs", "the locks of all places, and that of one, which nobody else has"),
    (
        "cli/operator/verifier.rs",
        "one verification, step by step, all of which the verifier has the means for",
    ),
    ("core/tests/world.rs", "one world under one clock: what is done in it, and what happens then"),
    ("replica/helper/s3.rs", "all that one kind of server is asked, by one client"),
    ("supervise/world.rs", "what takes more than one owner: each of its methods asks several of them"),
];

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<&str> = LONGER.iter().map(|(file, _)| *file).collect();
    for path in files(&source()) {
        let name = path.strip_prefix(source()).unwrap().display().to_string();
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > LONGEST && !unused.remove(name.as_str()) {
            wrong.push(format!(
                "src/{name} has {lines} lines: part it by its subjects, at most {LONGEST} each"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unused.is_empty(), "they are short enough by now: {unused:?}");
}
