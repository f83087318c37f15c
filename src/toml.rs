//! The settings of a TOML file (fly.toml, Cargo.toml), for `check` and `init` alike: what they look for is one line each.

/// A setting in its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting<'a> {
    /// The number of the line, from 1.
    pub number: usize,
    /// The whole line, without white space around it.
    pub line: &'a str,
    /// The table, without its brackets; empty at the top.
    pub table: &'a str,
    /// The key, without quotes.
    pub key: &'a str,
    /// The value, without quotes and comment.
    pub value: &'a str,
}

/// Reads the settings in their order.
pub fn settings(text: &str) -> impl Iterator<Item = Setting<'_>> {
    let mut table = "";
    (1..).zip(text.lines().map(str::trim)).filter_map(move |(number, line)| {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']', ' ']);
            return None;
        }
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split(quote).next());
        let value = quoted.unwrap_or_else(|| value.split('#').next().unwrap_or_default().trim());
        Some(Setting { number, line, table, key: key.trim().trim_matches(['"', '\'']), value })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_with_their_tables() {
        let text = "app = 'a#b' # x\n# a = 1\n[[mounts]]\n  \"destination\" = /data # here\n";
        let found: Vec<_> =
            settings(text).map(|found| (found.number, found.table, found.key, found.value)).collect();
        assert_eq!(found, [(1, "", "app", "a#b"), (4, "mounts", "destination", "/data")]);
    }
}
