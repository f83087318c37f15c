//! What `litekeeper:` says about databases: aliases, templates of replicas, and where each one's path is.

use super::settings::text;
use super::url;
use crate::config::error::Problem;
use crate::config::own::keys::SECTION;
use crate::config::schema::Type;
use crate::config::schema::types::wrong_type;
use crate::config::values::env_replica::{self, EnvReplica};
use crate::config::values::options::Env;
use crate::config::values::variables;
use crate::yaml::{Budget, Node, NodeKind, Size, Variable};

/// The most templates that a hint names.
const MOST_SHOWN: usize = 20;

/// What the entries of `dbs` are completed from.
pub(in crate::config) struct Additions<'a> {
    aliases: Option<&'a Node>,
    templates: Option<&'a Node>,
    prefix: &'a str,
    env: Env<'a>,
    /// What the copies may still come to: a small file must not become a large tree.
    budget: &'a Budget,
}

/// What an entry of `dbs` says beside what Litestream gets of it.
#[derive(Clone, Default)]
pub(in crate::config) struct Completed {
    /// Its name for the path below one that several databases share.
    pub(in crate::config) name: String,
    /// Its replica, if the variables that name it are read in the other way (see [`EnvReplica`]).
    pub(in crate::config) other: Option<Node>,
}

/// What becomes of a template's path.
#[derive(Clone, Copy)]
enum PathMode {
    Append,
    Replace,
    Preserve,
}

impl<'a> Additions<'a> {
    /// Makes the additions of a configuration.
    pub fn of(root: &'a Node, env: Env<'a>, budget: &'a Budget) -> Self {
        let own = root.get(SECTION);
        let get = |key| own.and_then(|own| own.get(key));
        Self {
            aliases: get("aliases"),
            templates: get("replicas"),
            prefix: get("path-prefix").and_then(Node::as_str).unwrap_or_default().trim_matches('/'),
            env,
            budget,
        }
    }

    /// Makes of an entry of `dbs` one that Litestream understands; what is wrong is added to `found`. One that has the
    /// environment's replica `alone` has all of its path.
    pub fn complete(
        &self,
        entry: &mut Node,
        alone: bool,
        found: &mut Vec<(usize, Problem)>,
    ) -> Option<Completed> {
        if !entry.is_mapping() || self.budget.is_spent() {
            return None;
        }
        let alias = self.follow_alias(entry);
        let path = ["path", "dir"].iter().find_map(|key| entry.get(key)?.as_str()).unwrap_or_default();
        let base = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        let given = take_text(entry, "name", found);
        let mode = take_text(entry, "path-mode", found);
        let name = given.and_then(|(name, line)| {
            if is_name(&name) {
                return Some(name);
            }
            found.push((line, Problem::BadName { name }));
            None
        });
        let own = Own { name: name.clone().or(alias).unwrap_or_else(|| base.clone()), mode };
        if let Some(replica) = entry.get_mut("replica") {
            self.complete_replica(replica, &own, found);
        }
        if let Some(Node { kind: NodeKind::Sequence(items), .. }) = entry.get_mut("replicas") {
            items.iter_mut().for_each(|replica| self.complete_replica(replica, &own, found));
        }
        let mut completed = Completed { name: own.name, other: None };
        if has_no_replica(entry) {
            let wrong = env_replica::wrong(self.env);
            if !wrong.is_empty() {
                found.extend(wrong.into_iter().map(|given| (entry.line, Problem::Given(given))));
                return None;
            }
            let tail = self.tail(&name.unwrap_or(base));
            let place = env_replica::default_replica(self.env, &tail, alone);
            let place = place.filter(|place| self.budget.take(entry.line, Size::of(&place.replica)));
            if let Some(EnvReplica { replica, other }) = place {
                let line = entry.line;
                entry.remove("replicas");
                entry.set("replica", Node { line, ..replica });
                completed.other = other;
            }
        }
        Some(completed)
    }

    /// Returns the replicas that databases have below them which are named by nothing but a template, or by nothing at all: each
    /// template's, and the environment's. What cannot be filled in, no database can have.
    pub fn in_common(&self) -> Vec<Node> {
        let of_template = |(name, _): &(Node, Node)| {
            let (mut replica, mut found) = (Node::text(name.key()), Vec::new());
            self.complete_replica(&mut replica, &Own { name: String::new(), mode: None }, &mut found);
            found.is_empty().then_some(replica)
        };
        let templates = match self.templates.map(|templates| &templates.kind) {
            Some(NodeKind::Mapping(entries)) => entries.as_slice(),
            Some(NodeKind::Scalar(_) | NodeKind::Sequence(_)) | None => &[],
        };
        let is_sound = env_replica::wrong(self.env).is_empty();
        let of_env = || env_replica::default_replica(self.env, &self.tail(""), false);
        let of_env = is_sound.then(of_env).flatten().map(|place| place.replica);
        templates.iter().filter_map(of_template).chain(of_env).collect()
    }

    /// Puts the file in the place of its alias, and returns the alias.
    fn follow_alias(&self, entry: &mut Node) -> Option<String> {
        let path = entry.get_mut("path")?;
        let alias = path.as_str()?.to_owned();
        let file = self.aliases?.get(&alias)?.as_str()?;
        let file = self.budget.take_text(path.line, file.len()).then(|| file.to_owned())?;
        *path = Node { line: path.line, column: path.column, ..Node::text(file) };
        Some(alias)
    }

    /// Puts the template in the place of its name, under what the database itself says.
    fn complete_replica(&self, replica: &mut Node, own: &Own, found: &mut Vec<(usize, Problem)>) {
        let (line, column) = (replica.line, replica.column);
        let (reference, own_settings) = match &replica.kind {
            NodeKind::Scalar(_) if !replica.is_null() => (Some(replica.clone()), Node::mapping([])),
            NodeKind::Mapping(_) => {
                let mut own_settings = replica.clone();
                (own_settings.remove("template").filter(|name| !name.is_null()), own_settings)
            }
            NodeKind::Scalar(_) | NodeKind::Sequence(_) => return,
        };
        let Some(reference) = reference else { return };
        let Some(name) = reference.as_str() else {
            return found.push((reference.line, wrong_type(&reference, "template", Type::Text)));
        };
        let Some(template) = self.templates.and_then(|templates| templates.get(name)) else {
            let problem = Problem::UnknownTemplate {
                database: own.name.clone(),
                template: name.to_owned(),
                known: self.known(),
            };
            return found.push((reference.line, problem));
        };
        if !self.budget.take(reference.line, Size::of(template)) {
            return;
        }
        let mut merged = template.clone();
        variables::fill_in(&mut merged, "replicas", self.env, true, self.budget, found);
        let is_placed = ["path", "url"].iter().any(|key| own_settings.get(key).is_some());
        if let NodeKind::Mapping(entries) = own_settings.kind {
            for (key, value) in entries {
                merged.set(key.key(), value);
            }
        }
        let mode = take_text(&mut merged, "path-mode", found);
        let mode = own.mode.clone().or(mode).map_or(PathMode::Append, |(mode, line)| {
            PathMode::of(&mode).unwrap_or_else(|| {
                found.push((line, Problem::BadPathMode { database: own.name.clone(), mode }));
                PathMode::Append
            })
        });
        let tail = self.tail(&own.name);
        if !is_placed && self.budget.take_text(line, tail.len()) {
            place(&mut merged, mode, &tail);
        }
        *replica = Node { line, column, ..merged };
    }

    /// Says what comes after a path that several databases share; without a name what they share of that as well.
    fn tail(&self, name: &str) -> String {
        env_replica::join(self.prefix, name.trim_matches('/'))
    }

    fn known(&self) -> Vec<String> {
        match self.templates.map(|templates| &templates.kind) {
            // Said of each database that names another one.
            Some(NodeKind::Mapping(entries)) => {
                entries.iter().take(MOST_SHOWN).map(|(key, _)| key.key().to_owned()).collect()
            }
            Some(NodeKind::Scalar(_) | NodeKind::Sequence(_)) | None => Vec::new(),
        }
    }
}

/// What a database says of itself, for the path below a template's.
struct Own {
    name: String,
    mode: Option<(String, usize)>,
}

impl PathMode {
    fn of(text: &str) -> Option<Self> {
        match text {
            "append" => Some(Self::Append),
            "replace" => Some(Self::Replace),
            "preserve" => Some(Self::Preserve),
            _ => None,
        }
    }

    fn apply(self, path: &str, tail: &str) -> String {
        match self {
            Self::Append => env_replica::join(path, tail),
            Self::Replace => tail.to_owned(),
            Self::Preserve => path.to_owned(),
        }
    }
}

/// Says whether an entry of `dbs` names none, and has the environment's.
pub(in crate::config) fn has_no_replica(entry: &Node) -> bool {
    let no_list = entry.get("replicas").is_none_or(|list| list.as_list().is_some_and(<[Node]>::is_empty));
    entry.is_mapping() && entry.get("replica").is_none() && no_list
}

/// Says what comes after a path that several databases share.
pub(in crate::config) fn tail(root: &Node, name: &str) -> String {
    let budget = Budget::default();
    Additions::of(root, &|_| None, &budget).tail(name)
}

/// Gives a replica the path of its database, in its `url` if that is where it has one.
fn place(replica: &mut Node, mode: PathMode, tail: &str) {
    let text = |key| replica.get(key).and_then(Node::as_str);
    let is_nats = text("type") == Some("nats") || text("url").is_some_and(url::is_nats);
    if is_nats || matches!(mode, PathMode::Preserve) {
        return;
    }
    let key = if replica.get("url").is_some() { "url" } else { "path" };
    let mut value = replica.get(key).cloned().unwrap_or_else(|| Node::text(""));
    if let NodeKind::Scalar(scalar) = &mut value.kind {
        scalar.text = match key {
            "url" => url::with_path(&scalar.text, |path| mode.apply(path, &url::escape(tail))),
            _ => mode.apply(&scalar.text, tail),
        };
        scalar.plain = false;
        // What came from a variable has become a part of something else; a plain path is no secret.
        scalar.variable = scalar.variable.take().filter(|_| key == "url").map(|_| Variable::Own);
        replica.set(key, value);
    }
}

/// Takes a text of Litekeeper's own out of a mapping, with its line.
fn take_text(
    node: &mut Node,
    key: &'static str,
    found: &mut Vec<(usize, Problem)>,
) -> Option<(String, usize)> {
    match text(node, key) {
        Ok(value) => {
            let value = value.map(str::to_owned);
            let removed = node.remove(key)?;
            Some((value?, removed.line))
        }
        Err(problem) => {
            node.remove(key);
            found.push(problem);
            None
        }
    }
}

/// Says whether a text can be a name: it becomes a part of a path, and must not lead out of it.
fn is_name(name: &str) -> bool {
    let mut parts = name.trim_matches('/').split('/');
    parts.all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use crate::config::load::file::of_document;
    use crate::config::values::document::Document;
    use crate::config::values::options::LoadOptions;
    use crate::config::{Config, Error, Origin};
    use crate::yaml::{emit, parse};

    fn read(text: &str, env: &[(&str, &str)]) -> Result<Config, Error> {
        let env =
            |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let options =
            LoadOptions { no_expand_env: false, env: &env, cwd: Path::new("/srv"), home: None, pid: 1 };
        let root = parse(text).expect("valid YAML");
        let origin = Origin::File("l.yml".into());
        let document =
            Document { origin, text: text.to_owned(), root, unset: Vec::new(), traces: Default::default() };
        of_document(document, &options)
    }

    /// Each replica's place.
    fn places(config: &Config) -> Vec<&str> {
        let replicas = config.databases().iter().flat_map(|database| &database.replicas);
        replicas.map(|replica| replica.display.as_str()).collect()
    }

    fn errors(text: &str) -> (String, Option<String>) {
        let error = read(text, &[]).expect_err("it is taken");
        (error.to_string(), error.hint())
    }

    #[test]
    fn a_template_stands_for_a_replica() {
        let config = read(
            concat!(
                "litekeeper:\n  aliases: {default: db.sqlite3}\n  replicas:\n",
                "    s3: {type: s3, bucket: b, path: apps/, secret_access_key: {env: SECRET}}\n",
                "    disk: {type: file, path: /backups, path_mode: preserve}\n",
                "    unused: {type: s3, bucket: {env: NOWHERE}}\n",
                "dbs:\n",
                "- {path: default, replica: s3}\n",
                "- {path: data/b.db, replica: s3, path_mode: replace}\n",
                "- {path: data/c.db, name: tenants/c, replicas: [s3, disk]}\n",
                "- {path: data/d.db, replica: {template: s3, path: own, region: r, bucket: c}}\n",
                "- {dir: data/many, pattern: '*.db', replica: s3}\n",
            ),
            &[("SECRET", "x")],
        )
        .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            places(&config),
            ["s3://b/apps/default", "s3://b/b.db", "s3://b/apps/tenants/c", "/backups", "s3://c/own"]
        );
        assert_eq!(config.directories()[0].replicas[0].display, "s3://b/apps/many");
        assert_eq!(config.databases()[0].path, PathBuf::from("/srv/db.sqlite3"));
        assert_eq!(config.databases()[3].replicas[0].line, 11);
        let dbs = config.root().get("dbs").and_then(super::Node::as_list).expect("it is there");
        insta::assert_snapshot!(emit(&dbs[3]).text, @r#"
        path: data/d.db
        replica:
          type: s3
          bucket: c
          path: own
          secret-access-key: "${SECRET}"
          region: r
        "#);
    }

    #[test]
    fn the_path_of_a_url_is_completed_too() {
        let text = |mode: &str, url: &str| {
            format!(
                "litekeeper: {{path-prefix: /my project/, replicas: {{r: {{url: \"{url}\", path-mode: {mode}}}}}}}\n\
                 dbs: [{{path: a/app.db, replica: r}}]"
            )
        };
        for (mode, url, place) in [
            ("append", "s3://b/x/?region=r", "s3://b/x/my project/app.db"),
            ("append", "s3://b", "s3://b/my project/app.db"),
            ("replace", "s3://b/x", "s3://b/my project/app.db"),
            ("preserve", "s3://b/x", "s3://b/x"),
            ("append", "file:///backups", "/backups/my%20project/app.db"),
            // The path is the bucket: all that there is.
            ("append", "nats://h:4222/b", "nats://h:4222/b"),
        ] {
            let config = read(&text(mode, url), &[]).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(places(&config), [place], "{mode} {url}");
        }
    }

    #[test]
    fn a_nats_bucket_has_no_path() {
        let text = "litekeeper: {replicas: {n: {type: nats, url: 'nats://h:4222', bucket: b}}}\n\
                    dbs:\n- {path: a/app.db, replicas: [n], path_mode: append}\n";
        let config = read(text, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(places(&config), ["nats://h:4222/b"]);
        let text = emit(config.root().get("dbs").expect("it is there")).text;
        assert!(text.contains("url: \"nats://h:4222\"\n") && !text.contains("path: app"), "{text}");
        let env = [("LITESTREAM_REPLICA_URL", "nats://h:4222/b")];
        let config = read("dbs: [{path: app.db}]", &env).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(places(&config), ["nats://h:4222/b"]);
        // So a second database needs a bucket of its own.
        let error = read("dbs: [{path: a.db}, {path: b.db}]", &env).expect_err("they share a bucket");
        assert!(error.to_string().contains("have the same replica, nats://h:4222/b"), "{error}");
    }

    #[test]
    fn wrong_names_and_modes_are_told_at_once() {
        let (message, _) = errors(concat!(
            "litekeeper:\n  replicas:\n    s3: {type: s3, bucket: b, path-mode: middle}\n    gone: {type: s3, bucket: {env: X}}\n",
            "dbs:\n- {path: a.db, replica: s4}\n- {path: b.db, replica: s3}\n- {path: c.db, replica: s3, path-mode: up}\n",
            "- {path: d.db, name: ../../x, replica: s3}\n- {path: e.db, replica: {template: [s3]}}\n",
            "- {path: f.db, replicas: [gone]}\n- {path: g.db, replicas: [gone]}\n",
        ));
        insta::assert_snapshot!(message, @r#"
        l.yml:3: invalid path-mode `middle` configured for the database `b.db`, allowed values: append, replace, preserve
        l.yml:4: `bucket` takes its value from X, which is not set or empty
        l.yml:6: the database `a.db` refers to the replica `s4`, which `litekeeper.replicas` does not define
        l.yml:8: invalid path-mode `up` configured for the database `c.db`, allowed values: append, replace, preserve
        l.yml:9: the database's name `../../x` cannot be a part of a path
        l.yml:10: `template` must be a single text, not a list
        "#);
        let (_, hint) =
            errors("litekeeper: {replicas: {s3: {}, disk: {}}}\ndbs: [{path: a.db, replica: s4}]");
        assert_eq!(hint.as_deref(), Some("there are: s3, disk"));
    }

    #[test]
    fn templates_are_no_bombs() {
        let text = format!(
            "litekeeper: {{replicas: {{s3: {{type: s3, bucket: b, root-cas: [{}]}}}}}}\ndbs:\n{}",
            "x, ".repeat(40_000),
            (0..5000).map(|n| format!("- {{path: {n}.db, replica: s3}}\n")).collect::<String>(),
        );
        let (message, _) = errors(&text);
        assert_eq!(
            message,
            "l.yml:5: the configuration has more than 100000 values, counting each use of an alias or a template"
        );
    }

    #[test]
    fn two_databases_of_one_template_need_two_names() {
        let (message, _) = errors(
            "litekeeper: {replicas: {s3: {type: s3, bucket: b}}}\n\
             dbs:\n- {path: x/app.db, replica: s3}\n- {path: y/app.db, replica: s3}\n",
        );
        assert_eq!(
            message,
            "l.yml:4: the databases `/srv/x/app.db` and `/srv/y/app.db` have the same replica, s3://b/app.db"
        );
    }

    #[test]
    fn a_database_without_a_replica_has_the_environments() {
        let text = "litekeeper: {path-prefix: p, aliases: {main: x/m.db}}\n\
                    dbs:\n- path: main\n- {path: x/b.db, name: b}\n- {path: c.db, replica: {path: /c}, replicas: []}\n";
        assert!(errors(text).0.contains("`/srv/x/m.db` has no replica"));
        let url =
            [("LITESTREAM_REPLICA_URL", "s3://k:hunter2@b/base"), ("LITESTREAM_REPLICA_BUCKET", "other")];
        let config = read(text, &url).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(places(&config), ["s3://b/base/p/m.db", "s3://b/base/p/b", "/c"]);
        assert!(!emit(config.root()).text.contains("hunter2"));
        let bucket = [
            ("LITESTREAM_REPLICA_BUCKET", "b"),
            ("LITESTREAM_REPLICA_PATH", "base/"),
            ("LITESTREAM_REPLICA_REGION", "r"),
        ];
        let config = read(text, &bucket).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(places(&config), ["s3://b/base/p/m.db", "s3://b/base/p/b", "/c"]);
    }

    #[test]
    fn the_databases_may_come_from_elsewhere() {
        let env = [("DATABASE_URL", "sqlite:a.db"), ("LITESTREAM_REPLICA_URL", "s3://b/a")];
        for text in [
            "litekeeper: {path-prefix: p}\n",
            "addr: x\nlitekeeper:\n",
            "# dbs:\n#  - path: /path/to/db\n",
            "",
            "access-key-id: x\n",
            "dbs:\n",
            "dbs: []\n",
        ] {
            let config = read(text, &env).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(places(&config), ["s3://b/a"], "{text}");
        }
        let config =
            read("litekeeper: {resolver: {command: [x]}}", &env).unwrap_or_else(|error| panic!("{error}"));
        assert!(config.databases().is_empty());
        for text in ["addr: x\n", "dbs:\n", "# none\n", ""] {
            assert_eq!(errors(text).0, "l.yml: no database is configured", "{text}");
        }
    }
}
