//! PocketBase, no framework, several, and nonsense.

use super::django::MANAGE;
use super::*;

#[test]
fn pocketbase_keeps_its_logs_to_itself() {
    let files = [("pb_data/data.db", ""), ("pb_data/auxiliary.db", ""), ("pocketbase", "")];
    insta::assert_snapshot!(shown(&look(&files, &[], NO_PYTHON)), @r"
    PocketBase from pb_data
      data: pb_data/data.db
      auxiliary: pb_data/auxiliary.db (left out)
    - uploaded files are in pb_data/storage, which is no database: put them on S3 in PocketBase's settings, or on the volume
    ");
}

#[test]
fn without_a_framework_the_url_then_the_files_count() {
    let sqlite = "SQLite format 3\0…";
    let files = [
        ("data/app.db", sqlite),
        ("data/app.db-wal", "no"),
        ("other/app.db", sqlite),
        ("node_modules/x/y.db", sqlite),
        (".git/x.db", sqlite),
        ("readme.db", "SQLite format"),
    ];
    insta::assert_snapshot!(shown(&look(&files, &[], NO_PYTHON)), @r"
    SQLite files from the files' first bytes
      app: data/app.db
      other/app.db: other/app.db
    ");
    insta::assert_snapshot!(shown(&look(&files, &[("DATABASE_URL", "sqlite://data/app.db")], NO_PYTHON)), @r"
    DATABASE_URL from the environment
      default: data/app.db
    ");
    insta::assert_snapshot!(shown(&look(&[], &[("DATABASE_URL", "postgres://u:hunter2@h/d")], NO_PYTHON)), @r"
    nothing; None
    - default was skipped: PostgreSQL is not a local SQLite file
    ");
    insta::assert_snapshot!(shown(&look(&[], &[], NO_PYTHON)), @r"
    nothing; None
    ");
}

#[test]
fn the_top_framework_wins_and_the_others_are_said() {
    let files = [
        ("apps/api/manage.py", MANAGE),
        (
            "apps/api/shop/settings.py",
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}\n",
        ),
        (
            "apps/web/drizzle.config.ts",
            "export default { dialect: 'sqlite', dbCredentials: { url: '../shared/web.db' } }",
        ),
    ];
    let found = look(&files, &[], NO_PYTHON);
    insta::assert_snapshot!(shown(&found), @r"
    Django from apps/api/shop/settings.py
      default: apps/api/db.sqlite3
      also Drizzle in apps/web
    - Django itself could not be asked (there is no Python): apps/api/shop/settings.py was read as text; run init again where Django is installed to be sure
    - the command is Django's server for development: put the one that you deploy with in its place
    ");
    insta::assert_snapshot!(yaml(&found.expect("databases"), Target::Below("./backups")), @r#"
    # Written by `litekeeper init` for Django: apps/api/shop/settings.py.
    #
    # `litekeeper run` finds this file in the folder that it is started in, and relative paths are relative
    # to that folder. Plain Litestream reads the file too; it passes over the part `litekeeper`.
    dbs:
      # default
      - path: apps/api/db.sqlite3
        replica:
          type: file
          path: ./backups/db.sqlite3

    litekeeper:
      app:
        command: ["python", "manage.py", "runserver", "--noreload", "0.0.0.0:8000"]
        cwd: apps/api
      # After the restore, under replication, before the app:
      before:
        - ["python", "manage.py", "migrate", "--noinput"]
      # Names of the databases, as Django has them:
      aliases:
        default: apps/api/db.sqlite3
    "#);
    let with_top: Vec<_> =
        [("drizzle.config.ts", "export default { dialect: 'sqlite', dbCredentials: { url: 'top.db' } }")]
            .into_iter()
            .chain(files)
            .collect();
    insta::assert_snapshot!(shown(&look(&with_top, &[], NO_PYTHON)), @r"
    Drizzle from drizzle.config.ts
      default: top.db
      also Django in apps/api
      also Drizzle in apps/web
    - package.json has no start script: put the app's command into litekeeper.app.command
    ");
}

#[test]
fn odd_files_are_no_panic() {
    let deep = "[".repeat(100_000);
    let long = "a".repeat(2 << 20);
    for text in [
        deep.as_str(),
        long.as_str(),
        "\u{E000}",
        "'",
        "\"\"\"",
        "{{{{",
        "((((",
        "a.b.c.(",
        "%{",
        "<?php",
        "`${`${`",
        "x = y = z =",
    ] {
        for (marker, file) in [
            ("bin/rails", "config/database.yml"),
            ("artisan", "config/database.php"),
            ("artisan", "config/litestream.php"),
            ("package.json", "drizzle.config.ts"),
            ("package.json", "prisma/schema.prisma"),
            ("package.json", "prisma.config.ts"),
            ("mix.exs", "config/runtime.exs"),
        ] {
            let marked = [(marker, ":phoenix ecto_sqlite3 :ecto_sqlite3"), (file, text)];
            let _ = look(&marked, &[], NO_PYTHON);
        }
        let _ = look(&[("manage.py", MANAGE), ("shop/settings.py", text)], &[], NO_PYTHON);
        let erb = format!("production: <%= {text} %>\n<% if {text} %>");
        let _ = look(&[("bin/rails", ""), ("config/database.yml", &erb)], &[], NO_PYTHON);
    }
}
