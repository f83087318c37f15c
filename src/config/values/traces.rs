//! Which variables the values of a configuration came from, so that what is wrong with a value is said of the variable.

use super::expand::expand;
use super::options::Env;
use super::variables::Marked;
use crate::config::error::Problem;
use crate::config::fault::Fault;
use crate::config::variable_names::{from, plain, shown};
use crate::yaml::{Node, NodeKind, parse};

/// No key that anything is said about is as long.
const LONGEST_KEY: usize = 64;

/// The most variables that are tried one by one.
const MOST_TRIED: usize = 32;

/// The longest text that they are tried in.
pub(in crate::config) const LONGEST_TRIED: usize = 64 << 10;

/// The most values of one line that are looked at for one finding.
const MOST_OF_LINE: usize = 1_000;

/// The values that have variables in them, by their lines.
#[derive(Clone, Default)]
pub struct Traces(Vec<Trace>);

#[derive(Clone)]
struct Trace {
    line: usize,
    column: usize,
    key: String,
    names: Vec<String>,
    /// The first of them that has no value.
    unset: Option<String>,
    /// One of them that has no value, and is a part of a path by itself.
    gap: Option<String>,
}

/// Settings that say where something is.
const PLACES: [&str; 4] = ["path", "dir", "url", "meta-path"];

impl Traces {
    /// Compares the tree with the same one whose variables are marks.
    pub(in crate::config) fn of(root: &Node, marked: &Marked, env: Env<'_>) -> Self {
        let mut found = Self::default();
        found.look("", root, &marked.root, &marked.names, env);
        found.0.sort_by_key(|trace| trace.line);
        found
    }

    fn look(&mut self, key: &str, node: &Node, marked: &Node, names: &[String], env: Env<'_>) {
        match (&node.kind, &marked.kind) {
            (NodeKind::Scalar(_), NodeKind::Scalar(scalar)) => {
                let all = names;
                let names = Marked::names_in(&scalar.text, all);
                if names.is_empty() || key.len() > LONGEST_KEY {
                    return;
                }
                let is_empty = |name: &&String| env(name).is_none_or(|value| value.is_empty());
                let unset = names.iter().find(is_empty).cloned();
                let is_place = PLACES.contains(&key.replace('_', "-").as_str());
                let gap = Marked::gap_in(&scalar.text, all, |name| {
                    // `$$` and what nobody can have set are Go's own affair.
                    !plain(name).is_empty() && is_empty(&&name.to_owned())
                });
                let gap = gap.filter(|_| is_place).map(str::to_owned);
                self.0.push(Trace {
                    line: node.line,
                    column: node.column,
                    key: key.to_owned(),
                    names,
                    unset,
                    gap,
                });
            }
            (NodeKind::Mapping(entries), NodeKind::Mapping(_)) => {
                for (key, value) in entries {
                    if let Some(marked) = marked.entry(key.key()) {
                        self.look(key.key(), value, marked, names, env);
                    }
                }
            }
            (NodeKind::Sequence(items), NodeKind::Sequence(marked)) if items.len() == marked.len() => {
                for (item, marked) in items.iter().zip(marked) {
                    self.look(key, item, marked, names, env);
                }
            }
            (NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_), _) => {}
        }
    }

    fn on(&self, line: usize) -> impl Iterator<Item = &Trace> {
        let start = self.0.partition_point(|trace| trace.line < line);
        self.0[start..].iter().take_while(move |trace| trace.line == line).take(MOST_OF_LINE)
    }

    /// Returns each problem with a value, by its line, as one with the variable that the value is from if there is one.
    pub(in crate::config) fn blame(&self, found: Vec<(usize, Problem)>) -> Vec<(usize, Problem)> {
        found.into_iter().map(|(line, problem)| (line, self.blamed(line, problem))).collect()
    }

    fn blamed(&self, line: usize, problem: Problem) -> Problem {
        let Some(key) = key_of(&problem) else { return problem };
        // A URL stands in the place of a bucket, a host or a path.
        let or_url = matches!(problem, Problem::Missing { .. } | Problem::HostAsBucket { .. });
        let same = |written: &str| {
            let written = written.replace('_', "-");
            written == key || or_url && written == "url"
        };
        let Some(trace) = self.on(line).find(|trace| same(&trace.key)) else { return problem };
        match &trace.unset {
            Some(name) => Problem::Unset { name: name.clone(), problem: Box::new(problem) },
            None => Problem::Expanded { names: trace.names.clone(), problem: Box::new(problem) },
        }
    }

    /// Returns where something would be elsewhere for want of a variable.
    pub(in crate::config) fn gaps(&self) -> impl Iterator<Item = (usize, Problem)> {
        self.0.iter().filter_map(|trace| {
            let name = trace.gap.clone()?;
            let problem = Box::new(Problem::Elsewhere { key: trace.key.clone() });
            Some((trace.line, Problem::Unset { name, problem }))
        })
    }

    /// Returns the variable without a value that the value at this place is made of.
    pub(in crate::config) fn unset(&self, line: usize, column: usize) -> Option<&str> {
        self.on(line).find(|trace| trace.column == column)?.unset.as_deref()
    }

    /// Says what to add to what is said of the value at this place.
    pub(in crate::config) fn words(&self, line: usize, column: usize) -> Option<String> {
        let trace = self.on(line).find(|trace| trace.column == column)?;
        Some(match &trace.unset {
            Some(name) => format!("the variable {} is not set, or empty", shown(name)),
            None => from(&trace.names),
        })
    }
}

/// Returns the key that a problem is about.
fn key_of(problem: &Problem) -> Option<&str> {
    Some(match problem {
        Problem::WrongType { key, .. }
        | Problem::OutOfRange { key, .. }
        | Problem::BareDuration { key, .. }
        | Problem::NotOctal { key, .. }
        | Problem::NoHome { key }
        | Problem::PathHasNul { key }
        | Problem::UpFromLink { key, .. }
        | Problem::NeedsDir { key }
        | Problem::Empty { key }
        | Problem::NoPort { key }
        | Problem::Missing { key, .. } => key,
        Problem::BadUrl { .. } => "url",
        Problem::HeartbeatUrl => "heartbeat-url",
        Problem::HostAsBucket { .. } | Problem::BucketWithMore { .. } => "bucket",
        Problem::NoPath | Problem::PathIsUrl { .. } | Problem::ReplicaPathIsUrl => "path",
        Problem::NoReplica { .. } | Problem::UnknownTemplate { .. } => "replica",
        Problem::BadPathMode { .. } => "path-mode",
        Problem::BadName { .. } => "name",
        Problem::ExecNeedsShell { .. } | Problem::ExecUnfinished => "exec",
        Problem::NoDatabases => "dbs",
        Problem::Section(
            Fault::WrongType { key, .. }
            | Fault::WrongValue { key, .. }
            | Fault::NeedsShell { key, .. }
            | Fault::Unfinished { key }
            | Fault::EmptyCommand { key }
            | Fault::Nul { key },
        ) => key.rsplit('.').next()?,
        _ => return None,
    })
}

/// Returns the variables whose values make a text that could be read one that cannot: that of the first of them alone
/// if that is enough, else all.
pub(in crate::config) fn culprits(text: &str, pid: u32, env: Env<'_>) -> Vec<String> {
    let Some(marked) = Marked::of(text) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    for name in marked.names {
        // Without a value it is nothing, which breaks nothing.
        if !names.contains(&name)
            && names.len() < MOST_TRIED
            && env(&name).is_some_and(|value| !value.is_empty())
        {
            names.push(name);
        }
    }
    let is_alone = |name: &&String| {
        let but = |asked: &str| if asked == **name { Some("x".to_owned()) } else { env(asked) };
        parse(&expand(text, pid, &but).text).is_ok()
    };
    match names.iter().find(is_alone) {
        Some(name) => vec![name.clone()],
        None => names,
    }
}
