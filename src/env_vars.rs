//! Every environment variable that Litekeeper reads for itself; the README's tables name them all.
//!
//! What a configuration names (`${VAR}`), and what Litestream reads by itself, is not among them.

/// A variable and what it says.
pub type Variable = (&'static str, &'static str);

/// Those that stand for an option of `run`, which has the same name.
pub const OPTIONS: &[Variable] = &[
    ("LITEKEEPER_CONFIG", "--config"),
    ("LITEKEEPER_DB", "--db"),
    ("LITEKEEPER_REPLICA", "--replica"),
    ("LITEKEEPER_NO_EXPAND_ENV", "--no-expand-env"),
    ("LITEKEEPER_RESTART", "--restart"),
    ("LITEKEEPER_RESTART_DELAY", "--restart-delay"),
    ("LITEKEEPER_RESTART_DELAY_MAX", "--restart-delay-max"),
    ("LITEKEEPER_RESTART_RESET", "--restart-reset"),
    ("LITEKEEPER_START_LIMIT", "--start-limit"),
    ("LITEKEEPER_START_WINDOW", "--start-window"),
    ("LITEKEEPER_BEFORE", "--before"),
    ("LITEKEEPER_STOP_SIGNAL", "--stop-signal"),
    ("LITEKEEPER_STOP_TIMEOUT", "--stop-timeout"),
    ("LITEKEEPER_GATE", "--gate"),
    ("LITEKEEPER_GATE_TIMEOUT", "--gate-timeout"),
    ("LITEKEEPER_MAX_LAG", "--max-lag"),
    ("LITEKEEPER_ON_LAG", "--on-lag"),
    ("LITEKEEPER_ORPHAN_GRACE", "--orphan-grace"),
    ("LITEKEEPER_RESTORE_TIMEOUT", "--restore-timeout"),
    ("LITEKEEPER_RESTORE_PARALLEL", "--restore-parallel"),
    ("LITEKEEPER_IF_BEHIND", "--if-behind"),
    ("LITEKEEPER_ALLOW_LITESTREAM", "--allow-litestream"),
    ("LITEKEEPER_USER", "--user"),
    ("LITEKEEPER_LOG_FORMAT", "--log-format"),
    ("LITEKEEPER_LOG_LEVEL", "--log-level"),
];

/// The others.
pub const OTHERS: &[Variable] = &[
    ("LITEKEEPER_ENABLED", "`false` runs the app without Litestream"),
    ("LITESTREAM_ENABLED", "the same"),
    ("LITEKEEPER_RUNTIME_DIR", "where sockets and the generated configuration are"),
    ("LITESTREAM_CONFIG", "the configuration file, if LITEKEEPER_CONFIG does not name one"),
    ("LITESTREAM_BINARY_PATH", "Litestream itself"),
    ("LITESTREAM_INSTALL_DIR", "the folder that Litestream is in, or is installed to"),
    ("LITESTREAM_REPLICA_URL", "the replica, without a configuration file"),
    ("LITESTREAM_REPLICA_BUCKET", "the replica's bucket, without a configuration file"),
    ("DATABASE_URL", "the database, without a configuration file"),
];
