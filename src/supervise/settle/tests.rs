use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn a_full_disk_is_told_by_whoever_says_it() {
    for error in [Errno::ENOSPC, Errno::EDQUOT] {
        let error = std::io::Error::from(error);
        assert!(is_full(&std::io::Error::new(error.kind(), format!("/x: {error}")).to_string()));
    }
    assert!(is_full("database or disk is full"));
    assert!(!is_full("/x: Permission denied (os error 13)"));
}

/// What became of a database that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Became {
    /// The app is not started, with this exit code.
    Refused(u8),
    /// Its backup takes its place.
    Restored,
    /// It is what was left.
    Stays,
    /// It stays, and all of it is copied anew.
    Copied,
    /// It stays, and the launch looks at it.
    AtLaunch,
}

const EACH: [IfBehind; 3] = [IfBehind::Refuse, IfBehind::Restore, IfBehind::Ignore];

/// The content of all files below a folder, by no name: a rename changes nothing of it.
fn contents(folder: &Path) -> BTreeMap<Vec<u8>, usize> {
    let (mut all, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => *all.entry(fs::read(entry.path()).unwrap()).or_insert(0) += 1,
            }
        }
    }
    all
}

/// Settles a database with files of Litestream's beside it; nothing of it may be gone afterwards, wherever it is.
fn settled(
    (if_behind, if_unrelated): (IfBehind, IfBehind),
    gate: Gate,
    freshness: Result<Freshness, backup::Error>,
    file: Result<FileState, String>,
) -> Became {
    let root = tempfile::tempdir().unwrap();
    let db = Database { replica: "file:///r".to_owned(), ..Database::at(root.path().join("app.db")) };
    fs::write(&db.path, "rows").unwrap();
    let meta = ltx::folder(&db.meta);
    fs::create_dir_all(&meta).unwrap();
    fs::write(meta.join(ltx::name(7)), "a file of Litestream's").unwrap();
    let (before, names) = (contents(root.path()), fs::read_dir(root.path()).unwrap().count());
    let owing = Owing::default();
    let faults: Faults = Rc::new(|_| Ok(()));
    let rules = Rules { if_behind, if_unrelated, gate, chosen: Rc::default(), faults, owing: owing.clone() };
    let version = Version::new(0, 5, 17);
    let present = vec![Present { db: &db, freshness, file }];
    let prepared = rules.settle_all(version, std::slice::from_ref(&db), present);
    assert_eq!(contents(root.path()), before, "nothing is removed, whatever is decided");
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            assert!(failure.hint.is_some() && db.exists(), "{}", failure.message);
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), names, "who refuses moves nothing");
            return Became::Refused(failure.exit.get());
        }
    };
    let is_missing = prepared.missing.iter().any(|missing| missing.path == db.path);
    assert_eq!(is_missing, !db.exists(), "what is to be restored is out of the way, and nothing else is");
    if is_missing {
        assert!(owing.borrow().is_empty(), "it is kept, and no run's any more");
        return Became::Restored;
    }
    match (prepared.whole.is_empty(), prepared.inspected.is_empty()) {
        (true, true) => Became::AtLaunch,
        (true, false) => Became::Stays,
        (false, false) => Became::Copied,
        (false, true) => panic!("what is copied was looked at"),
    }
}

fn txid(txid: u64) -> Position {
    Position::Txid(txid)
}

#[test]
fn a_file_that_is_not_what_was_left_is_refused_restored_or_gone_on_with_as_the_user_says() {
    let why = || "it differs".to_owned();
    let asked = [Became::Refused(69), Became::Restored, Became::Copied];
    for (file, became) in [
        (FileState::New, [Became::Stays, Became::Stays, Became::Stays]),
        (FileState::Current, [Became::Stays, Became::Stays, Became::Stays]),
        (FileState::Unfounded, [Became::Copied, Became::Copied, Became::Copied]),
        (FileState::Broken(why()), [Became::AtLaunch, Became::AtLaunch, Became::AtLaunch]),
        (FileState::NotSqlite, [Became::Refused(78), Became::Refused(78), Became::Refused(78)]),
        (FileState::Diverged { why: why(), since: None }, [Became::Copied, Became::Copied, Became::Copied]),
        (FileState::Written { pages: 1, txid: 7 }, [Became::Copied, Became::Copied, Became::Copied]),
        (FileState::Damaged { pages: 1, txid: 7 }, [Became::Copied, Became::Copied, Became::Copied]),
        (FileState::Older(3), asked.clone()),
        (FileState::Other { why: why() }, asked),
    ] {
        let each = EACH.map(|rule| {
            settled((rule, IfBehind::Refuse), Gate::Replicated, Ok(Freshness::Current), Ok(file.clone()))
        });
        assert_eq!(each, became, "{file:?}");
    }
}

#[test]
fn a_backup_that_is_newer_or_another_ones_is_never_written_over_unasked() {
    let asked = [Became::Refused(69), Became::Restored, Became::Stays];
    let behind = || Freshness::Behind { local: txid(3), replica: txid(7) };
    let apart = || Freshness::Apart { replica: txid(7), first: None };
    let unrelated = || Freshness::Unrelated { replica: txid(7) };
    let file = || Ok(FileState::Current);
    assert_eq!(
        EACH.map(|rule| settled((rule, IfBehind::Refuse), Gate::Replicated, Ok(behind()), file())),
        asked
    );
    // What goes on on top of another one's backup begins anew, and is looked at no further.
    assert_eq!(
        EACH.map(|rule| settled((rule, IfBehind::Refuse), Gate::Replicated, Ok(apart()), file())),
        asked
    );
    // Each of the two options is asked about its own case alone.
    assert_eq!(
        EACH.map(|rule| settled((IfBehind::Ignore, rule), Gate::Replicated, Ok(unrelated()), file())),
        asked
    );
    for rule in EACH {
        let cut = Freshness::Cut { first: 7, replica: None };
        assert_eq!(
            settled((rule, rule), Gate::Replicated, Ok(cut), file()),
            Became::Stays,
            "the place is empty"
        );
        let cut = Freshness::Cut { first: 7, replica: Some(txid(3)) };
        assert_eq!(settled((rule, rule), Gate::Replicated, Ok(cut), file()), Became::Refused(69));
    }
}

#[test]
fn what_nobody_can_tell_keeps_the_app_from_starting_unless_no_gate_is_wanted() {
    let unanswered = || {
        let reason = "connection refused".to_owned();
        Err(backup::Error::Refused { db: "/x".into(), replica: "s3://b/x".to_owned(), reason })
    };
    let both = (IfBehind::Ignore, IfBehind::Ignore);
    for gate in [Gate::Replicated, Gate::None] {
        let is_wanted = gate != Gate::None;
        let of_replica = settled(both, gate, unanswered(), Ok(FileState::Current));
        let of_file = settled(both, gate, Ok(Freshness::Current), Err("/x: no answer".to_owned()));
        for became in [of_replica, of_file] {
            assert_eq!(matches!(became, Became::Refused(_)), is_wanted, "{became:?}");
        }
    }
}

#[test]
fn a_malformed_file_takes_the_place_of_no_backup() {
    let malformed = || Ok(FileState::Malformed { why: "it is malformed".to_owned() });
    let of =
        |rule, freshness| settled((rule, IfBehind::Refuse), Gate::Replicated, Ok(freshness), malformed());
    assert!(matches!(of(IfBehind::Refuse, Freshness::Current), Became::Refused(_)));
    assert_eq!(of(IfBehind::Restore, Freshness::Current), Became::Restored);
    assert_eq!(of(IfBehind::Ignore, Freshness::Current), Became::Copied);
    // There is nothing to be restored.
    assert_eq!(of(IfBehind::Restore, Freshness::Empty), Became::Refused(69));
}
