//! Every setting that Litestream knows: 0.5.17 and 0.3.13, by section.
//!
//! Source: the structs of `cmd/litestream/main.go`, `server.go` and `internal/log.go` at those versions, and
//! what the code does with their fields. `tests/suite/schema.rs` asks the binaries themselves.

use crate::secrets;

/// A kind of mapping in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// The whole file.
    Top,
    /// An entry of `dbs`.
    Database,
    /// `replica`, or an entry of `replicas`; also a template of `litekeeper.replicas`.
    Replica,
    /// `snapshot`, of the file or of a database.
    Snapshot,
    /// An entry of `levels`.
    Level,
    /// `socket`
    Socket,
    /// `logging`
    Logging,
    /// `validation`
    Validation,
    /// `retention` of the file.
    Retention,
    /// `age` of a replica.
    Age,
}

/// The two series of Litestream, which read the same file differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// 0.3.x: only `replicas`, any number of them.
    V03,
    /// 0.5.x and later: `replica`, or `replicas` with one entry.
    V05,
}

impl Series {
    /// Returns the series of a Litestream, by whether its backups are LTX files.
    pub fn of(is_ltx: bool) -> Self {
        if is_ltx { Series::V05 } else { Series::V03 }
    }
}

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any scalar; numbers and truth values are taken as they are written.
    Text,
    /// An unquoted `true`, `yes`, `off` ….
    Bool,
    /// An unquoted integer.
    Int,
    /// Go's durations: `10s`, `1h30m`. A bare number counts nanoseconds, and there are no days.
    Duration,
    /// A size as go-humanize reads it: `5MiB`, `1.5GB`, or a bare number of bytes.
    Size,
    /// An unquoted octal number: `0600`.
    Octal,
    /// A list of texts.
    Texts,
    /// A mapping.
    Mapping(Section),
    /// A list of mappings.
    Mappings(Section),
    /// The mapping of Litekeeper's own settings.
    Litekeeper,
}

impl Type {
    /// Says what a value of this type is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Type::Text => "a single text",
            Type::Bool => "true or false without quotes",
            Type::Int => "a whole number without quotes",
            Type::Octal => "an octal number such as 0600 without quotes",
            Type::Duration => "a duration such as 10s or 1h30m",
            Type::Size => "a size such as 5MiB",
            Type::Texts => "a list of texts",
            Type::Mapping(_) | Type::Litekeeper => "a mapping",
            Type::Mappings(_) => "a list of mappings",
        }
    }
}

/// What a series of Litestream does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It counts.
    Read,
    /// Its type is checked, and then it changes nothing.
    Unused,
    /// Silently ignored, whatever the value.
    Ignored,
    /// An error as soon as it says something.
    Refused,
}

/// Whether a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It may.
    Open,
    /// The address may be shown, but neither its user part nor its query.
    Address,
    /// Never.
    Secret,
}

/// One key of one section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// What its value has to be.
    pub kind: Type,
    /// What 0.3.13 does with it.
    pub v03: Reading,
    /// What 0.5.17 does with it.
    pub v05: Reading,
    /// Whether the value may be shown.
    pub secrecy: Secrecy,
}

impl Key {
    /// Returns what this series does with it, or Litekeeper in its place.
    pub fn reading(&self, series: Series) -> Reading {
        match series {
            // 0.3 gets it as `replicas`, and there is another socket for it.
            Series::V03 if matches!(self.name, "replica" | "socket" | "shutdown-sync-timeout") => {
                Reading::Read
            }
            Series::V03 => self.v03,
            Series::V05 => self.v05,
        }
    }

    /// Says whether Litekeeper alone reads this; it is taken out of what Litestream gets.
    pub fn is_own(&self) -> bool {
        self.v03 == Reading::Ignored && self.v05 == Reading::Ignored
    }
}

impl Section {
    /// Says what it is called.
    pub fn words(self) -> &'static str {
        match self {
            Section::Top => "the top of the file",
            Section::Database => "a database",
            Section::Replica => "a replica",
            Section::Snapshot => "`snapshot`",
            Section::Level => "`levels`",
            Section::Socket => "`socket`",
            Section::Logging => "`logging`",
            Section::Validation => "`validation`",
            Section::Retention => "`retention`",
            Section::Age => "`age`",
        }
    }

    /// All sections.
    pub const ALL: [Section; 10] = [
        Section::Top,
        Section::Database,
        Section::Replica,
        Section::Snapshot,
        Section::Level,
        Section::Socket,
        Section::Logging,
        Section::Validation,
        Section::Retention,
        Section::Age,
    ];

    /// Its keys. The top of the file also has a replica's settings, as defaults of every replica.
    pub fn keys(self) -> impl Iterator<Item = Key> {
        let (own, defaults) = match self {
            Section::Top => (TOP, SETTINGS),
            Section::Database => (DATABASE, NONE),
            Section::Replica => (REPLICA, SETTINGS),
            Section::Snapshot => (SNAPSHOT, NONE),
            Section::Level => (LEVEL, NONE),
            Section::Socket => (SOCKET, NONE),
            Section::Logging => (LOGGING, NONE),
            Section::Validation => (LEVEL, NONE),
            Section::Retention => (RETENTION, NONE),
            Section::Age => (AGE, NONE),
        };
        let as_default = move |key: &Key| if self == Section::Top { handed_down(*key) } else { *key };
        own.iter().copied().chain(defaults.iter().map(as_default))
    }

    /// Returns the key of this name, which is in kebab-case.
    pub fn key(self, name: &str) -> Option<Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// Says whether a value of this name, in any section and either spelling, is a secret.
pub fn is_secret(name: &str) -> bool {
    secrets::is_secret_name(name)
}

/// Says how secret a value of this name is, in whatever section and either spelling.
pub fn secrecy(name: &str) -> Secrecy {
    if is_secret(name) {
        return Secrecy::Secret;
    }
    let name = name.replace('_', "-");
    let mut found = Section::ALL.into_iter().filter_map(|section| section.key(&name));
    match found.any(|key| key.secrecy == Secrecy::Address) {
        true => Secrecy::Address,
        false => Secrecy::Open,
    }
}

/// Says whether a value of this name is a text in every section that has it.
pub(in crate::config) fn is_text(name: &str) -> bool {
    let mut found = Section::ALL.into_iter().filter_map(|section| section.key(name)).peekable();
    found.peek().is_some() && found.all(|key| matches!(key.kind, Type::Text | Type::Texts))
}

/// Returns a replica's setting at the top of the file. 0.3 hands only the S3 keys down, 0.5 all but these.
fn handed_down(key: Key) -> Key {
    let v03 = match key.name {
        "access-key-id" | "secret-access-key" => Reading::Read,
        _ => Reading::Ignored,
    };
    let v05 = match key.name {
        "part-size" | "concurrency" | "webdav-url" | "webdav-username" | "webdav-password" => Reading::Unused,
        _ => key.v05,
    };
    Key { v03, v05, ..key }
}

const fn both(name: &'static str, kind: Type) -> Key {
    Key { name, kind, v03: Reading::Read, v05: Reading::Read, secrecy: Secrecy::Open }
}

const fn new(name: &'static str, kind: Type) -> Key {
    Key { v03: Reading::Ignored, ..both(name, kind) }
}

const fn old(name: &'static str, kind: Type) -> Key {
    Key { v05: Reading::Ignored, ..both(name, kind) }
}

/// Makes a key of Litekeeper's own.
const fn ours(name: &'static str, kind: Type) -> Key {
    Key { v03: Reading::Ignored, ..old(name, kind) }
}

const fn secret(key: Key) -> Key {
    Key { secrecy: Secrecy::Secret, ..key }
}

const fn address(key: Key) -> Key {
    Key { secrecy: Secrecy::Address, ..key }
}

const NONE: &[Key] = &[];

const TOP: &[Key] = &[
    both("addr", Type::Text),
    both("dbs", Type::Mappings(Section::Database)),
    both("exec", Type::Text),
    both("logging", Type::Mapping(Section::Logging)),
    new("mcp-addr", Type::Text),
    new("socket", Type::Mapping(Section::Socket)),
    new("levels", Type::Mappings(Section::Level)),
    new("snapshot", Type::Mapping(Section::Snapshot)),
    new("validation", Type::Mapping(Section::Validation)),
    new("retention", Type::Mapping(Section::Retention)),
    new("l0-retention", Type::Duration),
    new("l0-retention-check-interval", Type::Duration),
    new("verify-compaction", Type::Bool),
    // Whoever knows it can report for this machine: it is a password in the form of a URL.
    secret(new("heartbeat-url", Type::Text)),
    new("heartbeat-interval", Type::Duration),
    new("shutdown-sync-timeout", Type::Duration),
    new("shutdown-sync-interval", Type::Duration),
    ours("litekeeper", Type::Litekeeper),
];

const DATABASE: &[Key] = &[
    both("path", Type::Text),
    both("meta-path", Type::Text),
    both("monitor-interval", Type::Duration),
    both("checkpoint-interval", Type::Duration),
    both("min-checkpoint-page-count", Type::Int),
    old("max-checkpoint-page-count", Type::Int),
    both("replicas", Type::Mappings(Section::Replica)),
    new("replica", Type::Mapping(Section::Replica)),
    new("dir", Type::Text),
    new("pattern", Type::Text),
    new("recursive", Type::Bool),
    new("watch", Type::Bool),
    new("meta-dir", Type::Text),
    new("snapshot", Type::Mapping(Section::Snapshot)),
    new("busy-timeout", Type::Duration),
    new("truncate-page-n", Type::Int),
    new("max-sync-wal-bytes", Type::Int),
    new("restore-if-db-not-exists", Type::Bool),
    ours("name", Type::Text),
    ours("path-mode", Type::Text),
];

const REPLICA: &[Key] = &[
    both("type", Type::Text),
    both("name", Type::Text),
    both("path", Type::Text),
    address(both("url", Type::Text)),
    old("retention", Type::Duration),
    old("retention-check-interval", Type::Duration),
    old("snapshot-interval", Type::Duration),
    ours("template", Type::Text),
    ours("path-mode", Type::Text),
];

/// `ReplicaSettings`: of a replica, or of the file for all of them.
const SETTINGS: &[Key] = &[
    both("sync-interval", Type::Duration),
    // 0.5 has `validation.interval` of the file in its place.
    Key { v05: Reading::Unused, ..both("validation-interval", Type::Duration) },
    new("max-sync-ltx-files", Type::Int),
    new("auto-recover", Type::Bool),
    secret(both("access-key-id", Type::Text)),
    secret(both("secret-access-key", Type::Text)),
    both("region", Type::Text),
    both("bucket", Type::Text),
    address(both("endpoint", Type::Text)),
    both("force-path-style", Type::Bool),
    new("sign-payload", Type::Bool),
    new("sign-accept-encoding", Type::Bool),
    new("require-content-md5", Type::Bool),
    both("skip-verify", Type::Bool),
    new("storage-class", Type::Text),
    new("part-size", Type::Size),
    new("concurrency", Type::Int),
    new("sse-customer-algorithm", Type::Text),
    secret(new("sse-customer-key", Type::Text)),
    new("sse-customer-key-path", Type::Text),
    new("sse-kms-key-id", Type::Text),
    both("account-name", Type::Text),
    secret(both("account-key", Type::Text)),
    secret(new("sas-token", Type::Text)),
    both("host", Type::Text),
    both("user", Type::Text),
    secret(both("password", Type::Text)),
    both("key-path", Type::Text),
    new("concurrent-writes", Type::Bool),
    new("host-key", Type::Text),
    address(new("webdav-url", Type::Text)),
    new("webdav-username", Type::Text),
    secret(new("webdav-password", Type::Text)),
    secret(new("jwt", Type::Text)),
    secret(new("seed", Type::Text)),
    new("creds", Type::Text),
    secret(new("nkey", Type::Text)),
    new("username", Type::Text),
    secret(new("token", Type::Text)),
    new("tls", Type::Bool),
    new("root-cas", Type::Texts),
    new("client-cert", Type::Text),
    new("client-key", Type::Text),
    new("max-reconnects", Type::Int),
    new("reconnect-wait", Type::Duration),
    new("timeout", Type::Duration),
    Key { v05: Reading::Refused, ..both("age", Type::Mapping(Section::Age)) },
];

const SNAPSHOT: &[Key] = &[new("interval", Type::Duration), new("retention", Type::Duration)];

/// A compaction level's, and the one of `validation`.
const LEVEL: &[Key] = &[new("interval", Type::Duration)];

const SOCKET: &[Key] =
    &[new("enabled", Type::Bool), new("path", Type::Text), new("permissions", Type::Octal)];

const LOGGING: &[Key] = &[
    both("level", Type::Text),
    both("type", Type::Text),
    both("stderr", Type::Bool),
    new("source", Type::Bool),
];

const RETENTION: &[Key] = &[new("enabled", Type::Bool)];

const AGE: &[Key] = &[
    secret(Key { v05: Reading::Refused, ..both("identities", Type::Texts) }),
    Key { v05: Reading::Refused, ..both("recipients", Type::Texts) },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(section: Section, wanted: impl Fn(&Key) -> bool) -> BTreeSet<&'static str> {
        section.keys().filter(wanted).map(|key| key.name).collect()
    }

    #[test]
    fn no_key_is_there_twice_and_all_are_kebab_case() {
        for section in Section::ALL {
            let all: Vec<_> = section.keys().map(|key| key.name).collect();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{section:?}");
            let kebab =
                |name: &str| name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
            assert!(all.iter().all(|name| kebab(name)), "{section:?}");
        }
    }

    #[test]
    fn the_old_series_reads_what_its_source_says() {
        let read = |section| names(section, |key| key.v03 == Reading::Read);
        assert_eq!(
            read(Section::Top),
            BTreeSet::from(["access-key-id", "addr", "dbs", "exec", "logging", "secret-access-key"])
        );
        assert_eq!(
            read(Section::Database),
            BTreeSet::from([
                "path",
                "meta-path",
                "monitor-interval",
                "checkpoint-interval",
                "min-checkpoint-page-count",
                "max-checkpoint-page-count",
                "replicas",
            ])
        );
        assert_eq!(read(Section::Replica).len(), 23);
        assert_eq!(read(Section::Logging), BTreeSet::from(["level", "type", "stderr"]));
        assert!(read(Section::Socket).is_empty());
    }

    #[test]
    fn what_0_5_no_longer_does_is_known() {
        let is = |section: Section, name, reading| {
            section.key(name).is_some_and(|key| key.v05 == reading && key.v03 == Reading::Read)
        };
        for name in ["retention", "retention-check-interval", "snapshot-interval"] {
            assert!(is(Section::Replica, name, Reading::Ignored), "{name}");
        }
        assert!(is(Section::Replica, "age", Reading::Refused));
        assert!(is(Section::Replica, "validation-interval", Reading::Unused));
        assert!(is(Section::Database, "max-checkpoint-page-count", Reading::Ignored));
        assert_eq!(
            Section::Top.key("retention").map(|key| key.kind),
            Some(Type::Mapping(Section::Retention))
        );
    }

    #[test]
    fn the_one_list_of_names_knows_every_setting() {
        for key in Section::ALL.into_iter().flat_map(Section::keys) {
            assert_eq!(key.secrecy == Secrecy::Secret, is_secret(key.name), "{}", key.name);
        }
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in
            ["secret-access-key", "access_key_id", "account-key", "sas-token", "password", "identities"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["bucket", "key-path", "host-key", "sse-kms-key-id", "username", "nothing-known"] {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(secrecy("url"), Secrecy::Address);
    }
}
