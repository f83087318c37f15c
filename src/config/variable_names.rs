//! What is said of a variable.

/// Words what is said of a variable without a value.
pub(super) fn unset_words(name: &str) -> String {
    match plain(name) {
        plain if plain == name => format!("the variable {name} is not set, or empty"),
        plain => format!("`${{{plain}…}}` names no variable, and nothing stands in its place"),
    }
}

/// Says what to do about it.
pub(super) fn unset_hint(name: &str) -> String {
    match plain(name) {
        plain if plain == name => {
            format!("set {name}, or write the value itself; a literal `$` needs --no-expand-env")
        }
        plain => format!("Litestream knows no defaults: write ${{{plain}}}, and set {plain}"),
    }
}

/// Says where a value is from.
pub(super) fn from(names: &[String]) -> String {
    match names {
        [name] => format!("it is the value of {}", shown(name)),
        names => {
            format!("it is made of {}", names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns a variable's name, without what was meant as a default, which may be a secret.
pub(super) fn shown(name: &str) -> String {
    match plain(name) {
        plain if plain == name => name.to_owned(),
        plain => format!("${{{plain}…}}"),
    }
}

/// Returns the part of a name that one can have.
pub(super) fn plain(name: &str) -> &str {
    &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())]
}
