//! Values that come from the environment and stay there: the generated file names a variable instead.
//!
//! Two ways lead here. `{env: NAME}` stands for the value of any setting, and NAME must have one. And a
//! secret that is written as `$NAME` in the file, as Litestream knows it: by the time the file is a tree,
//! the variable is expanded. So the text is expanded once more, with marks in place of the values, and
//! the two trees are compared.

use std::cell::RefCell;

use super::expand::expand;
use super::options::Env;
use super::unread::unread;
use crate::config::error::Problem;
use crate::config::schema::{self, Secrecy};
use crate::os::open;
use crate::yaml::{Budget, Node, NodeKind, Resolved, Variable, parse};

/// What encloses a variable's number in the text with marks: characters for private use, which are plain
/// text anywhere in YAML.
const MARK: [char; 2] = ['\u{e000}', '\u{e001}'];

/// Notes in `root`, whose text with marks is `marked`, which secrets came from variables.
///
/// Where the shape of the tree depends on a variable's value, the value stays as it is.
pub(in crate::config) fn keep_secrets(root: &mut Node, marked: &Marked, env: Env<'_>) {
    compare(root, &marked.root, false, &marked.names, env);
}

/// The tree of a text whose variables are marks.
pub(in crate::config) struct Marked {
    pub root: Node,
    /// The variable of each mark, by its number.
    pub names: Vec<String>,
}

impl Marked {
    /// Parses a text with marks. None if there is no variable in it, or if the text is not even then YAML.
    pub fn of(text: &str) -> Option<Self> {
        if text.contains(MARK) {
            return None;
        }
        let names = RefCell::new(Vec::new());
        let mark = |name: &str| {
            let mut names = names.borrow_mut();
            names.push(name.to_owned());
            Some(format!("{}{}{}", MARK[0], names.len() - 1, MARK[1]))
        };
        // The number of a process is no secret.
        let marked = expand(text, 0, &mark).text;
        let names = names.take();
        let root = if names.is_empty() { None } else { parse(&marked).ok() }?;
        Some(Self { root, names })
    }

    /// Returns the variables that a text of it is made of, each once.
    pub fn names_in(text: &str, names: &[String]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for part in text.split(MARK[0]).skip(1) {
            let number = part.split(MARK[1]).next().and_then(|number| number.parse::<usize>().ok());
            if let Some(name) = number.and_then(|number| names.get(number))
                && !found.contains(name)
            {
                found.push(name.clone());
            }
        }
        found
    }

    /// Returns the first variable without a value that is a part of a path by itself, or all of a name but its
    /// ending: without it the path is another one.
    pub fn gap_in<'a>(text: &str, names: &'a [String], is_empty: impl Fn(&str) -> bool) -> Option<&'a str> {
        text.split('/').find_map(|part| {
            let inside = part.strip_prefix(MARK[0])?;
            let (number, rest) = inside.split_once(MARK[1])?;
            let name = number.parse::<usize>().ok().and_then(|number| names.get(number))?;
            let is_whole = rest.is_empty() || rest.starts_with('.');
            (is_whole && is_empty(name)).then_some(name.as_str())
        })
    }
}

fn compare(node: &mut Node, marked: &Node, secret: bool, names: &[String], env: Env<'_>) {
    if secret && !node.is_null() {
        keep(node, marked, names, env);
    }
    match (&mut node.kind, &marked.kind) {
        (NodeKind::Mapping(entries), NodeKind::Mapping(_)) => {
            for (key, value) in entries {
                let secret = secret || schema::secrecy(key.key()) != Secrecy::Open;
                if let Some(marked) = marked.entry(key.key()) {
                    compare(value, marked, secret, names, env);
                }
            }
        }
        (NodeKind::Sequence(items), NodeKind::Sequence(marked)) if items.len() == marked.len() => {
            for (item, marked) in items.iter_mut().zip(marked) {
                compare(item, marked, secret, names, env);
            }
        }
        (NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_), _) => {}
    }
}

/// Notes of all secrets below `node` that they are to be in no file: where they are from is not known.
pub(in crate::config) fn keep_all(node: &mut Node) {
    keep_below(node, Secrecy::Open);
}

fn keep_below(node: &mut Node, secrecy: Secrecy) {
    match &mut node.kind {
        NodeKind::Scalar(scalar) => {
            let may_be_secret = match secrecy {
                Secrecy::Open => false,
                Secrecy::Address => scalar.text.contains(['@', '?']),
                Secrecy::Secret => !scalar.is_null(),
            };
            if may_be_secret && !scalar.text.is_empty() {
                scalar.variable = Some(Variable::Own);
                scalar.plain = false;
            }
        }
        NodeKind::Sequence(items) => items.iter_mut().for_each(|item| keep_below(item, secrecy)),
        NodeKind::Mapping(entries) => {
            let own = |key: &Node| schema::secrecy(key.key());
            for (key, value) in entries {
                let below = if secrecy == Secrecy::Secret { secrecy } else { own(key) };
                keep_below(value, below);
            }
        }
    }
}

fn keep(node: &mut Node, marked: &Node, names: &[String], env: Env<'_>) {
    let (NodeKind::Scalar(scalar), NodeKind::Scalar(marked)) = (&mut node.kind, &marked.kind) else { return };
    if scalar.text.is_empty() || !marked.text.contains(MARK[0]) {
        return;
    }
    let number = marked.text.strip_prefix(MARK[0]).and_then(|rest| rest.strip_suffix(MARK[1]));
    let name = number.and_then(|number| names.get(number.parse::<usize>().ok()?));
    scalar.variable = Some(match name {
        Some(name) if env(name).as_deref() == Some(scalar.text.as_str()) => Variable::Named(name.clone()),
        Some(_) | None => Variable::Own,
    });
    // Every secret is a text to Litestream, whatever it looks like.
    scalar.plain = false;
}

/// Puts the values in place of `{env: NAME}` and `{env: NAME, default: TEXT}` below `node`, whose key is `key`, and if
/// its writer `may_read` files those of `{file: PATH}`.
///
/// What has no value is added to `missing`, with its line.
pub(in crate::config) fn fill_in(
    node: &mut Node,
    key: &str,
    env: Env<'_>,
    may_read: bool,
    budget: &Budget,
    missing: &mut Vec<(usize, Problem)>,
) {
    let place = (node.line, node.column);
    if let Some(path) = file_reference(node) {
        let read = if may_read { read_file(&path) } else { Err("no source may name".to_owned()) };
        match read {
            Ok(value) if budget.take_text(node.line, value.len()) => {
                *node = filled(key, None, value);
                (node.line, node.column) = place;
            }
            Ok(_) => {}
            Err(reason) => missing.push((node.line, Problem::NoFile { key: key.to_owned(), path, reason })),
        }
        return;
    }
    if let Some(Reference { name, default }) = reference(node) {
        match (env(&name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => {
                // A command is split, and its quotes are taken away.
                let wrong = unread(&name, &value, false).filter(|_| key != "exec");
                if let Some(wrong) = wrong {
                    missing.push((place.0, Problem::Given(wrong)));
                }
                if budget.take_text(node.line, value.len()) {
                    *node = filled(key, Some(name), value);
                }
            }
            (None, Some(default)) => *node = written(key, default),
            (None, None) => missing.push((node.line, Problem::NoVariable { key: key.to_owned(), name })),
        }
        (node.line, node.column) = place;
        return;
    }
    match &mut node.kind {
        NodeKind::Scalar(_) => {}
        NodeKind::Sequence(items) => {
            items.iter_mut().for_each(|item| fill_in(item, key, env, may_read, budget, missing));
        }
        NodeKind::Mapping(entries) => {
            for (key, value) in entries {
                fill_in(value, key.key(), env, may_read, budget, missing);
            }
        }
    }
}

/// `{env: NAME}`, or `{env: NAME, default: TEXT}`.
pub(in crate::config) struct Reference {
    /// The variable.
    pub(in crate::config) name: String,
    /// What stands in its place where it is not set or empty.
    pub(in crate::config) default: Option<String>,
}

/// Returns what a node of this form says.
pub(in crate::config) fn reference(node: &Node) -> Option<Reference> {
    let NodeKind::Mapping(entries) = &node.kind else { return None };
    let name = node.get("env")?.as_str()?.to_owned();
    match entries.as_slice() {
        [_] => Some(Reference { name, default: None }),
        [_, _] => Some(Reference { name, default: Some(node.get("default")?.as_str()?.to_owned()) }),
        _ => None,
    }
}

/// Returns PATH of `{file: PATH}`.
pub(in crate::config) fn file_reference(node: &Node) -> Option<String> {
    match &node.kind {
        NodeKind::Mapping(entries) if entries.len() == 1 => node.get("file")?.as_str().map(str::to_owned),
        NodeKind::Mapping(_) | NodeKind::Scalar(_) | NodeKind::Sequence(_) => None,
    }
}

/// The longest value in a file of its own, in bytes.
const LONGEST: usize = 64 << 10;

/// Says what is in a file that holds one value, as Docker and Kubernetes mount secrets: all of it but the ends of
/// lines that it ends with.
///
/// # Errors
/// A fragment that says why there is no value.
pub fn read_file(path: &str) -> Result<String, String> {
    let bytes = open::value(std::path::Path::new(path), LONGEST)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > LONGEST {
        return Err(format!("is larger than {LONGEST} bytes"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    match text.as_str() {
        "" => Err("is empty".to_owned()),
        text if text.contains('\0') => Err("has a NUL character in it".to_owned()),
        _ => Ok(text),
    }
}

/// Returns what came from a variable, or from a file, whose text is to be in no other.
fn filled(key: &str, name: Option<String>, value: String) -> Node {
    let mut node = written(key, value);
    if let NodeKind::Scalar(scalar) = &mut node.kind {
        scalar.variable = Some(name.map_or(Variable::Own, Variable::Named));
    }
    node
}

/// Returns what stands in the configuration itself.
fn written(key: &str, value: String) -> Node {
    let mut node = Node::plain(value);
    if let NodeKind::Scalar(scalar) = &mut node.kind {
        // Numbers and truth values must not be in quotes, and texts that look like them must.
        scalar.plain = !schema::is_text(key) && !matches!(scalar.resolve(), Resolved::Text | Resolved::Null);
    }
    node
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::emit;

    fn env(name: &str) -> Option<String> {
        match name {
            "KEY" => Some("key".into()),
            "ODD" => Some("it's \"odd\" \\ $KEY ${KEY} # é\n".into()),
            "NUMBER" => Some("0123".into()),
            "YES" => Some("yes".into()),
            "EMPTY" => Some(String::new()),
            "COMMENTED" => Some("key # no".into()),
            "FORCED" => Some("a, password: b".into()),
            _ => None,
        }
    }

    fn kept(text: &str) -> (String, Vec<(String, String)>) {
        let mut root = parse(&expand(text, 7, &env).text).expect("valid YAML");
        if let Some(marked) = Marked::of(text) {
            keep_secrets(&mut root, &marked, &env);
        }
        let emitted = emit(&root);
        (emitted.text, emitted.env)
    }

    #[test]
    fn a_secret_stays_in_its_variable() {
        let (text, own) = kept(concat!(
            "access-key-id: $KEY\nsecret_access_key: ${KEY}\nregion: $KEY\naddr: $KEY\n",
            "dbs: [{path: a, replica: {password: \"$KEY\", token: '${NUMBER}', url: \"s3://$KEY:x@b/p\"}}]\n",
            "age: {identities: [ \"$KEY\", b ]}\nsas-token: $EMPTY\naccount-key: $UNSET\nseed: written $$ out\n",
        ));
        insta::assert_snapshot!(text, @r#"
        access-key-id: "${KEY}"
        secret_access_key: "${KEY}"
        region: key
        addr: key
        dbs:
          - path: a
            replica:
              password: "${KEY}"
              token: "${NUMBER}"
              url: "${LITEKEEPER_VALUE_1}"
        age:
          identities:
            - "${KEY}"
            - b
        sas-token:
        account-key:
        seed: "${LITEKEEPER_VALUE_2}"
        "#);
        assert_eq!(
            own,
            [
                ("LITEKEEPER_VALUE_1".to_owned(), "s3://key:x@b/p".to_owned()),
                ("LITEKEEPER_VALUE_2".to_owned(), "written  out".to_owned()),
            ]
        );
    }

    #[test]
    fn what_a_value_does_to_the_file_is_done() {
        let (text, own) = kept("jwt: $COMMENTED\nnkey: \"$PID\"\ndbs: [{token: $FORCED}]\n");
        insta::assert_snapshot!(text, @r#"
        jwt: "${LITEKEEPER_VALUE_1}"
        nkey: "7"
        dbs:
          - token: "${LITEKEEPER_VALUE_2}"
            password: b
        "#);
        assert_eq!(own.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["key", "a"]);
    }

    fn filled(text: &str) -> (String, Vec<(String, String)>, Vec<String>) {
        let mut root = parse(text).expect("valid YAML");
        let mut missing = Vec::new();
        fill_in(&mut root, "", &env, true, &Budget::default(), &mut missing);
        let emitted = emit(&root);
        let missing = missing.iter().map(|(line, problem)| format!("{line}: {problem}")).collect();
        (emitted.text, emitted.env, missing)
    }

    #[test]
    fn a_reference_becomes_the_variable() {
        let (text, own, missing) = filled(concat!(
            "bucket: {env: KEY}\nforce-path-style: {env: YES}\nregion: {env: YES}\nconcurrency: {env: NUMBER}\n",
            "sync-interval: {env: KEY}\nfuture: {env: NUMBER}\nroot-cas: [{env: KEY}, {env: ODD}]\nsocket: {env: KEY, x: y}\n",
        ));
        insta::assert_snapshot!(text, @r#"
        bucket: "${KEY}"
        force-path-style: ${YES}
        region: "${YES}"
        concurrency: ${NUMBER}
        sync-interval: "${KEY}"
        future: ${NUMBER}
        root-cas:
          - "${KEY}"
          - "${LITEKEEPER_VALUE_1}"
        socket:
          env: KEY
          x: y
        "#);
        assert_eq!(own[0].1, r#"it's \"odd\" \\ $KEY ${KEY} # é\n"#);
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_variable_without_a_value_is_named() {
        let (_, _, missing) = filled("password: {env: NOWHERE}\nlist:\n- {env: EMPTY}\n- {env: }\n");
        assert_eq!(
            missing,
            [
                "1: `password` takes its value from NOWHERE, which is not set or empty",
                "3: `list` takes its value from EMPTY, which is not set or empty",
            ]
        );
    }

    /// The tree as Litestream gets it: what is emitted, expanded in its environment, and read.
    fn as_litestream_reads(root: &Node, env: Env<'_>) -> Node {
        let emitted = emit(root);
        let all = |name: &str| {
            let own = emitted.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| env(name))
        };
        let expanded = expand(&emitted.text, 1, &all).text;
        parse(&expanded).unwrap_or_else(|(line, column, problem)| {
            panic!("{line}:{column}: {problem}\n{}\n{expanded}", emitted.text)
        })
    }

    /// All texts and numbers, without places and ways of writing; what is a text to Litestream is one here.
    fn meaning(node: &Node) -> String {
        match &node.kind {
            NodeKind::Scalar(_) => format!("{:?}", node.as_str()),
            NodeKind::Sequence(items) => format!("{:?}", items.iter().map(meaning).collect::<Vec<_>>()),
            NodeKind::Mapping(entries) => {
                let entries = entries.iter().map(|(key, value)| (meaning(key), meaning(value)));
                format!("{:?}", entries.collect::<Vec<_>>())
            }
        }
    }

    proptest! {
        #[test]
        fn any_value_arrives_and_is_in_no_file(value in "[^\0]{1,24}") {
            let env = |name: &str| (name == "V").then(|| value.clone());
            let mut root = parse("password: {env: V}\nlist: [{env: V}]\nother: $V\n").expect("valid YAML");
            fill_in(&mut root, "", &env, true, &Budget::default(), &mut Vec::new());
            let read = as_litestream_reads(&root, &env);
            prop_assert_eq!(read.get("password").and_then(Node::as_str), Some(value.as_str()));
            prop_assert_eq!(read.get("other").and_then(Node::as_str), Some("$V"));
            if value.chars().filter(|c| c.is_alphanumeric()).count() > 9 {
                prop_assert!(!emit(&root).text.contains(value.trim()));
            }
        }

        #[test]
        fn keeping_secrets_changes_no_meaning(
            value in "[^\0]{0,24}",
            text in prop::sample::select(vec![
                "password: $V\nuser: $V\n",
                "password: \"$V\"\nuser: a\n",
                "password: '${V}'\n",
                "dbs: [{replica: {token: $V, seed: x$V}}]\n",
                "password: |\n  $V\nuser: b\n",
                "password: a $V b\n$V: x\n",
                "jwt: &a $V\nnkey: *a\n",
                "age: {identities: [$V, b]}\n",
            ]),
        ) {
            let env = |name: &str| (name == "V").then(|| value.clone());
            let Ok(plain) = parse(&expand(text, 1, &env).text) else { return Ok(()) };
            let mut kept = plain.clone();
            if let Some(marked) = Marked::of(text) {
                keep_secrets(&mut kept, &marked, &env);
            }
            prop_assert_eq!(meaning(&as_litestream_reads(&kept, &env)), meaning(&plain));
        }
    }
}
