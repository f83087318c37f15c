//! The `litekeeper` section: every key has its effect, weighs less than a flag and a variable, and
//! whatever is wrong is told at once.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, NO_SOCKET};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

/// A database that nobody makes.
const NONE: &str = "dbs: [{path: none.db, replica: {path: replica}}]\n";

/// A unit without a database that is there, which is the quickest, with this section.
fn with_section(world: &World, section: &str) -> Keeper {
    let config = world.write("litekeeper.yml", &format!("{NONE}litekeeper:\n{}", indented(section)));
    // What is `$` to a shell is not to be expanded before.
    Keeper::new(world).config(&config).arg("--no-expand-env")
}

/// The usual unit with this section.
fn replicated(world: &World, section: &str) -> Keeper {
    let config = world.config(&world.replica());
    let databases = fs::read_to_string(config).expect("it was just written");
    let config = world.write("litekeeper.yml", &format!("{databases}litekeeper:\n{}", indented(section)));
    Keeper::new(world).config(&config)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn times(ended: &Ended, text: &str) -> usize {
    ended.log.matches(text).count()
}

#[test]
fn the_apps_settings_reach_it_and_before() {
    let world = World::new();
    fs::create_dir(world.path("folder")).expect("the world can be written");
    world.write("one.env", "# comment\nexport A='from one'\nB=\"from\none\"\nHIDDEN_ONE=x\nSET=file\n");
    world.write("two.env", "A=from two\n");
    let section = "\
app:
  command: sh -c 'echo \"$A|$B|$C|$D|$SET|$HIDDEN_ONE|$HIDDEN_TWO|$SHOWN|$(pwd)\"'
  cwd: folder
  env: {C: 3, D: {env: SOURCE}, SHOWN: yes}
  env-file: [one.env, two.env]
  hide-env: [HIDDEN_*, SHOWN]
before: [[sh, -c, 'echo \"before $C $(pwd)\"'], 'echo second']
";
    let keeper = with_section(&world, section).envs([
        ("SOURCE", "the source"),
        ("SET", "environment"),
        ("HIDDEN_TWO", "x"),
        ("SHOWN", "x"),
    ]);
    let folder = world.path("folder").display().to_string();
    let expected =
        format!("before 3 {folder}\nsecond\nfrom two|from\none|3|the source|environment|||yes|{folder}\n");
    assert_eq!(keeper.run().expect_code(0).stdout, expected);
}

#[test]
fn litestream_gets_none_of_the_apps_variables() {
    let world = World::new();
    let section = "app: {env: {OF_THE_APP: hunter2}, hide-env: OF_LITESTREAM}";
    let keeper = replicated(&world, section).env("OF_LITESTREAM", "kept");
    let unit = unit::start_writing(&world, keeper);
    let environ = |pid: i32| fs::read(format!("/proc/{pid}/environ")).expect("it lives");
    let has = |pid: i32, text: &str| environ(pid).windows(text.len()).any(|part| part == text.as_bytes());
    let (app, litestream) = (unit.app().pid, unit.litestream().pid);
    assert!(has(app, "OF_THE_APP=hunter2") && !has(app, "OF_LITESTREAM"));
    assert!(!has(litestream, "OF_THE_APP") && has(litestream, "OF_LITESTREAM=kept"));
    unit.stop(0);
}

#[test]
fn the_command_line_outweighs_app_command_and_that_outweighs_exec() {
    let world = World::new();
    let run = |text: &str, app: &[&str]| {
        let config = world.write("litekeeper.yml", text);
        Keeper::new(&world).config(&config).app(app).run().expect_code(0).stdout
    };
    let both = format!("{NONE}exec: echo exec\nlitekeeper: {{app: {{command: [echo, 'a  b']}}}}");
    assert_eq!(run(&both, &["echo", "flag"]), "flag\n");
    assert_eq!(run(&both, &[]), "a  b\n");
    assert_eq!(run(&format!("{NONE}exec: echo exec\nlitekeeper: {{app: {{cwd: .}}}}"), &[]), "exec\n");
}

#[test]
fn switched_off_the_app_has_its_settings_all_the_same() {
    let world = World::new();
    let section = "app: {command: [sh, -c, 'echo $A $(pwd)'], env: {A: 1}, cwd: /}";
    let keeper = with_section(&world, section).env("LITEKEEPER_ENABLED", "false");
    assert_eq!(keeper.run().expect_code(0).stdout, "1 /\n");
}

#[test]
fn restart_keys() {
    let world = World::new();
    let run = |restart: &str, app: &str, code| {
        with_section(&world, &format!("restart: {restart}")).app(["sh", "-c", app]).run().expect_code(code)
    };
    assert_eq!(times(&run("never", "exit 3", 3), "starting it again"), 0);
    let ended = run("{when: always, delay: 10ms, limit: 2}", "exit 0", 0);
    assert_eq!(times(&ended, "starting it again"), 2);
    assert_eq!(times(&run("{delay: 1h, delay-max: 10ms, limit: 1}", "exit 3", 3), "starting it again"), 1);
    // The restarts are too far apart to be counted together.
    let recovers = "echo x >> tries; [ $(wc -l < tries) -gt 4 ]";
    let ended = run("{delay: 5ms, limit: 1, window: 1ms}", recovers, 0);
    assert_eq!(times(&ended, "starting it again"), 4);
    let ended = run("{delay: 20ms, limit: 4, reset: 0s}", "exit 3", 3);
    let waits = ended.log.lines().filter_map(|line| line.split_once("again in "));
    let waits: Vec<u64> = waits.map(|(_, wait)| wait.trim_end_matches(" ms").parse().expect("ms")).collect();
    assert!(waits.len() == 4 && waits.iter().all(|wait| *wait < 30), "never doubled: {waits:?}");
}

#[test]
fn stop_keys() {
    let world = World::new();
    let trace = world.trace();
    let section = "stop: {signal: USR1, timeout: 3s}";
    let app = App::new(&trace).on_exit("USR1", 0).ready().wait();
    let unit = with_section(&world, section).app(app).start();
    trace.wait("ready");
    unit.stop(0);
    assert_eq!(trace.signals(), [Signal::SIGUSR1 as i64]);
    let unit =
        with_section(&world, "stop: {timeout: 1s}").app(App::new(&trace).ignore("all").ready()).start();
    unit.finish().expect_code(0);
    let app = App::new(&trace).ignore("all").ready().wait();
    let unit = with_section(&world, "stop: {timeout: 5s}").app(app).start();
    trace.wait_nth(3, "ready");
    unit.stop(137).expect_log("did not stop within its share of --stop-timeout (5 s), which is 3 s");
}

#[test]
fn log_keys() {
    let world = World::new();
    let ended = with_section(&world, "log: {format: json, level: warn}").app(["true"]).run().expect_code(0);
    assert!(!ended.log.contains(r#""level":"INFO""#), "{}", ended.log);
    let ended = with_section(&world, "log: {format: json}").app(["no-such-app"]).run().expect_code(127);
    assert!(ended.log.lines().count() > 0);
    for line in ended.log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn gate_and_restore_keys() {
    let world = World::new();
    let dead = "{type: s3, bucket: b, path: p, region: r, access-key-id: k, secret-access-key: s, \
                endpoint: 'http://127.0.0.1:1'}";
    let run = |section: &str, code| {
        let text = format!("dbs: [{{path: app.db, replica: {dead}}}]\nlitekeeper: {{{section}}}");
        Keeper::new(&world).config(&world.write("dead.yml", &text)).app(["true"]).run().expect_code(code)
    };
    // The defaults are 10 minutes and one: nobody would have waited for this.
    run("restore: {timeout: 1s}", 69);
    sqlite::create(&world.db(), 1);
    run("gate: {timeout: 1s}", 69);
    let world = World::new();
    replicated(&world, "gate: none").app(["true"]).run().expect_code(0).expect_log("--gate none");
}

/// A Litestream that says that it is another version.
fn liar(world: &World, version: &str) -> PathBuf {
    let real = litestream::binary(LATEST);
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = version ] && echo {version} && exit\nexec '{}' \"$@\"\n",
        real.display()
    );
    world.program(&format!("litestream-{version}"), &script)
}

#[test]
fn litestream_keys() {
    let world = World::new();
    let found = litestream::binary(LATEST).display().to_string();
    let run = |litestream: &str, code| {
        let keeper = with_section(&world, &format!("litestream: {{{litestream}}}"));
        keeper
            .env("LITESTREAM_BINARY_PATH", "")
            .env("PATH", "/usr/bin:/bin")
            .app(["true"])
            .run()
            .expect_code(code)
    };
    run(&format!("binary: '{found}', version: {LATEST}"), 0);
    run(&format!("binary: '{found}', version: v0.5.9"), 78)
        .expect_log(&format!("is litestream {LATEST}, but it must be 0.5.9"))
        .expect_log("hint: `litekeeper install --version 0.5.9`");
    run("binary: no-such-file", 78).expect_log("litekeeper.yml:3: `").expect_log("is not an executable file");
    let bad = liar(&world, "0.5.7");
    run(&format!("binary: '{}'", bad.display()), 78).expect_log("--allow-litestream 0.5.7");
    run(&format!("binary: '{}', allow: 0.5.7", bad.display()), 0);
    // A variable that names a binary outweighs the file.
    let keeper = with_section(&world, "litestream: {binary: no-such-file}");
    keeper.app(["true"]).run().expect_code(0);
}

#[test]
fn install_gets_the_version_that_the_configuration_asks_for() {
    let world = World::new();
    fs::create_dir(world.path("bin")).expect("the world can be written");
    // By another process, as `World::program` says.
    let copied = Command::new("cp").arg(litestream::binary(NO_SOCKET)).arg(world.path("bin")).status();
    assert!(copied.is_ok_and(|status| status.success()), "it can be copied");
    world.write(
        "litestream.yml",
        &format!("dbs: []\nlitekeeper: {{litestream: {{version: v{NO_SOCKET}}}}}\n"),
    );
    let keeper = Keeper::new(&world).command("install").args(["--dir", "bin"]);
    let ended = keeper.run().expect_code(0).expect_log(&format!("litestream {NO_SOCKET} is there already"));
    assert!(ended.stdout.trim_end().ends_with("bin/litestream"), "{}", ended.stdout);
}

#[test]
fn a_user_that_is_not_there_is_named_with_its_line() {
    let world = World::new();
    let ended = with_section(&world, "app:\n  user: nobody-of-this-name").app(["true"]).run().expect_code(78);
    ended.expect_log("litekeeper.yml:4: there is no user `nobody-of-this-name`");
}

/// Runs with the same setting by file, by variable and by flag, one more at a time.
fn layers(world: &World, section: &str, variable: (&str, &str), flag: [&str; 2], app: &str) -> Vec<Ended> {
    let app = ["sh", "-c", app];
    let file = || with_section(world, section).app(app);
    vec![
        with_section(world, "app: {}").app(app).run(),
        file().run(),
        file().env(variable.0, variable.1).run(),
        file().env(variable.0, variable.1).args(flag).run(),
    ]
}

#[test]
fn a_flag_outweighs_the_variable_the_variable_the_file_and_the_file_the_default() {
    let world = World::new();
    for name in ["file", "variable", "flag"] {
        fs::create_dir(world.path(name)).expect("the world can be written");
    }
    let stdout = |ended: Vec<Ended>| ended.into_iter().map(|ended| ended.stdout).collect::<Vec<_>>();
    let text = layers(&world, "app: {cwd: file}", ("LITEKEEPER_CWD", "variable"), ["--cwd", "flag"], "pwd");
    let root = world.root().display();
    assert_eq!(
        stdout(text),
        [
            format!("{root}\n"),
            format!("{root}/file\n"),
            format!("{root}/variable\n"),
            format!("{root}/flag\n")
        ]
    );
    let list = "before: [echo file, echo list]";
    let list =
        layers(&world, list, ("LITEKEEPER_BEFORE", "echo variable"), ["--before", "echo flag"], "echo app");
    assert_eq!(stdout(list), ["app\n", "file\nlist\napp\n", "variable\napp\n", "flag\napp\n"]);
    let codes = |ended: Vec<Ended>| ended.iter().map(|ended| times(ended, "again in")).collect::<Vec<_>>();
    let choice = "restart: {when: never, delay: 1ms}";
    let tries = "echo x >> tries; [ $(wc -l < tries) -gt 3 ]";
    let mut retries = Vec::new();
    for (section, variable, flag) in [
        ("restart: {delay: 1ms}", "", ""),
        (choice, "", ""),
        (choice, "on-failure", ""),
        (choice, "on-failure", "never"),
    ] {
        let _ = fs::remove_file(world.path("tries"));
        let mut keeper = with_section(&world, section).app(["sh", "-c", tries]);
        if !variable.is_empty() {
            keeper = keeper.env("LITEKEEPER_RESTART", variable);
        }
        if !flag.is_empty() {
            keeper = keeper.args(["--restart", flag]);
        }
        retries.extend(codes(vec![keeper.run()]));
    }
    assert_eq!(retries, [3, 0, 3, 0], "the default is on-failure");
    let waits = layers(
        &world,
        "restart: {delay: 300ms}",
        ("LITEKEEPER_RESTART_DELAY", "600ms"),
        ["--restart-delay", "10ms"],
        "if [ -e again ]; then rm again; else touch again; exit 1; fi",
    );
    for (ended, wanted) in waits.iter().zip([100.0, 300.0, 600.0, 10.0]) {
        let (_, wait) = ended.log.split_once("starting it again in ").expect("the app failed once");
        let wait: f64 = wait.split(' ').next().unwrap_or_default().parse().expect("milliseconds");
        assert!((wait / wanted - 1.0).abs() < 0.2, "{wait} ms instead of {wanted}");
    }
}

#[test]
fn what_is_wrong_with_files_of_variables_is_told_at_once() {
    let world = World::new();
    world.write("wrong.env", "SECRET=hunter2\nno variable hunter2\n\nA='open hunter2\n");
    let keeper = with_section(&world, "app: {env-file: [missing.env, wrong.env]}").cwd(world.root());
    let log = keeper.app(["true"]).run().expect_code(78).log.replace(&world.root().display().to_string(), "");
    insta::assert_snapshot!(log, @r#"
    error: /litekeeper.yml:3: the file of variables `missing.env` cannot be read: No such file or directory (os error 2)
    wrong.env:2: it has no `=`
    wrong.env:4: its quotes are never closed
    hint: a file that is named has to be there, as text: correct its path, or leave it out
    "#);
}

#[test]
fn a_file_without_dbs_takes_the_databases_from_the_environment() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    for text in [
        "litekeeper: {app: {command: [echo, ran]}}",
        "# dbs:\n#  - path: /path/to/primary/db\n",
        "access-key-id: x\nsecret-access-key: y\n",
        "dbs:\n",
        "dbs: []\n",
        "",
    ] {
        let config = world.write("litekeeper.yml", text);
        let keeper = || Keeper::new(&world).config(&config).app(["echo", "ran"]);
        let ended = keeper()
            .env("DATABASE_URL", format!("sqlite://{}", world.db().display()))
            .env("LITESTREAM_REPLICA_URL", world.replica_url());
        let ended = ended.run().expect_code(0).expect_log("replicating ");
        assert_eq!(ended.stdout, "ran\n", "{text}");
        keeper().run().expect_code(78).expect_log("no database is configured");
        let checked = Keeper::new(&world).command("check").config(&config).run().expect_code(78);
        assert!(checked.stdout.contains("[no-database]"), "{text}: {}", checked.stdout);
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let world = World::new();
    let text = "\
dbs:
  - path: app.db
litekeeper:
  app: {comand: x, env-file: 5, env: {A: {env: NOT_SET_ANYWHERE}}}
  restart: sometimes
  gate: {until: replicatd, timeout: 10}
  stop: {signal: TREM, timeout: -1s}
  restore: {parallel: many}
  log: {level: [info]}
  litestream: {version: latest}
  before: bin/migrate && bin/seed
  http: nowhere
  resolver: {command: [], interval: 30}
  max-lag: 5s
";
    let config = world.write("litekeeper.yml", text);
    let ended = Keeper::new(&world).config(&config).app(["true"]).run().expect_code(78);
    let log = ended.log.replace(&world.root().display().to_string(), "");
    insta::assert_snapshot!(log, @r#"
    error: /litekeeper.yml:2: the database `/app.db` has no replica
    /litekeeper.yml:4: unknown key `litekeeper.app.comand`; did you mean `litekeeper.app.command`?
    /litekeeper.yml:4: `litekeeper.app.env.A` is the value of NOT_SET_ANYWHERE, which is not set
    /litekeeper.yml:5: `litekeeper.restart.when: sometimes`: it must be one of never, on-failure, always
    /litekeeper.yml:6: `litekeeper.gate.until: replicatd`: it must be one of replicated, reachable, none; did you mean `replicated`?
    /litekeeper.yml:6: `litekeeper.gate.timeout: 10`: a unit is missing: `10s` is seconds, `10ms` milliseconds
    /litekeeper.yml:7: `litekeeper.stop.signal: TREM`: no such signal: write it as TERM, INT, QUIT or a number
    /litekeeper.yml:7: `litekeeper.stop.timeout: -1s`: a duration cannot be negative
    /litekeeper.yml:8: `litekeeper.restore.parallel: many`: it must be a whole number between 1 and 1024
    /litekeeper.yml:9: `litekeeper.log.level` must be a single text
    /litekeeper.yml:10: `litekeeper.litestream.version: latest`: not a version: write it as 0.5.17
    /litekeeper.yml:11: `litekeeper.before` has a `&`, which only a shell understands
    /litekeeper.yml:12: `litekeeper.http.listen: nowhere`: its port is no number from 0 to 65535: write 127.0.0.1:9090, :9090 for all addresses, or a port alone
    /litekeeper.yml:13: `litekeeper.resolver.command` is an empty command
    /litekeeper.yml:13: `litekeeper.resolver.interval: 30`: a unit is missing: `30s` is seconds, `30ms` milliseconds
    /litekeeper.yml:14: unknown key `litekeeper.max-lag`; did you mean `litekeeper.watch.max-lag`?
    hint: add `replica: {url: …}` to the database, or set LITESTREAM_REPLICA_URL or LITESTREAM_REPLICA_BUCKET
    "#);
}
