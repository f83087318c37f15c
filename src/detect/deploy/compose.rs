//! The service of the app in a compose file.

use std::collections::BTreeMap;

use crate::compose::{FILES, Service, services};
use crate::detect::folder::Folder;

/// The variables and the command of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::detect) struct Compose {
    file: &'static str,
    env: BTreeMap<String, String>,
    command: Option<Vec<String>>,
}

impl Compose {
    pub fn of(folder: &Folder<'_>) -> Self {
        let read = |file: &&'static str| Some((*file, folder.glimpse(file)?));
        let Some((file, text)) = FILES.iter().find_map(read) else { return Self::default() };
        // One that cannot be read is not noted: most projects have their database from elsewhere.
        let services = services(&text);
        // A service that is built here is the app; where none is, an image from elsewhere may be.
        let is_any_built = services.iter().any(|service| service.is_built);
        let command = services.iter().filter(|service| service.is_built).find_map(command);
        let mut found = Self { file, env: BTreeMap::new(), command };
        for service in services.into_iter().filter(|service| service.is_built == is_any_built) {
            for (name, value) in service.environment {
                if let Some(value) = usual(&value) {
                    found.env.entry(name).or_insert(value);
                }
            }
        }
        found
    }

    /// Finds a variable of the app, and the file that sets it.
    pub fn variable(&self, name: &str) -> Option<(&str, &'static str)> {
        self.env.get(name).map(|value| (value.as_str(), self.file))
    }

    /// Finds the command that replaces the image's own, and the file that has it.
    pub fn start(&self) -> Option<(&[String], &'static str)> {
        self.command.as_ref().map(|command| (command.as_slice(), self.file))
    }
}

/// The whole command: with an entrypoint it is only a part of one.
fn command(service: &Service) -> Option<Vec<String>> {
    // Compose expands variables itself.
    let is_plain = |words: &&Vec<String>| !words.is_empty() && words.iter().all(|word| !word.contains('$'));
    service.command.as_ref().filter(|_| service.entrypoint.is_none()).filter(is_plain).cloned()
}

/// Takes a value without variables; of `${NAME:-value}` the default.
fn usual(value: &str) -> Option<String> {
    let whole = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let default = whole.and_then(|whole| whole.split_once(":-").or_else(|| whole.split_once('-')));
    let value = default.map_or(value, |(_, value)| value);
    (!value.contains('$')).then(|| value.to_owned())
}
