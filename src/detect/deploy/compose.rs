//! The service of the app in a compose file.

use std::collections::BTreeMap;

use serde_yaml::Value as Yaml;

use crate::detect::Setting;
use crate::detect::folder::Folder;
use crate::detect::tree::MAX_YAML;

/// The names of a compose file, the stronger first.
pub(super) const FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

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
        let yaml = Some(text).filter(|text| text.len() <= MAX_YAML);
        let Some(yaml) = yaml.and_then(|text| serde_yaml::from_str::<Yaml>(&text).ok()) else {
            return Self::default();
        };
        let services = yaml.get("services").and_then(Yaml::as_mapping);
        let services: Vec<&Yaml> = services.into_iter().flat_map(serde_yaml::Mapping::values).collect();
        // A service that is built here is the app; where none is, an image from elsewhere may be.
        let built: Vec<&Yaml> =
            services.iter().copied().filter(|service| service.get("build").is_some()).collect();
        let command = built.iter().find_map(|service| words(service));
        let mut found = Self { file, env: BTreeMap::new(), command };
        for service in if built.is_empty() { services } else { built } {
            for (name, value) in environment(service) {
                found.env.entry(name).or_insert(value);
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

/// Splits the command, in either form; with an entrypoint it is only a part of one.
fn words(service: &Yaml) -> Option<Vec<String>> {
    if service.get("entrypoint").is_some() {
        return None;
    }
    let words = match service.get("command")? {
        Yaml::String(line) => shlex::split(line)?,
        Yaml::Sequence(words) => {
            words.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    // Compose expands variables itself.
    let is_plain = words.iter().all(|word: &String| !word.contains('$'));
    Some(words).filter(|words| is_plain && !words.is_empty())
}

/// Reads `environment`, in either form, without values that are known only where it runs.
fn environment(service: &Yaml) -> Vec<(String, String)> {
    let pairs: Vec<(String, String)> = match service.get("environment") {
        Some(Yaml::Mapping(entries)) => entries
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str()?.to_owned(), Setting::of_yaml(value)?.into_written()))
            })
            .collect(),
        Some(Yaml::Sequence(lines)) => {
            let pair = |line: &Yaml| {
                let (name, value) = line.as_str()?.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            };
            lines.iter().filter_map(pair).collect()
        }
        _ => Vec::new(),
    };
    pairs.into_iter().filter_map(|(name, value)| Some((name, usual(&value)?))).collect()
}

/// Takes a value without variables; of `${NAME:-value}` the default.
fn usual(value: &str) -> Option<String> {
    let whole = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let default = whole.and_then(|whole| whole.split_once(":-").or_else(|| whole.split_once('-')));
    let value = default.map_or(value, |(_, value)| value);
    (!value.contains('$')).then(|| value.to_owned())
}
