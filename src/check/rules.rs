//! The kinds of findings about the machine.

use crate::config::lint::{Rule, Severity};

macro_rules! rules {
    ($(($name:ident, $severity:ident, $code:literal, $meaning:literal),)+) => {
        $(
            #[doc = $meaning]
            pub const $name: &Rule =
                &Rule { code: $code, severity: Severity::$severity, meaning: $meaning };
        )+
        /// All of them.
        pub const RULES: &[&Rule] = &[$($name),+];
    };
}

rules! {
    (SETTING, Error, "setting", "a setting of `run` that cannot be used: a user, a folder, a file of variables"),
    (APP_MISSING, Error, "app-missing", "the app's command was not found, or cannot be executed"),
    (APP_SHELL, Warning, "app-shell", "the app's command has what only a shell understands"),
    (NO_APP, Warning, "no-app", "no app is given: `run` needs its command"),
    (SWITCHED_OFF, Note, "switched-off", "replication is switched off: `run` runs the app alone"),
    (RESOLVER_MISSING, Error, "resolver-missing", "the resolver's command was not found, or cannot be executed"),
    (RESOLVER, Error, "resolver", "the resolver fails, or prints something else than databases (--online)"),
    (ENV_FILE_ONLY, Warning, "env-file-only", "a variable that only the app's `.env` has, which Litekeeper does not read, or an option of its own that only a file of `--env-file` has"),
    (LITESTREAM_MISSING, Error, "litestream-missing", "Litestream was not found, or does not run"),
    (LITESTREAM_BAD, Error, "litestream-bad", "this Litestream is known to stop replicating without a word"),
    (LITESTREAM_OTHER, Error, "litestream-other", "the Litestream found here is not the one that the settings ask for"),
    (LITESTREAM_OLD, Warning, "litestream-old", "this Litestream cannot confirm replication while the app runs"),
    (CA_BUNDLE, Error, "ca-bundle", "AWS_CA_BUNDLE is set, with which Litestream's S3 client does not start"),
    (NO_CERTIFICATES, Error, "no-certificates", "there are no certificates here to know a server by that is asked over https"),
    (NO_NAMES, Error, "no-names", "no server is named here that resolves names, and a replica's server has one"),
    (FEW_FILES, Error, "few-files", "fewer files may be open than so many databases need"),
    (LITTLE_MEMORY, Warning, "little-memory", "the container has less memory than Litestream takes for so many databases"),
    (ENDPOINT_SCHEME, Warning, "endpoint-scheme", "an endpoint without a scheme is asked over https, which its server seems not to speak"),
    (RUNTIME_FOLDER, Error, "runtime-folder", "there is no folder for Litestream's control socket"),
    (ON_NETWORK, Error, "on-network", "a database is on a network file system, where SQLite's WAL does not work"),
    (ON_OVERLAY, Warning, "on-overlay", "a database or its replica is in the container's own layer, and goes with it"),
    (IN_MEMORY, Warning, "in-memory", "a database or its replica is in memory, and goes with the machine"),
    (SAME_DISK, Note, "same-disk", "a replica is on the disk of its database"),
    (REPLICA_IN_DIR, Warning, "replica-in-dir", "a replica is inside of the folder whose databases are replicated"),
    (PIPE_IN_DIR, Error, "pipe-in-dir", "a pipe has the name of a database: Litestream waits for it without an end"),
    (PASSED_OVER, Warning, "passed-over", "a file has the name of a database, but is none, or encrypted: Litestream passes over it"),
    (EMPTY_DIR, Error, "empty-dir", "a folder of databases is empty or not there, with which Litestream does not start"),
    (LARGE_DIR, Warning, "large-dir", "a folder of databases holds more than is looked at here"),
    (DISK_SPACE, Warning, "disk-space", "there is less free space than the database takes"),
    (DATABASE_LINK, Error, "database-link", "a database is a symbolic link, through which Litestream does not find its WAL"),
    (SEVERAL_NAMES, Warning, "several-names", "a database's file has other names (hard links): SQLite damages one that is opened by two"),
    (ONE_FILE, Error, "one-file", "two databases are one file by two names (hard links), each of which would have a WAL of its own"),
    (MISREAD_PATH, Error, "misread-path", "Litestream takes a part of a database's path for something else, and opens another file"),
    (DAMAGED, Error, "damaged", "a file that has a backup does not begin as a SQLite database any more"),
    (NOT_SQLITE, Error, "not-sqlite", "a file is no SQLite database, or is encrypted"),
    (IN_THE_WAY, Error, "in-the-way", "something else stands where a file or folder of SQLite's, Litestream's or Litekeeper's belongs"),
    (CUT_OFF, Error, "cut-off", "a database file is shorter than it says"),
    (NOT_WAL, Warning, "not-wal", "a database is not in WAL mode"),
    (LARGE_WAL, Warning, "large-wal", "a WAL is much larger than its database: checkpoints do not get through"),
    (STALE_WAL, Warning, "stale-wal", "a WAL or journal lies beside a database that is not there"),
    (NO_DATABASE_YET, Note, "no-database-yet", "a database does not exist yet"),
    (NOT_READABLE, Error, "not-readable", "a file cannot be read by the user that will run"),
    (NOT_WRITABLE, Error, "not-writable", "a file or folder cannot be written by the user that will run"),
    (SECRET_READABLE, Warning, "secret-readable", "everybody on this machine can read a file with secrets"),
    (OF_ANOTHER, Error, "of-another", "the configuration was found where another user decides what stands: it is looked at if it is named"),
    (TERMINAL, Warning, "terminal", "with --user the app has root's terminal, and can type into its shell"),
    (SYMLINK, Note, "symlink", "the configuration is a symbolic link"),
    (KEEPER_RUNS, Note, "keeper-runs", "a keeper runs on a database already"),
    (REPLICA_TAKEN, Error, "replica-taken", "another keeper replicates another database to the same folder"),
    (SECOND_LITESTREAM, Error, "second-litestream", "a Litestream that no keeper runs replicates a database already"),
    (SHORT_STOP, Warning, "short-stop", "the time of a stop is short for what has to be uploaded"),
    (KILLED_EARLY, Warning, "killed-early", "the platform kills before the time of a stop is over"),
    (JOURNAL_MODE, Error, "journal-mode", "the framework's settings ask for another journal than the WAL"),
    (EXCLUSIVE_LOCKING, Error, "exclusive-locking", "the framework's settings lock Litestream out"),
    (BUSY_TIMEOUT, Warning, "busy-timeout", "the framework's settings wait less than 5 seconds for a lock"),
    (SYNCHRONOUS_OFF, Warning, "synchronous-off", "the framework's settings let a power failure damage the database"),
    (FOREIGN_KEYS, Note, "foreign-keys", "the framework's settings switch foreign keys off"),
    (REPLICA_LIST, Error, "replica-list", "a replica cannot be listed (--online)"),
    (REPLICA_WRITE, Error, "replica-write", "a replica cannot be written (--online)"),
    (REPLICA_READ, Error, "replica-read", "what was written to a replica cannot be read (--online)"),
    (DATABASE_BEHIND, Error, "database-behind", "a database is older than its backup (--online)"),
    (OTHER_BACKUP, Error, "other-backup", "a replica holds a backup that was not made of its database (--online)"),
    (NO_BEGINNING, Error, "no-beginning", "a replica has lost the oldest files of its backup, so that nothing can be restored (--online)"),
    (NO_BACKUP, Note, "no-backup", "a replica holds no backup of its database yet (--online)"),
    (NOT_WRITTEN, Note, "not-written", "a replica could be listed only (--online)"),
    (LEFT_BEHIND, Note, "left-behind", "what was written to try a replica is still there (--online)"),
    (KILL_MODE, Warning, "kill-mode", "the service manager signals or kills Litestream as well"),
    (RUNTIME_DIRECTORY, Warning, "runtime-directory", "the service manager takes Litestream's socket away with the keeper"),
}
