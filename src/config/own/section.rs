//! The `litekeeper` key of a configuration: which keys it has, and what it holds.
//!
//! Litestream ignores what it does not know; here an unknown key is an error, and everything that is
//! wrong is told at once. Whether a text is a duration, a signal or a user is for the command line
//! to say, whose options most keys are; it comes in as [`Accepts`].

use std::fmt;

use super::keys::{KeeperKey, OFF, SECTION, Shape, find, is_group, meant, short, siblings};
use super::vfs::{self, ReadReplica};
use crate::config::error::{Error, Problem};
use crate::config::fault::Fault;
use crate::config::model::exec;
use crate::config::values::document::Document;
use crate::config::values::variables::{self, Reference};
use crate::yaml::{Node, NodeKind};

/// The most bytes of the app's own variables; a process cannot get more than 2 MiB (`execve(2)`).
const MAX_VARIABLES: usize = 1 << 21;

/// Says whether a text is a value of a key; `Err` has the reason why not.
pub type Accepts<'a> = &'a dyn Fn(&'static KeeperKey, &str) -> Result<(), String>;

/// The section as it was written.
#[derive(Clone, Default)]
pub struct KeeperSection {
    settings: Vec<Setting>,
    variables: Vec<AppVariable>,
    replicas: Vec<ReadReplica>,
}

/// A key that was given.
#[derive(Clone)]
pub struct Setting {
    /// Which.
    pub key: &'static KeeperKey,
    /// One text; the words of a command; each text or command line of a list; nothing for mappings.
    pub values: Vec<String>,
    /// The line in the file.
    pub line: usize,
}

/// A variable of the app (`app.env`).
#[derive(Clone)]
pub struct AppVariable {
    /// Its name.
    pub name: String,
    /// Its value, which may be a secret.
    pub value: String,
    /// The variable of the keeper that the value is from, if `{env: NAME}` says so.
    pub from: Option<String>,
    /// The line in the file.
    pub line: usize,
}

impl KeeperSection {
    /// Reads the section of a document; empty if it has none.
    ///
    /// `env` is asked for `{env: NAME}`.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn read(
        document: &Document,
        env: &dyn Fn(&str) -> Option<String>,
        accepts: Accepts<'_>,
    ) -> Result<Self, Error> {
        let mut reader = Reader { section: Self::default(), found: Vec::new(), env, accepts };
        if let Some(node) = document.root.get(SECTION) {
            reader.group("", node);
        }
        Error::of(&document.origin, document.traces.blame(reader.found), &document.unset)?;
        Ok(reader.section)
    }

    /// Returns everything that is given.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Returns one setting, if it is given.
    pub fn get(&self, path: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key.path == path)
    }

    /// Returns the replicas that have a name, to be read.
    pub fn replicas(&self) -> &[ReadReplica] {
        &self.replicas
    }

    /// Returns the variables of the app.
    pub fn variables(&self) -> &[AppVariable] {
        &self.variables
    }
}

/// Without values: a variable of the app may be a secret.
impl fmt::Debug for KeeperSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.settings.iter().map(|setting| setting.key.path)).finish()
    }
}

/// Writes `stop.timeout` as it is told: `litekeeper.stop.timeout`.
fn full(path: &str) -> String {
    format!("{SECTION}.{path}")
}

struct Reader<'a> {
    section: KeeperSection,
    found: Vec<(usize, Problem)>,
    env: &'a dyn Fn(&str) -> Option<String>,
    accepts: Accepts<'a>,
}

impl Reader<'_> {
    fn fault(&mut self, node: &Node, fault: Fault) {
        self.found.push((node.line, Problem::Section(fault)));
    }

    fn wrong_type(&mut self, node: &Node, path: &str, wanted: &'static str) {
        let key = if path.is_empty() { SECTION.to_owned() } else { full(path) };
        self.fault(node, Fault::WrongType { key, wanted });
    }

    /// Reads a mapping of keys; `prefix` is empty or ends with a dot.
    fn group(&mut self, prefix: &str, node: &Node) {
        let NodeKind::Mapping(entries) = &node.kind else {
            return self.wrong_type(node, prefix.trim_end_matches('.'), "a mapping");
        };
        let mut seen: Vec<(String, &str)> = Vec::new();
        for (key, value) in entries {
            let written = key.key();
            let name = written.replace('_', "-");
            let path = format!("{prefix}{name}");
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
                let (first, second) = ((*first).to_owned(), written.to_owned());
                self.fault(key, Fault::KeyTwice { key: full(&path), first, second });
                continue;
            }
            if let Some(known) = find(&path) {
                if !value.is_null() {
                    self.setting(known, value);
                }
            } else if !is_group(&path) {
                let meant = meant(prefix, &name).map(full);
                let known = siblings(prefix).join(", ");
                self.fault(key, Fault::UnknownKey { key: full(&format!("{prefix}{written}")), meant, known });
            } else if value.is_null() {
                // The same as nothing.
            } else if let Some(short) = short(&path).filter(|_| value.as_str().is_some()) {
                self.setting(short, value);
            } else {
                self.group(&format!("{path}."), value);
            }
            seen.push((name, written));
        }
    }

    fn setting(&mut self, key: &'static KeeperKey, node: &Node) {
        let values = match key.shape {
            Shape::Text => match node.as_str() {
                Some(text) => self.accepted(key, node, text),
                None => return self.wrong_type(node, key.path, "a single text"),
            },
            Shape::Texts => match texts(node) {
                Some(texts) => texts.iter().flat_map(|(at, text)| self.accepted(key, at, text)).collect(),
                None => return self.wrong_type(node, key.path, "a list of texts, or one"),
            },
            Shape::Command => match self.words(key, node) {
                Some(words) => words,
                None => return,
            },
            Shape::Commands => {
                let commands = node.as_list().unwrap_or(std::slice::from_ref(node));
                commands.iter().filter_map(|command| self.line(key, command)).collect()
            }
            Shape::Variables => return self.app_env(key, node),
            Shape::Switch => match (node.as_bool(), variables::reference(node)) {
                (Some(true), _) => return,
                (Some(false), _) => vec![OFF.to_owned()],
                (None, Some(reference)) if reference.default.is_none() => {
                    self.accepted(key, node, &reference.name)
                }
                (None, _) => return self.wrong_type(node, key.path, "{env: NAME}, or true or false"),
            },
            Shape::Names => {
                let is_sound = |(_, value): &(Node, Node)| value.as_str().is_some();
                match &node.kind {
                    NodeKind::Mapping(entries) if entries.iter().all(is_sound) => Vec::new(),
                    _ => return self.wrong_type(node, key.path, "a mapping of names to texts"),
                }
            }
            Shape::Replicas => {
                let value = |node: &Node, key: String| match variable(node, self.env) {
                    Ok((text, _)) => Ok(text),
                    Err(wrong) => Err(wrong(key)),
                };
                let mut wrong = Vec::new();
                self.section.replicas = vfs::replicas(&full(key.path), node, &value, &mut wrong);
                self.found.extend(wrong.into_iter().map(|(line, fault)| (line, Problem::Section(fault))));
                Vec::new()
            }
            Shape::Mappings => match &node.kind {
                NodeKind::Mapping(entries) if entries.iter().all(|(_, value)| value.is_mapping()) => {
                    Vec::new()
                }
                _ => return self.wrong_type(node, key.path, "a mapping of names to mappings"),
            },
        };
        self.section.settings.push(Setting { key, values, line: node.line });
    }

    fn accepted(&mut self, key: &'static KeeperKey, node: &Node, text: &str) -> Vec<String> {
        let reason = if text.contains('\0') {
            Some(Fault::Nul { key: full(key.path) })
        } else {
            (self.accepts)(key, text).err().map(|reason| Fault::WrongValue {
                key: full(key.path),
                value: text.to_owned(),
                reason,
            })
        };
        match reason {
            Some(fault) => {
                self.fault(node, fault);
                Vec::new()
            }
            None => vec![text.to_owned()],
        }
    }

    /// Returns the words of a command.
    fn words(&mut self, key: &KeeperKey, node: &Node) -> Option<Vec<String>> {
        let name = || full(key.path);
        let words = match (node.as_str(), texts(node)) {
            (Some(line), _) => exec::split_command(line).map_err(|problem| match problem {
                Problem::ExecNeedsShell { what } => Fault::NeedsShell { key: name(), what },
                _ => Fault::Unfinished { key: name() },
            }),
            (None, Some(words)) => Ok(words.into_iter().map(|(_, word)| word.to_owned()).collect()),
            (None, None) => {
                Err(Fault::WrongType { key: name(), wanted: "a command: a line, or a list of words" })
            }
        };
        let words = words.and_then(|words: Vec<String>| {
            if words.first().is_none_or(String::is_empty) {
                Err(Fault::EmptyCommand { key: name() })
            } else if words.iter().any(|word| word.contains('\0')) {
                Err(Fault::Nul { key: name() })
            } else {
                Ok(words)
            }
        });
        words.map_err(|fault| self.fault(node, fault)).ok()
    }

    /// Writes a command as the line that `--before` takes.
    fn line(&mut self, key: &KeeperKey, node: &Node) -> Option<String> {
        let words = self.words(key, node)?;
        // Only a NUL cannot be quoted, and there is none.
        shlex::try_join(words.iter().map(String::as_str)).ok()
    }

    fn app_env(&mut self, key: &'static KeeperKey, node: &Node) {
        let NodeKind::Mapping(entries) = &node.kind else {
            return self.wrong_type(node, key.path, "a mapping of names to texts");
        };
        let mut left = MAX_VARIABLES;
        for (name, value) in entries {
            let name_text = name.key();
            let path = format!("{}.{name_text}", full(key.path));
            if name_text.is_empty() || name_text.contains(['=', '\0']) {
                self.fault(name, Fault::VariableName { name: name_text.escape_debug().to_string() });
                continue;
            }
            match variable(value, self.env) {
                Err(wrong) => self.fault(value, wrong(path)),
                // The variables of other processes may be long, and each be named often.
                Ok((text, _)) if text.len() > left => {
                    return self.fault(value, Fault::TooLong { key: full(key.path), limit: MAX_VARIABLES });
                }
                Ok((text, _)) if text.contains('\0') => self.fault(value, Fault::Nul { key: path }),
                Ok((text, from)) => {
                    left -= text.len();
                    self.section.variables.push(AppVariable {
                        name: name_text.to_owned(),
                        value: text,
                        from,
                        line: name.line,
                    });
                }
            }
        }
        self.section.settings.push(Setting { key, values: Vec::new(), line: node.line });
    }
}

type MakeFault = Box<dyn FnOnce(String) -> Fault>;

/// Returns the value of a variable, and where it is from if that is another variable.
fn variable(
    node: &Node,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, Option<String>), MakeFault> {
    if node.is_null() {
        return Ok((String::new(), None));
    }
    if let Some(text) = node.as_str() {
        return Ok((text.to_owned(), None));
    }
    if let Some(path) = variables::file_reference(node) {
        return match variables::read_file(&path) {
            Ok(text) => Ok((text, Some(path))),
            Err(reason) => Err(Box::new(move |key| Fault::NoFile { key, path, reason })),
        };
    }
    let Some(Reference { name: variable, default }) =
        variables::reference(node).filter(|found| !found.name.is_empty())
    else {
        let wanted = "a text, {env: NAME} or {file: PATH}";
        return Err(Box::new(move |key| Fault::WrongType { key, wanted }));
    };
    match (env(&variable), default) {
        (Some(text), _) if !text.is_empty() => Ok((text, Some(variable))),
        (_, Some(default)) => Ok((default, None)),
        (found, None) => {
            let empty = found.is_some();
            Err(Box::new(move |key| Fault::NoVariable { key, variable, empty }))
        }
    }
}

/// Returns the texts of a list, or the only one.
fn texts(node: &Node) -> Option<Vec<(&Node, &str)>> {
    let items = node.as_list().unwrap_or(std::slice::from_ref(node));
    items.iter().map(|item| Some((item, item.as_str()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::error::Origin;
    use crate::yaml::parse;

    fn read(text: &str) -> Result<KeeperSection, Error> {
        let root = parse(text).expect("valid YAML");
        let document = Document {
            origin: Origin::File("l.yml".into()),
            text: String::new(),
            root,
            unset: Vec::new(),
            traces: Default::default(),
        };
        let env = |name: &str| match name {
            "SET" => Some("hunter2".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let accepts = |key: &'static KeeperKey, text: &str| {
            if text == "wrong" { Err(format!("{} does not take it", key.path)) } else { Ok(()) }
        };
        KeeperSection::read(&document, &env, &accepts)
    }

    fn values(text: &str) -> Vec<(&'static str, Vec<String>)> {
        let section = read(text).unwrap_or_else(|error| panic!("{error}"));
        section.settings().iter().map(|setting| (setting.key.path, setting.values.clone())).collect()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_spellings_and_the_short_forms_are_the_same() {
        for text in ["restore: {if_behind: ignore}", "restore: {if-behind: ignore}"] {
            assert_eq!(
                values(&format!("litekeeper: {{{text}}}")),
                [("restore.if-behind", words(&["ignore"]))]
            );
        }
        assert_eq!(
            values(
                "litekeeper: {restart: never, gate: {until: none}, stop: {timeout: 010}, before: , app: ~}"
            ),
            [
                ("restart.when", words(&["never"])),
                ("gate.until", words(&["none"])),
                ("stop.timeout", words(&["010"]))
            ]
        );
        assert!(values("dbs: []").is_empty() && values("litekeeper:").is_empty());
    }

    #[test]
    fn commands_are_lists_or_lines() {
        assert_eq!(
            values(
                "litekeeper: {app: {command: \"a 'b c' d\\\\ e # no\"}, before: [a, [b, c d], 'e \"f g\"']}"
            ),
            [("app.command", words(&["a", "b c", "d e"])), ("before", words(&["a", "b 'c d'", "e 'f g'"])),]
        );
        assert_eq!(
            values("litekeeper: {before: bin/migrate now}"),
            [("before", words(&["bin/migrate now"]))]
        );
        assert_eq!(
            values("litekeeper: {app: {command: [sh, -c, 'a && b', 5]}}"),
            [("app.command", words(&["sh", "-c", "a && b", "5"]))]
        );
    }

    #[test]
    fn a_variable_may_be_another_ones_value() {
        let section = read("litekeeper: {app: {env: {A: 1, B: {env: SET}, C: , D: yes}}}").expect("valid");
        let found: Vec<_> = section
            .variables()
            .iter()
            .map(|v| (v.name.as_str(), v.value.as_str(), v.from.as_deref()))
            .collect();
        assert_eq!(
            found,
            [("A", "1", None), ("B", "hunter2", Some("SET")), ("C", "", None), ("D", "yes", None)]
        );
        assert!(!format!("{section:?}").contains("hunter2"));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let text = "\
litekeeper:
  stpo: {}
  stop: {timeuot: 1s, signal: [a], timeout: wrong}
  stop-timeout: 1s
  start-limit: 1
  command: x
  timeout: 1s
  watch: 60s
  app:
    cdw: /
    env: {A: {env: UNSET}, B: {env: EMPTY}, 'C=': x, D: [x], E: {enc: x}, F: \"\\0\"}
    env-file: [{}]
    command: a && b
  before: ['x \"', [], '', [\"a\\0\"]]
  replicas: {a: x}
  aliases: [a]
  if_behind: x
  path-prefix: x
  path_prefix: y
";
        let error = read(text).expect_err("it is wrong");
        insta::assert_snapshot!(error, @r#"
        l.yml:2: unknown key `litekeeper.stpo`; did you mean `litekeeper.stop`?
        l.yml:3: unknown key `litekeeper.stop.timeuot`; did you mean `litekeeper.stop.timeout`?
        l.yml:3: `litekeeper.stop.signal` must be a single text
        l.yml:3: `litekeeper.stop.timeout: wrong`: stop.timeout does not take it
        l.yml:4: unknown key `litekeeper.stop-timeout`; did you mean `litekeeper.stop.timeout`?
        l.yml:5: unknown key `litekeeper.start-limit`; did you mean `litekeeper.restart.limit`?
        l.yml:6: unknown key `litekeeper.command`; did you mean `litekeeper.app.command`?
        l.yml:7: unknown key `litekeeper.timeout`
        l.yml:8: `litekeeper.watch` must be a mapping
        l.yml:10: unknown key `litekeeper.app.cdw`; did you mean `litekeeper.app.cwd`?
        l.yml:11: `litekeeper.app.env.A` is the value of UNSET, which is not set
        l.yml:11: `litekeeper.app.env.B` is the value of EMPTY, which is empty
        l.yml:11: `C=` in `litekeeper.app.env` cannot be the name of a variable
        l.yml:11: `litekeeper.app.env.D` must be a text, {env: NAME} or {file: PATH}
        l.yml:11: `litekeeper.app.env.E` must be a text, {env: NAME} or {file: PATH}
        l.yml:11: `litekeeper.app.env.F` holds a NUL character
        l.yml:12: `litekeeper.app.env-file` must be a list of texts, or one
        l.yml:13: `litekeeper.app.command` has a `&`, which only a shell understands
        l.yml:14: `litekeeper.before` ends inside of quotes or after a backslash
        l.yml:14: `litekeeper.before` is an empty command
        l.yml:14: `litekeeper.before` is an empty command
        l.yml:14: `litekeeper.before` holds a NUL character
        l.yml:15: `litekeeper.replicas` must be a mapping of names to mappings
        l.yml:16: `litekeeper.aliases` must be a mapping of names to texts
        l.yml:17: unknown key `litekeeper.if_behind`; did you mean `litekeeper.restore.if-behind`?
        l.yml:19: `litekeeper.path-prefix` is there twice, as `path-prefix` and as `path_prefix`
        "#);
        insta::assert_snapshot!(error.hint().unwrap_or_default(), @r#"known here: app, before, enabled, on-lock, restart, restore, lease, gate, watch, stop, log, litestream, http, vfs, aliases, path-prefix, replicas, resolver"#);
    }
}
