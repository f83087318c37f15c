//! What a compose file says of the service that is built here.

use std::collections::BTreeMap;

use serde_yaml::Value as Yaml;

use super::project::Project;
use super::tree::MAX_YAML;

/// What it is called, the stronger first.
pub(super) const FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// The service of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compose {
    file: &'static str,
    env: BTreeMap<String, String>,
    command: Option<Vec<String>>,
}

impl Compose {
    pub fn of(project: &Project<'_>) -> Self {
        let read = |file: &&'static str| Some((*file, project.glimpse(file)?));
        let Some((file, text)) = FILES.iter().find_map(read) else { return Self::default() };
        // Of a project that has its database from elsewhere nobody misses it.
        let Some(yaml) = Some(text).filter(|text| text.len() <= MAX_YAML).and_then(|text| {
            let yaml: Result<Yaml, _> = serde_yaml::from_str(&text);
            yaml.ok()
        }) else {
            return Self::default();
        };
        let services = yaml.get("services").and_then(Yaml::as_mapping);
        let services: Vec<&Yaml> = services.into_iter().flat_map(serde_yaml::Mapping::values).collect();
        // What is built here is the app; where nothing is, an image that somebody else has built may be.
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

    /// A variable as the app has it, and the file that says so.
    pub fn variable(&self, name: &str) -> Option<(&str, &'static str)> {
        self.env.get(name).map(|value| (value.as_str(), self.file))
    }

    /// What it starts in place of the image's own command, and the file that says so.
    pub fn start(&self) -> Option<(&[String], &'static str)> {
        self.command.as_ref().map(|command| (command.as_slice(), self.file))
    }
}

/// The command, in either form; with an entrypoint it is only a part of one.
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
    // Compose fills them in itself.
    let is_plain = words.iter().all(|word: &String| !word.contains('$'));
    Some(words).filter(|words| is_plain && !words.is_empty())
}

/// `environment`, in either form, without what is known only where it runs.
fn environment(service: &Yaml) -> Vec<(String, String)> {
    let pairs: Vec<(String, String)> = match service.get("environment") {
        Some(Yaml::Mapping(entries)) => entries
            .iter()
            .filter_map(|(name, value)| Some((name.as_str()?.to_owned(), scalar(value)?)))
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

/// A value without variables; of `${NAME:-value}` the one that it has where nobody sets another.
fn usual(value: &str) -> Option<String> {
    let whole = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let default = whole.and_then(|whole| whole.split_once(":-").or_else(|| whole.split_once('-')));
    let value = default.map_or(value, |(_, value)| value);
    (!value.contains('$')).then(|| value.to_owned())
}

fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(flag) => Some(flag.to_string()),
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => None,
    }
}
