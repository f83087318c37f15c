//! What holds of every text that is read as a configuration, however broken: load, lint, generate.
//!
//! Used by the fuzz target and, over the fixtures and their mutants, by the suite.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use litekeeper::config::{self, Config, Document, Error, GenerateOptions, LoadOptions, Series, lint, schema};
use litekeeper::yaml::{Node, NodeKind};

/// A value that stands nowhere but where a text puts the variable `SECRET`.
const SECRET: &str = "hunter2\"'\\$PID #: hunter2";

fn env(name: &str) -> Option<String> {
    let value = match name {
        "SECRET" | "LITESTREAM_SECRET_ACCESS_KEY" => SECRET,
        "DATA" => "/data",
        "BUCKET" | "LITESTREAM_REPLICA_BUCKET" => "backups",
        "KEY" | "LITESTREAM_ACCESS_KEY_ID" => "key",
        "EMPTY" => "",
        "LINES" => "a\n    replicas: [{path: /b}]",
        _ => return None,
    };
    Some(value.to_owned())
}

/// Reads `bytes` as a configuration and panics if an invariant does not hold.
///
/// `scratch` is a file that is overwritten.
pub fn check(bytes: &[u8], scratch: &Path) {
    for no_expand_env in [false, true] {
        let options = LoadOptions {
            no_expand_env,
            env: &env,
            cwd: Path::new("/srv"),
            home: Some(Path::new("/home/me")),
            pid: 7,
        };
        write(scratch, bytes);
        let document = match config::open(scratch, &options) {
            Ok(document) => document,
            Err(error) => {
                let _ = (format!("{error} {error:?} {:?}", error.hint()), lint::of_error(&error));
                continue;
            }
        };
        check_document(document, scratch, &options);
    }
}

fn check_document(document: Document, scratch: &Path, options: &LoadOptions<'_>) {
    let is_kept = only_secrets_hold_it(&document.root, false);
    let mut said = format!("{:?}", document.root);
    for series in [None, Some(Series::V03), Some(Series::V05)] {
        for lint in lint::lint(&document, options, series, &[]) {
            said += &format!("{lint:?}");
        }
    }
    let note = |said: &mut String, error: &Error| *said += &format!("{error} {error:?} {:?}", error.hint());
    match config::of_document(document, options) {
        Err(error) => note(&mut said, &error),
        Ok(config) => {
            said += &format!("{config:?}");
            config.exec().err().iter().for_each(|error| note(&mut said, error));
            for series in [Series::V03, Series::V05] {
                config.check(series).err().iter().for_each(|error| note(&mut said, error));
                check_generated(&config, series, scratch, options);
            }
        }
    }
    assert!(!is_kept || !said.contains("hunter2"), "a secret is told: {said}");
}

/// The generated file is read as the same configuration, and once more the same is generated.
fn check_generated(config: &Config, series: Series, scratch: &Path, options: &LoadOptions<'_>) {
    let wanted = GenerateOptions {
        socket: PathBuf::from("/run/a \"b\"/litestream.sock"),
        shutdown_sync_timeout: Duration::from_millis(4500),
        series,
    };
    let first = config.generate(&wanted);
    let own = |name: &str| {
        let known = first.env.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.clone()).or_else(|| (options.env)(name))
    };
    write(scratch, first.text.as_bytes());
    let options = LoadOptions { no_expand_env: false, env: &own, cwd: Path::new("/elsewhere"), ..*options };
    let again = config::load(scratch, &options)
        .unwrap_or_else(|error| panic!("{error}\n{}\nfrom {}", first.text, shape(config.root())));
    let places = |config: &Config| {
        let databases = config.databases().iter().map(|database| {
            let replicas: Vec<_> =
                database.replicas.iter().map(|r| (r.kind.clone(), r.location.clone())).collect();
            (database.path.clone(), database.meta_path.clone(), replicas)
        });
        let directories = config.directories().iter().map(|d| (d.dir.clone(), d.replicas.len()));
        (databases.collect::<Vec<_>>(), directories.collect::<Vec<_>>())
    };
    assert_eq!(places(&again), places(config), "{}", first.text);
    let second = again.generate(&wanted);
    assert_eq!(
        shape(again.root()),
        shape(&reread(&second.text, scratch, &second.env, &options)),
        "{}",
        first.text
    );
    assert_eq!(again.exec(), Ok(None), "{}", first.text);
}

fn reread(text: &str, scratch: &Path, env: &[(String, String)], options: &LoadOptions<'_>) -> Node {
    let own = |name: &str| {
        let known = env.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.clone()).or_else(|| (options.env)(name))
    };
    write(scratch, text.as_bytes());
    let options = LoadOptions { env: &own, ..*options };
    config::load(scratch, &options).unwrap_or_else(|error| panic!("{error}\n{text}")).root().clone()
}

/// The tree as text, without places.
fn shape(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar(scalar) => {
            format!("{:?}:{:?}", scalar.text, (node.as_bool(), node.as_u64(), node.is_null()))
        }
        NodeKind::Sequence(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
        NodeKind::Mapping(entries) => {
            let entry = |(key, value): &(Node, Node)| format!("{}: {}", shape(key), shape(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
        }
    }
}

/// Whether the secret is in no value but those that are secret by their key.
fn only_secrets_hold_it(node: &Node, is_secret: bool) -> bool {
    match &node.kind {
        NodeKind::Scalar(scalar) => is_secret || !scalar.text.contains("hunter2"),
        NodeKind::Sequence(items) => items.iter().all(|item| only_secrets_hold_it(item, is_secret)),
        NodeKind::Mapping(entries) => entries.iter().all(|(key, value)| {
            let name = key.as_str().unwrap_or_default();
            only_secrets_hold_it(key, false) && only_secrets_hold_it(value, schema::is_secret(name))
        }),
    }
}

fn write(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::create(path).expect("the scratch file can be written");
    file.write_all(bytes).expect("the scratch file can be written");
}
