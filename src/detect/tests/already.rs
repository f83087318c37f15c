//! What a project, its environment and an older file say already.

use super::*;

fn written(files: &[(&str, &str)], env: &[(&str, &str)]) -> String {
    let plan = look(files, env, NO_PYTHON).unwrap_or_else(|nothing| panic!("{nothing:?}"));
    format!("{}\n{}", yaml(&plan, Target::Bucket), plan.notes.join("\n"))
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_project_has_the_name_of_its_app() {
    let mix = "def project do\n [app: :corner_shop]\nend\n{:phoenix} ecto_sqlite3";
    let repo = "config :shop, Shop.Repo, database: \"x.db\"";
    for (files, name) in [
        (&[("a.db", SQLITE)][..], "app"),
        (&[("a.db", SQLITE), ("package.json", "{\"name\": \"@acme/Corner Shop\"}")], "acme-corner-shop"),
        (
            &[("a.db", SQLITE), ("package.json", "{\"name\": \"app\"}"), ("fly.toml", "app = 'corner'\n")],
            "corner",
        ),
        (&[("a.db", SQLITE), ("go.mod", "module github.com/acme/shop\n")], "shop"),
        (&[("a.db", SQLITE), ("Cargo.toml", "[package]\nname = \"shop-server\" # x\n")], "shop-server"),
        (&[("a.db", SQLITE), ("pyproject.toml", "[project]\nversion = '1'\nname = 'shop'\n")], "shop"),
        (&[("mix.exs", mix), ("config/runtime.exs", repo)], "corner_shop"),
        (&[("artisan", ""), (".env", "APP_NAME=\"Corner Shop\"\n")], "corner-shop"),
        (&[("artisan", ""), (".env", "APP_NAME=Laravel\n")], "app"),
    ] {
        assert_eq!(look(files, &[], NO_PYTHON).expect("a database").project, name, "{files:?}");
    }
}

#[test]
fn the_variables_of_the_replica_are_read() {
    let one = [("a.db", SQLITE)];
    let set = [
        ("LITESTREAM_REPLICA_BUCKET", "b"),
        ("LITESTREAM_REPLICA_ENDPOINT", "https://h"),
        ("LITESTREAM_REPLICA_REGION", "r"),
        ("LITESTREAM_REPLICA_PATH", "p"),
    ];
    let text = written(&one, &set);
    has(
        &text,
        &[
            "      bucket: ${LITESTREAM_REPLICA_BUCKET}\n      path: ${LITESTREAM_REPLICA_PATH}\n",
            "      region: ${LITESTREAM_REPLICA_REGION}\n      endpoint: ${LITESTREAM_REPLICA_ENDPOINT}\n",
        ],
    );
    assert!(!text.contains("# region") && !text.contains("begin with"), "{text}");
    // Several databases are below the path that is meant for one.
    let text = written(&[("a.db", SQLITE), ("b.db", SQLITE)], &set);
    has(&text, &["path: ${LITESTREAM_REPLICA_PATH}/a.db\n", "path: ${LITESTREAM_REPLICA_PATH}/b.db\n"]);
    // Fly's, as `fly storage create` sets them.
    let fly = [("BUCKET_NAME", "b"), ("AWS_ENDPOINT_URL_S3", "https://fly.storage.tigris.dev")];
    let text = written(&one, &fly);
    has(
        &text,
        &[
            "      bucket: ${BUCKET_NAME}\n      path: app/a.db\n      endpoint: ${AWS_ENDPOINT_URL_S3}\n",
            "#   AWS_ACCESS_KEY_ID ",
        ],
    );
    assert!(!text.contains("LITESTREAM_"), "{text}");
    let plan = look(&one, &fly, NO_PYTHON).expect("a database");
    let last = advice(&plan, Target::Bucket, "litestream.yml");
    let last = last.lines().last().unwrap();
    assert_eq!(last, "  BUCKET_NAME  AWS_ENDPOINT_URL_S3  AWS_ACCESS_KEY_ID  AWS_SECRET_ACCESS_KEY");
    has(
        &written(&one, &[("LITESTREAM_REPLICA_URL", "s3://b/p")]),
        &["      url: ${LITESTREAM_REPLICA_URL}\n"],
    );
}

#[test]
fn a_configuration_without_a_framework_is_a_plan() {
    let old = "dbs:\n  - path: data/app.db\n    replica: {url: s3://b/app}\n  - {dir: tenants, pattern: '*.db', replica: {url: s3://b/t}}\n";
    for (file, shown_path) in [("litestream.yml", "data/app.db"), ("../litestream.yml", "../data/app.db")] {
        let plan = look(&[(file, old)], &[], NO_PYTHON).expect("a plan");
        assert_eq!((plan.framework, plan.source.as_str()), (Framework::Existing, file));
        let paths: Vec<String> = plan.databases.iter().map(Database::shown_path).collect();
        assert_eq!(paths[0], shown_path);
        assert_eq!(paths.len(), 2);
    }
    let plan =
        look(&[("litestream.yml", "exec: bin/x -p 1\ndbs: [{path: a.db}]\n")], &[], NO_PYTHON).unwrap();
    assert_eq!(plan.command, ["bin/x", "-p", "1"]);
    // One that names nothing is none.
    assert!(look(&[("litestream.yml", "dbs: []\n")], &[], NO_PYTHON).is_err());
    let files = [("litestream.yml", "addr: ':9090'\n"), ("a.db", SQLITE)];
    assert_eq!(look(&files, &[], NO_PYTHON).unwrap().framework, Framework::Files);
}

const DRIZZLE: &str = "export default { dialect: 'sqlite', dbCredentials: { url: './app.db' } }";

#[test]
fn a_file_above_the_project_has_its_replicas_too() {
    let old = "dbs:\n  - {path: app/app.db, replica: {path: backups/app}}\n  - {path: other/x.db, replica: {path: backups/x}}\n";
    let text = written(&[("drizzle.config.ts", DRIZZLE), ("../litestream.yml", old)], &[]);
    has(
        &text,
        &[
            "  - path: app.db\n    replica:\n      path: ../backups/app\n",
            "the replicas are those of ../litestream.yml",
        ],
    );
    assert!(!text.contains("other/x.db"), "{text}");
}

#[test]
fn what_the_file_lacks_goes_beside_the_others() {
    let rails = "production:\n  primary: {adapter: sqlite3, database: storage/p.sqlite3}\n  queue: {adapter: sqlite3, database: storage/q.sqlite3}\n";
    let files = |replica: &str| {
        let old =
            format!("exec: bin/x && bin/y\ndbs:\n  - path: storage/p.sqlite3\n    replica: {replica}\n");
        let files = [("config/database.yml", rails), ("bin/rails", ""), ("litestream.yml", old.as_str())];
        written(&files, &[])
    };
    let text =
        files("{type: s3, endpoint: 'https://h', region: r, bucket: b, path: shop/p, access-key-id: $KEY}");
    has(
        &text,
        &[
            "  - path: storage/q.sqlite3\n    replica:\n      type: s3\n      endpoint: https://h\n      region: r\n      bucket: b\n      access-key-id: ${KEY}\n      path: shop/q.sqlite3\n",
            "litestream.yml lacks queue",
            "`exec` of litestream.yml needs a shell",
        ],
    );
    has(&files("{url: 's3://b/shop/p?endpoint=h'}"), &["      url: \"s3://b/shop/q.sqlite3?endpoint=h\"\n"]);
    has(&files("{url: 's3://b'}"), &["      url: s3://b/q.sqlite3\n"]);
    has(&files("{path: /mnt/backups/q.sqlite3}"), &["      path: /mnt/backups/queue-q.sqlite3\n"]);
    has(&files("{path: $BACKUPS}"), &["      path: ${BACKUPS}-q.sqlite3\n"]);
}

#[test]
fn commands_and_ports_of_the_project() {
    let database = ("a.db", SQLITE);
    let rails = ("config/database.yml", "production: {adapter: sqlite3, database: a.db}\n");
    let (django, settings) = (
        ("manage.py", super::django::MANAGE),
        (
            "shop/settings.py",
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'a.db'}}\n",
        ),
    );
    for (files, command) in [
        (&[database, ("package.json", "{\"scripts\": {\"start\": \"NODE_ENV=x node .\"}}")][..], "npm start"),
        (&[database, ("package.json", "{\"scripts\": {\"start\": \"node server.js\"}}")], "node server.js"),
        (&[database, ("config/puma.rb", "")], "bundle exec puma -C config/puma.rb"),
        (&[rails, ("bin/rails", ""), ("config/puma.rb", "")], "bundle exec puma -C config/puma.rb"),
        (&[rails, ("bin/rails", ""), ("Dockerfile", "FROM ruby\nEXPOSE 8080\n")], "bin/rails server -p 8080"),
        (&[database, ("Dockerfile", "FROM php:8.4-fpm-alpine\n")], "php-fpm -F"),
        (&[("artisan", ""), ("Dockerfile", "FROM php:8.4-fpm\nCMD [\"php-fpm\"]\n")], "php-fpm -F"),
        (
            &[("artisan", ""), ("Dockerfile", "FROM php\nEXPOSE 80\n")],
            "php artisan serve --host=0.0.0.0 --port=80",
        ),
        (
            &[
                django,
                settings,
                ("Dockerfile", "FROM x\nEXPOSE 80\n"),
                ("fly.toml", "[http_service]\ninternal_port = 8080\n"),
            ],
            "python manage.py runserver --noreload 0.0.0.0:8080",
        ),
        (
            &[
                django,
                settings,
                ("litestream.yml", "exec: gunicorn shop.wsgi -b :8000\n"),
                ("Dockerfile", "FROM x\nEXPOSE 80\n"),
            ],
            "gunicorn shop.wsgi -b :8000",
        ),
    ] {
        let plan = look(files, &[], NO_PYTHON).unwrap_or_else(|nothing| panic!("{files:?}: {nothing:?}"));
        assert_eq!(plan.command.join(" "), command, "{files:?}");
    }
    let plan =
        look(&[database, ("Dockerfile", "FROM php:8-fpm\nCMD [\"php-fpm\"]\n")], &[], NO_PYTHON).unwrap();
    has(&advice(&plan, Target::Bucket, "litestream.yml"), &["CMD [\"php-fpm\", \"-F\"]"]);
}

#[test]
fn copies_and_caches_are_named_and_not_replicated() {
    let files = [
        ("app.db", SQLITE),
        ("backup/app.db", SQLITE),
        ("data/Backups/2026/app.db", SQLITE),
        ("tmp/x.db", SQLITE),
        ("storage/cache/views.db", SQLITE),
        ("app.db.bak", SQLITE),
        ("app-backup-2026.db", SQLITE),
        ("cache.sqlite3", SQLITE),
        ("data/catalogue.db", SQLITE),
        ("data/bookkeeping_old_town.db", SQLITE),
    ];
    let plan = look(&files, &[], NO_PYTHON).expect("a database");
    let replicated: Vec<String> =
        plan.databases.iter().filter(|one| one.left_out.is_none()).map(Database::shown_path).collect();
    assert_eq!(replicated, ["app.db", "data/bookkeeping_old_town.db", "data/catalogue.db"]);
    assert_eq!(plan.databases.len(), files.len());
    let text = yaml(&plan, Target::Bucket);
    has(&text, &["it lies in backup/, as a copy does", "  # - path: backup/app.db\n"]);
    insta::assert_snapshot!(shown(&look(&[("tmp/x.db", SQLITE)], &[], NO_PYTHON)), @r"
    nothing; None
    - only copies and caches are here: tmp/x.db
    ");
}

#[test]
fn what_the_repository_and_the_image_should_not_have() {
    let files = [("a.db", SQLITE), ("b.sqlite3", SQLITE), (".gitignore", "*.db*\n.*-litestream\n")];
    let plan = look(&files, &[], NO_PYTHON).expect("a database");
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    has(
        &text,
        &[
            "\n.gitignore:\n  *.sqlite3*\n  .*-litekeeper.lock\n",
            "\n.dockerignore:\n  **/*.db*\n  **/*.sqlite3*\n  **/.*-litestream\n  **/.*-litekeeper.lock\n",
        ],
    );
    let all = "**/*.db*\n**/.*-litestream\n**/.*-litekeeper.lock\n";
    let plan = look(&[("a.db", SQLITE), (".dockerignore", all)], &[], NO_PYTHON).expect("a database");
    assert!(!advice(&plan, Target::Bucket, "litestream.yml").contains(".dockerignore"));
}

/// `store*` would be `stores/` and `store.js` too, and `*.1*` half of all libraries.
#[test]
fn a_database_without_a_databases_ending_is_ignored_by_its_own_names() {
    let plan = look(&[("store", SQLITE), ("data/app.data", SQLITE)], &[], NO_PYTHON).expect("a database");
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    let names = |top: &str| {
        let of = |folder: &str, name: &str| {
            let beside =
                ["", "-wal", "-shm", "-journal"].map(|tail| format!("  {top}{folder}{name}{tail}\n"));
            let hidden =
                ["litestream", "litekeeper.lock"].map(|tail| format!("  {top}{folder}.{name}-{tail}\n"));
            beside.concat() + &hidden.concat()
        };
        of("", "store") + &of("data/", "app.data")
    };
    has(&text, &[&format!("\n.gitignore:\n{}\n", names("/")), &format!("\n.dockerignore:\n{}\n", names(""))]);
    let plan = look(&[("a [1]*", SQLITE), ("b.db", SQLITE), ("c.db3", SQLITE)], &[], NO_PYTHON).unwrap();
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    has(&text, &["  /a \\[1\\]\\*\n", "  /a \\[1\\]\\*-wal\n", "  *.db*\n", "  .*-litestream\n"]);
    assert!(!text.contains("*.db3*"), "`*.db*` is that too: {text}");
    // What is there already, in any of its spellings, is not said again.
    let known =
        "/store\nstore-wal\n/store-shm\n/store-journal\n/.store-litestream\n/.store-litekeeper.lock\n";
    let plan = look(&[("store", SQLITE), (".gitignore", known)], &[], NO_PYTHON).unwrap();
    assert!(!advice(&plan, Target::Bucket, "litestream.yml").contains(".gitignore"));
    let plan = look(&[("a.sqlite3", SQLITE), (".gitignore", "*.sqlite*\n")], &[], NO_PYTHON).unwrap();
    assert!(!advice(&plan, Target::Bucket, "litestream.yml").contains("  *.sqlite3*\n"));
}

/// A copy is a database's data as well: it belongs in no image, and does not survive its container.
#[test]
fn copies_are_in_the_lines_that_are_printed_whatever_names_the_databases() {
    let rails = [
        ("config/database.yml", "production: {adapter: sqlite3, database: storage/p.sqlite3}\n"),
        ("bin/rails", ""),
    ];
    let drizzle = [
        (
            "drizzle.config.ts",
            "export default { dialect: 'sqlite', dbCredentials: { url: './data/app.sqlite3' } }",
        ),
        ("package.json", "{\"scripts\": {\"start\": \"node .\"}}"),
    ];
    let url = [(".env", "DATABASE_URL=sqlite:data/app.sqlite3\n")];
    let existing = [("litestream.yml", "dbs: [{path: data/app.sqlite3, replica: {url: 's3://b/x'}}]\n")];
    let file = [("data/app.sqlite3", SQLITE)];
    for (files, workdir) in
        [(&rails[..], "/rails"), (&drizzle, "/app"), (&url, "/app"), (&existing, "/app"), (&file, "/app")]
    {
        let spares = [
            ("backups/2026/app.db", SQLITE),
            ("old/app", SQLITE),
            ("tmp/cache.s3db", SQLITE),
            ("backups/notes.sl3", "no database"),
        ];
        let files: Vec<_> = files.iter().copied().chain(spares).collect();
        let plan = look(&files, &[], NO_PYTHON).unwrap_or_else(|nothing| panic!("{nothing:?}"));
        let text = advice(&plan, Target::Bucket, "litestream.yml");
        let kept = format!(
            "  # not replicated, so gone with its container unless a volume holds it:\n  VOLUME {workdir}/old\n  VOLUME {workdir}/backups\n"
        );
        has(&text, &["\n  **/*.db*\n", "\n  **/*.s3db*\n", "\n  old/app\n", "\n  /old/app\n", &kept]);
        assert!(!text.contains("VOLUME /app/tmp") && !text.contains("old/app-wal"), "{text}");
        assert!(!text.contains("*.sl3*"), "{text}");
        has(&text, &[&format!("# {workdir}/old is on no volume")]);
        let notes = plan.notes.join("\n");
        let named = plan.databases.iter().filter(|one| one.left_out.is_some()).count();
        let is_said = notes.contains("not replicated: old/app, tmp/cache.s3db, backups/2026/app.db");
        assert!(is_said || named == 3, "{notes}");
    }
}

/// What the framework's package does not replicate is data all the same.
#[test]
fn a_database_that_is_not_replicated_has_its_volume() {
    let settings = "DATABASES = {\n 'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'data/a.db'},\n \
        'logs': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'other/b.db'}}\nLITESTREAM = {'dbs': [{'path': 'default'}]}\n";
    let files = [("manage.py", super::django::MANAGE), ("shop/settings.py", settings)];
    let plan = look(&files, &[], NO_PYTHON).expect("a database");
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    has(&text, &["  VOLUME /app/data\n  # not replicated", "holds it:\n  VOLUME /app/other\n"]);
    // What is made anew needs none.
    let rails = "production:\n  primary: {adapter: sqlite3, database: data/p.db}\n  cache: {adapter: sqlite3, database: other/c.db}\n";
    let plan = look(&[("config/database.yml", rails), ("bin/rails", "")], &[], NO_PYTHON).unwrap();
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    assert!(text.contains("VOLUME /rails/data") && !text.contains("other"), "{text}");
}

#[test]
fn the_comment_about_names_is_a_sentence_for_each_kind_of_project() {
    let url = [(".env", "DATABASE_URL=sqlite:app.db\n")];
    for files in [&[("app.db", SQLITE)][..], &url] {
        let text = written(files, &[]);
        has(&text, &["  # Names of the databases, whose paths the app gets as LITEKEEPER_DATABASE_NAME:\n"]);
    }
}

/// "Set where it runs: nothing" was said of a file full of variables.
#[test]
fn the_variables_of_a_file_that_stays_are_all_named() {
    for (text, names) in [
        ("access-key-id: $KEY\ndbs: [{path: a.db, replica: {url: 's3://b/${PLACE}'}}]\n", "PLACE  KEY"),
        (
            "dbs: [{path: a.db, replica: '${URL}'}]\nlitekeeper:\n  app: {env: {A: {env: NAME}, B: '${C}', env: D}}\n",
            "URL  NAME  C",
        ),
        (
            "secret-access-key: ${SECRET}\ndbs: [{path: a.db, replica: {url: 's3://b/x', access-key-id: k}}]\n",
            "SECRET",
        ),
        (
            "logging: {level: $LEVEL}\ndbs: [{dir: $DIR, pattern: '*.db', replica: {path: /mnt}}]\n",
            "DIR  LEVEL",
        ),
        ("# $NO\ndbs: [{path: $PID.db, replica: {path: /mnt}}]\n", "nothing"),
        (
            "dbs: [{path: a.db, replica: {path: /mnt}}]\nlitekeeper: {enabled: {env: ON}, user: {env: U, default: me}}\n",
            "ON",
        ),
        (
            "dbs: [{path: a.db, replica: {url: 's3://b/x'}}]\n",
            "LITESTREAM_ACCESS_KEY_ID  LITESTREAM_SECRET_ACCESS_KEY",
        ),
    ] {
        let plan = look(&[("litestream.yml", text)], &[], NO_PYTHON).expect("a plan");
        assert_eq!(plan.framework, Framework::Existing);
        let said = advice(&plan, Target::Bucket, "litestream.yml");
        assert_eq!(said.lines().last().unwrap().trim(), names, "{text}");
    }
}

/// "Nothing" was said of what Litestream is not let into without a key.
#[test]
fn each_kind_of_storage_has_its_own_credentials() {
    for (replica, first, more) in [
        ("url: 'abs://a@b/x'", "LITESTREAM_AZURE_ACCOUNT_KEY", "LITESTREAM_AZURE_SAS_TOKEN"),
        ("type: abs, bucket: b, account-name: a, account-key: $K", "K", ""),
        ("url: 'gs://b/x'", "GOOGLE_APPLICATION_CREDENTIALS", "key file"),
        ("type: gcs, bucket: b", "GOOGLE_APPLICATION_CREDENTIALS", "key file"),
        ("url: 'oss://b/x'", "OSS_ACCESS_KEY_ID  OSS_ACCESS_KEY_SECRET", ""),
        ("url: 'sftp://u@h/x'", "(for sftp Litestream reads no variable: write `key-path: FILE`", ""),
        ("url: 'sftp://u:$PW@h/x'", "PW", ""),
        ("url: 'sftp://u@h/x', key-path: /run/key", "nothing", ""),
        ("url: 'nats://h/b'", "(for nats Litestream reads no variable", "creds: FILE"),
        ("url: 'nats://h/b', creds: /run/creds", "nothing", ""),
        ("url: 'webdavs://h/b'", "(for webdav Litestream reads no variable", "webdav-password"),
        ("path: /mnt", "nothing", ""),
    ] {
        let text = format!("dbs: [{{path: a.db, replica: {{{replica}}}}}]\n");
        let plan = look(&[("litestream.yml", &text)], &[], NO_PYTHON).expect("a plan");
        let said = advice(&plan, Target::Bucket, "litestream.yml");
        let said = said.split_once("Set where it runs:\n  ").expect("a last part").1;
        assert!(said.starts_with(first) && said.contains(more), "{replica}: {said}");
        assert_eq!(
            said.lines().count(),
            if more.is_empty() || first.starts_with('(') { 1 } else { 2 },
            "{said}"
        );
    }
    let below = look(&[("app.db", SQLITE)], &[], NO_PYTHON).expect("a plan");
    let said = advice(&below, Target::Below("gs://b/x"), "litestream.yml");
    assert!(said.contains("Set where it runs:\n  GOOGLE_APPLICATION_CREDENTIALS\n"), "{said}");
    let url = [("LITESTREAM_REPLICA_URL", "abs://a@b/x")];
    let named = look(&[("app.db", SQLITE)], &url, NO_PYTHON).expect("a plan");
    let said = advice(&named, Target::Bucket, "litestream.yml");
    assert!(said.contains("\n  LITESTREAM_REPLICA_URL  LITESTREAM_AZURE_ACCOUNT_KEY\n"), "{said}");
}

/// A fresh clone: nothing that `.gitignore` names is there.
#[test]
fn without_a_database_the_files_of_the_repository_count() {
    for (example, path) in [(".env.example", "data/app.db"), (".env.sample", "app.db")] {
        let text = format!("DATABASE_URL=sqlite:{path}\n");
        let plan = look(&[(example, &text)], &[], NO_PYTHON).expect("a plan");
        assert_eq!((plan.framework, plan.source.as_str()), (Framework::DatabaseUrl, example));
        assert_eq!(plan.databases[0].path, path);
        assert!(plan.notes.join("\n").contains(&format!("variables are those of {example}")));
    }
    let both = [(".env.example", "DATABASE_URL=sqlite:a.db\n"), (".env", "DATABASE_URL=sqlite:b.db\n")];
    assert_eq!(look(&both, &[], NO_PYTHON).expect("a plan").databases[0].path, "b.db");
    let settings = "import os\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.environ['DB']}}\n";
    let django =
        [("manage.py", super::django::MANAGE), ("shop/settings.py", settings), (".env.example", "DB=x.db\n")];
    assert_eq!(look(&django, &[], NO_PYTHON).expect("a plan").databases[0].path, "x.db");
    for folder in ["pb_migrations/1_users.js", "pb_hooks/main.pb.js"] {
        let plan = look(&[(folder, "")], &[], NO_PYTHON).expect("a plan");
        assert_eq!(
            (plan.framework, plan.databases[0].path.as_str()),
            (Framework::PocketBase, "pb_data/data.db")
        );
    }
}
