//! What holds of every text that others write, in the small readers and on its way out.
//!
//! Used by the fuzz targets and, as properties, by the suite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use litekeeper::config;
use litekeeper::core::ExitCode;
use litekeeper::detect::{self, Entry, Kind, ReadError, Surroundings, Target, Tree};
use litekeeper::error::Failure;
use litekeeper::{dotenv, foreign, secrets, yaml};

/// A part of a secret, which is found again whatever stands beside it.
const PART: &str = "QQQsecretZZZ";

/// A secret with any text beside it is shown by no URL and no word of a command.
pub fn redaction(bytes: &[u8]) {
    // What ends a URL in a text ends it here too: a secret has no white space, and a place in front of it no slash
    // that makes a path of it.
    let text: String =
        String::from_utf8_lossy(bytes).chars().filter(|c| "@?#=%:&.abc".contains(*c)).take(64).collect();
    let (before, after) = text.split_at(text.len() / 2);
    for url in [
        format!("s3://u:{before}{PART}{after}@host/p"),
        format!("s3://host/p?k={before}{PART}{after}"),
        format!("s3://host/p#{before}{PART}{after}"),
    ] {
        for shown in [
            secrets::mask(&url).into_owned(),
            secrets::mask(&format!("said {url} of it")).into_owned(),
            secrets::mask_words(std::slice::from_ref(&url)).join(" "),
            secrets::mask_words(&["sh".into(), "-c".into(), format!("x {url}")]).join(" "),
        ] {
            assert!(!shown.contains(PART), "{url} is shown as {shown}");
        }
    }
    let any = String::from_utf8_lossy(bytes);
    let masked = secrets::mask(&any);
    // What is hidden stands behind a scheme, with or without its slashes, or in quotes.
    assert!(masked.len() <= any.len() + 20 * any.matches([':', '"']).count(), "{any:?}");
    let words: Vec<String> = any.split(' ').map(str::to_owned).collect();
    assert_eq!(secrets::mask_words(&words).len(), words.len());
}

/// A file of variables has values of a bounded length, or lines that are wrong, in order.
pub fn dotenv(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let long = |name: &str| (name == "LONG").then(|| "x".repeat(100_000));
    match dotenv::parse(&text, &long) {
        Ok(found) => {
            let values: usize = found.iter().map(|(_, value)| value.len()).sum();
            assert!(values <= text.len() + dotenv::MAX_BYTES, "{values} bytes");
            assert!(found.iter().all(|(name, value)| !name.is_empty() && !value.contains('\0')));
        }
        Err(wrong) => {
            assert!(!wrong.is_empty() && wrong.is_sorted_by_key(|(line, _)| *line), "{wrong:?}");
            let lines = text.matches('\n').count() + 1;
            assert!(wrong.iter().all(|(line, _)| (1..=lines).contains(line)), "{wrong:?}");
        }
    }
}

/// A resolver's answer is databases or an error, which repeats none of it.
pub fn answer(bytes: &[u8]) {
    match config::parse_answer(bytes) {
        Ok(found) => assert!(found.iter().all(|entry| entry.get("path").is_some())),
        Err(error) => assert!(error.to_string().len() < 300, "{error}"),
    }
}

/// One event is one line, without what a terminal obeys.
pub fn line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let one = foreign::line(&text);
    assert!(!one.contains(foreign::is_obeyed), "{one:?}");
    assert!(one.len() <= foreign::LONGEST + 64, "{} bytes", one.len());
    assert_eq!(foreign::line(&one), one);
    let failure = Failure::new(ExitCode::CONFIG, &text).hint(&text);
    assert!(
        !failure.message.contains(foreign::is_obeyed) && !failure.hint.unwrap_or_default().contains('\n')
    );
    let value = serde_json::json!({ "msg": text });
    let written = foreign::json(&value);
    assert!(!written.contains(foreign::is_obeyed), "{written:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("JSON"), value);
}

/// Whatever a project's files hold, they are read to an end, and what is written is a configuration.
pub fn lexers(bytes: &[u8]) {
    for files in [
        &["Gemfile", "config/application.rb", "config/database.yml"][..],
        &["manage.py", "site/settings.py"],
        &["artisan", "config/database.php", ".env"],
        &["mix.exs", "config/runtime.exs"],
        &["prisma/schema.prisma", ".env"],
        &["drizzle.config.ts", ".env"],
        &["fly.toml", "Dockerfile", "Procfile"],
    ] {
        let tree = Files(files.iter().map(|file| (PathBuf::from(file), bytes.to_vec())).collect());
        let around = Surroundings {
            tree: &tree,
            root: "/srv/app",
            env: &|name| (name == "DATABASE_URL").then(|| "sqlite:a.db".to_owned()),
            ask: &|_| Err("there is no Python".to_owned()),
            keep_replicas: true,
            existing: true,
            parents: 1,
        };
        let Ok(plan) = detect::find(&around) else { continue };
        let text = detect::yaml(&plan, Target::Bucket);
        let is_bad =
            |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'));
        assert!(!text.contains(is_bad), "{text:?}");
        let expanded = config::expand(&text, 1, &|_| Some("v".to_owned()));
        if let Err((line, column, problem)) = yaml::parse(&expanded.text) {
            panic!("{line}:{column}: {problem}\n{text}");
        }
    }
}

/// A project in memory.
struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl Tree for Files {
    fn read(&self, file: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
        match self.0.get(&clean(file)) {
            None => Err(ReadError::Missing),
            Some(bytes) if bytes.len() > limit => Err(ReadError::TooLarge),
            Some(bytes) => Ok(bytes.clone()),
        }
    }

    fn head(&self, file: &Path, bytes: usize) -> Option<Vec<u8>> {
        self.0.get(&clean(file)).map(|all| all[..all.len().min(bytes)].to_vec())
    }

    fn list(&self, folder: &Path) -> Vec<Entry> {
        let folder = clean(folder);
        let mut found: Vec<Entry> = Vec::new();
        for path in self.0.keys() {
            let Ok(below) = path.strip_prefix(&folder) else { continue };
            let mut parts = below.components();
            let Some(first) = parts.next() else { continue };
            let kind = if parts.next().is_some() { Kind::Folder } else { Kind::File };
            let entry = Entry { path: folder.join(first), kind };
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
        found
    }

    fn is_file(&self, file: &Path) -> bool {
        self.0.contains_key(&clean(file))
    }
}

fn clean(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}
