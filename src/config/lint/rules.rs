//! The kinds of findings about a configuration's text.

use super::finding::{Rule, Severity};

macro_rules! rules {
    ($(($name:ident, $severity:ident, $code:literal, $meaning:literal),)+) => {
        $(
            #[doc = $meaning]
            pub const $name: &Rule = &Rule { code: $code, severity: Severity::$severity, meaning: $meaning };
        )+
        /// All of them.
        pub const RULES: &[&Rule] = &[$($name),+];
    };
}

rules! {
    (UNREADABLE, Error, "unreadable", "the configuration cannot be read"),
    (NOT_YAML, Error, "not-yaml", "the configuration is not YAML, or not as Litestream reads it"),
    (LIMIT, Error, "limit", "the configuration is larger or deeper than any configuration should be"),
    (WRONG_TYPE, Error, "wrong-type", "a value is of another type than its key takes"),
    (NO_DATABASE, Error, "no-database", "no database is configured"),
    (DATABASE_PATH, Error, "database-path", "it is not clear which file or folder a database is"),
    (NO_REPLICA, Error, "no-replica", "a database has no replica"),
    (SEVERAL_REPLICAS, Error, "several-replicas", "a database has more replicas than this Litestream takes"),
    (REPLICA_PLACE, Error, "replica-place", "it is not clear where a replica is, or Litestream refuses how it is said"),
    (FILE_HOST, Warning, "file-host", "the first word of a folder's URL stands where its host belongs"),
    (PATH_SLASH, Warning, "path-slash", "a path in a bucket begins or ends with a slash, which is a place of its own"),
    (REPLICA_IN_METADATA, Error, "replica-in-metadata", "a replica's folder is where a database or Litestream's own files are"),
    (SAME_DATABASE, Error, "same-database", "a database is configured twice"),
    (SAME_REPLICA, Error, "same-replica", "two databases have one replica: the data of one would be lost"),
    (SAME_METADATA, Error, "same-metadata", "two databases have one metadata folder"),
    (EXEC_SHELL, Error, "exec-shell", "`exec` needs a shell, which Litestream does not use"),
    (BOTH_SPELLINGS, Error, "both-spellings", "one setting is there in snake_case and in kebab-case"),
    (UNKNOWN_TEMPLATE, Error, "unknown-template", "a replica refers to a template that is not defined"),
    (PATH_MODE, Error, "path-mode", "a database's `path-mode` is none, or its `name` cannot be a part of a path"),
    (NO_VARIABLE, Error, "no-variable", "a value comes from a variable that is not set, or empty"),
    (SECTION_KEY, Error, "section-key", "a key of the `litekeeper` section that is none, or is there twice"),
    (SECTION_VALUE, Error, "section-value", "a value of the `litekeeper` section that means nothing there"),
    (VARIABLE_VALUE, Error, "variable-value", "a variable that says something that cannot be meant"),
    (BARE_DURATION, Error, "bare-duration", "a duration without a unit, which Litestream takes for nanoseconds"),
    (BAD_DURATION, Error, "bad-duration", "a duration that Litestream refuses, such as `7d`"),
    (BAD_SIZE, Error, "bad-size", "a size that Litestream refuses"),
    (REPLICA_TYPE, Error, "replica-type", "a type of replica that Litestream does not know"),
    (HOST_AS_BUCKET, Error, "host-as-bucket", "a server stands where the bucket belongs"),
    (BROKEN_KEY, Error, "broken-key", "a key or secret begins or ends with a line's end or a blank, with which no server knows it"),
    (PLACEHOLDER, Error, "placeholder", "a value that stands for one, such as `<BUCKET>`"),
    (REFUSED_KEY, Error, "refused-key", "a key that this Litestream refuses"),
    (OCTAL, Error, "octal", "file permissions that are not an unquoted octal number"),
    (BROKEN_URL, Error, "broken-url", "a URL that nobody can read: a `%` is not followed by two hexadecimal digits, or `http://` is missing where it belongs"),
    (SOCKET_PATH, Error, "socket-path", "a path that is too long for a unix socket"),
    (UNKNOWN_KEY, Warning, "unknown-key", "a key that neither Litestream nor Litekeeper knows"),
    (MISPLACED_KEY, Warning, "misplaced-key", "a key that counts only in another section"),
    (DROPPED_KEY, Warning, "dropped-key", "a key of Litestream 0.3 that changes nothing in 0.5"),
    (NEWER_KEY, Warning, "newer-key", "a key of Litestream 0.5 that the 0.3 found here ignores"),
    (UNSET_VARIABLE, Warning, "unset-variable", "a variable that is not set, or empty"),
    (UNUSED_VARIABLE, Warning, "unused-variable", "a variable that seems to say where the backups are, but that nobody reads"),
    (UNKNOWN_PARAMETER, Warning, "unknown-parameter", "a parameter of a replica's URL that Litestream does not read"),
    (URL_USER, Warning, "url-user", "a user, key or password in a replica's URL that Litestream does not read"),
    (HOST_KEY, Warning, "host-key", "an SFTP replica without `host-key`: whoever answers there is believed"),
    (BUCKET_LIKE_HOST, Warning, "bucket-like-host", "a bucket has a name that looks like a server's"),
    (DUPLICATE_KEY, Warning, "duplicate-key", "a key is there twice in one mapping: the later one counts"),
    (BROKEN_ESCAPE, Warning, "broken-escape", "a `%` in a URL that is not followed by two hexadecimal digits, and what it stands in is left out"),
    (LOGGING, Warning, "logging", "a log type or level that Litestream does not know"),
    (SOCKET_OFF, Note, "socket-off", "the control socket is switched off, but Litekeeper needs it"),
    (SECRET_IN_FILE, Note, "secret-in-file", "a secret is written in the file itself"),
}
