//! The file that Litestream gets. What it means to Litestream is in `differential`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use litekeeper::config::{self, Config, LoadOptions, Series};

use crate::support;
use crate::support::corpus::{ENVIRONMENT, Reader, fixtures, listing, options, series};
use crate::support::litestream::{LATEST, NO_SOCKET, OLD};

/// The generated file is read again, with everything absolute, as the same configuration.
#[test]
fn generated_files_are_stable() {
    let reader = Reader::new();
    for file in fixtures("good") {
        let config = reader.load(&file, LATEST, true).unwrap_or_else(|error| panic!("{error}"));
        let config::Generated { text, env: own } = config.generate(&options(Series::V05));
        let generated = reader.cwd().join("generated.yml");
        std::fs::write(&generated, &text).expect("a file");
        let variables: BTreeMap<_, _> = own.into_iter().collect();
        let env = |name: &str| {
            let given = ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            given.or(variables.get(name).map(String::as_str)).map(str::to_owned)
        };
        let elsewhere =
            LoadOptions { no_expand_env: false, env: &env, cwd: Path::new("/"), home: None, pid: 1 };
        let again = config::load(&generated, &elsewhere).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let places = |config: &Config| -> Vec<_> {
            let all = config.databases().iter();
            all.map(|d| (d.path.clone(), d.meta_path.clone(), d.replicas[0].location.clone())).collect()
        };
        assert_eq!(places(&again), places(&config), "{text}");
        assert_eq!(again.generate(&options(Series::V05)).text, text);
        assert_eq!(again.exec(), Ok(None));
    }
}

#[test]
fn the_generated_file_has_the_keepers_settings_and_the_users() {
    let reader = Reader::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config/good/settings.yml");
    let config = reader.load(&file, LATEST, true).unwrap_or_else(|error| panic!("{error}"));
    insta::assert_snapshot!(config.generate(&options(Series::V05)).text);
}

#[test]
fn pairs_work_with_every_litestream_in_one_text() {
    let reader = Reader::new();
    let pairs = [("app.db", "s3://backups/app"), ("~/b $X.db", "/backups/b: #1")];
    let pairs = pairs.map(|(db, url)| (db.to_owned(), Some(url.to_owned())));
    let config = reader
        .with_options(true, |options| config::of_pairs(&pairs, options))
        .unwrap_or_else(|e| panic!("{e}"));
    let mut texts = Vec::new();
    for version in [LATEST, NO_SOCKET, OLD] {
        let generated = reader.generated(&config, version);
        assert_eq!(reader.databases(version, &generated), Ok(listing(&config)), "{version}");
        texts.push(config.generate(&options(series(version))).text);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");
}

/// `exec` is split by Litestream itself: what the two make of one line is compared by running it.
#[test]
fn exec_is_split_as_by_litestream() {
    let reader = Reader::new();
    let out = reader.cwd().join("arguments");
    let script = reader.cwd().join("print");
    std::fs::write(&script, format!("#!/bin/sh\nprintf '%s\\0' \"$@\" > '{}'\n", out.display()))
        .expect("a script");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("permissions");
    for line in [
        r#"a "b c" 'd e' "" ''"#,
        r#"a"b"'c' d\ e \n \\ "f\n\"g" 'h\i'"#,
        r#"'a && b; c | d' "> `e` $(f)" \; \& $HOME #x"#,
        "  a\tb\n  é \"ü\"  ",
    ] {
        let file = reader.cwd().join("exec.yml");
        let line = format!("{} {line}", script.display());
        let quoted = serde_json::to_string(&line).expect("a JSON text is YAML");
        std::fs::write(&file, format!("exec: {quoted}\ndbs: []\n")).expect("a file");
        let plain =
            LoadOptions { no_expand_env: true, env: &|_| None, cwd: Path::new("/"), home: None, pid: 1 };
        let config = config::load(&file, &plain).unwrap_or_else(|error| panic!("{error}"));
        let ours = config.exec().expect("it can be split").expect("a command");
        let status = Command::new(support::litestream::binary(LATEST))
            .args(["replicate", "-no-expand-env", "-config"])
            .arg(&file)
            .env_clear()
            .output()
            .expect("litestream runs");
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        let theirs = std::fs::read_to_string(&out).expect("the script ran");
        let theirs: Vec<_> = theirs.split_terminator('\0').collect();
        assert_eq!(ours[1..], theirs, "{line}");
        std::fs::remove_file(&out).expect("the script's output");
    }
}
