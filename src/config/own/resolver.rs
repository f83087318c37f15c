//! `litekeeper.resolver`: the program that names further databases.

use std::time::Duration;

use crate::config::duration;
use crate::yaml::Node;

/// How often it is asked unless `interval` says otherwise.
const INTERVAL: Duration = Duration::from_secs(30);

/// It is a process each time.
const LEAST: Duration = Duration::from_secs(1);

/// The program, and how often it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Its command line.
    pub command: Vec<String>,
    /// The line of the command.
    pub line: usize,
    /// From an answer to the next question.
    pub interval: Duration,
}

impl Resolver {
    /// Reads an interval.
    ///
    /// # Errors
    /// A fragment that says what is wrong.
    pub fn interval(text: &str) -> Result<Duration, String> {
        duration::at_least(LEAST)(text)
    }

    /// Reads it from a whole configuration; none if it names none.
    ///
    /// # Errors
    /// A fragment that names the key and what is wrong with it, and the line.
    pub fn read(root: &Node) -> Result<Option<Self>, (usize, String)> {
        let Some(node) = root.get("litekeeper").and_then(|section| section.get("resolver")) else {
            return Ok(None);
        };
        let wrong = |node: &Node, what: &str| (node.line, what.to_owned());
        let Some(command) = node.get("command") else {
            return Err(wrong(node, "`litekeeper.resolver` has no `command`"));
        };
        let words = match (command.as_list(), command.as_str()) {
            (Some(items), _) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            // Split without a shell.
            (None, Some(line)) => shlex::split(line),
            (None, None) => None,
        };
        let Some(words) = words.filter(|words| !words.is_empty()) else {
            return Err(wrong(command, "`litekeeper.resolver.command` must be a list of words or one line"));
        };
        let interval = match node.get("interval") {
            None => INTERVAL,
            Some(interval) => {
                let read = Self::interval(interval.as_str().unwrap_or_default());
                read.map_err(|reason| (interval.line, format!("`litekeeper.resolver.interval`: {reason}")))?
            }
        };
        Ok(Some(Self { command: words, line: command.line, interval }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Option<Resolver>, (usize, String)> {
        let root = crate::yaml::parse(yaml).unwrap_or_else(|(line, ..)| panic!("line {line}: {yaml}"));
        Resolver::read(&root)
    }

    #[test]
    fn a_resolver_is_a_command_and_an_interval() {
        assert_eq!(read("dbs: []"), Ok(None));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let found =
            read("litekeeper: {resolver: {command: [bin/tenants, 'a b'], interval: 2m}}").unwrap().unwrap();
        assert_eq!(
            (found.command, found.interval),
            (words(&["bin/tenants", "a b"]), Duration::from_secs(120))
        );
        let found = read("litekeeper:\n  resolver:\n    command: bin/tenants 'a b'\n").unwrap().unwrap();
        assert_eq!((found.command, found.interval), (words(&["bin/tenants", "a b"]), INTERVAL));
    }

    #[test]
    fn a_wrong_one_is_named_with_its_line() {
        for (yaml, line, what) in [
            ("litekeeper:\n  resolver: {interval: 1s}", 2, "no `command`"),
            ("litekeeper: {resolver: {command: []}}", 1, "list of words"),
            ("litekeeper: {resolver: {command: \"it's\"}}", 1, "list of words"),
            ("litekeeper: {resolver: {command: x, interval: 10}}", 1, "a unit is missing"),
            ("litekeeper: {resolver: {command: x, interval: 10ms}}", 1, "between 1s and 8760h"),
        ] {
            let (found, error) = read(yaml).expect_err(yaml);
            assert!(found == line && error.contains(what), "{found}: {error}");
        }
    }
}
