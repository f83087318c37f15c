//! Where the configuration is looked for.

use std::path::{Path, PathBuf};

/// Variables that name the file, the stronger first.
const VARIABLES: [&str; 2] = ["LITEKEEPER_CONFIG", "LITESTREAM_CONFIG"];

/// Files that are taken if they exist, the stronger first.
const FILES: [&str; 5] = [
    "litekeeper.yml",
    "litestream.yml",
    "config/litestream.yml",
    "/etc/litekeeper.yml",
    "/etc/litestream.yml",
];

/// Returns the configuration file that is named: the flag's, or the environment's.
///
/// It is taken unseen, so that a wrong name is an error and not another configuration. An empty variable is the same as
/// none.
pub fn named(flag: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let named =
        || VARIABLES.iter().find_map(|name| env(name).filter(|value| !value.is_empty())).map(PathBuf::from);
    flag.map(Path::to_owned).or_else(named)
}

/// Returns those of the usual files that exist, the strongest first: for where none is named.
pub fn usual(exists: &dyn Fn(&Path) -> bool) -> impl Iterator<Item = PathBuf> {
    FILES.iter().map(PathBuf::from).filter(|path| exists(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_then_variables_then_files() {
        let keeper = |name: &str| (name == "LITEKEEPER_CONFIG").then(|| "keeper.yml".to_owned());
        let both = |name: &str| match name {
            "LITEKEEPER_CONFIG" => Some(String::new()),
            "LITESTREAM_CONFIG" => Some("stream.yml".to_owned()),
            _ => None,
        };
        assert_eq!(named(Some(Path::new("flag.yml")), &keeper), Some("flag.yml".into()));
        assert_eq!(named(None, &keeper), Some("keeper.yml".into()));
        assert_eq!(named(None, &both), Some("stream.yml".into()));
        assert_eq!(named(None, &|_| None), None);
        let first = |exists: &dyn Fn(&Path) -> bool| usual(exists).next();
        assert_eq!(first(&|_| true), Some("litekeeper.yml".into()));
        assert_eq!(first(&|p| p.starts_with("/etc")), Some("/etc/litekeeper.yml".into()));
        assert_eq!(first(&|p| p.starts_with("config")), Some("config/litestream.yml".into()));
        assert_eq!(first(&|_| false), None);
    }
}
