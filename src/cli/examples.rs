//! Examples at the end of `--help`.

/// `litekeeper run`.
pub const RUN: &str = "\
Examples:
  litekeeper run -- bin/rails server
  litekeeper run --config /etc/litestream.yml --user app -- ./server
  litekeeper run --db data/app.db --replica s3://my-bucket/app -- node server.js
  litekeeper run --restart always --max-lag 30s -- gunicorn app:app";

/// `litekeeper check`.
pub const CHECK: &str = "\
Examples:
  litekeeper check
  litekeeper check --config litestream.yml --online";

/// `litekeeper config`.
pub const CONFIG: &str = "\
Examples:
  litekeeper config
  litekeeper config --config litestream.yml";

/// `litekeeper reload`.
pub const RELOAD: &str = "\
Examples:
  litekeeper reload
  litekeeper reload --config litestream.yml";

/// `litekeeper init`.
pub const INIT: &str = "\
Examples:
  litekeeper init
  litekeeper init --dir path/to/project";

/// `litekeeper restore`.
pub const RESTORE: &str = "\
Examples:
  litekeeper restore -o copy.db app.db
  litekeeper restore --force --timestamp 'yesterday 14:00' app.db
  litekeeper restore --dry-run
  litekeeper restore --to-dir /srv/restored --integrity-check full --json
  litekeeper restore -o copy.db s3://my-bucket/app";

/// `litekeeper databases`.
pub const DATABASES: &str = "\
Examples:
  litekeeper databases
  litekeeper databases --config litestream.yml --json";

/// `litekeeper ltx`.
pub const LTX: &str = "\
Examples:
  litekeeper ltx
  litekeeper ltx data/app.db --level 9
  litekeeper ltx s3://my-bucket/app --json";

/// `litekeeper snapshots`.
pub const SNAPSHOTS: &str = "\
Examples:
  litekeeper snapshots app.db
  litekeeper snapshots file:///srv/backups/app --json";

/// `litekeeper generations`.
pub const GENERATIONS: &str = "\
Examples:
  litekeeper generations app.db
  litekeeper generations app.db --replica s3 --json";

/// `litekeeper wal`.
pub const WAL: &str = "\
Examples:
  litekeeper wal app.db
  litekeeper wal app.db --generation 9e94b12f5f526852";

/// `litekeeper info`.
pub const INFO: &str = "\
Examples:
  litekeeper info
  litekeeper info data/app.db --json";

/// `litekeeper list`.
pub const LIST: &str = "\
Examples:
  litekeeper list
  litekeeper list --config litestream.yml --json";

/// `litekeeper verify`.
pub const VERIFY: &str = "\
Examples:
  litekeeper verify
  litekeeper verify app.db --read-only
  litekeeper verify --budget 5%
  litekeeper verify --config litestream.yml --timeout 2m --json";

/// `litekeeper drill`.
pub const DRILL: &str = "\
Examples:
  litekeeper drill
  litekeeper drill --record drill.json --integrity-check full
  litekeeper drill app.db --to-dir /srv/drill --json";

/// `litekeeper query`.
pub const QUERY: &str = "\
Examples:
  litekeeper query app.db 'SELECT count(*) FROM users'
  litekeeper query app.db --at '2h ago' --json 'SELECT * FROM orders WHERE id = 7'
  litekeeper query s3://my-bucket/app --csv < report.sql > report.csv
  litekeeper query reports";

/// `litekeeper version`.
pub const VERSION: &str = "\
Examples:
  litekeeper version
  litekeeper version --json";

/// `litekeeper completions`.
pub const COMPLETIONS: &str = "\
Examples:
  litekeeper completions bash > /usr/share/bash-completion/completions/litekeeper
  litekeeper completions zsh > /usr/local/share/zsh/site-functions/_litekeeper
  litekeeper completions fish > ~/.config/fish/completions/litekeeper.fish";

/// `litekeeper man`.
pub const MAN: &str = "\
Examples:
  litekeeper man run | man -l -
  litekeeper man --to-dir /usr/local/share/man/man1";

/// `litekeeper litestream`.
pub const LITESTREAM: &str = "\
Examples:
  litekeeper litestream -- databases
  litekeeper litestream -- restore -o /tmp/app.db data/app.db";

/// `litekeeper demo`.
pub const DEMO: &str = "\
Examples:
  litekeeper demo
  litekeeper demo --tour";

/// `litekeeper install`.
pub const INSTALL: &str = "\
Examples:
  litekeeper install
  litekeeper install --version 0.3.13 --dir /usr/local/lib/litekeeper
  litekeeper install --url https://mirror.example/litestream-0.5.17-linux-x86_64.tar.gz
  litekeeper install --file litestream-0.5.17-linux-x86_64.tar.gz
  curl -sSf https://mirror.example/litestream.tar.gz | litekeeper install --file -";

/// `litekeeper uninstall`.
pub const UNINSTALL: &str = "\
Examples:
  litekeeper uninstall
  litekeeper uninstall --dir /usr/local/lib/litekeeper --yes";

/// `litekeeper sync`.
pub const SYNC: &str = "\
Examples:
  litekeeper sync
  litekeeper sync data/app.db --wait --timeout 1m --json";

/// `litekeeper wait`.
pub const WAIT: &str = "\
Examples:
  litekeeper wait
  litekeeper wait app.db --timeout 5s
  litekeeper wait data/app.db --json";

/// `litekeeper exec`.
pub const EXEC: &str = "\
Examples:
  litekeeper exec -- bin/rails console
  litekeeper exec --config litestream.yml -- python manage.py migrate";

/// `litekeeper status`.
pub const STATUS: &str = "\
Examples:
  litekeeper status
  litekeeper status data/app.db --json
  litekeeper status --watch=5s
  litekeeper status --nagios";

/// `litekeeper healthcheck`.
pub const HEALTHCHECK: &str = "\
Examples:
  litekeeper healthcheck
  litekeeper healthcheck --config /etc/litestream.yml --timeout 2s";

/// `litekeeper reset`.
pub const RESET: &str = "\
Examples:
  litekeeper reset data/app.db --dry-run
  litekeeper reset data/app.db --yes";
