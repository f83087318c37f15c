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

/// The configuration file: the flag's, the environment's, else the first of the usual ones that exists.
///
/// What the flag or a variable names is taken unseen, so that a wrong name is an error and not
/// another configuration. An empty variable is the same as none.
pub fn find(
    flag: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    exists: &dyn Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let named =
        || VARIABLES.iter().find_map(|name| env(name).filter(|value| !value.is_empty())).map(PathBuf::from);
    let usual = || FILES.iter().map(PathBuf::from).find(|path| exists(path));
    flag.map(Path::to_owned).or_else(named).or_else(usual)
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
        let all = |_: &Path| true;
        assert_eq!(find(Some(Path::new("flag.yml")), &keeper, &all), Some("flag.yml".into()));
        assert_eq!(find(None, &keeper, &all), Some("keeper.yml".into()));
        assert_eq!(find(None, &both, &all), Some("stream.yml".into()));
        assert_eq!(find(None, &|_| None, &all), Some("litekeeper.yml".into()));
        assert_eq!(find(None, &|_| None, &|p| p.starts_with("/etc")), Some("/etc/litekeeper.yml".into()));
        assert_eq!(find(None, &|_| None, &|p| p.starts_with("config")), Some("config/litestream.yml".into()));
        assert_eq!(find(None, &|_| None, &|_| false), None);
    }
}
