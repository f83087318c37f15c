//! Rails.

use super::*;

/// `config/database.yml` of Rails 8, in production with four databases.
const RAILS_8: &str = "
default: &default
  adapter: sqlite3
  pool: <%= ENV.fetch(\"RAILS_MAX_THREADS\") { 5 } %>
  timeout: 5000

development:
  <<: *default
  database: storage/development.sqlite3

production:
  primary: &primary_production
    <<: *default
    database: storage/production.sqlite3
  cache:
    <<: *primary_production
    database: storage/production_cache.sqlite3
    migrations_paths: db/cache_migrate
  queue:
    <<: *default
    database: storage/production_queue.sqlite3
    migrations_paths: db/queue_migrate
  cable:
    <<: *default
    database: storage/production_cable.sqlite3
    migrations_paths: db/cable_migrate
";

fn rails(yaml: &str, env: &[(&str, &str)]) -> String {
    shown(&look(&[("config/database.yml", yaml), ("bin/rails", "")], env, NO_PYTHON))
}

#[test]
fn rails_8_with_its_disposable_databases_left_out() {
    insta::assert_snapshot!(rails(RAILS_8, &[]), @r"
    Rails from config/database.yml, production
      primary: storage/production.sqlite3
      cache: storage/production_cache.sqlite3 (left out)
      queue: storage/production_queue.sqlite3
      cable: storage/production_cable.sqlite3 (left out)
    ");
    insta::assert_snapshot!(rails(RAILS_8, &[("RAILS_ENV", "development")]), @r"
    Rails from config/database.yml, development
      primary: storage/development.sqlite3
    ");
    insta::assert_snapshot!(rails(RAILS_8, &[("RAILS_ENV", "staging")]), @r#"
    nothing; Some((Rails, "."))
    - config/database.yml has no environment staging
    "#);
}

#[test]
fn rails_urls_are_stronger_than_the_file() {
    let env = [("DATABASE_URL", "sqlite3:/data/app.db"), ("QUEUE_DATABASE_URL", "postgres://u:hunter2@h/q")];
    let text = rails(RAILS_8, &env);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text, @r"
    Rails from config/database.yml, production
      primary: /data/app.db
      cache: storage/production_cache.sqlite3 (left out)
      cable: storage/production_cable.sqlite3 (left out)
    - queue was skipped: PostgreSQL is not SQLite, and Litestream replicates nothing else
    ");
}

#[test]
fn rails_ruby_is_worked_out_or_said() {
    let yaml = "
production:
  primary:
    adapter: sqlite3
    database: <%= ENV.fetch(\"DATABASE_PATH\", Rails.root.join(\"storage\", \"#{Rails.env}.sqlite3\")) %>
  secret:
    adapter: sqlite3
    database: <%= Rails.application.credentials.dig(:database, :path) %>
  tenant:
    adapter: sqlite3
    database: storage/<%= ENV[\"TENANT\"] %>.sqlite3
  memory:
    adapter: sqlite3
    database: \":memory:\"
  main:
    adapter: postgresql
    database: main
  copy:
    adapter: sqlite3
    database: storage/production.sqlite3
    replica: true
  empty:
    adapter: sqlite3
";
    insta::assert_snapshot!(rails(yaml, &[]), @r"
    Rails from config/database.yml, production
      primary: storage/production.sqlite3
      tenant: storage/${TENANT}.sqlite3
    - secret was skipped: `Rails.application.credentials.dig(:database, :path)` cannot be worked out without Ruby; write its path into the file by hand
    - memory was skipped: it is a database in memory
    - main was skipped: PostgreSQL is not SQLite, and Litestream replicates nothing else
    - copy was skipped: it is a second connection to another database
    - empty was skipped: config/database.yml names no database for it; give it one and run init again
    - DATABASE_PATH is not set here: config/database.yml's own default was taken
    ");
    insta::assert_snapshot!(rails(yaml, &[("DATABASE_PATH", "/data/a b.db"), ("TENANT", "acme")]), @r"
    Rails from config/database.yml, production
      primary: /data/a b.db
      tenant: storage/acme.sqlite3
    - secret was skipped: `Rails.application.credentials.dig(:database, :path)` cannot be worked out without Ruby; write its path into the file by hand
    - memory was skipped: it is a database in memory
    - main was skipped: PostgreSQL is not SQLite, and Litestream replicates nothing else
    - copy was skipped: it is a second connection to another database
    - empty was skipped: config/database.yml names no database for it; give it one and run init again
    ");
}

#[test]
fn rails_on_postgresql_has_nothing_for_litestream() {
    let yaml = "production:\n  adapter: postgresql\n  database: app\ndevelopment:\n  adapter: sqlite3\n  database: db/development.sqlite3\n";
    insta::assert_snapshot!(rails(yaml, &[]), @r#"
    nothing; Some((Rails, "."))
    - primary was skipped: PostgreSQL is not SQLite, and Litestream replicates nothing else
    "#);
    insta::assert_snapshot!(rails("production: [", &[]), @r#"
    nothing; Some((Rails, "."))
    - config/database.yml is no YAML: did not find expected node content at line 2 column 1, while parsing a flow node
    "#);
}

#[test]
fn the_litestream_gem_is_recognised() {
    let gem = "
dbs:
  - path: storage/production.sqlite3
    replicas:
      - type: s3
        bucket: $LITESTREAM_REPLICA_BUCKET
        path: storage/production.sqlite3
        access-key-id: $LITESTREAM_ACCESS_KEY_ID
        secret-access-key: hunter2
        retention: 24h
        force-path-style: true
";
    let files = [
        ("config/database.yml", RAILS_8),
        ("bin/rails", ""),
        ("bin/thrust", ""),
        ("config/litestream.yml", gem),
        ("config/initializers/litestream.rb", "Rails.application.configure do\nend\n"),
        (
            "config/puma.rb",
            "plugin :litestream if ENV.fetch(\"RAILS_ENV\", \"production\") == \"production\"\n",
        ),
    ];
    let found = look(&files, &[], NO_PYTHON);
    insta::assert_snapshot!(shown(&found), @r"
    Rails from config/database.yml, production
      primary: storage/production.sqlite3
      cache: storage/production_cache.sqlite3 (left out)
      queue: storage/production_queue.sqlite3
      cable: storage/production_cable.sqlite3 (left out)
    - config/litestream.yml: the value of secret-access-key was not copied, put it into the variable LITESTREAM_SECRET_ACCESS_KEY
    - config/litestream.yml: retention was left out, Litestream 0.5 has it elsewhere or no more
    - the replicas are those of config/litestream.yml, so that their backups go on
    - config/litestream.yml lacks queue: it goes beside the others
    - config/puma.rb starts a Litestream of its own: take `plugin :litestream` out, litekeeper runs it
    - config/initializers/litestream.rb sets the bucket and the keys inside of Rails only: give LITESTREAM_REPLICA_BUCKET, LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY to litekeeper's environment
    ");
    let text = yaml(&found.expect("databases"), Target::Bucket);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text, @r#"
    # Written by `litekeeper init` for Rails: config/database.yml, production.
    #
    # `litekeeper run` finds this file in the folder that it is started in, and relative paths are relative
    # to that folder. Plain Litestream reads the file too; it passes over the part `litekeeper`.
    #
    # Set where it runs; secrets never go into this file:
    #   RAILS_ENV=production          these are its databases
    #   LITESTREAM_REPLICA_BUCKET     used below
    #   LITESTREAM_ACCESS_KEY_ID      used below
    #   LITESTREAM_SECRET_ACCESS_KEY  used below
    dbs:
      # primary
      - path: storage/production.sqlite3
        replica:
          type: s3
          bucket: ${LITESTREAM_REPLICA_BUCKET}
          path: storage/production.sqlite3
          access-key-id: ${LITESTREAM_ACCESS_KEY_ID}
          secret-access-key: ${LITESTREAM_SECRET_ACCESS_KEY}
          force-path-style: true
      # cache is not replicated: it fills itself again, and changes so often that it would be most of the upload.
      # To replicate it all the same, take the `# ` away from these lines:
      # - path: storage/production_cache.sqlite3
      #   replica:
      #     type: s3
      #     bucket: ${LITESTREAM_REPLICA_BUCKET}
      #     access-key-id: ${LITESTREAM_ACCESS_KEY_ID}
      #     secret-access-key: ${LITESTREAM_SECRET_ACCESS_KEY}
      #     force-path-style: true
      #     path: storage/production_cache.sqlite3
      # queue: jobs that were promised but not yet done: as worth keeping as the data
      - path: storage/production_queue.sqlite3
        replica:
          type: s3
          bucket: ${LITESTREAM_REPLICA_BUCKET}
          access-key-id: ${LITESTREAM_ACCESS_KEY_ID}
          secret-access-key: ${LITESTREAM_SECRET_ACCESS_KEY}
          force-path-style: true
          path: storage/production_queue.sqlite3
      # cable is not replicated: it only holds messages on their way to browsers, for a day at most.
      # To replicate it all the same, take the `# ` away from these lines:
      # - path: storage/production_cable.sqlite3
      #   replica:
      #     type: s3
      #     bucket: ${LITESTREAM_REPLICA_BUCKET}
      #     access-key-id: ${LITESTREAM_ACCESS_KEY_ID}
      #     secret-access-key: ${LITESTREAM_SECRET_ACCESS_KEY}
      #     force-path-style: true
      #     path: storage/production_cable.sqlite3

    litekeeper:
      app:
        command: ["bin/thrust", "bin/rails", "server"]
      # After the restore, under replication, before the app:
      before:
        - ["bin/rails", "db:prepare"]
      # Names of the databases, as Rails has them:
      aliases:
        primary: storage/production.sqlite3
        # cache: storage/production_cache.sqlite3
        queue: storage/production_queue.sqlite3
        # cable: storage/production_cable.sqlite3
    "#);
}

#[test]
fn the_paths_of_an_image_are_those_of_the_project() {
    let old = "addr: \":9090\"\ndbs:\n  - path: /rails/storage/production.sqlite3\n    monitor-interval: 5s\n    replica: {type: gs, bucket: b, path: x}\n  - path: /data/other.db\n";
    let files = [("config/database.yml", RAILS_8), ("bin/rails", ""), ("litestream.yml", old)];
    let found = look(&files, &[], NO_PYTHON);
    insta::assert_snapshot!(shown(&found), @r"
    Rails from config/database.yml, production
      primary: storage/production.sqlite3
      cache: storage/production_cache.sqlite3 (left out)
      queue: storage/production_queue.sqlite3
      cable: storage/production_cable.sqlite3 (left out)
    - litestream.yml also has monitor-interval: write that into the file by hand
    - litestream.yml has /data/other.db, which is not among the databases that were found
    - litestream.yml also has addr: write that into the file by hand
    - the replicas are those of litestream.yml, so that their backups go on
    - litestream.yml lacks queue: it goes beside the others
    ");
    assert!(found.expect("databases").databases[0].replica.is_some());
}

#[test]
fn what_is_no_path_is_not_taken_for_one() {
    let yaml = "
production:
  primary:
    adapter: sqlite3
    database: storage/production.sqlite3
  queue:
    url: <%= ENV[\"QUEUE_URL\"] %>
  tenant:
    adapter: sqlite3
    database: storage/tenants/%{tenant}/main.sqlite3
";
    insta::assert_snapshot!(rails(yaml, &[]), @r"
    Rails from config/database.yml, production
      primary: storage/production.sqlite3
    - queue was skipped: QUEUE_URL is not set here; set it and run init again
    - tenant was skipped: it is a database for each tenant; replicate their folder with `dir` and `pattern`, or name them with litekeeper.resolver
    ");
}

#[test]
fn the_environment_of_the_databases_has_to_be_the_apps() {
    let files = [("config/database.yml", RAILS_8), ("bin/rails", "")];
    let plan = look(&files, &[], NO_PYTHON).expect("databases");
    let text = advice(&plan, Target::Bucket, "litestream.yml");
    for said in [
        "ENV LITEKEEPER_STOP_TIMEOUT=9s RAILS_ENV=production\n",
        "\n    RAILS_ENV = \"production\"\n",
        "  RAILS_ENV=production  LITESTREAM_",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // The Dockerfile of `rails new` says so.
    let files = [
        &files[..],
        &[(
            "Dockerfile",
            "FROM ruby AS base\nENV RAILS_ENV=\"production\" \\\n    BUNDLE_WITHOUT=\"test\"\nFROM base\n",
        )],
    ]
    .concat();
    let plan = look(&files, &[], NO_PYTHON).expect("databases");
    assert!(!advice(&plan, Target::Bucket, "litestream.yml").contains("RAILS_ENV"));
}
