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
    let files = [
        ("data/app.db", SQLITE),
        ("data/app.db-wal", "no"),
        ("other/app.db", SQLITE),
        ("node_modules/x/y.db", SQLITE),
        (".git/x.db", SQLITE),
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
    insta::assert_snapshot!(shown(&look(&[], &[], NO_PYTHON)), @"nothing; None");
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
    let open_lines = "a(\n".repeat(50_000);
    let more_lines = "config a[\n".repeat(20_000);
    let doubling: String = (0..1_000).map(|n| format!("A=${{A}}${{A}}x{n}\n")).collect();
    let keys = "url: [\n".repeat(20_000);
    let grows = "a = 'x'\n".to_owned() + &"a = a + a\n".repeat(200) + "DATABASES = {'default': {'NAME': a}}";
    let lists = "a = []\n".to_owned() + &"a = [a, a]\n".repeat(200);
    let ifs = "<% if x %>".repeat(20_000);
    let many: String = (0..5_000).map(|n| format!(" a{n}: {{adapter: sqlite3, database: a{n}}}\n")).collect();
    let many = format!("production:\n{many}");
    let laughs = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        text + &format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1)
    });
    let doubling_erb =
        format!("<% a = 'x' %>{}production: <%= a %>", "<% a = a + a %><%= a %>".repeat(2_000));
    let _ = look(&[("bin/rails", ""), ("config/database.yml", &doubling_erb)], &[], NO_PYTHON);
    for text in [
        deep.as_str(),
        long.as_str(),
        open_lines.as_str(),
        more_lines.as_str(),
        doubling.as_str(),
        keys.as_str(),
        ifs.as_str(),
        many.as_str(),
        grows.as_str(),
        lists.as_str(),
        laughs.as_str(),
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
            ("artisan", ".env"),
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
        let python =
            format!("import flask_sqlalchemy\nSQLALCHEMY_DATABASE_URI = {text}\ncreate_engine({text}");
        let _ = look(&[("config.py", &python), (".gitignore", text)], &[], NO_PYTHON);
        let script = format!("A={text}\nlitestream replicate -exec {text}\n");
        let image = ("Dockerfile", "FROM x\nCMD [\"./start.sh\"]\n");
        let files = [("a.db", SQLITE), image, ("start.sh", &script)];
        if let Ok(plan) = look(&files, &[], NO_PYTHON) {
            let _ = (yaml(&plan, Target::Bucket), advice(&plan, Target::Bucket, "litestream.yml"));
        }
        let erb = format!("production: <%= {text} %>\n<% if {text} %>");
        let _ = look(&[("bin/rails", ""), ("config/database.yml", &erb)], &[], NO_PYTHON);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Whatever stands in a file: a plan or none, and what is written of it is YAML with the same databases.
    #[test]
    fn chance_writes_no_file_that_is_no_yaml(parts in proptest::collection::vec(part(), 0..40), which in 0..8_usize) {
        let text = parts.concat();
        let (marker, file, before) = [
            ("bin/rails", "config/database.yml", "production:\n  adapter: sqlite3\n  database: "),
            ("bin/rails", "config/litestream.yml", "dbs:\n  - path: "),
            ("artisan", "config/database.php", "<?php return ['default' => 'a', 'connections' => ['a' => ['driver' => 'sqlite', 'database' => "),
            ("artisan", "config/litestream.php", "<?php return ['connections' => "),
            ("package.json", "drizzle.config.ts", "export default { dialect: 'sqlite', dbCredentials: { url: "),
            ("package.json", "prisma/schema.prisma", "datasource db {\n  provider = \"sqlite\"\n  url = "),
            ("mix.exs", "config/runtime.exs", "config :a, A.Repo, database: "),
            ("manage.py", "shop/settings.py", "DATABASES = {'default': {'ENGINE': 'x.sqlite3', 'NAME': "),
        ][which];
        let marked = if marker == "manage.py" { MANAGE } else { ":phoenix ecto_sqlite3 :ecto_sqlite3" };
        let text = format!("{before}{text}");
        let files = [(marker, marked), (file, text.as_str()), ("database/x", "")];
        if let Ok(plan) = look(&files, &[("A", "a: b # c")], NO_PYTHON) {
            let written = yaml(&plan, Target::Bucket);
            // As Litestream does it, with every variable set.
            let filled = super::super::path::with_variables(&written).replace(['\u{E000}', '\u{E001}'], "");
            let parsed: serde_yaml::Value = serde_yaml::from_str(&filled).unwrap_or_else(|e| panic!("{e}\n{written}"));
            let count = parsed["dbs"].as_sequence().map_or(0, Vec::len);
            let expected = plan.databases.iter().filter(|database| database.left_out.is_none()).count();
            assert_eq!(count, expected, "{written}");
            let _ = advice(&plan, Target::Bucket, "litestream.yml");
        }
    }
}

fn part() -> impl proptest::strategy::Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "a",
        "b.db",
        "'",
        "\"",
        "`",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "=>",
        "=",
        ".",
        "/",
        "\\",
        "\n",
        " ",
        "#",
        "$",
        "${",
        "#{",
        "{$",
        "<%=",
        "%>",
        "<%",
        "ENV[",
        "A",
        "ENV.fetch(",
        "env(",
        "os.environ[",
        "process.env.A",
        "||",
        "??",
        "if",
        "else",
        "or",
        "not ",
        "f'",
        "\"\"\"",
        "\u{E000}",
        "\u{E001}",
        "\u{7}",
        "é",
        "~",
        "..",
        "- ",
        "&a",
        "*a",
        "<<",
        "true",
        "1",
        "sqlite:",
        "file:",
        ":memory:",
        "|",
        "!",
        "@",
    ])
}
