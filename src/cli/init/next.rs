//! What is typed after `init`: the look at the whole, and the start.

use std::path::{Path, PathBuf};

use crate::config;
use crate::detect::Plan;
use crate::foreign;
use crate::os::way::{self, Trusted};
use crate::yaml::Node;

/// The two commands, as a shell in `cwd` reads them: `folder` is the one that they run in, `file` the configuration.
pub(super) fn commands(plan: &Plan, file: &Path, cwd: &Path, folder: &Path, more: &[&str]) -> [String; 2] {
    let go = match between(cwd, folder) {
        there if there == Path::new("") => String::new(),
        there => format!("cd {} && ", word(&there.display().to_string())),
    };
    let is_file = |path: &Path| folder.join(path) == file || folder.join(path).is_file();
    let usual = config::usual(&is_file).next().is_some_and(|first| folder.join(first) == file);
    let config = match usual {
        // Where somebody else could have put it, root takes it by its name alone.
        true if way::other_hand(file, Trusted::default()).is_none() => String::new(),
        _ => format!(" --config {}", word(&between(folder, file).display().to_string())),
    };
    let more: String = more.iter().map(|option| format!(" {option}")).collect();
    let app = match (plan.command.is_empty(), plan.is_command_written) {
        (_, true) => String::new(),
        (true, false) => " -- YOUR COMMAND".to_owned(),
        (false, false) => {
            format!(" -- {}", plan.command.iter().map(|one| word(one)).collect::<Vec<_>>().join(" "))
        }
    };
    ["check --online", "run"].map(|command| {
        // What a project calls its things makes no line of its own.
        foreign::line(&format!("{go}litekeeper {command}{config}{more}{app}")).into_owned()
    })
}

/// A word as a shell takes it for one; `~` and `$` of a name are no shell's.
pub(super) fn word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| "…".to_owned(), std::borrow::Cow::into_owned)
}

/// How to get from a folder to a file or folder; both are absolute and have no `..`.
pub(super) fn between(folder: &Path, target: &Path) -> PathBuf {
    let common = folder.ancestors().find(|above| target.starts_with(above));
    let Some(common) = common.filter(|common| common.parent().is_some() || folder.parent().is_none()) else {
        return target.to_owned();
    };
    let ups = folder.strip_prefix(common).map_or(0, |below| below.components().count());
    let mut path: PathBuf = std::iter::repeat_n("..", ups).collect();
    // Joined with nothing it would end with a slash.
    path.extend(target.strip_prefix(common).iter().flat_map(|below| below.components()));
    path
}

/// Whether something in a configuration is relative to the folder that it is used in.
pub(super) fn is_relative(root: &Node) -> bool {
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::as_str).map(str::to_owned);
    let moves = |path: String| {
        let path = path.trim_start_matches("sqlite3://").trim_start_matches("sqlite://");
        !path.is_empty() && !path.starts_with(['/', '~'])
    };
    let replica = |replica: &Node| {
        let is_folder = replica.get("url").is_none()
            && text(replica, "type").is_none_or(|kind| kind == "file")
            && root.get("type").is_none()
            && replica.get("bucket").is_none();
        is_folder && text(replica, "path").is_some_and(moves)
    };
    let entries = root.get("dbs").and_then(Node::as_list).unwrap_or_default();
    entries.iter().any(|entry| {
        let several = entry.get("replicas").and_then(Node::as_list).unwrap_or_default();
        ["path", "dir"].iter().any(|key| text(entry, key).is_some_and(moves))
            || entry.get("replica").into_iter().chain(several).any(replica)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_a_folder_to_a_file() {
        for (folder, target, way) in [
            ("/srv/app", "/srv/app/litestream.yml", "litestream.yml"),
            ("/srv/app/web", "/srv/app/litestream.yml", "../litestream.yml"),
            ("/srv/app", "/srv/app", ""),
            ("/srv/app/web/x", "/srv/app", "../.."),
            ("/srv/app", "/etc/litestream.yml", "/etc/litestream.yml"),
        ] {
            assert_eq!(between(Path::new(folder), Path::new(target)), Path::new(way), "{folder} {target}");
        }
        assert_eq!(word("a b"), "'a b'");
    }
}
