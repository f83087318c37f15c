//! Laravel.

use super::*;

const LARAVEL: &str = "<?php

use Illuminate\\Support\\Str;

return [
    /* the default */
    'default' => env('DB_CONNECTION', 'sqlite'),
    'connections' => [
        'sqlite' => [
            'driver' => 'sqlite',
            'url' => env('DB_URL'),
            'database' => env('DB_DATABASE', database_path('database.sqlite')),
            'prefix' => '',
            'foreign_key_constraints' => env('DB_FOREIGN_KEYS', true),
        ],
        'mysql' => [
            'driver' => 'mysql',
            'options' => extension_loaded('pdo_mysql') ? array_filter([
                PDO::MYSQL_ATTR_SSL_CA => env('MYSQL_ATTR_SSL_CA'),
            ]) : [],
        ],
        'analytics' => [ // ours
            'driver' => 'sqlite',
            'database' => storage_path('app/' . 'analytics.sqlite'),
        ],
    ],
    'redis' => ['options' => ['prefix' => env('REDIS_PREFIX', Str::slug(env('APP_NAME', 'laravel'), '_').'_database_')]],
];
";

fn laravel(dotenv: &str, env: &[(&str, &str)]) -> String {
    shown(&look(&[("artisan", ""), (".env", dotenv), ("config/database.php", LARAVEL)], env, NO_PYTHON))
}

#[test]
fn laravel_connections_come_from_env_and_php() {
    insta::assert_snapshot!(laravel("DB_CONNECTION=sqlite\n# DB_DATABASE=laravel\n", &[]), @r"
    Laravel from config/database.php, connection sqlite
      default: database/database.sqlite
      analytics: storage/app/analytics.sqlite
    - the command is PHP's server for development: put the one that you deploy with in its place
    ");
    insta::assert_snapshot!(laravel("DB_CONNECTION=sqlite\nDB_DATABASE=/data/app.sqlite\n", &[]), @r"
    Laravel from config/database.php, connection sqlite
      default: /data/app.sqlite
      analytics: storage/app/analytics.sqlite
    - the command is PHP's server for development: put the one that you deploy with in its place
    ");
    insta::assert_snapshot!(laravel("DB_CONNECTION=mysql\nDB_PASSWORD=hunter2\n", &[]), @r"
    Laravel from config/database.php, connection mysql
      analytics: storage/app/analytics.sqlite
    - the default connection mysql is MySQL, not SQLite, and Litestream replicates nothing else
    - the command is PHP's server for development: put the one that you deploy with in its place
    ");
    insta::assert_snapshot!(laravel("", &[("DB_URL", "sqlite:///data/url.sqlite")]), @r"
    Laravel from config/database.php, connection sqlite
      default: /data/url.sqlite
      analytics: storage/app/analytics.sqlite
    - the command is PHP's server for development: put the one that you deploy with in its place
    ");
    // A slim application without config/database.php.
    insta::assert_snapshot!(shown(&look(&[("artisan", ""), (".env", "APP_ENV=local")], &[], NO_PYTHON)), @r"
    Laravel from .env, connection sqlite
      default: database/database.sqlite
    - the command is PHP's server for development: put the one that you deploy with in its place
    ");
}

#[test]
fn laravel_litestream_is_recognised() {
    let package = "<?php
return [
    'connections' => [
        'default' => ['name' => 'main', 'replicas' => ['s3'], 'path_mode' => 'append'],
    ],
    'replicas' => [
        's3' => [
            'type' => 's3',
            'bucket' => env('LITESTREAM_S3_BUCKET', ''),
            'path' => 'apps/',
            'region' => env('LITESTREAM_S3_REGION', 'eu-central-1'),
            'access_key_id' => ['env' => 'LITESTREAM_ACCESS_KEY_ID'],
            'secret_access_key' => env('LITESTREAM_SECRET_ACCESS_KEY', ''),
            'force_path_style' => true,
        ],
    ],
];
";
    let files = [
        ("artisan", ""),
        (".env", "LITESTREAM_SECRET_ACCESS_KEY=hunter2\n"),
        ("config/database.php", LARAVEL),
        ("config/litestream.php", package),
    ];
    let found = look(&files, &[], NO_PYTHON);
    let text = yaml(found.as_ref().expect("databases"), Target::Bucket);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(format!("{}\n---\n{text}", shown(&found)), @r#"
    Laravel from config/database.php, connection sqlite
      default: database/database.sqlite
      analytics: storage/app/analytics.sqlite (left out)
    - the command is PHP's server for development: put the one that you deploy with in its place
    - LITESTREAM_S3_REGION is not set here: region was left out of the replica
    - the replicas are those of config/litestream.php; its variables have to be in litekeeper's own environment, .env is the app's
    ---
    # Written by `litekeeper init` for Laravel: config/database.php, connection sqlite.
    #
    # `litekeeper run` finds this file in the folder that it is started in, and relative paths are relative
    # to that folder. Plain Litestream reads the file too; it passes over the part `litekeeper`.
    #
    # Set where it runs; secrets never go into this file:
    #   LITESTREAM_S3_BUCKET          used below
    #   LITESTREAM_ACCESS_KEY_ID      used below
    #   LITESTREAM_SECRET_ACCESS_KEY  used below
    dbs:
      # default
      - path: database/database.sqlite
        replica:
          type: s3
          bucket: ${LITESTREAM_S3_BUCKET}
          path: apps/main
          access-key-id: ${LITESTREAM_ACCESS_KEY_ID}
          secret-access-key: ${LITESTREAM_SECRET_ACCESS_KEY}
          force-path-style: true
      # analytics is not replicated: config/litestream.php does not name it.
      # To replicate it all the same, take the `# ` away from these lines:
      # - path: storage/app/analytics.sqlite
      #   replica:
      #     type: s3
      #     bucket: ${LITESTREAM_REPLICA_BUCKET}
      #     path: app/analytics.sqlite

    litekeeper:
      app:
        command: ["php", "artisan", "serve", "--host=0.0.0.0", "--port=8000"]
      # After the restore, under replication, before the app:
      before:
        - ["php", "artisan", "migrate", "--force"]
      # Names of the databases, as Laravel has them:
      aliases:
        default: database/database.sqlite
        # analytics: storage/app/analytics.sqlite
    "#);
}
