//! A configuration file, from its name to a [`Config`].

use std::io;
use std::path::Path;

use super::env_database;
use super::json::byte_order_mark;
use super::overrides;
use crate::config::error::{Error, Origin, Problem};
use crate::config::model::whole::{Config, has_resolver};
use crate::config::own::keys::SECTION;
use crate::config::values::document::Document;
use crate::config::values::env_replica;
use crate::config::values::expand::expand;
use crate::config::values::options::LoadOptions;
use crate::config::values::traces::{self, Traces};
use crate::config::values::variables::{self, Marked};
use crate::os::open::{file_or_pipe, found};
use crate::yaml::{self, MAX_BYTES, Node, parse};

/// Reads the configuration in the file `path`.
///
/// # Errors
/// Those of [`open`]. When a database or a replica in it is not sound: all of them.
pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Config, Error> {
    of_document(open(path, options)?, options)
}

/// Reads Litestream's half, with what the environment says over it.
///
/// A file that names no database, and no resolver that does, takes them from the environment.
///
/// # Errors
/// Everything that is not sound about its databases and replicas, and about the variables.
pub fn of_document(document: Document, options: &LoadOptions<'_>) -> Result<Config, Error> {
    let (config, result) = sound_of_document(document, options);
    result.map(|()| config)
}

/// Returns the databases of it that are sound, for a look at them; and, as [`of_document`], what is not.
pub fn sound_of_document(mut document: Document, options: &LoadOptions<'_>) -> (Config, Result<(), Error>) {
    let (mut without, mut other) = (None, None);
    if names_none(&document.root) {
        match env_database::replicated(options, prefix(&document.root)) {
            Ok(Some((database, place))) => {
                if document.root.is_null() {
                    document.root = Node::mapping([]);
                }
                document.root.set("dbs", env_replica::entries(vec![(database, place.replica)]));
                other = place.other;
            }
            Ok(None) => without = env_database::half_given(options),
            Err(error) => without = Some(error),
        }
    }
    let overruled = overrides::apply(&mut document.root, options.env);
    let (config, result) =
        Config::read_sound(document.origin, document.root, options, document.unset, document.traces);
    let config = config.with_other(other);
    let (config, overruled) = match overruled {
        Ok(overrides) => (config.with_overrides(overrides), Ok(())),
        Err(error) => (config, Err(error)),
    };
    match without {
        Some(error) => (config, Err(error)),
        None => (config, Error::both(overruled, result).map(|_| ())),
    }
}

/// Says whether nothing in the file says which databases there are: it may have comments only, or keys.
fn names_none(root: &Node) -> bool {
    let dbs = root.get("dbs").and_then(Node::as_list);
    let is_none = root.get("dbs").is_none() || dbs.is_some_and(<[Node]>::is_empty);
    is_none && (root.is_mapping() || root.is_null()) && !has_resolver(root)
}

fn prefix(root: &Node) -> &str {
    let own = root.get(SECTION);
    let prefix = own.and_then(|own| own.get("path-prefix").or_else(|| own.get("path_prefix")));
    prefix.and_then(Node::as_str).unwrap_or_default()
}

/// Opens the configuration in the file `path`.
///
/// # Errors
/// When it cannot be read, is no UTF-8 or no YAML, or passes a limit: the first problem.
pub fn open(path: &Path, options: &LoadOptions<'_>) -> Result<Document, Error> {
    open_read(path, read(path, false), options)
}

/// Returns what is in a configuration's file; a pipe can be read once only. One that was found, and not named, is
/// what nobody else can have written.
///
/// # Errors
/// As [`file_or_pipe`].
pub fn read(path: &Path, is_found: bool) -> io::Result<Vec<u8>> {
    if is_found { found(path, MAX_BYTES) } else { file_or_pipe(path, MAX_BYTES) }
}

/// Does as [`open`] with what [`read`] has said.
///
/// # Errors
/// As [`open`].
pub fn open_read(
    path: &Path,
    read: io::Result<Vec<u8>>,
    options: &LoadOptions<'_>,
) -> Result<Document, Error> {
    let origin = Origin::File(path.to_owned());
    let fail = |line, column, problem| Error::new(origin.clone(), line, column, problem);
    let bytes = read.map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        fail(0, 0, Problem::Unreadable { reason: reason(&error), missing })
    })?;
    if bytes.len() > MAX_BYTES {
        return Err(fail(0, 0, yaml::YamlProblem::TooLarge { limit: MAX_BYTES }.into()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let valid = &bytes[..error.utf8_error().valid_up_to()];
        let how = byte_order_mark(bytes).map(|mark| format!(": it begins with {mark}")).unwrap_or_default();
        fail(valid.iter().filter(|byte| **byte == b'\n').count() + 1, 0, Problem::NotUtf8 { how })
    })?;
    let located = |(line, column, problem): yaml::Located| fail(line, column, problem.into());
    if options.no_expand_env {
        let root = parse(&text).map_err(located)?;
        return Ok(Document { origin, text, root, unset: Vec::new(), traces: Traces::default() });
    }
    let expanded = expand(&text, options.pid, options.env);
    let parsed = parse(&expanded.text);
    let mut root = parsed.map_err(|(line, column, problem)| {
        // What passes a limit takes its time each time that it is read, and no single value is to blame.
        let is_short = expanded.text.len() <= traces::LONGEST_TRIED;
        let names = match is_short && !problem.is_limit() {
            true => traces::culprits(&text, options.pid, options.env),
            false => Vec::new(),
        };
        match names.is_empty() {
            true => fail(line, column, problem.into()),
            // The place in the expanded text is nowhere in the file.
            false => {
                let uses = |line: &str| names.iter().any(|name| line.contains(name.as_str()));
                let line = text.split('\n').position(uses).map_or(line, |index| index + 1);
                fail(line, 0, Problem::Expanded { names, problem: Box::new(problem.into()) })
            }
        }
    })?;
    let marked = Marked::of(&text);
    let traces = marked.as_ref().map(|marked| Traces::of(&root, marked, options.env)).unwrap_or_default();
    if let Some(marked) = &marked {
        variables::keep_secrets(&mut root, marked, options.env);
    }
    Ok(Document { origin, text, root, unset: expanded.unset, traces })
}

/// Returns the operating system's words without Rust's "(os error 2)", in lower case like the rest.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Kind, Series};
    use crate::core::ExitCode;

    fn load_text(text: impl AsRef<[u8]>) -> Result<Config, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("litestream.yml");
        std::fs::write(&path, text).expect("a file");
        let env = |name: &str| (name == "BUCKET").then(|| "from-env".to_owned());
        let options = LoadOptions {
            no_expand_env: false,
            env: &env,
            cwd: Path::new("/srv"),
            home: Some(Path::new("/home/me")),
            pid: 7,
        };
        load(&path, &options)
    }

    /// The messages without the folder of the test.
    fn messages(error: &Error) -> Vec<String> {
        let line = |finding: &crate::config::Finding| {
            let text = finding.to_string();
            text.split_once("litestream.yml")
                .map_or_else(|| text.clone(), |(_, rest)| format!("litestream.yml{rest}"))
        };
        error.findings().iter().map(line).collect()
    }

    #[test]
    fn a_file_becomes_databases() {
        let config = load_text(concat!(
            "region: r\nbucket: ${BUCKET}\n",
            "dbs:\n  - path: app.db\n    replica: {type: s3, path: app}\n",
            "  - path: sqlite://~/b.db\n    meta-path: meta\n    replicas:\n      - path: /backup/b\n",
            "  - dir: tenants\n    pattern: '*.db'\n    replica: {type: s3, path: tenants}\n",
        ))
        .expect("a valid file");
        let [app, other] = config.databases() else { panic!("{config:?}") };
        assert_eq!(app.path, PathBuf::from("/srv/app.db"));
        assert_eq!(app.meta_path, PathBuf::from("/srv/.app.db-litestream"));
        assert_eq!((app.line, app.replicas[0].line), (4, 5));
        assert_eq!(
            (&app.replicas[0].kind, app.replicas[0].display.as_str()),
            (&Kind::S3, "s3://from-env/app")
        );
        assert_eq!(other.path, PathBuf::from("/home/me/b.db"));
        assert_eq!(other.meta_path, PathBuf::from("/srv/meta"));
        assert_eq!(config.directories()[0].dir, PathBuf::from("/srv/tenants"));
        assert_eq!(config.check(Series::V05), Ok(()));
    }

    #[test]
    fn all_findings_come_at_once_with_their_lines() {
        let error = load_text(concat!(
            "dbs:\n- path: a.db\n  replica: {path: /b}\n- path: b.db\n  replica:\n    url: file:///b/\n",
            "- path: ./a.db\n  replica: {path: /c}\n- replica: {path: /d}\n- path: e.db\n-\n- path: file:x.db\n",
            "- {path: f, replica: {url: \"s3://$NOT_SET/x\"}}\n",
        ))
        .expect_err("it loads");
        assert_eq!(
            messages(&error),
            [
                "litestream.yml:4: the databases `/srv/a.db` and `/srv/b.db` have the same replica, /b",
                "litestream.yml:7: the database `/srv/a.db` is configured twice, first on line 2",
                "litestream.yml:9: a database has neither `path` nor `dir`",
                "litestream.yml:10: the database `/srv/e.db` has no replica",
                "litestream.yml:11: an entry of `dbs` must be a mapping",
                "litestream.yml:12: the database path `file:…` is a URL, which Litestream would take for a file name",
                "litestream.yml:13: the variable NOT_SET is not set, or empty: the s3 replica has no `bucket`",
            ]
        );
        assert_eq!(error.exit(), ExitCode::CONFIG);
        let hint = error.hint().expect("a hint");
        assert!(hint.contains("a place of its own") && !hint.contains("NOT_SET"), "said once: {hint}");
    }

    #[test]
    fn what_was_meant_as_a_default_is_not_shown() {
        let error = load_text("dbs: [{path: a, replica: {type: s3, bucket: \"${B:-hunter2}\"}}]")
            .expect_err("it loads");
        let hint = error.hint().expect("a hint");
        assert!(hint.contains("write ${B}, and set B") && !hint.contains("hunter2"), "{hint}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_replica_in_the_place_of_its_database_is_refused() {
        let error = load_text("dbs: [{path: a, replica: {path: ./x/../a}}]").expect_err("it loads");
        assert_eq!(messages(&error), ["litestream.yml:1: the replica of `/srv/a` is the database itself"]);
    }

    #[test]
    fn one_metadata_folder_for_two_databases_is_refused() {
        let error = load_text(
            "dbs: [{path: a, meta-path: m, replica: {path: x}}, {path: b, meta-path: m, replica: {path: y}}]",
        )
        .expect_err("it loads");
        assert_eq!(
            messages(&error),
            ["litestream.yml:1: the databases `/srv/a` and `/srv/b` have the same metadata folder, `/srv/m`"]
        );
    }

    #[test]
    fn no_database_is_an_error_and_an_empty_list_is_none() {
        for text in ["", "addr: ':9090'\n", "dbs:\n"] {
            let error = load_text(text).expect_err("it loads");
            assert!(matches!(error.findings()[0].problem, Problem::NoDatabases), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("--replica")));
        }
        assert!(load_text("dbs: []\n").expect("a valid file").databases().is_empty());
    }

    #[test]
    fn broken_files_are_named_with_their_place() {
        for (text, message) in [
            (&b"dbs: []\n\xff"[..], "litestream.yml:2: the configuration is not UTF-8"),
            (b"- a\n", "litestream.yml:1: a configuration must be a mapping"),
            (b"dbs: {}\n", "litestream.yml:1: `dbs` must be a list of mappings, not a mapping"),
            (b"dbs:\n- path: [a]\n", "litestream.yml:2: `path` must be a single text, not a list"),
            (b"a: 1\nb: \x01\n", "litestream.yml:2:4: control characters are not allowed in YAML"),
        ] {
            assert_eq!(messages(&load_text(text).expect_err("it loads")), [message]);
        }
        let error = load_text("dbs:\n  - path: 'x\n").expect_err("it loads");
        assert!(
            messages(&error)[0].starts_with("litestream.yml:")
                && messages(&error)[0].contains("not valid YAML"),
            "{error}"
        );
        let large = load_text(vec![b'#'; MAX_BYTES + 1]).expect_err("it loads");
        assert_eq!(messages(&large), ["litestream.yml: the configuration is larger than 1048576 bytes"]);
    }

    #[test]
    fn a_missing_file_has_a_hint_and_a_folder_is_none() {
        let options =
            LoadOptions { no_expand_env: true, env: &|_| None, cwd: Path::new("/"), home: None, pid: 1 };
        let error = load(Path::new("/nowhere/litestream.yml"), &options).expect_err("it loads");
        assert_eq!(
            error.to_string(),
            "/nowhere/litestream.yml: the configuration cannot be read: no such file or directory"
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("--config")));
        let error = load(Path::new("/"), &options).expect_err("it loads");
        assert_eq!(error.to_string(), "/: the configuration cannot be read: it is a folder, not a file");
    }

    #[test]
    fn several_replicas_are_for_the_old_series() {
        let config =
            load_text("dbs: [{path: a, replicas: [{path: x}, {path: y, name: z}]}]").expect("a valid file");
        assert_eq!(config.check(Series::V03), Ok(()));
        let error = config.check(Series::V05).expect_err("0.5 takes it");
        assert_eq!(
            messages(&error),
            ["litestream.yml:1: the database `/srv/a` has 2 replicas, but Litestream 0.5 takes one"]
        );
        let twice = load_text(
            "dbs: [{path: a, replicas: [{path: x}, {path: y}]}, {dir: t, pattern: p, replica: {path: z}}]",
        );
        assert_eq!(
            messages(&twice.expect("a valid file").check(Series::V03).expect_err("0.3 takes it")),
            [
                "litestream.yml:1: `dir` is not known to Litestream 0.3",
                "litestream.yml:1: the database `/srv/a` has two replicas of the name `file`",
            ]
        );
    }

    #[test]
    fn debug_and_errors_keep_secrets() {
        let config = load_text(concat!(
            "access-key-id: hunter2\nsecret-access-key: hunter2\nexec: run --password hunter2\n",
            "dbs: [{path: a, replica: {url: 's3://u:hunter2@b/x?k=hunter2', secret-access-key: hunter2}}]",
        ))
        .expect("a valid file");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && shown.contains("s3://b/x"), "{shown}");
        let error = load_text("dbs: [{path: a, replica: {url: 's3://u:hunter2/@b', sas-token: hunter2}}]")
            .expect_err("it loads");
        assert!(!format!("{error} {error:?} {:?}", error.hint()).contains("hunter2"), "{error:?}");
    }
}
