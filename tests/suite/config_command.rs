//! `litekeeper config`: what all settings come to, where each is from, and no secret among them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use litekeeper::config::{KEYS, Shape};
use serde_json::Value;

use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, binary};
use crate::support::world::World;

/// A secret that only this module knows.
const SECRET: &str = "hunter2-of-config";

fn keeper(world: &World, config: &str) -> Keeper {
    world.write("litestream.yml", config);
    Keeper::new(world).command("config")
}

/// Each value with its origin.
#[track_caller]
fn origins(keeper: Keeper) -> BTreeMap<String, (Value, String)> {
    let ended = keeper.args(["--json", "--origin"]).run().expect_code(0);
    let rows: Vec<Value> = serde_json::from_str(&ended.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    rows.iter().map(|row| (text(&row["key"]), (row["value"].clone(), text(&row["origin"])))).collect()
}

const WITH_SECRETS: &str = "\
access-key-id: {env: FROM_ENV}
secret-access-key: $EXPANDED
heartbeat-url: https://u:hunter2-of-config@host/beat?token=hunter2-of-config
exec: bin/app --password hunter2-of-config
dbs:
  - path: a.db
    replica: {url: 's3://hunter2-of-config@bucket/a?secret=hunter2-of-config', sas-token: hunter2-of-config}
  - path: b.db
    replica: {type: sftp, host: h, user: u, password: hunter2-of-config, path: /b, x-token: [hunter2-of-config]}
  - path: c.db
    replica: {url: \"sftp://u:${EXPANDED}@host/c\"}
litekeeper:
  app:
    env: {API_KEY: hunter2-of-config, B: {env: FROM_ENV}, DSN: 'http://hunter2-of-config@x', SHOWN: shown}
  before: ['bin/x --token=hunter2-of-config', [bin/y, A_SECRET=hunter2-of-config]]
  replicas: {s3: {type: s3, bucket: b, secret_access_key: hunter2-of-config}}
  vfs: {a: 's3://u:hunter2-of-config@b/a'}
";

#[test]
fn no_secret_is_shown_in_any_form() {
    let world = World::new();
    let run = |args: &[&str]| {
        let keeper = keeper(&world, WITH_SECRETS).env("FROM_ENV", SECRET).env("EXPANDED", SECRET);
        let ended = keeper.args(args).run().expect_code(0);
        assert!(!ended.stdout.contains(SECRET) && !ended.log.contains(SECRET), "{}", ended.stdout);
        ended.stdout
    };
    let shown = run(&[]);
    assert!(
        shown.contains("access-key-id: \"${FROM_ENV}\"") && shown.contains("SHOWN: \"(hidden)\""),
        "{shown}"
    );
    for args in [&["--json"][..], &["--origin"], &["--json", "--origin"]] {
        assert!(run(args).contains("(hidden)"));
    }
}

#[test]
fn everything_is_shown_as_it_is_effective() {
    let world = World::new();
    let text = "\
dbs:
  - path: data/app.db
    replica: {type: s3, bucket: $BUCKET, path: app}
litekeeper:
  app: {command: bin/server -p 80, env: {A: 1}}
  restart: never
  http: ':9000'
";
    let keeper = keeper(&world, text).env("BUCKET", "backups").env("LITESTREAM_METRICS_ENABLED", "true");
    let ended = keeper.args(["--max-lag", "5s"]).run().expect_code(0);
    assert_eq!(ended.log, "");
    let shown = ended.stdout.replace(&binary(LATEST).display().to_string(), "/bin/litestream");
    insta::assert_snapshot!(shown.replace(&world.root().display().to_string(), "/world"), @r#"
    dbs:
      - path: "/world/data/app.db"
        replicas:
          - type: s3
            bucket: backups
            path: app
    addr: "127.0.0.1:9090"
    socket:
      enabled: true
      path: "/world/rt/run-PID/litestream.sock"
      permissions: 0600
    logging:
      level: info
      type: json
      stderr: true
    shutdown-sync-timeout: 4s
    litekeeper:
      app:
        command:
          - bin/server
          - "-p"
          - "80"
        env:
          A: "(hidden)"
      on-lock: fail
      restart:
        when: never
        delay: 100ms
        delay-max: 30s
        reset: 30s
        limit: 10
        window: 5m
      restore:
        timeout: 10m
        parallel: 4
        if-behind: refuse
        if-unrelated: refuse
        compare-limit: 1GiB
        if-unlistable: refuse
      lease:
        mode: auto
        wait: 5m
        ttl: 60s
      gate:
        until: replicated
        timeout: 60s
      watch:
        max-lag: 5s
        on-lag: unready
        look: 5m
        orphan-grace: 0s
      stop:
        signal: TERM
        timeout: 10s
      log:
        format: text
        level: info
      litestream:
        binary: /bin/litestream
        memory: "40%"
      http:
        listen: ":9000"
    "#);
}

/// What is shown without `--origin` is a configuration that comes to the same.
#[test]
fn what_is_shown_is_a_configuration_of_the_same_meaning() {
    let world = World::new();
    let text = "dbs: [{path: a.db, replica: {path: replica}}]\nlitekeeper: {restart: never, before: [a, 'b \"c d\"']}";
    let shown = keeper(&world, text).run().expect_code(0).stdout;
    let again = keeper(&world, &shown).run().expect_code(0).stdout;
    assert_eq!(again, shown);
}

#[test]
fn nothing_is_started_and_nothing_written() {
    let world = World::new();
    let keeper = keeper(&world, "dbs: [{path: a.db, replica: {path: replica}}]");
    keeper.env("LITESTREAM_BINARY_PATH", "/nowhere/litestream").run().expect_code(0);
    assert_eq!(world.list(""), ["litestream.yml", "rt"]);
    assert!(world.list("rt").is_empty());
}

#[test]
fn a_wrong_configuration_is_78_as_for_run() {
    let world = World::new();
    let ended = keeper(&world, "dbs: [{path: a.db}]\nlitekeeper: {restrt: never}").run().expect_code(78);
    ended.expect_log("did you mean `litekeeper.restart`?").expect_log("has no replica");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    world.write("litestream.yml", "dbs: []");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_litekeeper"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.args(["config", "--json"]).current_dir(world.root()).stdout(writer).stderr(Stdio::piped());
    let output = command.output().expect("it starts");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn the_origin_of_litestreams_settings_is_right() {
    let world = World::new();
    let text = "\
access-key-id: {env: KEY}
addr: ':1'
dbs:
  - path: a.db
    replica:
      url: s3://bucket/a
socket: {path: l.sock}
litekeeper: {app: {env: {A: {env: KEY},
  B: b}}}
";
    let keeper_with = |name: &str, value: &str| keeper(&world, text).envs([("KEY", SECRET), (name, value)]);
    let keeper = keeper_with("LITESTREAM_LOG_LEVEL", "debug").envs([
        ("LITESTREAM_METRICS_PORT", "9100"),
        ("LITESTREAM_SOCKET_PERMISSIONS", "660"),
        ("LITESTREAM_SOCKET_ENABLED", "true"),
    ]);
    let found = origins(keeper);
    assert_eq!(found["socket.permissions"], (0o660.into(), "LITESTREAM_SOCKET_PERMISSIONS".to_owned()));
    assert_eq!(found["socket.enabled"], (true.into(), "LITESTREAM_SOCKET_ENABLED".to_owned()));
    let off = origins(keeper_with("LITESTREAM_SOCKET_ENABLED", "false"));
    assert_eq!(off["socket.enabled"], (true.into(), "default".to_owned()));
    assert_eq!(off["socket.path"].1, "default");
    for (key, value, origin) in [
        ("access-key-id", "${KEY}", "KEY"),
        ("addr", "127.0.0.1:9100", "LITESTREAM_METRICS_PORT"),
        ("dbs[0].replicas[0].url", "s3://bucket/a", "litestream.yml:6"),
        ("logging.level", "debug", "LITESTREAM_LOG_LEVEL"),
        ("logging.type", "json", "default"),
        ("litekeeper.app.env.A", "${KEY}", "KEY"),
        ("litekeeper.app.env.B", "(hidden)", "litestream.yml:9"),
        ("litekeeper.stop.timeout", "10s", "default"),
    ] {
        assert_eq!(found.get(key), Some(&(value.into(), origin.to_owned())), "{key}");
    }
    assert_eq!(found["dbs[0].path"].1, "litestream.yml:4");
    assert_eq!(found["socket.path"].1, "litestream.yml:7");
}

#[test]
fn the_origin_of_databases_without_a_file_is_right() {
    let world = World::new();
    let found = origins(Keeper::new(&world).command("config").db(&world.db()).replica(&world.replica_url()));
    assert_eq!(
        (found["dbs[0].path"].1.as_str(), found["dbs[0].replicas[0].url"].1.as_str()),
        ("--db", "--replica")
    );
    let found = origins(Keeper::new(&world).command("config").envs([
        ("DATABASE_URL", "sqlite:app.db"),
        ("LITESTREAM_REPLICA_BUCKET", "b"),
        ("LITESTREAM_REPLICA_REGION", "r"),
        ("FLY_APP_NAME", "mine"),
    ]));
    for (key, origin) in [
        ("dbs[0].path", "DATABASE_URL"),
        ("dbs[0].replicas[0].bucket", "LITESTREAM_REPLICA_BUCKET"),
        ("dbs[0].replicas[0].region", "LITESTREAM_REPLICA_REGION"),
        ("dbs[0].replicas[0].path", "default"),
        ("dbs[0].replicas[0].type", "default"),
        ("litekeeper.stop.timeout", "FLY_APP_NAME"),
    ] {
        assert_eq!(found[key].1, origin, "{key}");
    }
}

#[test]
fn templates_and_the_environments_replica_are_named() {
    let world = World::new();
    let text = "\
dbs:
  - path: default
    replica: s3
  - path: other.db
litekeeper:
  aliases: {default: data/app.db}
  path-prefix: mine
  replicas:
    s3:
      type: s3
      bucket: b
      path: apps
";
    let found = origins(keeper(&world, text).env("LITESTREAM_REPLICA_BUCKET", "from-env"));
    let first = |key: &str| found[&format!("dbs[0].replicas[0].{key}")].clone();
    assert_eq!(first("bucket"), ("b".into(), "template s3 (litestream.yml:11)".to_owned()));
    assert_eq!(first("path").0, "apps/mine/default");
    assert_eq!(first("path").1, "template s3 (litestream.yml:12)");
    let second = |key: &str| found[&format!("dbs[1].replicas[0].{key}")].clone();
    assert_eq!(second("bucket"), ("from-env".into(), "LITESTREAM_REPLICA_BUCKET".to_owned()));
    assert_eq!(second("path"), ("mine/other.db".into(), "default".to_owned()));
    let alone = keeper(&world, "litekeeper: {path_prefix: mine}")
        .envs([("LITESTREAM_REPLICA_BUCKET", "b"), ("DATABASE_URL", "sqlite:data/app.db")]);
    assert_eq!(origins(alone)["dbs[0].replicas[0].path"].0, "mine/app.db");
}

/// A value for the file, one for the variable, one for the flag.
fn values(option: &str) -> [&'static str; 3] {
    match option {
        "command" => ["bin/file", "", "bin/flag"],
        "restart" => ["never", "always", "on-failure"],
        "gate" => ["none", "reachable", "replicated"],
        "on-lag" => ["warn", "stop", "unready"],
        "on-lock" => ["wait", "wait=10s", "fail"],
        "if-behind" => ["restore", "ignore", "refuse"],
        "if-unrelated" => ["restore", "adopt", "refuse"],
        "litestream-memory" => ["11%", "22MiB", "off"],
        "compare-limit" => ["1MiB", "2k", "3"],
        "lease" => ["off", "auto", "off"],
        "if-unlistable" => ["allow", "refuse", "allow"],
        "log-format" => ["json", "text", "json"],
        "log-level" => ["error", "debug", "warn"],
        "stop-signal" => ["USR1", "USR2", "HUP"],
        "start-limit" | "restore-parallel" => ["11", "12", "13"],
        "restore-txid" => ["0000000000000011", "0000000000000012", "0000000000000013"],
        "restore-from" => ["s3://file/a", "s3://variable/a", "s3://flag/a"],
        "litestream-version" => ["0.5.11", "0.5.12", "0.5.13"],
        "before" | "env-file" | "hide-env" | "user" | "cwd" | "litestream-binary" | "allow-litestream" => {
            ["/file", "/variable", "/flag"]
        }
        "http" => ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"],
        "http-open" => ["health", "metrics", "health"],
        "enabled-if" => ["FILE", "VARIABLE", "FLAG"],
        _ => ["11s", "12s", "13s"],
    }
}

/// Every key of the table: the file's value counts, the variable outweighs it, and the flag both.
#[test]
fn each_key_has_its_option_and_its_variable() {
    let world = World::new();
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for key in KEYS {
        let Some(option) = key.option else { continue };
        let (group, name) = key.path.split_once('.').unwrap_or(("", key.path));
        let value = match key.shape {
            Shape::Switch => format!("{{env: {}}}", values(option)[0]),
            _ => values(option)[0].to_owned(),
        };
        groups.entry(group).or_default().push_str(&format!("{name}: {value}, "));
    }
    let group = |(group, keys): (&&str, &String)| {
        if group.is_empty() { keys.clone() } else { format!("{group}: {{{keys}}}, ") }
    };
    let section: String = groups.iter().map(group).collect();
    let text = format!("dbs: []\nlitekeeper: {{{section}}}\n");
    let without = || keeper(&world, &text).env("LITESTREAM_BINARY_PATH", "");
    let variables = || {
        let options = KEYS.iter().filter_map(|key| key.option).filter(|option| *option != "command");
        options.map(|option| {
            let is_it = |(_, name): &&(&str, &str)| name.strip_prefix("--") == Some(option);
            let (variable, _) = litekeeper::env_vars::OPTIONS.iter().find(is_it).expect("each has one");
            (option, *variable)
        })
    };
    let with_variables =
        || without().envs(variables().map(|(option, variable)| (variable, values(option)[1])));
    let flags = variables().map(|(option, _)| format!("--{option}={}", values(option)[2]));
    let by_file = origins(without());
    let by_variable = origins(with_variables());
    let by_flag = origins(with_variables().args(flags).app(["bin/flag"]));
    let names: BTreeMap<_, _> = variables().collect();
    for key in KEYS {
        let Some(option) = key.option else { continue };
        let index = match key.shape {
            Shape::Text => "",
            Shape::Switch => ".env",
            _ => "[0]",
        };
        let place = format!("litekeeper.{}{index}", key.path);
        let [file, variable, flag] = values(option);
        let value = |found: &BTreeMap<String, (Value, String)>| {
            let (value, origin) = found.get(&place).unwrap_or_else(|| panic!("no {place} in {found:?}"));
            (value.as_str().map_or_else(|| value.to_string(), str::to_owned), origin.clone())
        };
        assert_eq!(value(&by_file), (file.to_owned(), "litestream.yml:2".to_owned()), "{place}");
        if option == "command" {
            assert_eq!(value(&by_flag), (flag.to_owned(), "command line".to_owned()));
            continue;
        }
        assert_eq!(value(&by_variable), (variable.to_owned(), names[option].to_owned()), "{place}");
        assert_eq!(value(&by_flag), (flag.to_owned(), format!("--{option}")), "{place}");
    }
}

#[test]
fn litestream_is_where_it_would_be_found() {
    let world = World::new();
    let found = binary(LATEST);
    let folder = found.parent().map(PathBuf::from).expect("a folder");
    let run = |envs: &[(&str, &str)]| {
        let keeper = keeper(&world, "dbs: []").env("LITESTREAM_BINARY_PATH", "");
        origins(keeper.envs(envs.iter().copied())).remove("litekeeper.litestream.binary")
    };
    let path = folder.to_str().expect("UTF-8");
    let there = Value::from(found.to_str().expect("UTF-8"));
    assert_eq!(run(&[("PATH", path)]), Some((there.clone(), "default".to_owned())));
    let by_folder = run(&[("PATH", ""), ("LITESTREAM_INSTALL_DIR", path)]);
    assert_eq!(by_folder, Some((there, "LITESTREAM_INSTALL_DIR".to_owned())));
    assert_eq!(run(&[("PATH", "/nowhere"), ("HOME", "/nowhere")]), None);
}
