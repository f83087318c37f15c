//! Phoenix.

use super::*;

const RUNTIME: &str = "import Config

if config_env() == :prod do
  database_path =
    System.get_env(\"DATABASE_PATH\") ||
      raise \"\"\"
      environment variable DATABASE_PATH is missing, for example: /etc/shop/shop.db
      \"\"\"

  config :shop, Shop.Repo,
    database: database_path,
    pool_size: String.to_integer(System.get_env(\"POOL_SIZE\") || \"5\")

  config :shop, Shop.Cache.Repo, database: Path.join(System.get_env(\"DATA\", \"/data\"), \"cache.db\")

  config :shop, ShopWeb.Endpoint,
    url: [host: \"example.com\", port: 443, scheme: \"https\"]
end
";

const MIX: &str = "defp deps do\n  [{:phoenix, \"~> 1.8\"}, {:ecto_sqlite3, \">= 0.0.0\"}]\nend\n";

#[test]
fn phoenix_repositories_come_from_runtime_exs() {
    let files = [("mix.exs", MIX), ("config/runtime.exs", RUNTIME), ("rel/overlays/bin/server", "")];
    let found = look(&files, &[], NO_PYTHON);
    insta::assert_snapshot!(shown(&found), @r"
    Phoenix from config/runtime.exs
      repo: ${DATABASE_PATH}
      cache_repo: /data/cache.db
    - DATABASE_PATH is not set here: it has to be where litekeeper runs, if the app needs it
    ");
    let plan = found.expect("databases");
    insta::assert_snapshot!(yaml(&plan, Target::Below("s3://bucket/shop?region=eu")), @r#"
    # Written by `litekeeper init` for Phoenix: config/runtime.exs.
    #
    # `litekeeper run` finds this file in the folder that it is started in, and relative paths are relative
    # to that folder. Plain Litestream reads the file too; it passes over the part `litekeeper`.
    #
    # Its places on the replica begin with `app`, so that other projects may use the same one.
    #
    # Set where it runs; secrets never go into this file:
    #   DATABASE_PATH                 used below
    dbs:
      # repo
      - path: ${DATABASE_PATH}
        replica:
          url: "s3://bucket/shop/app/repo.db?region=eu"
      # cache_repo: outside of the project: see that a volume holds it
      - path: /data/cache.db
        replica:
          url: "s3://bucket/shop/app/cache.db?region=eu"

    litekeeper:
      app:
        command: ["bin/server"]
      # Names of the databases, as Phoenix has them:
      aliases:
        repo: ${DATABASE_PATH}
        cache_repo: /data/cache.db
    "#);
    insta::assert_snapshot!(advice(&plan, Target::Bucket, "litestream.yml"), @r#"
    Dockerfile:
      # from the image that, in Litekeeper's sources, `docker build --target litekeeper -f examples/docker/Dockerfile -t litekeeper .` makes
      COPY --from=litekeeper /usr/local/bin/litekeeper /usr/local/bin/litestream /usr/local/bin/
      WORKDIR /app
      COPY litestream.yml /app/
      VOLUME /data
      ENV LITEKEEPER_STOP_TIMEOUT=9s
      ENTRYPOINT ["litekeeper", "run"]

    Procfile:
      web: litekeeper run

    fly.toml:
      kill_signal = "SIGTERM"
      kill_timeout = "30s"
      [env]
        LITEKEEPER_STOP_TIMEOUT = "28s"
        DATABASE_PATH = "/data/database.db"
      [mounts]
        source = "data"
        destination = "/data"

    systemd, in [Service]:
      # TERM goes to litekeeper alone; 143 is how many apps end when they are told to stop
      KillMode=process
      SuccessExitStatus=143
      OOMPolicy=continue
      RuntimeDirectory=litekeeper
      RuntimeDirectoryPreserve=yes

    .gitignore:
      *.db*
      .*-litestream
      .*-litekeeper.lock

    .dockerignore:
      **/*.db*
      **/.*-litestream
      **/.*-litekeeper.lock

    Set where it runs:
      DATABASE_PATH  LITESTREAM_REPLICA_BUCKET  LITESTREAM_ACCESS_KEY_ID  LITESTREAM_SECRET_ACCESS_KEY
    "#);
    let env = [("DATABASE_PATH", "/data/shop.db")];
    insta::assert_snapshot!(shown(&look(&files, &env, NO_PYTHON)), @r"
    Phoenix from config/runtime.exs
      repo: /data/shop.db
      cache_repo: /data/cache.db
    ");
    let postgres =
        [("mix.exs", "[{:phoenix, \"~> 1.8\"}, {:postgrex, \">= 0.0.0\"}]"), ("config/runtime.exs", RUNTIME)];
    insta::assert_snapshot!(shown(&look(&postgres, &[], NO_PYTHON)), @r#"
    nothing; Some((Phoenix, "."))
    - mix.exs has PostgreSQL (postgrex) and not ecto_sqlite3, and Litestream replicates nothing else
    "#);
}

#[test]
fn the_folder_of_a_variable_is_not_known() {
    let runtime = "config :shop, Shop.Repo, database: System.get_env(\"DATABASE_PATH\")\n\
        config :shop, Shop.JobsRepo, database: Path.join(Path.dirname(System.get_env(\"DATABASE_PATH\")), \"jobs.db\")\n";
    let files = [("mix.exs", MIX), ("config/runtime.exs", runtime)];
    insta::assert_snapshot!(shown(&look(&files, &[], NO_PYTHON)), @r"
    Phoenix from config/runtime.exs
      repo: ${DATABASE_PATH}
    - jobs_repo was skipped: its database in config/runtime.exs cannot be read without Elixir; write its path into the file by hand
    - DATABASE_PATH is not set here: it has to be where litekeeper runs, if the app needs it
    - for a release, run `mix phx.gen.release --docker` and init again
    ");
    let env = [("DATABASE_PATH", "/data/shop.db")];
    let plan = look(&files, &env, NO_PYTHON).expect("databases");
    assert_eq!(plan.databases[1].path, "/data/jobs.db");
}

#[test]
fn an_umbrella_has_its_dependencies_in_its_apps() {
    let files = [
        ("mix.exs", "[apps_path: \"apps\", deps: []]"),
        ("apps/shop/mix.exs", MIX),
        ("config/runtime.exs", "config :shop, Shop.Repo, database: System.get_env(\"DATABASE_PATH\")\n"),
    ];
    let plan = look(&files, &[("DATABASE_PATH", "/data/shop.db")], NO_PYTHON).expect("a database");
    assert_eq!((plan.framework, plan.databases[0].path.as_str()), (Framework::Phoenix, "/data/shop.db"));
}
