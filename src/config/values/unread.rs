//! Values of variables, and of options in their place, that a shell, or Docker's `--env-file`, has left as they were written;
//! and those that are no place.

use super::meant::meant;
use super::options::Env;
use crate::config::error::{Error, Origin, Problem};
use crate::config::given::Given;
use crate::config::model::url::is_url;

/// Refuses variables that no shell has read: quotes around all of a value, and in those that name a `path` what a shell would
/// have expanded.
///
/// # Errors
/// Each of them.
pub fn refuse_unread<'a>(
    names: impl IntoIterator<Item = (&'a str, bool)>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Error> {
    let found = names.into_iter().filter_map(|(name, is_path)| unread(name, &env(name)?, is_path));
    refused(found.collect())
}

/// Returns the problem of one value that no shell has read.
pub(in crate::config) fn unread(name: &str, value: &str, is_path: bool) -> Option<Given> {
    let name = name.to_owned();
    if is_quoted(value) {
        return Some(Given::InQuotes { name });
    }
    if !is_path {
        return None;
    }
    if value.trim_matches(['\r', '\n']) != value {
        return Some(Given::LineEnd { name });
    }
    unexpanded(value).map(|part| Given::Unexpanded { name, part })
}

/// Returns what the environment alone says wrong.
pub(in crate::config) fn refused(found: Vec<Given>) -> Result<(), Error> {
    let found = found.into_iter().map(|given| (0, Problem::Given(given))).collect();
    Error::of(&Origin::Environment, found, &[])
}

/// Returns what is wrong with the variables that name a replica: the `url`, or else the parts of `others`.
pub(in crate::config) fn of_replica(url: &str, others: &[&str], env: Env<'_>) -> Vec<Given> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let Some(value) = set(url) else {
        return others.iter().filter_map(|name| unread(name, &set(name)?, true)).collect();
    };
    let not_url = || (!is_url(&value)).then(|| Given::NotUrl { name: url.to_owned(), hint: meant(&value) });
    unread(url, &value, true).or_else(not_url).into_iter().collect()
}

/// Says whether one pair of quotes is around all of a value.
fn is_quoted(value: &str) -> bool {
    let value = value.trim();
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    ['"', '\''].into_iter().any(|quote| inside(quote).is_some_and(|inside| !inside.contains(quote)))
}

/// Returns the first part of a path or URL that a shell would have put something in the place of: `${NAME}`,
/// `$(command)`, and `$NAME` as a whole part of a path.
fn unexpanded(value: &str) -> Option<String> {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |text: &str| text.chars().take_while(|c| is_in_name(*c)).collect::<String>();
    for (at, _) in value.match_indices('$') {
        let rest = &value[at + 1..];
        if let Some(inside) = rest.strip_prefix('{') {
            let name = name(inside);
            // What stands behind a name may be a default, and a secret.
            let is_one = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
            if let Some((whole, _)) = inside.split_once('}').filter(|_| is_one) {
                return Some(if whole == name { format!("${{{name}}}") } else { format!("${{{name}…}}") });
            }
        }
        if rest.strip_prefix('(').is_some_and(|rest| rest.contains(')')) {
            return Some("$(…)".to_owned());
        }
        let name = name(rest);
        let is_variable = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name.chars().all(|c| !c.is_ascii_lowercase());
        let is_part = (at == 0 || value[..at].ends_with(['/', ':'])) && rest[name.len()..].starts_with('/');
        if is_variable && is_part {
            return Some(format!("${name}"));
        }
    }
    None
}

/// Ends of names that databases have.
const ENDINGS: [&str; 6] = [".db", ".db3", ".sqlite", ".sqlite3", ".sqlite2", ".s3db"];

/// Says how many paths a text is that is to be one; none if it may be one. A comma or semicolon separates in a
/// variable whatever it separates, all else only what is called as databases are.
pub(in crate::config) fn several(text: &str, is_variable: bool) -> Option<usize> {
    let is_database =
        |part: &&str| ENDINGS.iter().any(|ending| part.len() > ending.len() && part.ends_with(ending));
    [',', ';', ':', ' ', '\n', '|'].into_iter().find_map(|separator| {
        let parts: Vec<&str> = text.split(separator).map(str::trim).filter(|part| !part.is_empty()).collect();
        let is_list = is_variable && matches!(separator, ',' | ';') || parts.iter().all(is_database);
        (parts.len() > 1 && is_list).then_some(parts.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_around_all_of_a_value_are_told_from_those_in_it() {
        for value in ["\"a\"", "'a b'", " \"a\" ", "\"\"", "\"it's\""] {
            assert!(is_quoted(value), "{value}");
        }
        for value in ["a", "\"", "\"a\" \"b\"", "'a' 'b'", "\"a", "a\"b\"", ""] {
            assert!(!is_quoted(value), "{value}");
        }
    }

    #[test]
    fn what_a_shell_would_have_expanded_is_told_without_secrets() {
        for (value, part) in [
            ("sqlite://${HOME}/x.db", "${HOME}"),
            ("${DATA:-hunter2}/x.db", "${DATA…}"),
            ("$(pwd)/x.db", "$(…)"),
            ("$HOME/x.db", "$HOME"),
            ("file://$BACKUPS/x", "$BACKUPS"),
        ] {
            assert_eq!(unexpanded(value).as_deref(), Some(part), "{value}");
        }
        for value in
            ["a$b.db", "s3://k:pa$WORD/x@b", "cash$", "${x", "$/x", "a/$b/c", "s3://b/p$HOME/x", "${}", "$(x"]
        {
            assert_eq!(unexpanded(value), None, "{value}");
        }
    }

    #[test]
    fn a_line_end_of_another_system_is_no_part_of_a_place() {
        let found = |value: &str| unread("X", value, true);
        assert_eq!(found("http://s3:9000\r"), Some(Given::LineEnd { name: "X".to_owned() }));
        assert_eq!(found("/backups\n"), Some(Given::LineEnd { name: "X".to_owned() }));
        assert_eq!(found("/back\nups"), None);
    }

    #[test]
    fn several_paths_are_told_from_one() {
        for (text, is_variable, count) in [
            ("a,b", true, Some(2)),
            ("a,b", false, None),
            ("a.db,b.db", false, Some(2)),
            ("a.db; b.sqlite3;", false, Some(2)),
            ("/data/a.db:/data/b.db", true, Some(2)),
            ("a.db b.db", true, Some(2)),
            ("my app.db", true, None),
            ("a.db", true, None),
            ("a.db,", true, None),
            ("C:a.db", true, None),
        ] {
            assert_eq!(several(text, is_variable), count, "{text}");
        }
    }
}
