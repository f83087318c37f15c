//! The words of the app's command, as far as they show that another program was meant to read them.

use std::ffi::OsString;
use std::path::Path;

use crate::check::{APP_SHELL, SECOND_LITESTREAM};
use crate::config::Origin;
use crate::config::lint::Lint;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::others;

/// What only a shell makes something of, where it stands by itself.
const OPERATORS: [&str; 6] = ["&&", "||", "|", ">", ">>", "2>&1"];
/// What only a shell knows.
const BUILTINS: [&str; 6] = ["cd", "export", "source", ".", "ulimit", "set"];
/// Those that read such words themselves.
const SHELLS: [&str; 10] = ["sh", "bash", "dash", "ash", "zsh", "busybox", "test", "[", "expr", "su"];

/// What is found in a command that stands there.
pub(super) fn look(argv: &[OsString], origin: &Origin, line: usize) -> Vec<Lint> {
    let words: Vec<String> = argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let lint = |rule, message: String| Lint::new(rule, origin, message).at(line, 0);
    let mut found = Vec::new();
    if others::replicates(argv) || words.iter().any(|word| is_line_of_litestream(word)) {
        let message =
            "the app's command is a litestream itself: two of them take each other's files away".to_owned();
        let hint = "litekeeper runs litestream itself: leave it out, and give the command that stands behind its -exec";
        found.push(lint(SECOND_LITESTREAM, message).hint(hint));
    } else if let Some(what) = only_for_a_shell(&words) {
        let message = format!("the app's command has `{what}`, which only a shell understands");
        let folder = match is_in_folder(&words) {
            true => ", or name its folder with `--cwd FOLDER` in the place of `cd FOLDER &&`",
            false => "",
        };
        found.push(lint(APP_SHELL, message).hint(format!("let a shell read it: `-- sh -c '…'`{folder}")));
    }
    found
}

/// Says what [`look`] finds before a start.
///
/// # Errors
/// The command is a Litestream.
pub(super) fn refuse(argv: &[OsString], origin: &Origin) -> Result<(), Failure> {
    for lint in look(argv, origin, 0) {
        let hint = lint.hint.unwrap_or_default();
        if lint.rule == SECOND_LITESTREAM {
            return Err(Failure::new(ExitCode::LOCKED, lint.message).hint(hint));
        }
        tracing::warn!("{}: {hint}", lint.message);
    }
    Ok(())
}

/// `sh -c 'litestream replicate …'`.
fn is_line_of_litestream(word: &str) -> bool {
    let mut words = word.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let name = Path::new(word).file_name().unwrap_or_default().to_string_lossy();
        if name == "litestream" && words.peek() == Some(&"replicate") {
            return true;
        }
    }
    false
}

fn only_for_a_shell(words: &[String]) -> Option<&str> {
    let first = words.first()?;
    let name = Path::new(first).file_name()?.to_str()?;
    // A line in one word is a program's name to everybody else.
    if first.contains(char::is_whitespace) && !Path::new(first).exists() {
        let inside = first.split_whitespace().find(|part| OPERATORS.contains(part));
        return inside.or_else(|| {
            BUILTINS.iter().find(|known| first.split_whitespace().next() == Some(known)).copied()
        });
    }
    if SHELLS.contains(&name) {
        return None;
    }
    let operator = words.iter().skip(1).map(String::as_str).find(|word| OPERATORS.contains(word));
    operator.or_else(|| BUILTINS.contains(&first.as_str()).then_some(first.as_str()))
}

/// Whether it begins with the folder that the rest is to run in.
fn is_in_folder(words: &[String]) -> bool {
    let mut parts = words.iter().flat_map(|word| word.split_whitespace());
    parts.next() == Some("cd") && parts.nth(1) == Some("&&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> Option<String> {
        let words: Vec<OsString> = words.iter().map(Into::into).collect();
        let found = look(&words, &Origin::CommandLine, 0);
        found.into_iter().next().map(|lint| format!("{} [{}] {:?}", lint.message, lint.rule.code, lint.hint))
    }

    #[test]
    fn what_a_shell_would_read_is_told() {
        for (words, what) in [
            (&["cd x && ls"][..], "`&&`"),
            (&["cd", "x", "&&", "ls"], "--cwd FOLDER"),
            (&["npm", "run", "x", "&&", "node", "y"], "`&&`"),
            (&["app", "2>&1", "|", "tee", "log"], "`2>&1`"),
            (&["source", "env"], "`source`"),
            (&["litestream", "replicate", "-exec", "x"], "[second-litestream]"),
            (&["/usr/local/bin/litestream", "replicate"], "[second-litestream]"),
            (&["sh", "-c", "exec /bin/litestream replicate -exec x"], "[second-litestream]"),
        ] {
            assert!(told(words).is_some_and(|said| said.contains(what)), "{words:?}: {:?}", told(words));
        }
        for words in [
            &["sh", "-c", "cd x && ls"][..],
            &["/bin/bash", "-c", "a | b"],
            &["grep", "-e", "a && b"],
            &["litestream", "databases"],
            &["node", "server.js"],
            &["test", "a", ">", "b"],
            &["bin/rails server"],
            &[],
        ] {
            assert_eq!(told(words), None, "{words:?}");
        }
    }
}
