//! Variables that are called as Litekeeper's and Litestream's are, and that neither reads.

use std::ffi::OsString;

use super::mounted;
use crate::config::Document;
use crate::config::Origin;
use crate::config::lint::{Lint, UNUSED_VARIABLE, is_written};
use crate::env_vars;

const PREFIXES: [&str; 2] = ["LITEKEEPER_", "LITESTREAM_"];

/// A finding for each of these names that nobody reads: not the configuration's text either, nor an option that names a
/// variable, such as one of `asked`.
pub(super) fn look<'a>(
    names: impl Iterator<Item = &'a str>,
    document: Option<&Document>,
    asked: &[&str],
    told: &[Lint],
) -> Vec<Lint> {
    let read = env_vars::all().filter(|variable| !env_vars::is_unread(variable));
    let known: Vec<&str> = read.map(|(name, _)| name).collect();
    let is_told = |name: &str| told.iter().any(|lint| lint.message.starts_with(&format!("{name} ")));
    let is_read = |name: &str| {
        known.contains(&name)
            || asked.contains(&name)
            || name.starts_with("LITEKEEPER_DATABASE_")
            || name.starts_with("LITEKEEPER_VFS_")
            || name.starts_with("LITEKEEPER_VALUE_")
            // By these this project's own tests know their processes, and find what they need.
            || name.starts_with("LITEKEEPER_TEST_")
            || name.strip_suffix("_FILE").is_some_and(|of| known.contains(&of) && mounted::may_be_in_file(of))
            || document.is_some_and(|document| is_written(document, name))
    };
    let ours = names.filter(|name| {
        let rest = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
        rest.is_some_and(|rest| !rest.is_empty() && !is_of_a_service(rest))
    });
    let lint = |name: &str| {
        let message = format!("{name} is set, but nobody reads it");
        Lint::new(UNUSED_VARIABLE, &Origin::Environment, message).hint(hint(name, &known))
    };
    ours.filter(|name| !is_read(name) && !is_told(name)).map(lint).collect()
}

/// The variable that may be meant by one which is not set: one that is, and is called almost so.
pub(super) fn meant(name: &str, environment: &[(OsString, OsString)]) -> String {
    let set = environment.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.to_str());
    closest(name, set).map_or_else(String::new, |other| format!("; {other} is set: is that meant?"))
}

/// The name that is like this one, if one is.
fn closest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, closest) = names.map(|other| (strsim::damerau_levenshtein(name, other), other)).min()?;
    // The first word is never what is wrong.
    (distance <= 1 + closest.len().saturating_sub(11) / 4).then_some(closest)
}

fn hint(name: &str, known: &[&str]) -> String {
    if let Some(of) = name.strip_suffix("_FILE").filter(|of| known.contains(of)) {
        return format!(
            "{of} is read; only what may be a secret, and where a backup is, may be in a file of its own"
        );
    }
    let ours =
        || known.iter().copied().filter(|known| PREFIXES.iter().any(|prefix| known.starts_with(prefix)));
    let has_all = |known: &&str| name.split('_').all(|word| known.split('_').any(|other| other == word));
    let longer = || ours().filter(has_all).min_by_key(|known| known.len());
    match closest(name, ours()).or_else(longer) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "take it out, unless the app reads it; docs/variables.md has those that are read".to_owned(),
    }
}

/// What Kubernetes and Docker set for a service or a container of that name, and images to say what is in them.
fn is_of_a_service(rest: &str) -> bool {
    let words = ["SERVICE_HOST", "SERVICE_PORT", "PORT", "NAME", "VERSION"];
    words
        .iter()
        .any(|word| rest.strip_prefix(word).is_some_and(|after| after.is_empty() || after.starts_with('_')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Option<String> {
        let found = look([name].into_iter(), None, &["LITESTREAM_ON"], &[]);
        found.into_iter().next().and_then(|lint| lint.hint)
    }

    #[test]
    fn a_name_that_nobody_reads_has_one_that_may_be_meant() {
        for (name, close) in [
            ("LITEKEEPER_MAXLAG", "LITEKEEPER_MAX_LAG"),
            ("LITESTREAM_REPLICA_URI", "LITESTREAM_REPLICA_URL"),
            ("LITESTREAM_ACCESS_KEY", "LITESTREAM_ACCESS_KEY_ID"),
            ("LITESTREAM_SECRET_KEY", "LITESTREAM_SECRET_ACCESS_KEY"),
            ("LITEKEEPER_MAX_LAG_FILE", "LITEKEEPER_MAX_LAG is read"),
        ] {
            assert!(told(name).is_some_and(|hint| hint.contains(close)), "{name}: {:?}", told(name));
        }
        assert!(told("LITESTREAM_FOO").is_some_and(|hint| !hint.contains("did you mean")));
        for name in [
            "LITESTREAM_ON",
            "LITESTREAM_REPLICA_URL",
            "LITEKEEPER_REPLICA_FILE",
            "LITESTREAM_SECRET_ACCESS_KEY_FILE",
            "LITESTREAM_PORT_9090_TCP",
            "LITESTREAM_SERVICE_HOST",
            "LITEKEEPER_DATABASE_MAIN",
            "LITESTREAM_VERSION",
            "PATH",
        ] {
            assert_eq!(told(name), None, "{name}");
        }
    }
}
