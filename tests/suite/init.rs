//! `litekeeper init`: projects as their generators lay them out, and what real programs make of the file.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use litekeeper::config::{self, LoadOptions};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::django;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST};
use crate::support::process::{Ended, Spec};
use crate::support::sqlite;
use crate::support::unit::writer;
use crate::support::wait::DEADLINE;
use crate::support::world::World;

/// Each project with databases in it: the framework, the databases that are replicated, and those left out.
const PROJECTS: &[(&str, &str, &[&str], &[&str])] = &[
    ("rails-6", "rails", &["db/production.sqlite3"], &[]),
    (
        "rails-8",
        "rails",
        &["storage/production.sqlite3", "storage/production_queue.sqlite3"],
        &["storage/production_cache.sqlite3", "storage/production_cable.sqlite3"],
    ),
    ("rails-gem", "rails", &["storage/production.sqlite3"], &[]),
    ("django", "django", &["db.sqlite3"], &[]),
    ("laravel", "laravel", &["database/database.sqlite"], &[]),
    ("laravel-litestream", "laravel", &["database/database.sqlite"], &[]),
    ("phoenix", "phoenix", &["${DATABASE_PATH}"], &[]),
    ("prisma-6", "prisma", &["prisma/dev.db"], &[]),
    ("prisma-7", "prisma", &["dev.db"], &[]),
    ("drizzle", "drizzle", &["local.db"], &[]),
    ("pocketbase", "pocketbase", &["pb_data/data.db"], &["pb_data/auxiliary.db"]),
    ("url", "database-url", &["data/app.db"], &[]),
    ("monorepo", "django", &["apps/api/db.sqlite3"], &[]),
];

/// What the written files name.
const VARIABLES: &[(&str, &str)] = &[
    ("DATABASE_PATH", "/data/shop.db"),
    ("LITESTREAM_REPLICA_BUCKET", "bucket"),
    ("LITESTREAM_ACCESS_KEY_ID", "key"),
    ("LITESTREAM_SECRET_ACCESS_KEY", "secret"),
    ("LITESTREAM_S3_BUCKET", "bucket"),
    ("LITESTREAM_S3_PATH", "apps"),
    ("LITESTREAM_S3_REGION", "eu-central-1"),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/projects")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A world whose folder `project` is a copy of this fixture.
pub(crate) fn project(name: &str) -> World {
    let world = World::new();
    copy(&fixtures().join(name), &world.path("project"));
    world
}

/// `litekeeper init` in the world's project, with no Python but the one that a test gives.
fn init(world: &World, options: &[&str]) -> Keeper {
    Keeper::new(world).command("init").cwd(&world.path("project")).args(options)
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

fn paths(found: &Value, replicated: bool) -> Vec<&str> {
    let databases = found["databases"].as_array().unwrap().iter();
    databases.filter(|one| one["replicated"] == replicated).map(|one| one["path"].as_str().unwrap()).collect()
}

/// The databases as Litestream lists them, absolute paths.
fn listed(world: &World, file: &Path) -> BTreeSet<String> {
    let mut spec = Spec::new(&litestream::binary(LATEST), &world.path("project"));
    spec.args(["databases".as_ref(), "-config".as_ref(), file.as_os_str()]);
    VARIABLES.iter().for_each(|(name, value)| spec.env(name, value));
    let ended = spec.run(DEADLINE).expect_code(0);
    let lines = ended.stdout.lines().skip(1);
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The same as our own reader has them.
fn read(world: &World, file: &Path) -> BTreeSet<String> {
    let env =
        |name: &str| VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let cwd = fs::canonicalize(world.path("project")).unwrap();
    let options = LoadOptions { no_expand_env: false, env: &env, cwd: &cwd, home: None, pid: 1 };
    let config = config::load(file, &options).unwrap_or_else(|error| panic!("{error}"));
    config.databases().iter().map(|database| database.path.display().to_string()).collect()
}

/// The file with the databases that were left out put in.
fn with_everything(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().map(|line| {
        inside = line.starts_with("  # - path:") || (inside && line.starts_with("  #  "));
        let alias = line.starts_with("    # ")
            && line.contains(": ")
            && !line.contains("region")
            && !line.contains("command");
        if inside || alias { line.replacen("# ", "", 1) } else { line.to_owned() }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_project_gets_a_file_that_litestream_and_litekeeper_read_alike() {
    for (name, framework, replicated, left_out) in PROJECTS {
        let world = project(name);
        let ended = init(&world, &["--json"]).run().expect_code(0);
        let found = json(&ended);
        assert_eq!(found["framework"], *framework, "{name}");
        assert_eq!(paths(&found, true), *replicated, "{name}");
        assert_eq!(paths(&found, false), *left_out, "{name}");

        let file = world.path("project/litestream.yml");
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(found["config"], text, "{name}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644, "{name}");
        assert!(!text.contains("hunter2"), "{name}: a secret of the project is in the file");

        let root = fs::canonicalize(world.path("project")).unwrap();
        let absolute = |path: &str| match path {
            "${DATABASE_PATH}" => "/data/shop.db".to_owned(),
            path => root.join(path).display().to_string(),
        };
        let expected: BTreeSet<String> = replicated.iter().map(|path| absolute(path)).collect();
        assert_eq!(listed(&world, &file), expected, "{name}: Litestream");
        assert_eq!(read(&world, &file), expected, "{name}: litekeeper");

        // What is commented out can be put in.
        let all: BTreeSet<String> = replicated.iter().chain(*left_out).map(|path| absolute(path)).collect();
        fs::write(&file, with_everything(&text)).unwrap();
        assert_eq!(listed(&world, &file), all, "{name}: Litestream, with all");
        assert_eq!(read(&world, &file), all, "{name}: litekeeper, with all");
    }
}

#[test]
fn the_file_and_the_report_of_rails_8() {
    let world = project("rails-8");
    let ended = init(&world, &["--stdout"]).run().expect_code(0);
    insta::assert_snapshot!("init_rails_8_file", ended.stdout);
    insta::assert_snapshot!("init_rails_8_report", ended.log);
    assert!(!world.path("project/litestream.yml").exists());
}

#[test]
fn a_replica_for_all_goes_below_its_url() {
    let world = project("rails-8");
    init(&world, &["--replica", "s3://bucket/shop"]).run().expect_code(0);
    let text = fs::read_to_string(world.path("project/litestream.yml")).unwrap();
    assert!(text.contains("url: s3://bucket/shop/project/production.sqlite3\n"), "{text}");
    assert!(text.contains("url: s3://bucket/shop/project/production_queue.sqlite3\n"), "{text}");
    assert!(!text.contains("LITESTREAM_REPLICA_BUCKET"), "{text}");
    // It outweighs the replica that the litestream gem had.
    let world = project("rails-gem");
    init(&world, &["--replica", "/mnt/backups"]).run().expect_code(0);
    let text = fs::read_to_string(world.path("project/litestream.yml")).unwrap();
    assert!(
        text.contains("      path: /mnt/backups/project/production.sqlite3\n") && !text.contains("s3"),
        "{text}"
    );
}

#[test]
fn wrong_replicas_are_refused_without_showing_them() {
    let world = project("rails-8");
    for (replica, said) in [
        ("sftp://me:hunter2@host/x", "has a password"),
        ("s3://b/p?secret-access-key=hunter2", "has a password or a key in it"),
        ("s3://b/p?region=r&secretAccessKey=hunter2&x=${Y}", "has a password or a key in it"),
        ("backups", "neither a URL nor a folder"),
        ("s3://bucket\n- x", "control characters"),
    ] {
        let ended = init(&world, &["--replica", replica]).run().expect_code(64).expect_log(said);
        assert!(!ended.log.contains("hunter2"), "{}", ended.log);
    }
    init(&world, &["--replica", "sftp://me:${SFTP_PASSWORD}@host/x"]).run().expect_code(0);
    let text = fs::read_to_string(world.path("project/litestream.yml")).unwrap();
    assert!(text.contains("me:${SFTP_PASSWORD}@host/x/project/production.sqlite3"), "{text}");
}

/// `run` and `check` refuse these, so nobody should get them written.
#[test]
fn replicas_that_check_refuses_are_refused_in_its_words() {
    let world = project("drizzle");
    let file = world.path("project/litestream.yml");
    for (replica, said) in [
        ("r2://bucket/x", "`r2://` is no kind of replica that Litestream knows"),
        ("minio://h/x", "endpoint: http://HOST:9000"),
        ("ftp://h/x", "write sftp://HOST/PATH"),
        ("https://h/b", "`https://` is no kind of replica"),
        ("wat://x/y", "`wat://` is no kind of replica"),
        ("s3://<bucket>", "`<bucket>`, a placeholder"),
        ("s3://YOUR-BUCKET/x", "a placeholder"),
        ("/path/to/backups", "a placeholder"),
        ("s3://", "has no `bucket`"),
        ("s3:///", "has no `bucket`"),
        ("s3://minio.example.com:9000/b", "stands where the bucket belongs"),
        ("s3://b/%zz", "`%` that is not followed by two hexadecimal digits"),
        ("./", "is the database itself"),
    ] {
        for options in [&["--replica", replica][..], &["--dry-run", "--replica", replica]] {
            let ended = init(&world, options).run().expect_code(64);
            assert!(
                ended.log.contains("--replica: ") && ended.log.contains(said),
                "{replica}: {}",
                ended.log
            );
            assert!(ended.log.contains("hint:"), "{replica}: {}", ended.log);
        }
        assert!(!file.exists(), "{replica}");
    }
    for replica in ["s3://${NOT_SET}/x", "file:///mnt/x", "sftp://me@host:22/x", "~/backups", "gs://b/x"] {
        init(&world, &["--dry-run", "--replica", replica]).run().expect_code(0);
    }
    init(&world, &["--dry-run", "--replica", "s3://b/x?regoin=r"])
        .run()
        .expect_code(0)
        .expect_log("warning: --replica: `regoin` is no parameter")
        .expect_log("did you mean `region`?");
    // What the environment or an older file says is not the option's fault.
    init(&world, &[]).env("LITESTREAM_REPLICA_URL", "r2://b/x").run().expect_code(78).expect_log(
        "`r2://` is no kind of replica that Litestream knows; it comes from LITESTREAM_REPLICA_URL",
    );
    assert!(!file.exists());
    let old = "dbs:\n  - path: local.db\n    replica: {url: 'r2://b/x'}\n";
    fs::write(&file, old).unwrap();
    init(&world, &["--force"]).run().expect_code(78).expect_log("`r2://` is no kind of replica");
    assert_eq!(fs::read_to_string(&file).unwrap(), old);
    let world = World::new();
    fs::create_dir(world.path("project")).unwrap();
    fs::write(world.path("project/litestream.yml"), old).unwrap();
    init(&world, &[]).run().expect_code(78).expect_log("litestream.yml:3:").expect_log("`r2://` is no kind");
}

#[test]
fn a_file_that_is_there_is_written_over_only_by_force() {
    let world = project("drizzle");
    let file = world.path("project/litestream.yml");
    fs::write(&file, "dbs: []\n").unwrap();
    init(&world, &[]).run().expect_code(64).expect_log("is there already").expect_log("--force");
    init(&world, &["--dry-run"]).run().expect_code(0).expect_log("would not write");
    init(&world, &["--stdout"]).run().expect_code(0).expect_output("path: local.db");
    assert_eq!(fs::read_to_string(&file).unwrap(), "dbs: []\n");
    init(&world, &["--force"]).run().expect_code(0).expect_log("wrote ");
    assert!(fs::read_to_string(&file).unwrap().contains("path: local.db"));
    // A link to nowhere is something that is there.
    fs::remove_file(&file).unwrap();
    symlink("/nowhere/x", &file).unwrap();
    init(&world, &[]).run().expect_code(64);
    let left: Vec<String> =
        world.list("project").into_iter().filter(|name| name.starts_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn dry_run_writes_nothing_and_output_names_another_file() {
    let world = project("drizzle");
    let before = world.list("project");
    init(&world, &["--dry-run"]).run().expect_code(0).expect_log("would write").expect_log("fly.toml:");
    let found = json(&init(&world, &["--dry-run", "--json"]).run().expect_code(0));
    assert_eq!(found["written"], Value::Null);
    assert_eq!(world.list("project"), before);
    fs::create_dir(world.path("project/config")).unwrap();
    init(&world, &["--output", "config/litestream.yml"]).run().expect_code(0);
    assert!(world.path("project/config/litestream.yml").is_file());
    init(&world, &["--output", "nowhere/x.yml"])
        .run()
        .expect_code(69)
        .expect_log("nowhere/x.yml cannot be written");
    init(&world, &["--dir", "nowhere"]).run().expect_code(64).expect_log("nowhere");
    init(&world, &["--dir", "package.json"]).run().expect_code(64).expect_log("not a folder");
}

#[test]
fn nothing_to_replicate_is_said_with_what_is_there_instead() {
    let world = World::new();
    fs::create_dir(world.path("project")).unwrap();
    init(&world, &[]).run().expect_code(78).expect_log("no SQLite file was found").expect_log("hint:");
    let world = project("postgres");
    init(&world, &[])
        .run()
        .expect_code(78)
        .expect_log("Rails, but no SQLite")
        .expect_log("PostgreSQL is not SQLite");
    assert!(!world.path("project/litestream.yml").exists());
}

#[test]
fn rails_env_is_respected() {
    let world = project("rails-8");
    let keeper = init(&world, &["--json"]).env("RAILS_ENV", "development");
    assert_eq!(paths(&json(&keeper.run().expect_code(0)), true), ["storage/development.sqlite3"]);
}

#[test]
fn the_projects_own_django_is_asked() {
    let world = project("django");
    let settings = world.path("project/shop/settings.py");
    // What no reading of the text can know.
    let more = "\nimport sys\nprint('noise')\nfor name in ('eu', 'us'):\n    DATABASES[name] = \
        dict(DATABASES['default'], NAME=BASE_DIR / 'data' / (name + '.sqlite3'))\n";
    fs::write(&settings, fs::read_to_string(&settings).unwrap() + more).unwrap();
    let packages = django::packages();
    let ended = init(&world, &["--json"]).env("PYTHONPATH", &packages).run().expect_code(0);
    let found = json(&ended);
    assert_eq!(paths(&found, true), ["db.sqlite3", "data/eu.sqlite3", "data/us.sqlite3"], "{}", ended.log);
    assert!(!world.path("project/shop/__pycache__").exists(), "asking leaves something behind");
}

#[test]
fn the_projects_own_python_comes_first() {
    let world = project("django");
    fs::create_dir_all(world.path("project/.venv/bin")).unwrap();
    let script = format!(
        "#!/bin/sh\necho used > {}\nPYTHONPATH={} exec python3 \"$@\"\n",
        world.path("used").display(),
        django::packages().display()
    );
    world.program("project/.venv/bin/python", &script);
    init(&world, &["--dry-run"]).run().expect_code(0).expect_log("as the project's own Python has it");
    assert!(world.path("used").exists());
}

#[test]
fn settings_that_never_end_can_be_interrupted() {
    let world = project("django");
    let settings = world.path("project/shop/settings.py");
    let hang =
        format!("open({:?}, 'w').close()\nwhile True: pass\n", world.path("hangs").display().to_string());
    fs::write(&settings, hang).unwrap();
    let running = init(&world, &[]).env("PYTHONPATH", django::packages()).start();
    crate::support::wait::wait_until("the settings to be imported", DEADLINE, || {
        world.path("hangs").exists()
    });
    running.signal(Signal::SIGINT);
    running.finish().expect_code(130).expect_log("nothing was written");
    assert!(!world.path("project/litestream.yml").exists());
}

#[test]
fn sqlite_files_are_found_wherever_they_are_but_not_in_circles() {
    let world = World::named("lk é 'x' $y ");
    let data = world.path("project/data and $more");
    fs::create_dir_all(&data).unwrap();
    sqlite::create(&data.join("app.db"), 1);
    sqlite::create(&world.path("project/on"), 1);
    fs::create_dir_all(world.path("project/node_modules/x")).unwrap();
    sqlite::create(&world.path("project/node_modules/x/no.db"), 1);
    sqlite::create(&world.path("project").join(OsStr::from_bytes(b"latin-\xe9.db")), 1);
    symlink("..", world.path("project/loop")).unwrap();
    symlink(&data, world.path("project/link")).unwrap();
    nix::unistd::mkfifo(&world.path("project/.env"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::File::create(world.path("project/huge.db")).unwrap().set_len(1 << 40).unwrap();
    let ended = init(&world, &["--json"]).run().expect_code(0);
    assert_eq!(paths(&json(&ended), true), ["on", "data and $more/app.db"]);
    assert!(ended.log.contains("not UTF-8"), "{}", ended.log);
    let file = world.path("project/litestream.yml");
    assert_eq!(read(&world, &file).len(), 2);
    assert_eq!(read(&world, &file), config_paths(&world, &file));
}

/// The databases in Litestream's own list, whose lines may have blanks in them.
fn config_paths(world: &World, file: &Path) -> BTreeSet<String> {
    let mut spec = Spec::new(&litestream::binary(LATEST), &world.path("project"));
    spec.args(["databases".as_ref(), "-config".as_ref(), file.as_os_str()]);
    VARIABLES.iter().for_each(|(name, value)| spec.env(name, value));
    let ended = spec.run(DEADLINE).expect_code(0);
    let path = |line: &str| line.rsplit_once("  ").map(|(path, _)| path.trim().to_owned());
    ended.stdout.lines().skip(1).filter_map(path).collect()
}

#[test]
fn files_that_cannot_be_read_are_said() {
    let world = project("rails-8");
    let big = vec![b'#'; 2 << 20];
    fs::write(world.path("project/config/litestream.yml"), big).unwrap();
    fs::write(world.path("project/config/puma.rb"), b"# \xe9\nplugin :litestream\n").unwrap();
    let ended = init(&world, &[]).run().expect_code(0);
    for said in [
        "config/litestream.yml was not read: it is larger",
        "config/puma.rb is not UTF-8",
        "plugin :litestream",
    ] {
        assert!(ended.log.contains(said), "{said}: {}", ended.log);
    }
    let world = project("rails-8");
    let file = world.path("project/config/database.yml");
    fs::remove_file(&file).unwrap();
    fs::write(&file, vec![b'#'; 2 << 20]).unwrap();
    init(&world, &[]).run().expect_code(78).expect_log("config/database.yml was not read");
    // One that works already has to be read whole; what is wrong with it has its next step.
    let world = World::new();
    fs::create_dir(world.path("project")).unwrap();
    let text = "dbs:\n  - path: app.db\n    replica: {url: s3://b/a}\nx: !!binary aGk=\n";
    fs::write(world.path("project/litestream.yml"), text).unwrap();
    init(&world, &[])
        .run()
        .expect_code(78)
        .expect_log("litestream.yml:4:4:")
        .expect_log("hint: leave the tag out");
}

/// `litekeeper run` alone: the command, what comes before it and the folder are in the file.
#[test]
fn the_file_starts_the_app() {
    let world = project("monorepo");
    let api = world.path("project/apps/api");
    sqlite::create(&api.join("db.sqlite3"), 1);
    fs::create_dir(world.path("bin")).unwrap();
    let script = format!("#!/bin/sh\necho \"$(pwd -P) $*\" >> {}\n", world.path("said").display());
    world.program("bin/python", &script);
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
    init(&world, &["--replica", "../replica"]).run().expect_code(0);
    Keeper::new(&world).cwd(&world.path("project")).env("PATH", path).run().expect_code(0);
    let api = fs::canonicalize(api).unwrap().display().to_string();
    let said = fs::read_to_string(world.path("said")).unwrap();
    let expected = ["migrate --noinput", "runserver --noreload 0.0.0.0:8000"];
    assert_eq!(said, expected.map(|what| format!("{api} manage.py {what}\n")).concat());
}

/// A `PATH` with a `python`: not every system has one beside its `python3`.
fn python(world: &World) -> String {
    fs::create_dir(world.path("bin")).unwrap();
    world.program("bin/python", "#!/bin/sh\nexec python3 \"$@\"\n");
    format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap())
}

/// A Django project from nothing: its migrations run under replication, and what the app writes is on the replica.
#[test]
fn a_django_project_runs_with_what_init_writes() {
    let world = project("django");
    let path = python(&world);
    let django = |keeper: Keeper| keeper.env("PYTHONPATH", django::packages()).env("PATH", &path);
    django(init(&world, &["--replica", "../replica"])).run().expect_code(0);

    let keeper = Keeper::new(&world).cwd(&world.path("project"));
    let add = "from django.contrib.auth.models import User; User.objects.create(username='ada')";
    let app = ["python", "manage.py", "shell", "-c", add];
    django(keeper).app(app).run().expect_code(0).expect_log("everything is on the replica");
    let restored = Backup::Url(&format!("file://{}", world.path("replica/shop/db.sqlite3").display()));
    let out = world.path("restored.db");
    restored.try_restore(&world, LATEST, &out).expect_code(0);
    let database = rusqlite::Connection::open(&out).unwrap();
    let name: String = database.query_row("SELECT username FROM auth_user", [], |row| row.get(0)).unwrap();
    assert_eq!(name, "ada");
}

/// manage.py has the developer's settings, the server those of production: the migrations go to the server's database.
#[test]
fn a_django_project_with_settings_for_production_runs_with_those() {
    let world = project("django");
    let settings = world.path("project/shop/settings.py");
    let text = fs::read_to_string(&settings).unwrap();
    fs::create_dir(world.path("project/shop/settings")).unwrap();
    fs::rename(&settings, world.path("project/shop/settings/base.py")).unwrap();
    assert!(text.contains("BASE_DIR"), "{text}");
    let production = "from .base import *\nDATABASES['default']['NAME'] = BASE_DIR / 'production.sqlite3'\n";
    fs::write(world.path("project/shop/settings/production.py"), production).unwrap();
    let manage = world.path("project/manage.py");
    let text = fs::read_to_string(&manage).unwrap();
    fs::write(&manage, text.replace("shop.settings", "shop.settings.base")).unwrap();
    let wsgi = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings.production')\n";
    fs::write(world.path("project/shop/wsgi.py"), wsgi).unwrap();
    let path = python(&world);
    let django = |keeper: Keeper| keeper.env("PYTHONPATH", django::packages()).env("PATH", &path);
    django(init(&world, &["--replica", "../replica"])).run().expect_code(0);
    let keeper = Keeper::new(&world).cwd(&world.path("project"));
    django(keeper).app(["true"]).run().expect_code(0);
    let database = rusqlite::Connection::open(world.path("project/shop/production.sqlite3")).unwrap();
    let users: i64 = database.query_row("SELECT count(*) FROM auth_user", [], |row| row.get(0)).unwrap();
    assert_eq!(users, 0);
    assert!(world.path("replica/shop/production.sqlite3").exists());
    assert!(!world.path("project/shop/base.sqlite3").exists() && !world.path("project/db.sqlite3").exists());
}

/// A Dockerfile's CMD follows the ENTRYPOINT that is advised, whether it is there or not.
#[test]
fn the_advised_entrypoint_runs_with_and_without_a_command() {
    let world = project("rails-8");
    let advice = json(&init(&world, &["--json", "--replica", "../replica"]).run().expect_code(0));
    let advice = advice["advice"].as_str().unwrap();
    let words = |keyword: &str| -> Vec<String> {
        let line = advice
            .lines()
            .find_map(|line| line.trim().strip_prefix(keyword))
            .unwrap_or_else(|| panic!("{advice}"));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let (entrypoint, command) = (words("ENTRYPOINT "), words("CMD "));
    assert_eq!(entrypoint, ["litekeeper", "run", "--"]);
    for script in ["bin/rails", "bin/thrust", "bin/docker-entrypoint"] {
        let text = format!("#!/bin/sh\necho \"$0 $*\" >> {}\n", world.path("said").display());
        world.program(&format!("project/{script}"), &text);
    }
    // As the image has it, apart from its place.
    let inside = |word: &String| word.replace("/rails/", "");
    for command in [command.iter().map(inside).collect::<Vec<_>>(), vec![]] {
        Keeper::new(&world).cwd(&world.path("project")).args(["--"]).args(command).run().expect_code(0);
    }
    assert_eq!(
        fs::read_to_string(world.path("said")).unwrap(),
        "bin/rails db:prepare\nbin/docker-entrypoint ./bin/thrust ./bin/rails server\n\
         bin/rails db:prepare\nbin/thrust bin/rails server\n"
    );
}

/// From a project to a replicated app and back: the file that init writes is all that `run` needs.
#[test]
fn what_init_writes_runs() {
    let world = World::new();
    fs::create_dir_all(world.path("project/data")).unwrap();
    let db = world.path("project/data/app.db");
    sqlite::create(&db, 3);
    init(&world, &["--replica", "../replica"]).run().expect_code(0);
    let trace = world.trace();
    let unit = Keeper::new(&world).cwd(&world.path("project")).app(writer(&trace, &db, 0)).start();
    trace.wait_acked(10);
    unit.stop(0).expect_log("everything is on the replica");
    let replica = format!("file://{}", world.path("replica/project/app.db").display());
    Backup::Url(&replica).assert_holds_acked(&world, LATEST, &trace);
}

/// Two Rails projects in one bucket: the second one's backup was put in the place of the first one's.
#[test]
fn two_projects_share_no_place() {
    let mut places = BTreeSet::new();
    for (name, options) in [
        ("rails-6", &["--replica", "s3://bucket"][..]),
        ("rails-8", &["--replica", "s3://bucket"]),
        ("django", &["--replica", "s3://bucket"]),
        ("monorepo", &["--replica", "s3://bucket/"]),
    ] {
        let world = project(name);
        let ended = init(&world, &[options, &["--json"]].concat()).run().expect_code(0);
        let found = json(&ended);
        let begins = format!("begin with `{}`", found["project"].as_str().unwrap());
        assert!(ended.log.contains(&begins), "it is said: {}", ended.log);
        for line in found["config"].as_str().unwrap().lines().filter(|line| line.contains("url: s3://")) {
            let is_new = places.insert((name == "monorepo", line.trim().to_owned()));
            assert!(is_new, "{line} is there twice");
        }
    }
    let all: Vec<&str> = places.iter().map(|(_, place)| place.as_str()).collect();
    assert!(all.contains(&"url: s3://bucket/rshop/production.sqlite3"), "{all:?}");
    assert!(all.contains(&"url: s3://bucket/shop/db.sqlite3"), "{all:?}");
    // Without an option as well.
    let world = project("rails-6");
    init(&world, &[]).run().expect_code(0).expect_log("begin with `rshop`");
    let text = fs::read_to_string(world.path("project/litestream.yml")).unwrap();
    assert!(text.contains("      path: rshop/production.sqlite3\n"), "{text}");
    assert!(text.contains("command: [\"bundle\", \"exec\", \"puma\", \"-C\", \"config/puma.rb\"]"), "{text}");
}

/// No framework, and a file that is all that is needed: what it lacks is how the app is started with it.
#[test]
fn a_configuration_that_is_there_works_as_it_is() {
    let text = "exec: bin/server -p 80\ndbs:\n  - path: data/app.db\n    replica: {type: s3, bucket: $BUCKET, path: x}\n";
    for (file, dir) in
        [("litestream.yml", "."), ("config/litestream.yml", "."), ("litestream.yml", "apps/web")]
    {
        let world = World::new();
        let path = world.path("project").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::create_dir_all(world.path("project").join(dir)).unwrap();
        fs::create_dir(world.path("project/.git")).unwrap();
        fs::write(&path, text).unwrap();
        let before = world.list("project");
        let ended = init(&world, &["--dir", dir]).run().expect_code(0);
        for said in ["works as it is", "data/app.db", "Set where it runs:\n  BUCKET", "litekeeper run"] {
            assert!(ended.log.contains(said), "{said}: {}", ended.log);
        }
        assert_eq!(ended.log.contains("Dockerfile:"), dir == ".", "{}", ended.log);
        assert_eq!(world.list("project"), before);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        init(&world, &["--dir", dir, "--stdout"]).run().expect_code(0).expect_output(text);
    }
    // One that does not work is not said to.
    let world = World::new();
    fs::create_dir(world.path("project")).unwrap();
    fs::write(world.path("project/litestream.yml"), "dbs:\n  - path: app.db\n    replica: {type: s3}\n")
        .unwrap();
    init(&world, &[]).run().expect_code(78).expect_log("the s3 replica has no `bucket`");
    init(&world, &["--force"]).run().expect_code(78);
}

/// Whoever leaves a file in a folder that everybody writes to says nothing about a project below it.
#[test]
fn a_configuration_in_a_folder_of_everybody_is_passed_over() {
    let world = World::new();
    fs::create_dir_all(world.path("shared/project")).unwrap();
    fs::set_permissions(world.path("shared"), fs::Permissions::from_mode(0o1777)).unwrap();
    let text = "dbs:\n  - path: app.db\n    replica: {type: s3, bucket: theirs, path: x}\n";
    fs::write(world.path("shared/litestream.yml"), text).unwrap();
    sqlite::create(&world.path("shared/project/app.db"), 1);
    let keeper = || Keeper::new(&world).command("init").cwd(&world.path("shared/project"));
    keeper().arg("--stdout").run().expect_code(0).expect_output("app.db");
    let ended = keeper().arg("--json").run().expect_code(0);
    assert!(!ended.stdout.contains("theirs"), "{}", ended.stdout);
    // Nor does one above the repository.
    fs::create_dir_all(world.path("own/project/.git")).unwrap();
    fs::write(world.path("own/litestream.yml"), text).unwrap();
    sqlite::create(&world.path("own/project/app.db"), 1);
    let keeper = || {
        let _ = fs::remove_file(world.path("own/project/litestream.yml"));
        Keeper::new(&world).command("init").cwd(&world.path("own/project"))
    };
    assert!(!keeper().arg("--json").run().expect_code(0).stdout.contains("theirs"));
    // Nor where there is no repository at all, but it is named.
    fs::remove_dir(world.path("own/project/.git")).unwrap();
    let ended = keeper().env("LITESTREAM_REPLICA_URL", "s3://bucket/own").arg("--json").run().expect_code(0);
    assert!(!ended.stdout.contains("theirs"), "{}", ended.stdout);
    let found = json(&ended);
    assert_eq!(paths(&found, true), ["app.db"]);
    assert!(found["config"].as_str().unwrap().contains("url: ${LITESTREAM_REPLICA_URL}"), "{found}");
    let named = "note: ../litestream.yml is of no repository that this is in, and was not used";
    assert_eq!(ended.log.matches("../litestream.yml").count(), 1, "{}", ended.log);
    ended.expect_log(named);
    // What is here is here, whatever another database's file in the same repository says.
    fs::create_dir(world.path("own/.git")).unwrap();
    fs::write(world.path("own/litestream.yml"), text.replace("app.db", "other.db")).unwrap();
    let ended =
        keeper().run().expect_code(0).expect_log("../litestream.yml is for other databases (other.db)");
    assert!(world.path("own/project/litestream.yml").exists(), "{}", ended.log);
}
