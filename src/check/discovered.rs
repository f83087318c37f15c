//! Databases that the file does not name itself: those in its folders, and those that its resolver prints.

use std::collections::BTreeSet;

use crate::config::lint::{self, Lint};
use crate::config::{Config, in_folder};
use crate::litestream::folder::{Contents, Folder};
use crate::yaml::Node;

/// How many names are read in a folder: some ten thousand databases with all that lies beside them.
const MOST: usize = 200_000;

/// A configuration with these databases, each on the line of what named it.
pub struct Discovered {
    /// The configuration with what the resolver printed.
    pub named: Config,
    /// The same, and what is in the folders.
    pub all: Config,
    /// What is in each folder, in their order.
    pub contents: Vec<Contents>,
    /// What keeps these databases from being replicated together.
    pub lints: Vec<Lint>,
}

impl Discovered {
    /// Adds a resolver's `answer` and what is in `folders` now; `line` is the resolver's, and `resolvers` are the
    /// variables that it sees.
    pub fn of(
        config: &Config,
        (answer, line): (Vec<Node>, usize),
        folders: &[Folder],
        env: &dyn Fn(&str) -> Option<String>,
        resolvers: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let mut lints = Vec::new();
        let lines = vec![line; answer.len()];
        let named = add(config, answer, &lines, env, resolvers, &mut lints);
        let contents: Vec<Contents> =
            folders.iter().map(|folder| folder.look(&BTreeSet::new(), MOST)).collect();
        let (mut entries, mut lines) = (Vec::new(), Vec::new());
        for (place, found) in contents.iter().enumerate() {
            let line = config.directories().get(place).map_or(0, |directory| directory.line);
            for entry in found.databases.iter().filter_map(|below| in_folder(config, place, below)) {
                entries.push(entry);
                lines.push(line);
            }
        }
        let all = add(&named, entries, &lines, env, env, &mut lints);
        Self { named, all, contents, lints }
    }
}

fn add(
    config: &Config,
    entries: Vec<Node>,
    lines: &[usize],
    env: &dyn Fn(&str) -> Option<String>,
    own: &dyn Fn(&str) -> Option<String>,
    lints: &mut Vec<Lint>,
) -> Config {
    if entries.is_empty() {
        return config.clone();
    }
    let (config, result) = config.with_entries(entries, lines, env, own);
    for lint in result.err().iter().flat_map(lint::of_error) {
        // A limit that all of them pass together has no line.
        let line = if lint.line == 0 { lines.first().copied().unwrap_or_default() } else { lint.line };
        let lint = Lint { origin: config.origin().clone(), ..lint }.at(line, 0);
        if !lints.contains(&lint) {
            lints.push(lint);
        }
    }
    config
}
