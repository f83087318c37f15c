//! Who may import whom, as ARCHITECTURE.md says it; and other house rules that a compiler does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("os", &["core"]),
    ("config", &["core", "database_url", "foreign", "secrets"]),
    ("shim", &["core", "os"]),
    ("sqlite", &["os"]),
    ("litestream", &["core", "config", "os", "sqlite"]),
    ("ledger", &["core", "os", "sqlite", "litestream"]),
    ("backup", &["core", "os", "sqlite", "litestream"]),
    ("check", &["core", "config", "os", "litestream", "backup"]),
    ("supervise", &["core", "os", "sqlite", "shim", "litestream", "ledger", "backup", "error"]),
    ("demo", &["os"]),
    ("detect", &["database_url", "secrets"]),
    ("env_vars", &[]),
    ("foreign", &[]),
    ("database_url", &[]),
    ("secrets", &[]),
    ("error", &["core", "foreign", "secrets"]),
    ("printer", &["core", "error", "foreign", "os", "secrets"]),
    (
        "cli",
        &[
            "core",
            "os",
            "config",
            "shim",
            "litestream",
            "backup",
            "check",
            "supervise",
            "demo",
            "detect",
            "env_vars",
            "error",
            "foreign",
            "secrets",
            "printer",
        ],
    ),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn room_of(file: &Path) -> String {
    let below = file.strip_prefix(source()).unwrap();
    below.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The rooms that a text names: `crate::os::…`, also in braces.
fn imported(text: &str) -> BTreeSet<String> {
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => {
                found.extend(list.split('}').next().unwrap().split(',').map(|one| name(one.trim())))
            }
            None => {
                found.insert(name(rest));
            }
        }
    }
    found
}

#[test]
fn rooms_import_only_what_the_map_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for file in files(&source()) {
        let room = room_of(&file);
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(room.as_str()) else {
            wrong.push(format!("{} is in no room of the map", file.display()));
            continue;
        };
        for other in imported(&fs::read_to_string(&file).unwrap()) {
            if other != room && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{} imports {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_and_cfg_live_in_the_os_room() {
    for file in files(&source()).iter().filter(|file| room_of(file) != "os") {
        let text = fs::read_to_string(file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            assert!(!line.contains("unsafe {"), "{}: {line}", file.display());
            let is_platform =
                line.contains("cfg(target") || line.contains("cfg(unix") || line.contains("cfg!(target");
            assert!(!is_platform, "{}: {line}", file.display());
        }
    }
}

#[test]
fn the_map_names_each_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (room, _) in ROOMS {
        assert!(map.contains(&format!("src/{room}")), "ARCHITECTURE.md does not name src/{room}");
    }
}
