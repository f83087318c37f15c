//! Every environment variable that Litekeeper reads for itself; the tables in `docs/` name them all.
//!
//! What a configuration names (`${VAR}`) is not among them.

/// A variable and what it says.
pub type Variable = (&'static str, &'static str);

/// Those that stand for an option of `run`, which has the same name.
pub const OPTIONS: &[Variable] = &[
    ("LITEKEEPER_CONFIG", "--config"),
    ("LITEKEEPER_DB", "--db"),
    ("LITEKEEPER_REPLICA", "--replica"),
    ("LITEKEEPER_NO_EXPAND_ENV", "--no-expand-env"),
    ("LITEKEEPER_ENABLED_IF", "--enabled-if"),
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
    ("LITEKEEPER_LOOK", "--look"),
    ("LITEKEEPER_ORPHAN_GRACE", "--orphan-grace"),
    ("LITEKEEPER_RESTORE_TIMEOUT", "--restore-timeout"),
    ("LITEKEEPER_RESTORE_PARALLEL", "--restore-parallel"),
    ("LITEKEEPER_RESTORE_TXID", "--restore-txid"),
    ("LITEKEEPER_RESTORE_FROM", "--restore-from"),
    ("LITEKEEPER_IF_BEHIND", "--if-behind"),
    ("LITEKEEPER_IF_UNRELATED", "--if-unrelated"),
    ("LITEKEEPER_COMPARE_LIMIT", "--compare-limit"),
    ("LITEKEEPER_IF_UNLISTABLE", "--if-unlistable"),
    ("LITEKEEPER_LEASE", "--lease"),
    ("LITEKEEPER_LEASE_WAIT", "--lease-wait"),
    ("LITEKEEPER_LEASE_TTL", "--lease-ttl"),
    ("LITEKEEPER_ON_LOCK", "--on-lock"),
    ("LITEKEEPER_ALLOW_LITESTREAM", "--allow-litestream"),
    ("LITESTREAM_BINARY_PATH", "--litestream-binary"),
    ("LITEKEEPER_LITESTREAM_VERSION", "--litestream-version"),
    ("LITEKEEPER_HTTP", "--http"),
    ("LITEKEEPER_HTTP_OPEN", "--http-open"),
    ("LITEKEEPER_LITESTREAM_MEMORY", "--litestream-memory"),
    ("LITEKEEPER_ENV_FILE", "--env-file"),
    ("LITEKEEPER_HIDE_ENV", "--hide-env"),
    ("LITEKEEPER_CWD", "--cwd"),
    ("LITEKEEPER_USER", "--user"),
    ("LITEKEEPER_LOG_FORMAT", "--log-format"),
    ("LITEKEEPER_LOG_LEVEL", "--log-level"),
];

/// Those of Litestream and its wrappers that stand for a part of the configuration.
pub const LITESTREAM: &[Variable] = &[
    ("DATABASE_URL", "the database, where no file says which"),
    ("LITESTREAM_REPLICA_URL", "its replica"),
    ("LITESTREAM_REPLICA_BUCKET", "the replica's bucket, in place of a URL"),
    (
        "LITESTREAM_REPLICA_PATH",
        "the path in that bucket: the whole path of one database, and what comes before the names of several",
    ),
    ("LITESTREAM_REPLICA_REGION", "the bucket's region"),
    ("LITESTREAM_REPLICA_ENDPOINT", "where the bucket is, if not at AWS"),
    ("LITESTREAM_LOG_LEVEL", "`logging.level`"),
    ("LITESTREAM_METRICS_ENABLED", "`false` takes `addr` out, `true` puts it in"),
    ("LITESTREAM_METRICS_ADDRESS", "`addr`, where metrics are on"),
    ("LITESTREAM_METRICS_PORT", "the same on 127.0.0.1"),
    ("LITESTREAM_MCP_ENABLED", "`false` takes `mcp-addr` out, `true` puts it in"),
    ("LITESTREAM_MCP_ADDRESS", "`mcp-addr`, where MCP is on"),
    ("LITESTREAM_MCP_PORT", "the same on 127.0.0.1"),
    ("LITESTREAM_SOCKET_ENABLED", "`socket.enabled`"),
    ("LITESTREAM_SOCKET_PATH", "`socket.path`"),
    ("LITESTREAM_SOCKET_PERMISSIONS", "`socket.permissions`"),
];

/// Those that Litestream reads itself; they reach it as they are.
pub const PASSED_ON: &[Variable] = &[
    ("LITESTREAM_ACCESS_KEY_ID", "the key of S3 replicas"),
    ("LITESTREAM_SECRET_ACCESS_KEY", "its secret"),
    ("AWS_ACCESS_KEY_ID", "the same, and all else that AWS's own library reads"),
    ("AWS_SECRET_ACCESS_KEY", "the same"),
    (
        "LITESTREAM_S3_ENDPOINT",
        "where the bucket of a replica URL without an endpoint is, for databases of a resolver: refused there",
    ),
    ("LITESTREAM_S3_DEBUG", "its S3 client logs requests"),
    ("LITESTREAM_AZURE_ACCOUNT_KEY", "the key of Azure replicas"),
    ("LITESTREAM_AZURE_SAS_TOKEN", "or their token"),
    (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "the file with the account of Google replicas, and all else that Google's own library reads",
    ),
    (
        "AZURE_CLIENT_ID",
        "who goes to Azure replicas that have no key, and all else that Azure's own library reads",
    ),
    (
        "AWS_REGION",
        "the region for listings of Litekeeper's own where that of the bucket cannot be asked for; Litestream takes `region`, or asks",
    ),
];

/// The others.
pub const OTHERS: &[Variable] = &[
    ("LITEKEEPER_ENABLED", "`false` runs the app without Litestream"),
    ("LITESTREAM_ENABLED", "the same"),
    ("LITEKEEPER_VFS_LIBRARY", "Litestream's extension of SQLite, for `query` and the app"),
    ("LITESTREAM_USERNAME", "who may see the page of `--http`, with the password beside it"),
    ("LITESTREAM_PASSWORD", "that password"),
    ("LITEKEEPER_HTTP_TOKEN", "what a program sends there as its bearer token"),
    ("LITEKEEPER_RUNTIME_DIR", "where sockets and the generated configuration are"),
    ("LITESTREAM_CONFIG", "the configuration file, if LITEKEEPER_CONFIG does not name one"),
    ("LITESTREAM_INSTALL_DIR", "the folder that Litestream is in, or is installed to"),
    ("LITESTREAM_URL", "not read, and said so by `check`, like the next two: LITESTREAM_REPLICA_URL is"),
    ("LITESTREAM_BUCKET", "not read: LITESTREAM_REPLICA_BUCKET is"),
    ("LITESTREAM_S3_BUCKET", "not read, unless the configuration names it"),
    ("LITESTREAM_BUCKET_NAME", "not read: LITESTREAM_REPLICA_BUCKET is"),
    ("LITESTREAM_REPLICA_S3_BUCKET", "not read: LITESTREAM_REPLICA_BUCKET is"),
    ("LITEKEEPER_SOCKET", "the keeper's own socket, which the app gets: `wait` asks there"),
    ("STATE_DIRECTORY", "`verify --budget`: where it is remembered which databases had their turn"),
    ("XDG_STATE_HOME", "the same, in its folder `litekeeper`, where that is not set"),
    ("GOMEMLIMIT", "Litestream's own, which counts in place of `--litestream-memory`"),
    ("VIRTUAL_ENV", "`init`: the Python that a Django project is asked with"),
];

/// Whether a variable is only known so that it can be told that nobody reads it.
pub fn is_unread((_, says): &Variable) -> bool {
    says.starts_with("not read")
}

/// Those that the app gets, and nobody reads here.
pub const GIVEN: &[Variable] = &[
    ("LITEKEEPER_DATABASE", "the path of the first database; `_ALIAS` behind it: of that one"),
    ("LITEKEEPER_VFS", "`_ALIAS` behind it: the URL of that replica of `litekeeper.vfs`"),
];

/// Those of Litestream's extension of SQLite (VFS), which an app may set for itself; `query` keeps them from its own.
pub const EXTENSION: &[Variable] = &[
    ("LITESTREAM_LOG_FILE", "where it writes its log"),
    ("LITESTREAM_WRITE_ENABLED", "it writes to the replica"),
    ("LITESTREAM_SYNC_INTERVAL", "how often"),
    ("LITESTREAM_BUFFER_PATH", "where that waits"),
    ("LITESTREAM_HYDRATION_ENABLED", "it makes a whole copy"),
    ("LITESTREAM_HYDRATION_PATH", "where that is"),
];

/// All of them.
pub fn all() -> impl Iterator<Item = Variable> {
    [OPTIONS, LITESTREAM, PASSED_ON, OTHERS, GIVEN, EXTENSION].into_iter().flatten().copied()
}
