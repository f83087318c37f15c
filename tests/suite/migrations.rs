//! The examples in `docs/` for those who come from a wrapper or a script, run as they are.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::support::app::App;
use crate::support::docs;
use crate::support::keeper::Keeper;
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::sqlite;
use crate::support::world::World;

/// The configuration on the page of those who come from there.
fn example(page: &str) -> String {
    let page = docs::page(&format!("docs/from-{page}.md"));
    let (fences, _) = page.split();
    fences.into_iter().find(|fence| fence.kind == "yaml").expect("an example").text
}

/// The variables that the examples name, for a server in this process.
pub fn variables(s3: &S3) -> Vec<(&'static str, String)> {
    let fixed = [
        ("LITESTREAM_ACCESS_KEY_ID", KEY),
        ("LITESTREAM_SECRET_ACCESS_KEY", SECRET),
        ("LITESTREAM_REPLICA_BUCKET", "my-bucket"),
        ("LITESTREAM_S3_BUCKET", "my-bucket"),
        ("LITESTREAM_S3_PATH", "laravel"),
        ("AWS_REGION", "us-east-1"),
    ];
    let mut all: Vec<_> = fixed.map(|(name, value)| (name, value.to_owned())).into();
    // Amazon's own library reads where the server is.
    all.push(("AWS_ENDPOINT_URL", s3.endpoint()));
    all
}

/// A program that leaves its arguments behind.
fn stub(world: &World, name: &str) {
    world.program(name, &format!("#!/bin/sh\necho \"${{0##*/}} $*\" >> '{}'\n", world.path("ran").display()));
}

struct Migration {
    of: &'static str,
    /// Where the example says that it is.
    file: &'static str,
    /// Each with the place of its backup: bucket and path.
    databases: &'static [(&'static str, &'static str, &'static str)],
    /// The programs of `before` and `app.command`, and what they get.
    programs: [(&'static str, &'static str); 2],
}

impl Migration {
    #[track_caller]
    fn run(&self) {
        let (world, s3) = (World::new(), S3::start());
        s3.bucket("my-bucket");
        s3.bucket("my-cache-bucket");
        for folder in ["bin", "config", "storage", "database", "data"] {
            fs::create_dir(world.path(folder)).expect("the world is empty");
        }
        let config = world.write(self.file, &example(self.of));
        fs::set_permissions(&config, Permissions::from_mode(0o600)).expect("ours");
        for (program, _) in self.programs {
            stub(&world, &format!("bin/{}", program.trim_start_matches("bin/")));
        }
        for (database, ..) in self.databases {
            sqlite::create(&world.path(database), 3);
        }
        let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").expect("a PATH"));
        // Without --config: the file is found.
        let keeper = || Keeper::new(&world).env("PATH", &path).envs(variables(&s3));
        keeper().command("check").run().expect_code(0);

        keeper().args(["--restart", "never"]).run().expect_code(0);
        let ran = fs::read_to_string(world.path("ran")).expect("both ran");
        let ran: Vec<_> = ran.lines().collect();
        let wanted =
            self.programs.map(|(program, args)| format!("{} {args}", program.trim_start_matches("bin/")));
        assert_eq!(ran, wanted);

        let (trace, db) = (world.trace(), world.path(self.databases[0].0));
        let running = keeper().app(App::new(&trace).on_exit("TERM", 0).insert_forever(&db, 20)).start();
        trace.wait_acked(5);
        running.stop(0);
        self.assert_restored(&world, &s3, keeper);
        sqlite::assert_holds_acked(&db, &trace);
    }

    /// Every backup is where the page says that it is, and comes back by itself.
    fn assert_restored(&self, world: &World, s3: &S3, keeper: impl Fn() -> Keeper) {
        for (name, bucket, path) in self.databases {
            let objects = s3.objects(bucket);
            assert!(objects.iter().any(|object| object.starts_with(&format!("{path}/"))), "{objects:?}");
            let db = world.path(name);
            let folder = db.parent().expect("a folder");
            let base = db.file_name().expect("a name").to_string_lossy().into_owned();
            for entry in fs::read_dir(folder).expect("it is there").flatten() {
                if entry.file_name().to_string_lossy().contains(&base) {
                    let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
                }
            }
        }
        keeper().args(["--restart", "never"]).app(["true"]).run().expect_code(0);
        for (name, ..) in self.databases {
            assert!(sqlite::count(&world.path(name)) >= 3, "{name}");
        }
    }
}

#[test]
fn from_litestream_ruby() {
    let programs = [("bin/rails", "db:migrate"), ("bundle", "exec puma -C config/puma.rb")];
    let databases = &[("storage/production.sqlite3", "my-bucket", "storage/production.sqlite3")];
    Migration { of: "ruby", file: "config/litestream.yml", databases, programs }.run();
}

#[test]
fn from_laravel_litestream() {
    let programs = [("php", "artisan migrate --force"), ("php", "artisan octane:start")];
    let databases = &[("database/database.sqlite", "my-bucket", "laravel/app")];
    Migration { of: "laravel", file: "litestream.yml", databases, programs }.run();
}

#[test]
fn from_django_litestream() {
    let programs = [("python", "manage.py migrate"), ("gunicorn", "myproject.wsgi:application")];
    let databases = &[
        ("db.sqlite3", "my-bucket", "myproject/db.sqlite3"),
        ("cache.sqlite3", "my-cache-bucket", "custom-cache.sqlite3"),
    ];
    Migration { of: "django", file: "litestream.yml", databases, programs }.run();
}

#[test]
fn from_a_run_sh() {
    let programs = [("bin/migrate", ""), ("bin/server", "--port 8080")];
    let databases = &[("data/app.db", "my-bucket", "app")];
    Migration { of: "a-script", file: "litestream.yml", databases, programs }.run();
}
