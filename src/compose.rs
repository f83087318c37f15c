//! The services of a Compose file, for `check` and `init` alike.

use crate::yaml::{Node, NodeKind, parse};

/// The names of such a file, the stronger first.
pub const FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// What a service says of how it is run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Whether its image is built here.
    pub is_built: bool,
    /// The words of what is run in the place of the image's own, if it is there; none of one that cannot be read.
    pub entrypoint: Option<Vec<String>>,
    /// The words of its command, if it can be read.
    pub command: Option<Vec<String>>,
    /// Its variables, but for those that come from where it runs.
    pub environment: Vec<(String, String)>,
    /// `stop_grace_period`, and its line.
    pub stop_grace_period: Option<(String, usize)>,
}

/// Reads the services of a file in their order; none of one that cannot be read.
pub fn services(text: &str) -> Vec<Service> {
    let Ok(root) = parse(text) else { return Vec::new() };
    entries(root.get("services")).iter().map(|(_, service)| of(service)).collect()
}

fn of(service: &Node) -> Service {
    let grace = service.get("stop_grace_period");
    Service {
        is_built: service.get("build").is_some(),
        entrypoint: service.get("entrypoint").map(|node| words(node).unwrap_or_default()),
        command: service.get("command").and_then(words),
        environment: environment(service.get("environment")),
        stop_grace_period: grace.and_then(|node| Some((node.as_str()?.to_owned(), node.line))),
    }
}

/// A command in either form.
fn words(node: &Node) -> Option<Vec<String>> {
    match node.as_list() {
        Some(words) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect(),
        None => shlex::split(node.as_str()?),
    }
}

/// Variables in either form.
fn environment(node: Option<&Node>) -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    match node.and_then(Node::as_list) {
        Some(lines) => lines.iter().filter_map(|line| line.as_str()?.split_once('=').map(owned)).collect(),
        None => entries(node)
            .iter()
            .filter_map(|(name, value)| Some(owned((name.key(), value.as_str()?))))
            .collect(),
    }
}

fn entries(node: Option<&Node>) -> &[(Node, Node)] {
    match node.map(|node| &node.kind) {
        Some(NodeKind::Mapping(entries)) => entries,
        Some(NodeKind::Scalar(_) | NodeKind::Sequence(_)) | None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let read = services(concat!(
            "x-env: &env {A: 1, B: , C: 'yes'}\nservices:\n",
            "  app: {build: ., command: serve --port 80, environment: *env, stop_grace_period: 1m}\n",
            "  db:\n    image: x\n    entrypoint: [run, 5]\n    command: \"it's\"\n    environment: [A=1=2, B]\n",
            "  none:\n",
        ));
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let app = Service {
            is_built: true,
            entrypoint: None,
            command: texts(&["serve", "--port", "80"]),
            environment: vec![pair("A", "1"), pair("C", "yes")],
            stop_grace_period: Some(("1m".to_owned(), 3)),
        };
        let db = Service {
            entrypoint: texts(&["run", "5"]),
            environment: vec![pair("A", "1=2")],
            ..Service::default()
        };
        assert_eq!(read, [app, db, Service::default()]);
        assert_eq!(services("services: [\n"), []);
    }
}
