//! Words that people type out of habit, from Litestream and other launchers, and what they are here.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use super::args::Cli;
use crate::secrets;

/// Options of `litestream replicate` whose work is done here without being asked for.
const BY_ITSELF: [&str; 3] = ["restore-if-db-not-exists", "if-db-not-exists", "if-replica-exists"];
/// Options and commands of Litestream's that have no place in a unit of app and Litestream.
const LITESTREAMS: [&str; 22] = [
    "databases",
    "generations",
    "info",
    "list",
    "ltx",
    "mcp",
    "register",
    "reset",
    "restore",
    "snapshots",
    "start",
    "status",
    "stop",
    "sync",
    "unregister",
    "wal",
    "enforce-retention",
    "force-snapshot",
    "once",
    "integrity-check",
    "timestamp",
    "txid",
];

/// What a refused command line may have meant. Where that is known, what clap takes for similar is taken out.
pub(super) fn hint(error: &mut clap::Error, words: &[OsString]) -> Option<String> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let hint = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            command(&words, error.get(ContextKind::SuggestedSubcommand).is_some())
        }
        ErrorKind::UnknownArgument => {
            let refused = error.get(ContextKind::InvalidArg).map(ToString::to_string);
            option(&words, &refused.unwrap_or_default())
        }
        _ => None,
    }?;
    for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::Suggested] {
        error.remove(kind);
    }
    Some(hint)
}

/// Hides in a refused value what may be a secret: it may be a URL that nobody could read as one.
pub(super) fn mask(error: &mut clap::Error) {
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg] {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let shown = secrets::mask_unread(text);
            error.insert(kind, ContextValue::String(shown));
        }
    }
}

/// The first word is no command of this program.
fn command(words: &[String], has_similar: bool) -> Option<String> {
    let word = words.iter().find(|word| *word != "--")?;
    match word.as_str() {
        "replicate" => Some(format!("litekeeper starts litestream by itself: {}", as_run(words))),
        "version" => Some("`litekeeper --version` says it".to_owned()),
        "exec" | "start" | "up" | "serve" | "supervise" => {
            Some("`litekeeper run -- COMMAND ARG…` runs an app".to_owned())
        }
        word if LITESTREAMS.contains(&word) => {
            Some(format!("that is a command of litestream itself: `litestream {word} …`"))
        }
        // A misspelt command has a similar one; what is left is somebody's app.
        _ if has_similar && !word.contains('/') => None,
        _ => Some(format!("an app's command comes after `run --`: `litekeeper run -- {word}`")),
    }
}

/// `litestream replicate -config FILE -exec COMMAND`, as it is called here.
fn as_run(words: &[String]) -> String {
    let value = |name: &str| {
        let at = words.iter().position(|word| {
            word.trim_start_matches('-').split('=').next() == Some(name) && word.starts_with('-')
        })?;
        match words[at].split_once('=') {
            Some((_, value)) => Some(value.to_owned()),
            None => words.get(at + 1).cloned(),
        }
    };
    let config = value("config").map_or_else(String::new, |file| format!(" --config {file}"));
    let app = value("exec").unwrap_or_else(|| "COMMAND ARG…".to_owned());
    format!("`litekeeper run{config} -- {app}`")
}

/// A word of `litekeeper COMMAND …` is none of its options.
fn option(words: &[String], refused: &str) -> Option<String> {
    let (name, rest) = words.split_first()?;
    let cli = Cli::command();
    let command = cli.find_subcommand(name)?;
    let before: Vec<&String> = rest.iter().take_while(|word| *word != "--").collect();
    // With one dash clap reads the letters one by one, and complains about the first that it does not know.
    let dashed = before.iter().filter(|word| word.starts_with('-') && word.len() > 2);
    dashed.filter_map(|word| named(command, word)).next().or_else(|| bare(command, refused))
}

fn named(command: &Command, word: &str) -> Option<String> {
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let is_ours = command.get_arguments().any(|argument| argument.get_long() == Some(name));
    match name {
        _ if is_ours && !word.starts_with("--") => Some(format!("`--{name}`, with two dashes")),
        _ if is_ours => None,
        "exec" => Some("the app's command comes after `--`: `litekeeper run -- COMMAND ARG…`".to_owned()),
        name if BY_ITSELF.contains(&name) => Some(format!(
            "leave `{word}` out: `litekeeper run` restores a missing database that has a backup by itself"
        )),
        name if LITESTREAMS.contains(&name) => {
            Some(format!("`{word}` is an option of litestream itself, and has no meaning while an app runs"))
        }
        _ => None,
    }
}

/// The word that is refused has no dash, where a command may follow `--`.
fn bare(command: &Command, refused: &str) -> Option<String> {
    command.get_arguments().find(|argument| argument.is_last_set())?;
    let name = command.get_name();
    (!refused.starts_with('-'))
        .then(|| format!("the app's command comes after `--`: `litekeeper {name} -- {refused}`"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn told(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let mut error =
            Cli::try_parse_from(std::iter::once("litekeeper".into()).chain(words.clone())).unwrap_err();
        let hint = hint(&mut error, &words);
        let text = error.to_string();
        assert!(hint.is_none() || !text.contains("tip:"), "{text}");
        hint.unwrap_or_default()
    }

    #[test]
    fn words_of_litestream_and_of_other_launchers_are_told_what_they_are_here() {
        for (line, said) in [
            ("replicate -config f -exec c", "`litekeeper run --config f -- c`"),
            ("replicate -config=f", "`litekeeper run --config f -- COMMAND ARG…`"),
            ("restore -o x y", "`litestream restore …`"),
            ("version", "--version"),
            ("-- bin/server", "`litekeeper run -- bin/server`"),
            ("bin/server --port 80", "`litekeeper run -- bin/server`"),
            ("run -config f -- x", "`--config`, with two dashes"),
            ("run -config=f", "`--config`, with two dashes"),
            ("run -db a.db --replica s3://b/a", "`--db`, with two dashes"),
            ("check -config f", "`--config`, with two dashes"),
            ("run --config f -exec x", "comes after `--`"),
            ("run --exec x", "comes after `--`"),
            ("run -restore-if-db-not-exists", "by itself"),
            ("run -once", "an option of litestream itself"),
            ("run --config f bin/server", "`litekeeper run -- bin/server`"),
        ] {
            assert!(told(line).contains(said), "{line}: {}", told(line));
        }
    }

    #[test]
    fn what_is_only_misspelt_is_left_to_clap() {
        assert_eq!(told("chekc"), "");
        assert_eq!(told("run --confg f"), "");
        assert_eq!(told("run --restart sometimes"), "");
    }
}
