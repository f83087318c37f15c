//! Every key of the `litekeeper` section: the one table that the reader of the section, the command
//! line and `docs/configuration.md` share.

/// The top-level key of all that is Litekeeper's own.
pub const SECTION: &str = "litekeeper";

/// A key that the section can have.
#[derive(Debug, PartialEq, Eq)]
pub struct KeeperKey {
    /// Its place below `litekeeper`: `stop.timeout`.
    pub path: &'static str,
    /// The option of `run` that says the same, without its dashes; `command` is what follows `--`.
    pub option: Option<&'static str>,
    /// What its value looks like.
    pub shape: Shape,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One text; numbers and the like as they are written.
    Text,
    /// A list of texts, or one.
    Texts,
    /// A command: a list of words, or a line that is split without a shell.
    Command,
    /// A list of commands, or one line.
    Commands,
    /// Names with a text each, or with `{env: NAME}`.
    Variables,
    /// `{env: NAME}` alone, which stands for whether it is set, or `true` or `false`.
    Switch,
    /// Names with a text each.
    Names,
    /// Names with the URL of a replica each, or with a mapping that has one.
    Replicas,
    /// Names with a mapping each, which others read.
    Mappings,
}

const fn option(path: &'static str, option: &'static str, shape: Shape) -> KeeperKey {
    KeeperKey { path, option: Some(option), shape }
}

const fn own(path: &'static str, shape: Shape) -> KeeperKey {
    KeeperKey { path, option: None, shape }
}

/// Every key.
pub const KEYS: &[KeeperKey] = &[
    option("app.command", "command", Shape::Command),
    own("app.env", Shape::Variables),
    option("app.env-file", "env-file", Shape::Texts),
    option("app.hide-env", "hide-env", Shape::Texts),
    option("app.user", "user", Shape::Text),
    option("app.cwd", "cwd", Shape::Text),
    option("before", "before", Shape::Commands),
    option("enabled", "enabled-if", Shape::Switch),
    option("on-lock", "on-lock", Shape::Text),
    option("restart.when", "restart", Shape::Text),
    option("restart.delay", "restart-delay", Shape::Text),
    option("restart.delay-max", "restart-delay-max", Shape::Text),
    option("restart.reset", "restart-reset", Shape::Text),
    option("restart.limit", "start-limit", Shape::Text),
    option("restart.window", "start-window", Shape::Text),
    option("restore.timeout", "restore-timeout", Shape::Text),
    option("restore.parallel", "restore-parallel", Shape::Text),
    option("restore.txid", "restore-txid", Shape::Texts),
    option("restore.from", "restore-from", Shape::Texts),
    option("restore.if-behind", "if-behind", Shape::Text),
    option("restore.if-unrelated", "if-unrelated", Shape::Text),
    option("restore.compare-limit", "compare-limit", Shape::Text),
    option("restore.if-unlistable", "if-unlistable", Shape::Text),
    option("lease.mode", "lease", Shape::Text),
    option("lease.wait", "lease-wait", Shape::Text),
    option("lease.ttl", "lease-ttl", Shape::Text),
    option("gate.until", "gate", Shape::Text),
    option("gate.timeout", "gate-timeout", Shape::Text),
    option("watch.max-lag", "max-lag", Shape::Text),
    option("watch.on-lag", "on-lag", Shape::Text),
    option("watch.look", "look", Shape::Text),
    option("watch.orphan-grace", "orphan-grace", Shape::Text),
    option("stop.signal", "stop-signal", Shape::Text),
    option("stop.timeout", "stop-timeout", Shape::Text),
    option("log.format", "log-format", Shape::Text),
    option("log.level", "log-level", Shape::Text),
    option("litestream.binary", "litestream-binary", Shape::Text),
    option("litestream.version", "litestream-version", Shape::Text),
    option("litestream.memory", "litestream-memory", Shape::Text),
    option("litestream.allow", "allow-litestream", Shape::Text),
    option("http.listen", "http", Shape::Text),
    option("http.open", "http-open", Shape::Texts),
    own("http.auth.username", Shape::Text),
    own("http.auth.password", Shape::Text),
    own("http.auth.token", Shape::Text),
    own("vfs", Shape::Replicas),
    own("aliases", Shape::Names),
    own("path-prefix", Shape::Text),
    own("replicas", Shape::Mappings),
    own("resolver.command", Shape::Command),
    own("resolver.interval", Shape::Text),
];

/// What [`Shape::Switch`] is where no variable decides.
pub const OFF: &str = "false";

/// Groups that may be a single text, and the key that this text is the value of.
const SHORT: &[(&str, &str)] =
    &[("restart", "restart.when"), ("gate", "gate.until"), ("lease", "lease.mode"), ("http", "http.listen")];

/// Returns the key at `path`.
pub(in crate::config) fn find(path: &str) -> Option<&'static KeeperKey> {
    KEYS.iter().find(|key| key.path == path)
}

/// Says whether there are keys below `path`.
pub(in crate::config) fn is_group(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// Returns the key that a group's single text is the value of.
pub(in crate::config) fn short(group: &str) -> Option<&'static KeeperKey> {
    SHORT.iter().find(|(name, _)| *name == group).and_then(|(_, path)| find(path))
}

/// Returns the names that are known below `prefix`, each once, in the order of the table.
pub(in crate::config) fn siblings(prefix: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for key in KEYS {
        let name = key.path.strip_prefix(prefix).and_then(|rest| rest.split('.').next());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// Guesses the key that was meant: the one whose option, or whose path with dashes, is this name;
/// one with a name like it in this place; the only one of this name elsewhere.
pub(in crate::config) fn meant(prefix: &str, name: &str) -> Option<&'static str> {
    let path = |key: &'static KeeperKey| key.path;
    let beside = nearest(name, siblings(prefix)).and_then(|near| {
        let is_it =
            |path: &&str| path.strip_prefix(prefix).is_some_and(|rest| rest.split('.').next() == Some(near));
        KEYS.iter().map(path).find(is_it).map(|path| &path[..prefix.len() + near.len()])
    });
    let same = |key: &&'static KeeperKey| key.option == Some(name) || key.path.replace('.', "-") == name;
    let last = |key: &&'static KeeperKey| key.path.rsplit('.').next() == Some(name);
    let only = |keys: Vec<&'static KeeperKey>| if let [key] = keys[..] { Some(key) } else { None };
    let exactly = KEYS.iter().find(same).map(path);
    exactly.or(beside).or_else(|| only(KEYS.iter().filter(last).collect()).map(path))
}

/// Returns the candidate that is most like `name`, if one is like it at all.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            // A turned pair in a short name is nothing to Jaro's measure.
            let slip = name.len() > 2 && strsim::damerau_levenshtein(name, candidate) < 2;
            (strsim::jaro(name, candidate).max(if slip { 0.9 } else { 0.0 }), candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_known_once_and_no_key_is_a_group() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[..at].iter().all(|other| other.path != key.path), "{}", key.path);
            assert!(
                KEYS.iter().all(|other| !other.path.starts_with(&format!("{}.", key.path))),
                "{}",
                key.path
            );
        }
        assert!(SHORT.iter().all(|(group, path)| short(group) == find(path) && find(path).is_some()));
    }
}
