//! `litekeeper config`: what all settings come to, with no secret among them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::args;
use super::databases;
use super::layers::{Line, SettingOrigin};
use super::policy;
use super::process::{self, variable};
use super::settings::{self, Said};
use crate::config::{self, KEYS, KeeperKey, OFF, SECTION, Setting, Shape, redact};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory;
use crate::litestream::{binary, install};
use crate::os::access::{self, Access};
use crate::os::mount;
use crate::os::user;
use crate::printer;
use crate::secrets;
use crate::yaml::{Node, NodeKind};

/// Shows the settings. Starts nothing, and writes no file.
///
/// # Errors
/// What `run` would say of them.
pub(super) fn config(args: &args::Config, words: &[OsString]) -> Result<ExitCode, Failure> {
    // As in `check`: a look at a folder is no word that what lies there is to be believed.
    databases::refuse_of_another(&settings::source(&args.run), &process::current_dir()?)?;
    let line = Line { words, subcommand: "config", run: &args.run };
    // What only shows the settings shows them all the same.
    let first = settings::First::mount(line).or_else(|_| settings::First::look(line))?;
    let said = settings::read(line, first)?;
    if let Ok(Some(user)) = settings::named_user(&said.layers)
        && user::is_root()
        && !user.is_current()
    {
        databases::refuse_unreadable(&user)?;
    }
    let mut view = View { said: &said, tree: litestreams(&said), origins: BTreeMap::new() };
    redact::redact(&mut view.tree);
    let own = view.own()?;
    view.tree.set(SECTION, own);
    printer::data(&match (args.json, args.origin) {
        (false, false) => config::to_yaml(&view.tree),
        (false, true) => view.leaves().iter().map(Leaf::line).collect(),
        (true, false) => pretty(&json(&view.tree)),
        (true, true) => pretty(&view.leaves().iter().map(Leaf::json).collect()),
    })?;
    Ok(ExitCode::OK)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// What Litestream would get.
fn litestreams(said: &Said) -> Node {
    let args = &said.layers.args;
    let count = said.configured.databases().len();
    let policy = policy::policy(args, policy::stop_timeout(args), count);
    let socket = said.configured.socket().unwrap_or_else(private_socket);
    inventory::tree(&said.configured, &socket, policy::shutdown_sync(&policy))
}

/// Where the control socket would be if nobody chose a place; the number of the process is not known yet.
fn private_socket() -> PathBuf {
    let roots = settings::runtime_roots();
    let is_fit = |root: &&PathBuf| {
        mount::nearest(root).is_some_and(|folder| access::may(&folder, Access::Write, None))
    };
    let root = roots.iter().find(is_fit).or(roots.first()).cloned().unwrap_or_default();
    root.join("run-PID/litestream.sock")
}

/// The settings as a tree, and what is known of where they are from.
struct View<'a> {
    said: &'a Said,
    tree: Node,
    /// By path, for all below it.
    origins: BTreeMap<String, String>,
}

/// A value that holds no other.
struct Leaf<'a> {
    path: String,
    node: &'a Node,
    origin: String,
}

impl Leaf<'_> {
    fn line(&self) -> String {
        let value = config::to_yaml(self.node);
        format!("{}: {}  # {}\n", self.path, value.trim_end(), self.origin)
    }

    fn json(&self) -> Value {
        serde_json::json!({"key": self.path, "value": json(self.node), "origin": self.origin})
    }
}

impl View<'_> {
    /// Litekeeper's own settings.
    fn own(&mut self) -> Result<Node, Failure> {
        let mut own = Node::mapping([]);
        for key in KEYS {
            let Some((value, origin)) = self.setting(key)? else { continue };
            self.origins.extend(origin.map(|origin| (format!("{SECTION}.{}", key.path), origin)));
            match key.path.split_once('.') {
                None => own.set(key.path, value),
                Some((group, name)) => {
                    if own.entry(group).is_none() {
                        own.set(group, Node::mapping([]));
                    }
                    if let Some(group) = own.get_mut(group) {
                        group.set(name, value);
                    }
                }
            }
        }
        Ok(own)
    }

    /// The value of a key and its origin; no origin if its parts have lines of their own.
    fn setting(&self, key: &KeeperKey) -> Result<Option<(Node, Option<String>)>, Failure> {
        let Said { layers, section, configured, cwd, .. } = self.said;
        let file = |setting: &Setting| self.place(setting.line);
        if key.shape == Shape::Variables {
            let variables: Vec<_> = section.variables().iter().map(variable_node).collect();
            let found = section.get(key.path).map(|_| (mapping(variables), None));
            return Ok(found);
        }
        let Some(option) = key.option else {
            let Some(setting) = section.get(key.path) else { return Ok(None) };
            let value = match key.shape {
                Shape::Names | Shape::Replicas | Shape::Mappings => self.written(key.path),
                _ => Some(shaped(key.shape, &setting.values)),
            };
            return Ok(value.map(|value| (value, Some(file(setting)))));
        };
        let texts = layers.texts(option);
        let origin = layers.origin(option).to_string();
        Ok(match option {
            "command" if texts.is_empty() => {
                let exec = configured.exec().map_err(|error| inventory::failure(&error))?;
                let line = configured.root().get("exec").map_or(0, |exec| exec.line);
                exec.map(|words| (shaped(key.shape, &words), Some(self.place(line))))
            }
            "stop-timeout" if texts.is_empty() => {
                let seconds = policy::stop_timeout(&layers.args).as_secs();
                let by = variable("FLY_APP_NAME").map_or("default", |_| "FLY_APP_NAME");
                Some((text(&format!("{seconds}s")), Some(by.to_owned())))
            }
            "litestream-binary" => {
                let named = settings::named_binary(layers).winner(&variable);
                let found = || {
                    let path = binary::in_path(&variable).or_else(|| install::installed(variable));
                    path.map(|path| ("default".to_owned(), path))
                };
                named.or_else(found).map(|(by, path)| (text(&cwd.join(path).to_string_lossy()), Some(by)))
            }
            _ if texts.is_empty() => None,
            _ => Some((shaped(key.shape, texts), Some(origin))),
        })
    }

    /// A part of the section as it stands in the file, but for its secrets.
    fn written(&self, path: &str) -> Option<Node> {
        let section = self.said.configured.root().get(SECTION)?;
        let mut found = section.get(path).or_else(|| section.get(&path.replace('-', "_")))?.clone();
        redact::redact(&mut found);
        Some(found)
    }

    /// A line of the file.
    fn place(&self, line: usize) -> String {
        let file = self.said.configured.origin().file().map(ToOwned::to_owned);
        file.map_or(SettingOrigin::Default, |file| SettingOrigin::File(file, line)).to_string()
    }

    fn leaves(&self) -> Vec<Leaf<'_>> {
        let mut found = Vec::new();
        collect(&self.tree, String::new(), &mut found);
        let leaf = |(path, node): (String, _)| {
            let origin = self.origin(&path, node);
            Leaf { path, node, origin }
        };
        found.into_iter().map(leaf).collect()
    }

    fn origin(&self, path: &str, node: &Node) -> String {
        if let Some(name) = node.variable() {
            return name.to_owned();
        }
        // What is generated may differ all the same: the socket is never switched off.
        let is_it = |one: &&config::Override| {
            one.path.join(".") == path && one.value.as_ref().and_then(Node::as_str) == node.as_str()
        };
        if let Some(one) = self.said.configured.overrides().iter().find(is_it) {
            return one.variable.to_owned();
        }
        let above = |known: &&String| {
            path.strip_prefix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if let Some(known) = self.origins.keys().find(above) {
            return self.origins[known].clone();
        }
        if node.line > 0 {
            let place = self.place(node.line);
            return match self.template(path, node.line) {
                Some(name) => format!("template {name} ({place})"),
                None => place,
            };
        }
        self.made(path).unwrap_or_else(|| SettingOrigin::Default.to_string())
    }

    /// The template that a database's setting on this line belongs to.
    fn template(&self, path: &str, line: usize) -> Option<&str> {
        let templates = self.said.configured.root().get(SECTION)?.get("replicas")?;
        let NodeKind::Mapping(templates) = &templates.kind else { return None };
        let has_line = |node: &Node| {
            let mut parts = Vec::new();
            collect(node, String::new(), &mut parts);
            parts.iter().any(|(_, part)| part.line == line)
        };
        let found = templates.iter().find(|(_, template)| path.starts_with("dbs[") && has_line(template));
        found.and_then(|(name, _)| name.as_str())
    }

    /// What said something that no file says.
    fn made(&self, path: &str) -> Option<String> {
        let (_, setting) = path.strip_prefix("dbs[")?.split_once("].")?;
        let name = setting.rsplit('.').next()?;
        let is_path = setting == "path";
        if *self.said.configured.origin() == config::Origin::CommandLine {
            let by_flag = !self.said.layers.args.db.is_empty();
            return Some(
                match (is_path, by_flag) {
                    (true, true) => "--db",
                    (true, false) => "LITEKEEPER_DB",
                    (false, true) => "--replica",
                    (false, false) => "LITEKEEPER_REPLICA",
                }
                .to_owned(),
            );
        }
        let variables = match (is_path, name) {
            (true, _) => ["DATABASE_URL"].as_slice(),
            (false, "url") => &["LITESTREAM_REPLICA_URL"],
            (false, "bucket") => &["LITESTREAM_REPLICA_BUCKET"],
            (false, "path") => &["LITESTREAM_REPLICA_PATH"],
            (false, "region") => &["LITESTREAM_REPLICA_REGION"],
            (false, "endpoint") => &["LITESTREAM_REPLICA_ENDPOINT"],
            (false, _) => &[],
        };
        variables.iter().find(|name| variable(name).is_some()).map(|name| (*name).to_owned())
    }
}

/// A variable of the app: one that names another one is shown as such.
fn variable_node(variable: &config::AppVariable) -> (String, Node) {
    let value = match &variable.from {
        Some(name) => Node::of_variable(name),
        // Whether it is a secret says only the app: MYSQL_PWD, a URL that anybody may call.
        None if variable.value.is_empty() => Node::text(""),
        None => Node::text(secrets::HIDDEN),
    };
    (variable.name.clone(), Node { line: variable.line, ..value })
}

fn mapping(entries: Vec<(String, Node)>) -> Node {
    let mut node = Node::mapping([]);
    for (name, value) in entries {
        node.set(&name, value);
    }
    node
}

/// Texts as the value of a key of this shape.
fn shaped(shape: Shape, texts: &[String]) -> Node {
    match shape {
        Shape::Command => Node::list(secrets::mask_words(texts).iter().map(|word| text(word)).collect()),
        Shape::Commands => Node::list(texts.iter().map(|line| text(&redacted(line))).collect()),
        Shape::Texts => Node::list(texts.iter().map(|one| text(&secrets::mask_value(one))).collect()),
        Shape::Switch => match texts.first().map(String::as_str) {
            None | Some(OFF) => Node::plain("false"),
            Some(name) => Node::mapping([("env", text(name))]),
        },
        Shape::Text | Shape::Variables | Shape::Names | Shape::Replicas | Shape::Mappings => {
            let value = texts.first().map_or("", String::as_str);
            // A number is one.
            if Node::plain(value).as_u64().is_some() {
                Node::plain(value)
            } else {
                text(&secrets::mask(value))
            }
        }
    }
}

/// A command line without its secrets.
fn redacted(line: &str) -> String {
    let words = shlex::split(line).map(|words| secrets::mask_words(&words));
    let joined = words.and_then(|words| shlex::try_join(words.iter().map(String::as_str)).ok());
    joined.unwrap_or_else(|| secrets::HIDDEN.to_owned())
}

/// A text, without quotes where it looks like nothing else.
fn text(text: &str) -> Node {
    let plain = Node::plain(text);
    let is_other = plain.is_null() || plain.as_bool().is_some() || plain.as_u64().is_some();
    if is_other { Node::text(text) } else { plain }
}

/// All values that hold no other, with their paths: `dbs[0].path`.
fn collect<'a>(node: &'a Node, path: String, found: &mut Vec<(String, &'a Node)>) {
    match &node.kind {
        NodeKind::Mapping(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let key = key.as_str().unwrap_or_default();
                let below = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                collect(value, below, found);
            }
        }
        NodeKind::Sequence(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{path}[{index}]"), found);
            }
        }
        NodeKind::Mapping(_) | NodeKind::Sequence(_) | NodeKind::Scalar(_) => found.push((path, node)),
    }
}

/// The same as data: numbers and truth values as Litestream takes them, all else as it is written.
fn json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Mapping(entries) => {
            let entry =
                |(key, value): &(Node, Node)| (key.as_str().unwrap_or_default().to_owned(), json(value));
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
        NodeKind::Sequence(items) => items.iter().map(json).collect(),
        NodeKind::Scalar(_) => {
            if let Some(name) = node.variable() {
                return format!("${{{name}}}").into();
            }
            if let Some(on) = node.as_bool() {
                return on.into();
            }
            match (node.as_u64(), node.as_str()) {
                (Some(number), _) => number.into(),
                (None, Some(text)) => text.into(),
                (None, None) => Value::Null,
            }
        }
    }
}
