//! Who may import whom, as ARCHITECTURE.md says it; and other house rules that a compiler does not know.

mod circles;
mod sizes;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("os", &["core"]),
    ("yaml", &["foreign"]),
    ("config", &["core", "database_url", "foreign", "os", "remote", "secrets", "yaml"]),
    ("shim", &["core", "os", "printer"]),
    ("sqlite", &["database_header", "os"]),
    ("litestream", &["core", "database_header", "foreign", "os", "remote", "sqlite"]),
    ("ledger", &["core", "database_header", "os", "sqlite", "litestream"]),
    ("backup", &["core", "foreign", "os", "remote", "sqlite", "litestream", "replica"]),
    ("replica", &["core", "foreign", "os", "remote", "litestream"]),
    ("vfs", &["core", "error", "foreign", "litestream", "os", "printer", "remote"]),
    (
        "check",
        &[
            "core",
            "compose",
            "config",
            "database_header",
            "django",
            "dotenv",
            "remote",
            "toml",
            "os",
            "litestream",
            "backup",
            "replica",
            "yaml",
        ],
    ),
    ("holder", &["core", "error", "foreign", "litestream", "os"]),
    ("inventory", &["config", "error", "litestream", "remote", "yaml"]),
    (
        "supervise",
        &[
            "core",
            "os",
            "sqlite",
            "shim",
            "litestream",
            "ledger",
            "backup",
            "replica",
            "inventory",
            "remote",
            "error",
            "foreign",
            "holder",
            "http",
            "status",
        ],
    ),
    ("http", &["foreign", "os", "printer", "secrets", "status"]),
    ("status", &[]),
    ("demo", &[]),
    ("compose", &["yaml"]),
    (
        "detect",
        &[
            "compose",
            "database_header",
            "database_url",
            "django",
            "dotenv",
            "foreign",
            "toml",
            "secrets",
            "yaml",
        ],
    ),
    ("env_vars", &[]),
    ("database_header", &[]),
    ("database_url", &[]),
    ("django", &[]),
    ("dotenv", &[]),
    ("toml", &[]),
    ("remote", &[]),
    ("foreign", &["secrets"]),
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
            "sqlite",
            "litestream",
            "ledger",
            "backup",
            "replica",
            "check",
            "holder",
            "http",
            "inventory",
            "supervise",
            "demo",
            "detect",
            "dotenv",
            "env_vars",
            "error",
            "foreign",
            "secrets",
            "printer",
            "status",
            "vfs",
            "yaml",
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
    let mut unused: BTreeSet<(&str, &str)> =
        ROOMS.iter().flat_map(|(room, others)| others.iter().map(|other| (*room, *other))).collect();
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
            unused.retain(|(from, to)| (*from, *to) != (room.as_str(), other.as_str()));
            if other != room && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{} imports {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(unused, BTreeSet::new(), "the map allows what no room does");
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

/// What decides and does nothing: time, processes and files are told to it, and it says what is to be done.
const VALUES: &[&str] = &["core/", "shim/policy.rs", "shim/stage.rs", "shim/event.rs", "shim/action.rs"];

/// What of other crates is a value itself.
const VALUE_PATHS: &[&str] = &["std::collections", "std::fmt", "std::mem", "std::time", "nix::libc"];

/// What of the same room does something.
const DOERS: &[&str] = &["super::app", "super::drain", "super::resident", "super::voice"];

#[test]
fn what_decides_does_nothing() {
    let crates = crates();
    let mut seen = BTreeSet::new();
    for (name, text) in readable_files() {
        let Some(value) = VALUES.iter().find(|value| name.starts_with(**value)) else { continue };
        seen.insert(value);
        let found = does(&text, &crates);
        assert!(found.is_empty(), "src/{name} reaches for what does something: {found:?}");
    }
    assert_eq!(seen.len(), VALUES.len(), "of {VALUES:?} there are {seen:?}");
}

/// What a text of a room that decides does all the same.
fn does(text: &str, crates: &BTreeSet<String>) -> Vec<String> {
    let mut found = asked(text, &[]);
    found.extend(paths(text).into_iter().filter(|path| {
        let is_of = |first: &str| path.split("::").next() == Some(first);
        let is_room = is_of("crate") && !is_below(path, "crate::core") && !is_below(path, "crate::shim");
        let is_outside = crates.iter().any(|name| is_of(name));
        is_outside && !VALUE_PATHS.iter().any(|value| is_below(path, value))
            || is_room
            || DOERS.iter().any(|doer| is_below(path, doer))
    }));
    // Its numbers are in capitals.
    let calls = |path: &String| {
        is_below(path, "libc")
            && path.rsplit("::").next().is_some_and(|name| name.starts_with(char::is_lowercase))
    };
    found.extend(paths(text).into_iter().filter(|path| path != "libc").filter(calls));
    found
}

/// What reads texts: whatever they are of is opened, looked up and timed elsewhere.
const READERS: &[&str] = &[
    "yaml/",
    "config/",
    "detect/",
    "compose.rs",
    "dotenv.rs",
    "toml.rs",
    "django.rs",
    "secrets.rs",
    "secrets/",
    "database_url.rs",
];

/// Where something would be asked of the machine: all of these modules, and all of these crates.
const MACHINE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "crate::os",
    "libc",
    "nix",
    "rustix",
    "tokio",
    "ureq",
    "object_store",
    "rusqlite",
    "tempfile",
];

/// What of that is a value itself.
const MACHINE_VALUES: &[&str] = &["std::net::IpAddr", "crate::os::socket::LONGEST_PATH"];

/// What a path is asked, and a clock. A clock has `now` as well, whoever made it.
const ASKING: &[&str] = &[
    ".metadata()",
    ".symlink_metadata()",
    ".exists()",
    ".try_exists()",
    ".is_file()",
    ".is_dir()",
    ".is_symlink()",
    ".canonicalize()",
    ".read_link()",
    ".read_dir()",
    ".elapsed()",
];

/// Where a reader asks all the same, and why.
const ASKS: &[(&str, &str)] = &[
    ("config/load/env_database.rs", "a URL that frameworks read in two ways means the file that is there"),
    ("config/load/file.rs", "the configuration is opened here, by `os::open`"),
    ("config/values/variables.rs", "`{file: PATH}` is the content of that file, by `os::open`"),
    ("config/model/path.rs", "`..` behind a link means two places, of which Litestream takes the wrong one"),
    ("config/model/real.rs", "two names of one place are one place"),
];

#[test]
fn what_reads_texts_asks_nothing_of_the_machine() {
    let mut found = Vec::new();
    let mut unused: BTreeSet<&str> = ASKS.iter().map(|(file, _)| *file).collect();
    for (name, text) in readable_files() {
        if !READERS.iter().any(|reader| name.starts_with(reader)) {
            continue;
        }
        let asked = asked(&text, MACHINE);
        if !asked.is_empty() && !unused.remove(name.as_str()) {
            found.push(format!("src/{name}: {asked:?}"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(unused.is_empty(), "they ask nothing any more: {unused:?}");
}

/// Each way to the machine is found, in a `use` with or without braces and by its full path; and in tests none is looked for.
#[test]
fn each_way_to_the_machine_is_found() {
    let crates = crates();
    for way in [
        "fn f() -> Instant { Instant::now() }",
        "fn f() -> SystemTime { std::time::SystemTime::now() }",
        "fn f() { x.get_or_insert_with(Instant::now) }",
        "fn f() -> i64 { jiff::Timestamp::now().as_second() }",
        "fn f(at: Instant) -> Duration { at.elapsed() }",
        "use std::env;",
        "use std::{collections::BTreeMap, env as variables};",
        "use std::{fmt, fs::{self, File}};",
        "fn f() { std::fs::read(path) }",
        "fn f() -> bool { path\n    .symlink_metadata()\n    .is_ok() }",
        "fn f() { std::process::id() }",
        "use std::net::{IpAddr, TcpStream};",
        "fn f() { std::thread::spawn(g) }",
        "use std::io::{self, Read};",
        "use std::os::unix::fs::MetadataExt;",
        "use tokio::fs;",
        "fn f() { tokio::time::sleep(second) }",
        "use nix::fcntl::{OFlag, openat};",
        "fn f() { rustix::time::clock_gettime(id) }",
        "fn f() { ::nix::time::clock_gettime(id) }",
        "use crate::os::open;",
        "use crate::{core, os::{self, open}};",
        "use std::*;",
    ] {
        assert!(!asked(way, MACHINE).is_empty(), "a reader may: {way}");
        assert!(!does(way, &crates).is_empty(), "the core may: {way}");
        let test = format!("fn f() {{}}\n\n#[cfg(test)]\nmod tests {{\n    {way}\n}}\n");
        assert_eq!((asked(&test, MACHINE), does(&test, &crates)), (Vec::new(), Vec::new()));
    }
    for value in [
        "use std::net::IpAddr;",
        "use std::time::{Duration, Instant};",
        "// std::fs",
        "fn f() { now::then() }",
    ] {
        assert_eq!(asked(value, MACHINE), Vec::<String>::new(), "{value}");
    }
    assert!(!does("use nix::libc;\nfn f() { libc::getpid() }", &crates).is_empty());
    assert!(does("use nix::libc;\nconst TERM: i32 = libc::SIGTERM;", &crates).is_empty());
}

/// What a text asks of the machine: below these paths, of a clock, or of a path itself.
fn asked(text: &str, machine: &[&str]) -> Vec<String> {
    let is_machine = |path: &String| {
        machine.iter().any(|other| is_below(path, other))
            && !MACHINE_VALUES.iter().any(|value| is_below(path, value))
    };
    let is_clock = |path: &String| path.ends_with("::now");
    let all_of_std = |path: &String| path == "std";
    let mut found: Vec<String> = paths(text);
    found.retain(|path| is_machine(path) || is_clock(path) || all_of_std(path));
    let code = circles::code(text);
    found.extend(ASKING.iter().filter(|method| code.contains(**method)).map(|method| (*method).to_owned()));
    found
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Each path in the code of a text, those of a `use` one by one.
fn paths(text: &str) -> Vec<String> {
    let file = circles::file(text);
    let all = file.uses.iter().chain(file.passes_on.values());
    all.map(|path| path.join("::")).map(|path| path.trim_end_matches("::self").to_owned()).collect()
}

/// The crates that the program is made of, but for itself.
fn crates() -> BTreeSet<String> {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (_, list) = manifest.split_once("\n[dependencies]\n").unwrap();
    let lines = list.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once(" = ")?.0.trim().replace('-', "_")));
    names.chain(["std", "core", "alloc"].map(str::to_owned)).collect()
}

/// Each file of the program, by its place below `src`, but for those of tests.
fn readable_files() -> Vec<(String, String)> {
    let name = |file: &PathBuf| file.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
    let all = files(&source()).into_iter().map(|file| (name(&file), fs::read_to_string(file).unwrap()));
    all.filter(|(name, _)| !name.contains("/tests")).collect()
}

/// Where processes are made, and why nobody has to be served meanwhile.
const FORKS: &[(&str, &str, &str)] = &[
    ("os/fork.rs", "fork()", "the one place: what comes of the exec is an event"),
    ("os/run_as.rs", "pre_exec", "a command of `oneshot`'s, which is started there"),
    (
        "litestream/install/oneshot.rs",
        ".spawn()",
        "`install`, `init` and `demo`, before there is a keeper: a signal ends them as it ends any program",
    ),
    (
        "cli/tour.rs",
        ".spawn()",
        "a keeper of its own, waited for by its number: there is none in this process",
    ),
];

/// What makes a process, or waits for one, with the caller standing still.
const MAKERS: &[&str] = &[
    "fork()",
    "vfork(",
    "clone3(",
    "SYS_clone",
    "posix_spawn",
    "pre_exec",
    "tokio::process",
    "async_process",
    "duct::",
    ".spawn()",
    "Command::spawn",
    ".output()",
    "Command::output",
    ".status()",
    "Command::status",
    "libc::system(",
    "popen(",
];

#[test]
fn processes_are_made_in_one_place_that_waits_for_nothing() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for file in files(&source()) {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(source()).unwrap().display().to_string();
        // Tests have no keeper.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for maker in MAKERS.iter().filter(|maker| line.contains(**maker)) {
                match FORKS.iter().find(|(place, allowed, _)| *place == name && allowed == maker) {
                    Some((place, ..)) => drop(used.insert(*place)),
                    None => wrong.push(format!("{name}: `{maker}`: {}", line.trim())),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "start it by os::spawn:\n{}", wrong.join("\n"));
    assert_eq!(used.len(), FORKS.len(), "a place that makes none any more: {FORKS:?}");
}

/// A `Command` of the standard library is started by `oneshot` alone.
#[test]
fn the_keeper_has_no_command_of_the_standard_library() {
    let theirs =
        ["cli/init/python.rs", "cli/tour.rs", "litestream/install.rs", "litestream/install/", "os/run_as.rs"];
    for file in files(&source()) {
        let name = file.strip_prefix(source()).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let has = code.contains("process::Command") || code.contains("process::{Command");
        assert!(!has || theirs.iter().any(|allowed| name.starts_with(allowed)), "{name}");
    }
}

/// Where the driver is: its loop, what happens, what was decided, and one asking of the sources.
const DRIVER: &[&str] = &["driver", "effects", "looks", "round", "sources"];

#[test]
fn the_machine_is_reached_by_the_driver_alone() {
    let folder = source().join("supervise");
    let reaches = |file: &PathBuf| {
        let code = code(file).join("\n");
        ["impl Driver", "self.machine", "Machine::"].iter().any(|word| code.contains(word))
    };
    let found = files(&folder).into_iter().filter(reaches);
    let found: BTreeSet<String> =
        found.filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect();
    assert_eq!(
        found,
        DRIVER.iter().map(|name| (*name).to_owned()).collect(),
        "whatever else stands there is told a moment, and says what is to be told"
    );
}

#[test]
fn the_map_names_each_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (room, _) in ROOMS {
        assert!(map.contains(&format!("src/{room}")), "ARCHITECTURE.md does not name src/{room}");
    }
}

/// Each file that asks which series a Litestream is of, as the map has them.
#[test]
fn the_map_names_what_is_done_for_the_old_series() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let (_, list) = map.split_once("\n**Litestream 0.3** ").expect("the paragraph");
    let rooms = list.lines().take_while(|line| !line.is_empty()).filter(|line| line.starts_with('`'));
    let mut named = BTreeSet::new();
    for line in rooms {
        let (room, files) = line.split_once(':').expect("a room");
        let room = room.trim_matches('`');
        named.extend(files.split('`').skip(1).step_by(2).map(|file| format!("{room}{file}.rs")));
    }
    let asks =
        |file: &PathBuf| ["V03", "v03", "is_ltx"].iter().any(|word| code(file).concat().contains(word));
    let name = |file: PathBuf| file.strip_prefix(source()).unwrap().display().to_string();
    let asking: BTreeSet<_> = files(&source()).into_iter().filter(asks).map(name).collect();
    let asking: BTreeSet<_> = asking.into_iter().filter(|name| !name.contains("tests")).collect();
    assert_eq!(named, asking);
}

/// What opens a file by its path, as far as the program's own words can say it.
const OPENERS: &[&str] = &[
    "File::open",
    "File::create",
    "File::options",
    "OpenOptions",
    "fs::read(",
    "fs::read)",
    "fs::read,",
    "fs::read_to_string",
    "fs::write(",
    "fs::copy(",
    "tokio::fs",
    "openat(",
    "openat2(",
    "fcntl::open(",
    "libc::open",
    "Connection::open",
    "tempfile::",
];

/// Where one stands all the same, and why nothing can be waited for there.
const OPENS_BY_ITSELF: &[(&str, &str, &str)] = &[
    ("os/open.rs", "openat(", "the one place"),
    ("os/open.rs", "fs::read(", "below /proc and /sys the kernel alone says what stands under a name"),
    ("os/oom_score.rs", "libc::open", "below /proc, and between fork and exec"),
    ("os/open.rs", "openat2(", "O_DIRECTORY: folders alone"),
    ("os/folder.rs", "openat(", "O_PATH or O_DIRECTORY: folders alone"),
    ("os/walk.rs", "openat(", "O_PATH and O_DIRECTORY: folders alone"),
    ("os/dir.rs", "File::options", "O_PATH and O_DIRECTORY: a folder alone"),
    ("os/fd.rs", "fcntl::open(", "O_PATH of /proc/self/exe"),
    ("os/fd.rs", "File::options", "what this process has open already, by /proc/self/fd"),
    ("os/spawn.rs", "File::open", "/dev/null"),
    ("os/needs.rs", "File::options", "/dev/null, as every program opens it"),
    (
        "os/program_file.rs",
        "fcntl::open(",
        "between a fork and an exec, of what execve(2) has taken for an ordinary file",
    ),
    ("os/terminal.rs", "File::options", "/dev/tty is a terminal that this session has open already"),
    ("sqlite/repair.rs", "Connection::open", "in a process with a limit, after `fit::check`"),
    ("sqlite/check.rs", "Connection::open", "in a process with a limit, after `open::file`"),
    ("sqlite/sentinel.rs", "Connection::open", "in a process with a limit, after `fit::check`"),
    (
        "vfs/session.rs",
        "Connection::open",
        "in memory, and in a process with a limit what the extension opens",
    ),
    (
        "os/dir.rs",
        "tempfile::",
        "folders alone, and of mode 0700: the library's own are what the umask leaves",
    ),
    ("check/online.rs", "Connection::open", "in a folder of its own, made for this trial"),
    ("demo/guestbook/store.rs", "Connection::open", "the demo's own database"),
    ("replica/helper/sample.rs", "Connection::open", "in a process with a limit, in a folder of its own"),
    ("litestream/install/oneshot.rs", "tempfile::", "a file without a name"),
    ("cli/init.rs", "tempfile::", "a file that nothing had the name of (O_EXCL)"),
    ("cli/manual.rs", "tempfile::", "a file that nothing had the name of (O_EXCL)"),
    ("cli/tour.rs", "Connection::open", "what was restored there just now"),
];

/// The code of a file without its tests and comments, line by line.
fn code(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(str::to_owned).collect()
}

#[test]
fn files_are_opened_in_one_place() {
    let is_test = |file: &Path| {
        let below = file.strip_prefix(source()).unwrap();
        below.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
    };
    let mut unused: BTreeSet<_> = OPENS_BY_ITSELF.iter().map(|(file, word, _)| (*file, *word)).collect();
    let mut wrong = Vec::new();
    for file in files(&source()).iter().filter(|file| !is_test(file)) {
        let below = file.strip_prefix(source()).unwrap().to_str().unwrap();
        for line in code(file) {
            // A type is no call, and neither is what is only brought into scope.
            let is_use = line.trim_start().starts_with("use ");
            for word in OPENERS.iter().filter(|word| line.contains(**word) && !is_use) {
                let exception = OPENS_BY_ITSELF.iter().find(|(file, one, _)| *file == below && one == word);
                match exception {
                    Some((file, word, _)) => drop(unused.remove(&(*file, *word))),
                    None => wrong.push(format!("src/{below}: `{}`: use os::open", line.trim())),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unused.is_empty(), "exceptions that nobody needs any more: {unused:?}");
}

/// Failures that say no next step, by file: how many, and why.
const WITHOUT_HINT: &[(&str, usize, &str)] = &[
    ("cli/alone.rs", 2, "an interruption; the words of what could not be executed have all"),
    ("cli/demo.rs", 2, "this program itself is gone"),
    ("cli/init.rs", 2, "an interruption; and one that has its finding's hint"),
    ("cli/layers.rs", 1, "a fault of this program"),
    ("cli/one_shot.rs", 2, "the kernel has no event loop; an interruption"),
    ("cli/reload.rs", 1, "it has a hint by its kind"),
    ("supervise/driver.rs", 1, "the kernel has no event loop"),
    ("supervise/ledger.rs", 1, "a process of ours died"),
    ("supervise/prepare.rs", 1, "an interruption"),
    ("supervise/keeper_socket.rs", 2, "the end; and what no keeper of this version says"),
    ("supervise/round.rs", 2, "a fault of this program; the app's end, which says itself when to try again"),
    ("supervise/settle.rs", 1, "a restore without a word"),
    ("supervise/database_lock.rs", 2, "an interruption; and one that has its hint below"),
];

/// Whoever reads an error at night wants to know what to do.
#[test]
fn each_failure_has_a_hint() {
    for file in files(&source()) {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let without = text.match_indices("Failure::new(").filter(|(at, call)| {
            let mut depth = 1;
            let rest = &text[at + call.len()..];
            let end = rest.find(|c| {
                depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
                depth == 0
            });
            !end.is_some_and(|end| rest[end + 1..].trim_start().starts_with(".hint"))
        });
        let name = file.strip_prefix(source()).unwrap().to_str().unwrap();
        let allowed = WITHOUT_HINT.iter().find(|(file, ..)| *file == name).map_or(0, |(_, count, _)| *count);
        assert_eq!(without.count(), allowed, "failures without a hint in {name}");
    }
}
