//! Plans of small projects in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

mod above;
mod advice;
mod already;
mod django;
mod image;
mod laravel;
mod names;
mod node;
mod notes;
mod others;
mod phoenix;
mod rails;
mod sqlalchemy;
mod started;

/// A tree in memory.
#[derive(Default)]
pub(super) struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl Files {
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }

    pub fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.0.insert(PathBuf::from(path), bytes.to_vec());
        self
    }
}

fn clean(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

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

fn look(files: &[(&str, &str)], env: &[(&str, &str)], answer: Result<&str, &str>) -> Result<Plan, Nothing> {
    look_at(&Files::new(files), env, answer)
}

fn look_at(files: &Files, env: &[(&str, &str)], answer: Result<&str, &str>) -> Result<Plan, Nothing> {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let ask = |_: &Question| answer.map(str::to_owned).map_err(str::to_owned);
    find(&Surroundings {
        tree: files,
        root: "/srv/app",
        env: &env,
        ask: &ask,
        keep_replicas: true,
        existing: true,
        parents: 1,
    })
}

/// The plan in short: databases, what comes with them, notes.
fn shown(found: &Result<Plan, Nothing>) -> String {
    let mut lines = Vec::new();
    let notes = match found {
        Ok(plan) => {
            lines.push(format!("{} from {}", plan.framework, plan.source));
            for database in &plan.databases {
                let out = if database.left_out.is_some() { " (left out)" } else { "" };
                lines.push(format!("  {}: {}{out}", database.alias, database.shown_path()));
            }
            for (framework, folder) in &plan.others {
                lines.push(format!("  also {framework} in {folder}"));
            }
            &plan.notes
        }
        Err(nothing) => {
            lines.push(format!("nothing; {:?}", nothing.framework));
            &nothing.notes
        }
    };
    lines.extend(notes.iter().map(|note| format!("- {note}")));
    lines.join("\n")
}

/// The beginning of a database.
const SQLITE: &str = "SQLite format 3\0…";
const APP_DB: (&str, &str) = ("app.db", SQLITE);

const NO_PYTHON: Result<&str, &str> = Err("there is no Python");
