//! `exec:` split into arguments as Litestream's go-shellwords 1.0.12 does.
//!
//! It looks like a shell and is none: quotes group, a backslash takes the next character as it is
//! (inside double quotes, too; not inside single ones), and `$` means nothing by now. At `;`, `&`,
//! `|`, `<` and `>` it silently stops, and backticks and `$(…)` are plain text to it. Nobody means
//! that, so it is refused here.

use crate::config::error::Problem;

/// Splits `line`; an empty line has no arguments.
pub(in crate::config) fn split(line: &str) -> Result<Vec<String>, Problem> {
    let mut arguments = Vec::new();
    let mut argument: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let escaped = rest.next().ok_or(Problem::ExecUnfinished)?;
                argument.get_or_insert_default().push(escaped);
            }
            (' ' | '\t' | '\r' | '\n', None) => arguments.extend(argument.take()),
            ('"' | '\'', None) => {
                quote = Some(c);
                argument.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            (_, None) => {
                refuse_shell(c)?;
                argument.get_or_insert_default().push(c);
            }
            (_, Some(_)) => argument.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Problem::ExecUnfinished);
    }
    arguments.extend(argument);
    Ok(arguments)
}

/// Splits a line of the `litekeeper` section into words, quotes as in a shell; refuses what only a shell does.
pub(in crate::config) fn split_command(line: &str) -> Result<Vec<String>, Problem> {
    split(line)?;
    shlex::split(line).ok_or(Problem::ExecUnfinished)
}

fn refuse_shell(c: char) -> Result<(), Problem> {
    let what = match c {
        ';' => "a `;`",
        '&' => "a `&`",
        '|' => "a `|`",
        '<' | '>' => "a redirection",
        '`' => "a backtick",
        '(' | ')' => "a parenthesis",
        _ => return Ok(()),
    };
    Err(Problem::ExecNeedsShell { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_litestream_does() {
        for (line, arguments) in [
            ("", &[][..]),
            (" \t\n", &[]),
            ("a  b\tc\nd", &["a", "b", "c", "d"]),
            (r#"a "b c" 'd e'"#, &["a", "b c", "d e"]),
            (r#"a"b c"'d'e"#, &["ab cde"]),
            (r#"a "" ''"#, &["a", "", ""]),
            (r"a\ b \\ \n \'", &["a b", r"\", "n", "'"]),
            (r#""a\"b\n$c""#, &[r#"a"bn$c"#]),
            (r"'a\b' '$HOME' ${X} #c", &[r"a\b", "$HOME", "${X}", "#c"]),
            (r#""it's" '"'"#, &["it's", "\""]),
            (r#"sh -c 'a && b; c | d > e `f` $(g)'"#, &["sh", "-c", "a && b; c | d > e `f` $(g)"]),
            (r"a\;b \& é", &["a;b", "&", "é"]),
        ] {
            assert_eq!(
                split(line).as_deref(),
                Ok(arguments.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
                "{line}"
            );
        }
    }

    #[test]
    fn what_litestream_cuts_is_refused() {
        for line in ["a && b", "a; b", "a | b", "a > f", "a 2>&1", "a < f", "a `b`", "a $(b)", "(a)", "a)"] {
            assert!(matches!(split(line), Err(Problem::ExecNeedsShell { .. })), "{line}");
        }
        for line in ["a 'b", "a \"b", "a \\", "a 'b\\'c'"] {
            assert_eq!(split(line), Err(Problem::ExecUnfinished), "{line}");
        }
    }
}
