//! Nothing that others write has an effect without a bound: a small file is no large memory, each number has a range,
//! and a path that is no database is one clear word.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use litekeeper::config::{KEYS, KeeperKey, Shape};
use nix::sys::stat::Mode;

use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::world::World;
use crate::support::wrap;

/// Enough for the program itself and for what a configuration may come to.
const ADDRESS_SPACE_KIB: u32 = 256 << 10;
/// Long enough for an unoptimized build on a busy machine; what goes wrong here takes minutes.
const SOON: Duration = Duration::from_secs(90);

fn long() -> String {
    "x".repeat(120_000)
}

#[track_caller]
fn refused(world: &World, command: &str, env: &[(&str, String)]) -> Ended {
    let keeper = Keeper::new(world).command(command).config(&world.path("litestream.yml"));
    let keeper = if command == "run" { keeper.app(["true"]) } else { keeper };
    let keeper = keeper.wrapped(wrap::address_space(ADDRESS_SPACE_KIB)).envs(env.iter().cloned());
    keeper.start().finish_within(SOON).expect_code(78)
}

fn dbs(count: usize, entry: impl Fn(usize) -> String) -> String {
    let entries = (0..count).map(entry).map(|entry| format!("- {entry}\n"));
    format!("dbs:\n{}", entries.collect::<String>())
}

#[test]
fn what_grows_by_being_named_again_is_refused_while_it_is_small() {
    let text = "x".repeat(500_000);
    let template = |n: usize| format!("{{path: {n}, replica: t}}");
    let top = "dbs: [{path: none.db, replica: {path: replica}}]\n";
    let cases = [
        ("an alias", format!("a: &a {text}\nb: [{}]\n{top}", "*a, ".repeat(60_000))),
        ("an alias of a mapping", format!("a: &a {{x: {text}}}\nb: [{}]\n{top}", "*a, ".repeat(25_000))),
        ("a merge", format!("a: &a {{x: {text}}}\nb:\n{}{top}", "- <<: *a\n".repeat(15_000))),
        ("a key", format!("? &a {text}\n: 1\nb: [{}]\n{top}", "*a, ".repeat(60_000))),
        (
            "a template",
            format!(
                "litekeeper: {{replicas: {{t: {{type: s3, bucket: {text}}}}}}}\n{}",
                dbs(15_000, template)
            ),
        ),
        (
            "a template of one database",
            format!(
                "litekeeper: {{replicas: {{t: {{type: s3, bucket: {text}}}}}}}\ndbs: [{{path: a, replicas: [{}]}}]\n",
                "t, ".repeat(30_000)
            ),
        ),
        (
            "a prefix",
            format!(
                "litekeeper: {{path-prefix: {text}, replicas: {{t: {{type: s3, bucket: b}}}}}}\n{}",
                dbs(15_000, template)
            ),
        ),
        (
            "the file of an alias",
            format!("litekeeper: {{aliases: {{a: {text}}}}}\n{}", dbs(15_000, |_| "{path: a}".to_owned())),
        ),
        (
            "a setting at the top",
            format!(
                "bucket: {text}\n{}",
                dbs(9_000, |n| format!("{{path: {n}, replica: {{type: s3, path: {n}}}}}"))
            ),
        ),
        (
            "a setting at the top, of one database",
            format!("bucket: {text}\ndbs: [{{path: a, replicas: [{}]}}]\n", "{type: s3}, ".repeat(15_000)),
        ),
        (
            "variables of databases",
            dbs(15_000, |n| format!("{{path: {n}, replica: {{url: {{env: LONG}}}}}}")),
        ),
        ("variables at the top", format!("root-cas: [{}]\n{top}", "{env: LONG}, ".repeat(30_000))),
        (
            "variables of the app",
            format!(
                "litekeeper:\n  app:\n    env:\n{}{top}",
                (0..4000).map(|n| format!("      A{n}: {{env: LONG}}\n")).collect::<String>()
            ),
        ),
        ("a replica of the environment", dbs(15_000, |n| format!("{{path: {n}}}"))),
        (
            "files of variables",
            format!("litekeeper: {{app: {{env-file: [{}]}}}}\n{top}", "many.env, ".repeat(30_000)),
        ),
        ("variables of a file", format!("litekeeper: {{app: {{env-file: doubling.env}}}}\n{top}")),
    ];
    let world = World::new();
    world.write("many.env", &format!("A={}\n", "x".repeat(1 << 20)));
    let mut doubling = "A0=0123456789\n".to_owned();
    for n in 1..45 {
        let _ = writeln!(doubling, "A{n}=${{A{0}}}${{A{0}}}", n - 1);
    }
    world.write("doubling.env", &doubling);
    for (name, yaml) in cases {
        world.write("litestream.yml", &yaml);
        let mut env = vec![("LONG", long())];
        if name == "a replica of the environment" {
            env.push(("LITESTREAM_REPLICA_URL", format!("s3://b/{}", long())));
        }
        for command in ["run", "check"] {
            let ended = refused(&world, command, &env);
            let said = format!("{}{}", ended.stdout, ended.log);
            assert!(said.contains("more than"), "{name}: {said:.2000}");
            assert!(said.len() < 4000, "{name}: {} bytes are said", said.len());
        }
    }
}

#[test]
fn a_hint_does_not_repeat_all_names_for_each_database() {
    let names: String = (0..4000).map(|n| format!("    t{n}: {{}}\n")).collect();
    let world = World::new();
    let unknown = dbs(15_000, |n| format!("{{path: {n}, replica: u}}"));
    world.write("litestream.yml", &format!("litekeeper:\n  replicas:\n{names}{unknown}"));
    refused(&world, "run", &[]);
}

/// Every setting at once: what is a number says its range, and no number is too much for it.
#[test]
fn every_number_has_a_range() {
    const NUMBERS: [&str; 13] = [
        "restart.delay",
        "restart.delay-max",
        "restart.reset",
        "restart.limit",
        "restart.window",
        "restore.timeout",
        "restore.parallel",
        "gate.timeout",
        "watch.max-lag",
        "watch.orphan-grace",
        "stop.timeout",
        "resolver.interval",
        "http.listen",
    ];
    // A name and a password may be any text.
    let is_asked = |key: &&KeeperKey| {
        key.shape == Shape::Text && key.path != "resolver.interval" && !key.path.starts_with("http.auth.")
    };
    let world = World::new();
    for value in
        ["9999999h", "2305843009213693952h", "2305843009213693952", "-1", "99999999999999999999999999999"]
    {
        let mut yaml = "dbs: []\nlitekeeper:\n  resolver: {command: \"true\"}\n".to_owned();
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for key in KEYS.iter().filter(|key| is_asked(key)) {
            let (group, name) = key.path.split_once('.').unwrap_or(("", key.path));
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, names)) => names.push(name),
                None => groups.push((group, vec![name])),
            }
        }
        for (group, names) in groups {
            let _ =
                writeln!(yaml, "{}", if group.is_empty() { String::new() } else { format!("  {group}:") });
            let indent = if group.is_empty() { "  " } else { "    " };
            for name in names {
                let _ = writeln!(yaml, "{indent}{name}: {value}");
            }
        }
        let yaml = yaml.replace(
            "resolver: {command: \"true\"}",
            &format!("resolver: {{command: \"true\", interval: {value}}}"),
        );
        world.write("litestream.yml", &yaml);
        let ended = refused(&world, "run", &[]);
        for key in NUMBERS {
            let line = ended.log.lines().find(|line| line.contains(&format!("litekeeper.{key}")));
            let line = line.unwrap_or_else(|| panic!("{key}: {value} is taken: {}", ended.log));
            let says = ["between", "not a duration", "a unit is missing", "negative", "is no number from"];
            assert!(says.iter().any(|says| line.contains(says)), "{line}");
        }
    }
    for (yaml, range) in [
        ("restore: {parallel: 2305843009213693952}", "a whole number between 1 and 1024"),
        ("restore: {parallel: 0}", "a whole number between 1 and 1024"),
        ("stop: {timeout: 9999999h}", "between 1ms and 8760h"),
        ("gate: {timeout: 0s}", "between 1ms and 8760h"),
    ] {
        world.write("litestream.yml", &format!("dbs: []\nlitekeeper: {{{yaml}}}\n"));
        refused(&world, "run", &[]).expect_log(range);
    }
    for (yaml, range) in [
        ("snapshot: {interval: 99999999h}", "`interval` must be at most 2562047h"),
        ("concurrency: 2305843009213693952", "`concurrency` must be at most 1024"),
        ("part-size: 9EiB", "`part-size` must be at most 5GiB"),
        ("socket: {permissions: 0777777777777}", "`permissions` must be between 0 and 07777"),
    ] {
        world.write(
            "litestream.yml",
            &format!("{yaml}\ndbs: [{{path: none.db, replica: {{path: replica}}}}]\n"),
        );
        let keeper = Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]);
        keeper.run().expect_code(78).expect_log(range);
    }
}

#[test]
fn a_pattern_of_many_stars_is_matched_at_once() {
    let world = World::new();
    fs::create_dir(world.path("data")).expect("ours");
    for n in 0..20 {
        fs::write(world.path(&format!("data/{}{n}", "a".repeat(200))), "").expect("ours");
    }
    let pattern = format!("{}b", "*a".repeat(20));
    world.write(
        "litestream.yml",
        &format!("dbs: [{{dir: data, pattern: '{pattern}', replica: {{path: b}}}}]\n"),
    );
    // Litestream itself ends for want of a database.
    let keeper = Keeper::new(&world).command("check").config(&world.path("litestream.yml"));
    keeper.start().finish_within(SOON).expect_code(78);
}

#[test]
fn sockets_that_were_not_passed_are_refused() {
    let world = World::new();
    world.write("litestream.yml", "dbs: [{path: none.db, replica: {path: replica}}]\n");
    for (count, why) in [
        ("3", "descriptor 4 was not passed"),
        ("1025", "a whole number between 0 and 1024"),
        ("99999999999999999999", "a whole number between 0 and 1024"),
        ("two", "a whole number between 0 and 1024"),
    ] {
        let script = format!("export LISTEN_PID=$$ LISTEN_FDS={count}; exec \"$@\" 3<&0 4>&- 5<&0");
        let keeper = Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]);
        let ended = keeper.wrapped(["sh", "-c", &script, "sh"]).run().expect_code(78);
        assert!(ended.log.contains(why), "{}", ended.log);
    }
}

#[test]
fn a_path_that_is_no_database_is_one_clear_word() {
    let world = World::new();
    nix::unistd::mkfifo(&world.path("pipe.db"), Mode::S_IRWXU).expect("ours");
    fs::create_dir(world.path("folder.db")).expect("ours");
    let _socket = UnixListener::bind(world.path("socket.db")).expect("ours");
    let name = |length: usize| "n".repeat(length);
    for (path, why) in [
        ("pipe.db".to_owned(), "it is a pipe (FIFO), and no database"),
        ("folder.db".to_owned(), "it is a folder, and no database"),
        ("socket.db".to_owned(), "it is a socket, and no database"),
        ("/dev/null".to_owned(), "it is a device, and no database"),
        (name(239), "the name has 239 bytes, and 238 are the most"),
        (name(232), "the name has 232 bytes, and 231 are the most"),
        (name(300), "the name has 300 bytes, and 238 are the most"),
        (format!("{}a.db", "x/".repeat(2500)), "the path is longer than this system allows"),
        ("a\\0b.db".to_owned(), "`path` holds a NUL character, which no path can have"),
    ] {
        world.write("litestream.yml", &format!("dbs: [{{path: \"{path}\", replica: {{path: backup}}}}]\n"));
        for command in ["run", "check"] {
            let ended = refused(&world, command, &[]);
            let said = format!("{}{}", ended.stdout, ended.log);
            assert!(said.contains(why), "{said}");
            assert!(
                command == "check" || ended.log.lines().filter(|line| line.contains("error")).count() == 1,
                "{said}"
            );
        }
    }
    sqlite::create(&world.path(&name(238)), 3);
    for length in [231, 238] {
        world.write("litestream.yml", &format!("dbs: [{{path: {}, replica: {{path: b}}}}]\n", name(length)));
        Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]).run().expect_code(0);
    }
}
