//! `$VAR` and `${VAR}` in the raw text of a configuration, before it is YAML.
//!
//! Litestream runs Go's `os.Expand` over the file, comments and quotes included: no defaults
//! (`${VAR:-x}` names a variable called `VAR:-x`), no escape, and an unset variable is empty.

use crate::yaml::MAX_BYTES;

use std::collections::HashSet;

/// A text after expansion.
#[derive(Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The text with every variable replaced. It may hold secrets.
    pub text: String,
    /// The variables that had no value, each once, in the order of the text.
    pub unset: Vec<String>,
}

/// Replaces variables in `text` exactly as Go's `os.Expand` does, `$PID` with `pid` as Litestream does.
///
/// It stops when the text is longer than any configuration may be: a long variable that is named often could fill the memory.
/// `env` is asked for every other name, odd ones such as `$` and `#` included.
pub fn expand(text: &str, pid: u32, env: &dyn Fn(&str) -> Option<String>) -> Expanded {
    let mut expanded = Expanded { text: String::with_capacity(text.len()), unset: Vec::new() };
    let mut noted = HashSet::new();
    let mut rest = text;
    // Behind the last of them none is looked for: a million of `${` would each look through all the rest.
    let closed = text.rfind('}').map_or(0, |at| at + 1);
    while let Some(dollar) = rest.find('$').filter(|_| expanded.text.len() <= MAX_BYTES) {
        expanded.text.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let is_open = closed <= text.len() - after.len() && after.starts_with('{');
        let (name, width) = if is_open { (None, 1) } else { shell_name(after) };
        match name {
            None if width == 0 => expanded.text.push('$'),
            None => {}
            Some("PID") => expanded.text.push_str(&pid.to_string()),
            Some(name) => match env(name) {
                Some(value) => expanded.text.push_str(&value),
                None if noted.insert(name) => expanded.unset.push(name.to_owned()),
                None => {}
            },
        }
        rest = &after[width..];
    }
    expanded.text.push_str(rest);
    expanded
}

impl std::fmt::Debug for Expanded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expanded").field("unset", &self.unset).finish_non_exhaustive()
    }
}

/// Returns the name after a `$`, and how many bytes it takes (`os.getShellName`).
///
/// No name and some width is bad syntax, which Go eats; no name and no width leaves the `$` alone.
fn shell_name(s: &str) -> (Option<&str>, usize) {
    let bytes = s.as_bytes();
    match bytes.first() {
        None => (None, 0),
        Some(b'{') => braced_name(s),
        Some(&c) if is_special(c) => (Some(&s[..1]), 1),
        Some(_) => {
            let width = bytes.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == b'_').count();
            ((width > 0).then_some(&s[..width]), width)
        }
    }
}

fn braced_name(s: &str) -> (Option<&str>, usize) {
    match s.find('}') {
        None => (None, 1),
        Some(1) => (None, 2),
        Some(end) => (Some(&s[1..end]), end + 1),
    }
}

fn is_special(c: u8) -> bool {
    matches!(c, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-' | b'0'..=b'9')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".into()),
            "LONG_NAME" => Some("long".into()),
            "EMPTY" => Some(String::new()),
            "$" => Some("dollar".into()),
            "A:-x" => Some("odd".into()),
            _ => None,
        }
    }

    /// Each row was checked against Go's own table for `os.Expand`.
    #[test]
    fn expands_as_go_does() {
        for (input, output) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "1"),
            ("${A}", "1"),
            ("$A/$LONG_NAME", "1/long"),
            ("${A}B", "1B"),
            ("$AB", ""),
            ("$A.b", "1.b"),
            ("$EMPTY|", "|"),
            ("$UNSET|", "|"),
            ("$PID ${PID}", "42 42"),
            ("$$", "dollar"),
            ("${$}", "dollar"),
            ("$1x", "x"),
            ("${A:-x}", "odd"),
            ("$", "$"),
            ("a$", "a$"),
            ("$ A", "$ A"),
            ("$/", "$/"),
            ("$é", "$é"),
            ("${}", ""),
            ("${", ""),
            ("${A", "A"),
            ("a${}b", "ab"),
            ("# costs $5", "# costs "),
        ] {
            assert_eq!(expand(input, 42, &env).text, output, "{input}");
        }
    }

    #[test]
    fn a_text_that_grows_and_grows_is_cut() {
        let long = |_: &str| Some("x".repeat(10_000));
        let length = expand(&"$A".repeat(10_000), 1, &long).text.len();
        assert!((MAX_BYTES..MAX_BYTES + 50_000).contains(&length), "{length}");
    }

    #[test]
    fn tells_which_variables_were_not_set() {
        let expanded = expand("$B ${C} $B $EMPTY $A", 1, &env);
        assert_eq!(expanded.unset, ["B", "C"]);
        let many: String = (0..100_000).map(|number| format!("$V{number} ")).collect();
        assert_eq!(expand(&many, 1, &env).unset.len(), 100_000, "in a moment");
    }

    #[test]
    fn what_is_never_closed_takes_no_time_to_speak_of() {
        let start = std::time::Instant::now();
        let expanded = expand(&("${}".to_owned() + &"${".repeat(300_000)), 7, &env);
        assert_eq!((expanded.text.as_str(), expanded.unset.len()), ("", 0), "as Go eats it");
        // It took minutes; a busy machine may need some seconds.
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
    }
}
