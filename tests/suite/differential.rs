//! Every fixture against the real Litestream: is it accepted, and what does it mean?
//!
//! The folder of a fixture says how Litekeeper and Litestream 0.5.17 stand to each other over it.
//! Where that is otherwise, for another version or with `-no-expand-env`, it is in [`EXCEPTIONS`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::corpus::{self, Account, File, Reader, fixtures, listing, name};
use crate::support::litestream::{LATEST, NO_SOCKET, OLD};

/// How Litekeeper and a Litestream stand to each other over a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both take it, see the same databases, and the generated file means the same as the original.
    Same,
    /// Both refuse it.
    Refused,
    /// Litekeeper alone refuses it.
    Stricter,
    /// Litestream alone refuses it.
    Laxer,
    /// Both take it, and Litekeeper means something else on purpose.
    Different,
}
use Outcome::{Different, Laxer, Refused, Same, Stricter};

const FOLDERS: [(&str, Outcome); 4] =
    [("good", Same), ("broken", Refused), ("stricter", Stricter), ("laxer", Laxer)];

/// Fixture, beginning of the run (`0.3.13 -no-expand-env`), outcome, and why.
const EXCEPTIONS: &[Exception] = &[
    ("snake", "0.", Different, "Litekeeper takes a setting with `_` for the one with `-`"),
    // Without their variables these are other files.
    ("environment", "0.5.17 -no", Refused, "`{` is no part of a bucket's name"),
    ("environment", "0.5.5 -no", Refused, "the same"),
    ("environment", "0.3.13 -no", Stricter, "0.3 ignores the `replica` that the others refuse"),
    ("open-brace", "0.5.17 -no", Same, "the brace that eats the rest of the file is a brace"),
    ("open-brace", "0.5.5 -no", Same, "the same"),
    ("open-brace", "0.3.13 -no", Same, "the same"),
    ("pid", "0.5.17 -no", Refused, "a duration with a `$`"),
    ("pid", "0.5.5 -no", Refused, "the same"),
    ("pid", "0.3.13 -no", Refused, "the same"),
    ("variable-with-lines", "0.5.17 -no", Refused, "the variable brings the replica"),
    ("variable-with-lines", "0.5.5 -no", Refused, "the same"),
    ("variable-with-lines", "0.3.13 -no", Stricter, NO_REPLICA),
    ("variable-with-yaml", "0.5.17 -no", Refused, "the variable brings the list"),
    ("variable-with-yaml", "0.5.5 -no", Refused, "the same"),
    ("variable-with-yaml", "0.3.13 -no", Refused, "the same"),
    // 0.3 ignores what it does not know. Litekeeper does not let a database go without its replica.
    ("both-forms", OLD, Stricter, "0.3 ignores one of the two"),
    ("dir", OLD, Stricter, "0.3 takes the working directory for the database"),
    ("dir-without-pattern", OLD, Stricter, "the same"),
    ("empty-path", OLD, Stricter, "the same"),
    ("no-path", OLD, Stricter, "the same"),
    ("null-path", OLD, Stricter, "the same"),
    ("path-and-dir", OLD, Stricter, "0.3 ignores one of the two"),
    ("merge-of-null-values", OLD, Stricter, NO_REPLICA),
    ("implicit-pairs", OLD, Stricter, NO_REPLICA),
    ("no-bucket", OLD, Stricter, NO_REPLICA),
    ("no-bucket", "0.3.13 -no", Stricter, NO_REPLICA),
    ("no-replica", OLD, Stricter, NO_REPLICA),
    ("no-scheme", OLD, Stricter, NO_REPLICA),
    ("open-brace", OLD, Stricter, NO_REPLICA),
    ("replica-empty", OLD, Stricter, NO_REPLICA),
    ("replica-list", OLD, Stricter, NO_REPLICA),
    ("replicas-empty", OLD, Stricter, NO_REPLICA),
    ("url-and-default-bucket", OLD, Stricter, NO_REPLICA),
    ("url-and-path", OLD, Stricter, NO_REPLICA),
    ("url-as-path", OLD, Stricter, NO_REPLICA),
    ("same-database", OLD, Stricter, "two writers of one database's metadata"),
    ("same-database", NO_SOCKET, Stricter, "the same"),
    ("dir-meta-path", OLD, Stricter, "a setting without an effect"),
    ("dir-meta-path", NO_SOCKET, Stricter, "the same"),
    ("watch-path", OLD, Stricter, "the same"),
    ("permissions-text", NO_SOCKET, Stricter, "a socket is not known to it, but to Litekeeper"),
    // What only 0.5 checks is not looked at for 0.3, and the other way round.
    ("duration-sexagesimal", OLD, Same, "0.3 knows no snapshot section"),
    ("duration-text", OLD, Same, "the same"),
    ("duration-zero", OLD, Same, "0.3 has no limits"),
    ("levels-zero", OLD, Same, "0.3 knows no levels"),
    ("permissions-text", OLD, Same, "0.3 knows no socket"),
    ("several-of-03", OLD, Same, "0.3 alone takes several replicas"),
    ("age", OLD, Laxer, "0.3 reads the keys themselves"),
    ("gcs-type", OLD, Same, "0.3 calls it so"),
    ("gs-type", OLD, Laxer, "0.3 calls it `gcs`, and so does the generated file"),
    // The generated file has `replicas` where 0.3 ignored `replica`, and then finds a fault with them.
    ("defaults-of-05", OLD, Different, "0.3 hands down keys, but no bucket"),
    ("kinds-of-05", OLD, Different, "0.3 knows fewer kinds"),
    ("sqlite-urls-of-05", OLD, Different, "0.3 takes a URL for the name of a file"),
];

const NO_REPLICA: &str = "0.3 replicates nothing, without a word";

/// Why Litekeeper refuses what Litestream takes, for each file in `stricter`, and why it takes what
/// Litestream refuses, for each file in `laxer`.
const REASONS: &[(&str, &str)] = &[
    ("stricter/binary", "nobody writes a setting in base64"),
    ("stricter/bom-inside", "a mark that no editor shows has no place in a path"),
    ("stricter/comments-only", NO_DATABASE),
    ("stricter/empty-document", NO_DATABASE),
    ("stricter/empty", NO_DATABASE),
    ("stricter/file-url-database", "Litestream replicates a file of that name, which is not there"),
    ("stricter/nel", "a line break to Litestream and to nobody else"),
    ("stricter/null", NO_DATABASE),
    ("stricter/null-dbs", NO_DATABASE),
    ("stricter/null-dbs-tilde", NO_DATABASE),
    ("stricter/same-meta", "one database's metadata would be the other's"),
    ("stricter/seed-litestream-metrics", NO_DATABASE),
    ("stricter/seed-litestream-retention", NO_DATABASE),
    ("stricter/sqlite-opaque", "Litestream replicates a file of that name, which is not there"),
    ("stricter/twins", "one of the two databases would be lost"),
    ("stricter/utf-16", "Litestream expands variables before it decodes, and garbles it if there is one"),
    ("stricter/utf-16-be", "the same"),
    ("laxer/gcs-type", "0.5 calls it `gs`, and so does the generated file"),
    ("laxer/logging-type", "the generated file has another type in any case"),
    ("laxer/tab-alone", "a tab on a line of its own is seen by nobody"),
    ("laxer/unknown-scheme", "a later Litestream may know it"),
    ("laxer/unknown-type", "the same"),
    ("laxer/upper-type", "the same"),
];

const NO_DATABASE: &str = "Litestream replicates nothing, without a word";

#[test]
fn every_fixture_means_the_same_to_litestream() {
    let mut files = Vec::new();
    for (folder, usual) in FOLDERS {
        files.extend(fixtures(folder).into_iter().map(|file| (folder, usual, file)));
    }
    let reader = Reader::new();
    let checked: Vec<_> = std::thread::scope(|scope| {
        let reader = &reader;
        let check = |files| scope.spawn(move || check_all(reader, files));
        let threads: Vec<_> = files.chunks(files.len().div_ceil(4)).map(check).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread")).collect()
    });
    let wrong: String = checked.iter().filter_map(|(_, wrong)| wrong.clone()).collect();
    assert!(wrong.is_empty(), "{wrong}");
    let used: Vec<_> = checked.iter().filter_map(|(exception, _)| *exception).collect();
    let unused: Vec<_> = EXCEPTIONS.iter().filter(|exception| !used.contains(exception)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_difference_has_a_reason() {
    let reasons: BTreeSet<_> = REASONS.iter().map(|(file, _)| (*file).to_owned()).collect();
    let files = ["stricter", "laxer"].map(|folder| {
        fixtures(folder).iter().map(|file| format!("{folder}/{}", name(file))).collect::<Vec<_>>()
    });
    assert_eq!(files.into_iter().flatten().collect::<BTreeSet<_>>(), reasons);
}

type Exception = (&'static str, &'static str, Outcome, &'static str);

/// For each run: the exception that it is, and what is wrong with its outcome.
fn check_all(
    reader: &Reader,
    files: &[(&str, Outcome, PathBuf)],
) -> Vec<(Option<&'static Exception>, Option<String>)> {
    let mut checked = Vec::new();
    for (folder, usual, file) in files {
        let name = name(file);
        let has_variables = std::fs::read(file).expect("a fixture").contains(&b'$');
        for (version, expand) in [LATEST, NO_SOCKET, OLD].into_iter().flat_map(|v| [(v, true), (v, false)]) {
            if !expand && !has_variables {
                continue;
            }
            let run = if expand { version.to_owned() } else { format!("{version} -no-expand-env") };
            let is_meant = |(file, start, ..): &&Exception| {
                *file == name && run.starts_with(start) && (expand || *start != version)
            };
            let exception = EXCEPTIONS.iter().find(is_meant);
            let expected = exception.map_or(*usual, |(_, _, outcome, _)| *outcome);
            let (outcome, why) = compare(reader, file, version, expand);
            let wrong = format!("{folder}/{name} {run}: {outcome:?}, not {expected:?}: {why}\n");
            checked.push((exception, (outcome != expected).then_some(wrong)));
        }
    }
    checked
}

/// How the two stand, and why.
pub fn compare(reader: &Reader, path: &Path, version: &str, expand: bool) -> (Outcome, String) {
    let original = File::existing(path, expand);
    let (config, theirs) = match (reader.load(path, version, expand), reader.replicate(version, &original)) {
        (Ok(config), Ok(theirs)) => (config, theirs),
        (Ok(_), Err(theirs)) => return (Laxer, theirs),
        (Err(ours), Ok(_)) => return (Stricter, ours.to_string()),
        (Err(ours), Err(_)) => return (Refused, ours.to_string()),
    };
    let generated = reader.generated(&config, version);
    let different = |what: String| (Different, format!("{what}\n{}", generated.text()));
    match reader.replicate(version, &generated) {
        Err(error) => return different(error),
        Ok(ours) if without_ignored(version, &ours, &theirs) != theirs => {
            return different(format!("{theirs:#?} became {ours:#?}"));
        }
        Ok(_) => {}
    }
    // Its listing takes `dir` for a file without a name, and only the latest version's can be read with certainty.
    if version != LATEST || !config.directories().is_empty() {
        return (Same, String::new());
    }
    match (reader.databases(version, &original), reader.databases(version, &generated)) {
        (Ok(theirs), Ok(ours)) if theirs == ours && ours == listing(&config) => (Same, String::new()),
        (theirs, ours) => different(format!("{theirs:?} became {ours:?}")),
    }
}

/// 0.3 silently ignores `replica`; the generated file makes it `replicas`, or nothing would be replicated.
fn without_ignored(version: &str, ours: &Account, theirs: &Account) -> Account {
    let is_replica = |record: &BTreeMap<String, String>| record["msg"] == "replicating to";
    let mut theirs = theirs.iter().peekable();
    let mut seen = Account::new();
    for record in ours {
        if version == OLD && is_replica(record) && !theirs.peek().is_some_and(|next| is_replica(next)) {
            continue;
        }
        theirs.next();
        seen.push(record.clone());
    }
    seen
}

/// Django's documentation has 0.3's name for it.
#[test]
fn google_storage_has_the_name_that_each_series_knows() {
    let reader = Reader::new();
    for (file, version, name) in [("laxer/gcs-type", LATEST, "gs"), ("good/gs-type", OLD, "gcs")] {
        let path = fixtures(file.split('/').next().unwrap_or_default());
        let path = path.iter().find(|path| file.ends_with(&corpus::name(path))).expect("the fixture");
        let config = reader.load(path, version, true).unwrap_or_else(|error| panic!("{error}"));
        let account = reader.replicate(version, &reader.generated(&config, version));
        let account = account.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(account[1]["type"], name, "{account:?}");
    }
}
