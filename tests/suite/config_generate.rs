//! The configuration as Litestream itself reads it: the user's file, and the file made from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use litekeeper::config::{self, Config, GenerateOptions, LoadOptions, Series};

use crate::support;

/// What a configuration says of each database: its file and the type of its replica.
type Listing = Vec<(PathBuf, String)>;

/// Every variable that the files use, and nothing else.
const ENVIRONMENT: [(&str, &str); 5] =
    [("DATA", "/data"), ("STAGE", "test"), ("BUCKET", "backups"), ("KEY", "key"), ("SECRET", "s#cr$t:\\\"")];

/// Litekeeper's side of a comparison.
struct Reader {
    cwd: tempfile::TempDir,
    home: PathBuf,
}

impl Reader {
    fn new() -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid())
            .expect("the user database")
            .expect("this user");
        Self { cwd: tempfile::tempdir().expect("a folder"), home: user.dir }
    }

    fn cwd(&self) -> PathBuf {
        self.cwd.path().canonicalize().expect("the folder")
    }

    fn with_options<T>(&self, f: impl FnOnce(&LoadOptions<'_>) -> T) -> T {
        let variables = BTreeMap::from(ENVIRONMENT);
        let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let cwd = self.cwd();
        f(&LoadOptions {
            no_expand_env: false,
            env: &env,
            cwd: &cwd,
            home: Some(&self.home),
            pid: std::process::id(),
        })
    }

    fn load(&self, file: &Path) -> Result<Config, config::Error> {
        let config = self.with_options(|options| config::load(file, options))?;
        config.check(Series::V05)?;
        Ok(config)
    }

    /// `litestream databases`: what it lists, or what it complains about.
    fn ask(&self, version: &str, file: &Path, env: &[(String, String)]) -> Result<Listing, String> {
        let output = Command::new(support::litestream::binary(version))
            .args(["databases", "-config"])
            .arg(file)
            .current_dir(self.cwd())
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(env.iter().cloned())
            .output()
            .expect("litestream runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(stderr);
        }
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let (path, replica) =
            stdout.lines().next().expect("a head line").split_once(' ').expect("two columns");
        assert_eq!((path, replica.trim_start().trim_end_matches('s')), ("path", "replica"));
        let row = |line: &str| {
            let (path, replica) = line.trim_end().rsplit_once(' ').expect("two columns");
            (PathBuf::from(path.trim_end()), replica.to_owned())
        };
        Ok(stdout.lines().skip(1).map(row).collect())
    }

    /// Writes the generated file beside nothing that it could depend on, and asks Litestream for it.
    fn ask_generated(&self, config: &Config, version: &str) -> (String, Result<Listing, String>) {
        let series = if version.starts_with("0.3") { Series::V03 } else { Series::V05 };
        let generated = config.generate(&options(series));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("generated.yml");
        std::fs::write(&file, &generated.text).expect("a file");
        let listing = self.ask(version, &file, &generated.env);
        (generated.text, listing)
    }
}

fn options(series: Series) -> GenerateOptions {
    GenerateOptions {
        socket: PathBuf::from("/run/litekeeper/a \"b\"/litestream.sock"),
        shutdown_sync_timeout: Duration::from_secs(4),
        series,
    }
}

fn listing(config: &Config) -> Listing {
    config.databases().iter().map(|d| (d.path.clone(), d.replicas[0].kind.to_string())).collect()
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the fixtures")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(files.len() >= 12, "{} has too few files", folder.display());
    files
}

#[test]
fn good_files_mean_the_same_to_litestream() {
    let reader = Reader::new();
    for file in fixtures("good") {
        let config = reader.load(&file).unwrap_or_else(|error| panic!("{error}"));
        let theirs = reader.ask("0.5.17", &file, &[]);
        assert_eq!(Ok(listing(&config)), theirs, "{}", file.display());
    }
}

#[test]
fn broken_files_are_refused_as_by_litestream() {
    let reader = Reader::new();
    for file in fixtures("broken") {
        let error = reader.load(&file).expect_err(&format!("{} is broken", file.display()));
        assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
        reader.ask("0.5.17", &file, &[]).expect_err(&format!("Litestream takes {}", file.display()));
    }
}

#[test]
fn generated_files_mean_the_same_to_every_litestream() {
    let reader = Reader::new();
    for file in fixtures("good") {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let config = reader.load(&file).unwrap_or_else(|error| panic!("{error}"));
        for version in ["0.5.17", "0.5.5", "0.3.13"] {
            // 0.3 knows neither these kinds of replicas nor defaults at the top.
            if version == "0.3.13" && ["kinds-of-05", "defaults-of-05"].contains(&name.as_str()) {
                continue;
            }
            let (text, theirs) = reader.ask_generated(&config, version);
            assert_eq!(theirs, Ok(listing(&config)), "{name} for {version}\n{text}");
        }
    }
}

/// The generated file is read again, with everything absolute, as the same configuration.
#[test]
fn generated_files_are_stable() {
    let reader = Reader::new();
    for file in fixtures("good") {
        let config = reader.load(&file).unwrap_or_else(|error| panic!("{error}"));
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
    let config = reader.load(&file).unwrap_or_else(|error| panic!("{error}"));
    insta::assert_snapshot!(config.generate(&options(Series::V05)).text);
}

#[test]
fn pairs_work_with_every_litestream_in_one_text() {
    let reader = Reader::new();
    let pairs = [("app.db", "s3://backups/app"), ("~/b $X.db", "/backups/b: #1")];
    let pairs = pairs.map(|(db, url)| (db.to_owned(), url.to_owned()));
    let config =
        reader.with_options(|options| Config::from_pairs(&pairs, options)).unwrap_or_else(|e| panic!("{e}"));
    let mut texts = Vec::new();
    for version in ["0.5.17", "0.5.5", "0.3.13"] {
        let (text, theirs) = reader.ask_generated(&config, version);
        assert_eq!(theirs, Ok(listing(&config)), "{version}\n{text}");
        texts.push(text);
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
        let status = Command::new(support::litestream::binary("0.5.17"))
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
