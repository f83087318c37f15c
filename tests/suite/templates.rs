//! What Litekeeper adds to a configuration: values from the environment, templates, aliases, path modes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use litekeeper::config::{self, Config, GenerateOptions, LoadOptions, Series};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, OLD};
use crate::support::process::Running;
use crate::support::s3::{KEY, S3};
use crate::support::sqlite;
use crate::support::world::World;

/// Everything that a file, a shell, YAML or Go could stumble over.
const ODD: &str = "it's \"odd\" \\n \\ $KEY ${KEY} $$ # no: [comment] & *é\u{1f511}\u{85}\u{feff}\r\n\t} ";

fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, config::Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("litestream.yml");
    fs::write(&path, text).expect("a file");
    let variables: BTreeMap<_, _> = env.iter().copied().collect();
    let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let home = Some(Path::new("/home/me"));
    let options = LoadOptions { no_expand_env: false, env: &env, cwd: Path::new("/srv"), home, pid: 1 };
    config::load(&path, &options)
}

/// What Litestream says of what was made of `config`, in an environment of `env` and nothing else.
fn litestreams_view(version: &str, config: &Config, env: &[(&str, &str)]) -> String {
    let options = GenerateOptions {
        socket: PathBuf::from("/nowhere"),
        shutdown_sync_timeout: Duration::from_secs(1),
        series: Series::V03,
    };
    let generated = config.generate(&options);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("litestream.yml");
    fs::write(&path, &generated.text).expect("a file");
    let mut command = Command::new(litestream::binary(version));
    command.args(["databases", "-config"]).arg(&path).env_clear();
    let output = command.envs(env.iter().copied()).envs(generated.env).output().expect("litestream runs");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).expect("Litestream writes UTF-8")
}

/// Go's `%q`, for the texts of this file.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{85}' => out.push_str("\\u0085"),
            '\u{feff}' => out.push_str("\\ufeff"),
            c => out.push(c),
        }
    }
    out + "\""
}

/// Litestream repeats a replica's type that it does not know.
#[test]
fn a_value_from_the_environment_arrives_as_it_is() {
    let words = [
        "plain", "$5", "yes", "0600", "~", " x ", "a: b", "{}", "it's", "\"", "\\", "a\\nb", "\n", "é\t", ODD,
    ];
    for value in words {
        let env = [("KEY", "wrong"), ("ODD", value)];
        for text in ["{env: ODD}", "$ODD", "pre-${ODD}"] {
            // As it would be in Litestream's own file: a value becomes part of the YAML.
            if text != "{env: ODD}" && value != "plain" {
                continue;
            }
            let config = load(&format!("dbs: [{{path: a, replica: {{type: {text}, path: b}}}}]"), &env);
            let config = config.unwrap_or_else(|error| panic!("{value:?}: {error}"));
            let value = if text.starts_with("pre") { format!("pre-{value}") } else { value.to_owned() };
            let said = litestreams_view(LATEST, &config, &env);
            assert!(said.contains(&quoted(&value)), "{value:?}: {said}");
            // Its log quotes a second time.
            let said = litestreams_view(OLD, &config, &env);
            let twice = quoted(&quoted(&value));
            assert!(said.contains(&twice[1..twice.len() - 1]), "{value:?}: {said}");
        }
    }
}

#[test]
fn what_has_no_value_stops_everything_and_is_named_at_once() {
    let world = World::new();
    let config = world.write(
        "litestream.yml",
        concat!(
            "access-key-id: {env: THE_KEY}\ndbs:\n  - path: app.db\n    replica:\n      type: s3\n",
            "      bucket: {env: THE_BUCKET}\n      path: app\n      secret-access-key: {env: THE_SECRET}\n",
        ),
    );
    let keeper = Keeper::new(&world).config(&config).env("THE_SECRET", "");
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    for line in [
        "litestream.yml:1: `access-key-id` takes its value from THE_KEY, which is not set or empty",
        "litestream.yml:6: `bucket` takes its value from THE_BUCKET, which is not set or empty",
        "litestream.yml:8: `secret-access-key` takes its value from THE_SECRET, which is not set or empty",
    ] {
        assert!(ended.log.contains(line), "{}", ended.log);
    }
    assert!(world.trace().is_empty(), "{}", ended.log);
    assert_eq!(world.list("rt"), [""; 0], "nothing was written");
}

/// Nobody but Litestream and the shim, which it starts, holds a value of Litekeeper's own, and no file does.
fn assert_in_environments_only(world: &World, running: &Running, secret: &str) {
    let processes = running.tree();
    assert!(processes.len() >= 4, "keeper, Litestream, shim and app: {processes:?}");
    for process in &processes {
        let line = process.cmdline.join(" ");
        assert!(!line.contains(secret), "{line}");
    }
    let mut files = 0;
    for entry in walk(world.root()) {
        let bytes = fs::read(&entry).unwrap_or_default();
        let holds = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!holds, "{}", entry.display());
        files += 1;
    }
    assert!(files > 3, "the generated file is among them");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(walk(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            Ok(_) | Err(_) => {}
        }
    }
    found
}

/// The server checks signatures: a secret that is one byte off replicates nothing.
#[test]
fn a_secret_opens_the_replica_and_is_in_no_file() {
    let secret = ODD.trim_end_matches(' ');
    for (version, key) in [(LATEST, "{env: THE_SECRET}"), (OLD, "{env: THE_SECRET}"), (LATEST, "$SAFE")] {
        let secret = if key == "$SAFE" { "hunter2-in/the+environment" } else { secret };
        let (world, s3) = (World::new(), S3::start_with_secret(secret));
        s3.bucket("backups");
        let config = world.write(
            "litestream.yml",
            &format!(
                "dbs:\n- path: {}\n  replica:\n    type: s3\n    bucket: backups\n    path: app\n    region: us-east-1\n    \
                 force_path_style: {{env: STYLE}}\n    endpoint: {}\n    access-key-id: {KEY}\n    secret-access-key: {key}\n",
                world.db().display(),
                s3.endpoint(),
            ),
        );
        let app = App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20);
        let keeper = || {
            let keeper = Keeper::new(&world).litestream(version).config(&config);
            keeper.env("THE_SECRET", secret).env("SAFE", secret).env("STYLE", "yes")
        };
        let running = keeper().app(app).start();
        world.trace().wait_acked(5);
        assert_in_environments_only(&world, &running, secret);
        let ended = running.stop(0);
        assert!(!ended.log.contains(secret), "{}", ended.log);
        // And back again, with the same configuration.
        for name in
            world.list("").iter().filter(|name| name.starts_with("app.db") || name.starts_with(".app.db"))
        {
            let path = world.path(name);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it is ours");
        }
        keeper().app(App::new(&world.trace()).exit(0)).run().expect_code(0);
        sqlite::assert_holds_acked(&world.db(), &world.trace());
    }
}

/// Nobody else gets the values that Litestream gets under Litekeeper's own names.
fn assert_only_litestreams(running: &Running) {
    let holds = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(17).any(|window| window == b"LITEKEEPER_VALUE_")
    };
    let app = running.app().pid;
    let tree = running.tree();
    assert!(tree.iter().any(|process| holds(process.pid)), "Litestream has it");
    assert!(!holds(app), "the app has not");
}

#[test]
fn databases_replicate_by_template_alias_and_path_mode() {
    for version in [LATEST, OLD] {
        let (world, s3) = (World::new(), S3::start_with_secret(ODD.trim_end()));
        s3.bucket("backups");
        let second = world.path("second.db");
        sqlite::create(&second, 3);
        let config = world.write(
            "litestream.yml",
            &format!(
                concat!(
                    "litekeeper:\n  aliases: {{default: {}}}\n  path_prefix: project\n  replicas:\n",
                    "    s3:\n      type: s3\n      bucket: backups\n      path: apps\n      region: us-east-1\n",
                    "      endpoint: {}\n      force_path_style: true\n      access_key_id: {}\n",
                    "      secret_access_key: {{env: THE_SECRET}}\n    disk: {{type: file, path: {}, path-mode: append}}\n",
                    "dbs:\n  - {{path: default, replica: s3}}\n",
                    "  - {{path: {}, name: two, path_mode: replace, replicas: [disk]}}\n",
                    "  - {{path: {}, replica: {{template: disk, path: {}}}}}\n",
                ),
                world.db().display(),
                s3.endpoint(),
                KEY,
                world.path("disk").display(),
                second.display(),
                world.path("third.db").display(),
                world.path("third").display(),
            ),
        );
        sqlite::create(&world.path("third.db"), 2);
        let keeper =
            || Keeper::new(&world).litestream(version).config(&config).env("THE_SECRET", ODD.trim_end());
        let app = App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20);
        let running = keeper().cwd(world.root()).app(app).start();
        world.trace().wait_acked(5);
        assert_only_litestreams(&running);
        running.stop(0);
        assert_eq!(
            s3.objects("backups").iter().filter(|key| !key.starts_with("apps/project/default/")).count(),
            0
        );
        assert!(world.path("third").is_dir() && world.path("project/two").is_dir(), "{:?}", world.list(""));
        for name in world.list("").iter().filter(|name| name.contains(".db")) {
            let path = world.path(name);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it is ours");
        }
        let ended = keeper().cwd(world.root()).app(App::new(&world.trace()).exit(0)).run().expect_code(0);
        assert_eq!((sqlite::count(&second), sqlite::count(&world.path("third.db"))), (3, 2), "{}", ended.log);
        sqlite::assert_holds_acked(&world.db(), &world.trace());
    }
}

#[test]
fn a_database_without_a_replica_goes_where_the_environment_says() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let config = world.write(
        "litestream.yml",
        &format!("litekeeper: {{path-prefix: my project}}\ndbs: [{{path: {}}}]\n", world.db().display()),
    );
    let app = App::new(&world.trace()).insert(&world.db(), 3).exit(0);
    let keeper = Keeper::new(&world).config(&config).envs(S3::env());
    keeper.env("LITESTREAM_REPLICA_URL", s3.url("backups", "base")).app(app).run().expect_code(0);
    let objects = s3.objects("backups");
    assert!(!objects.is_empty());
    assert!(objects.iter().all(|key| key.starts_with("base/my project/app.db/")), "{objects:?}");
}

#[test]
fn two_databases_on_one_place_and_a_wrong_template_start_nothing() {
    let world = World::new();
    let config = world.write(
        "litestream.yml",
        concat!(
            "litekeeper:\n  replicas:\n    disk: {type: file, path: backups, path-mode: preserve}\n",
            "dbs:\n- {path: a.db, replica: disk}\n- {path: b.db, replica: disk}\n- {path: c.db, replica: tape}\n",
        ),
    );
    let ended =
        Keeper::new(&world).config(&config).app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    for part in ["have the same replica", "refers to the replica `tape`", "hint: "] {
        assert!(ended.log.contains(part), "{part}: {}", ended.log);
    }
    assert!(world.trace().is_empty() && world.list("rt").is_empty(), "{}", ended.log);
}
