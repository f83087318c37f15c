//! Words that people type out of habit, from Litestream and other launchers, and what they are here.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory};

use super::args::Cli;
use super::process::variable;
use crate::foreign;
use crate::secrets;

/// Options of `litestream replicate` whose work is done here without being asked for.
const BY_ITSELF: [&str; 3] = ["restore-if-db-not-exists", "if-db-not-exists", "if-replica-exists"];
/// Options of Litestream's that have no place in a unit of app and Litestream.
const OPTIONS: [&str; 6] =
    ["enforce-retention", "force-snapshot", "once", "integrity-check", "timestamp", "txid"];
/// Options as other programs have them, and ours.
const ELSEWHERE: [(&str, &str, &str); 22] = [
    ("c", "config", "FILE"),
    ("f", "config", "FILE"),
    ("file", "config", "FILE"),
    ("d", "db", "PATH"),
    ("database", "db", "PATH"),
    ("path", "db", "PATH"),
    ("url", "replica", "URL"),
    ("replica-url", "replica", "URL"),
    ("e", "env-file", "FILE"),
    ("u", "user", "USER"),
    ("w", "cwd", "FOLDER"),
    ("C", "cwd", "FOLDER"),
    ("workdir", "cwd", "FOLDER"),
    ("chdir", "cwd", "FOLDER"),
    ("s", "stop-signal", "SIGNAL"),
    ("t", "stop-timeout", "DUR"),
    ("timeout", "stop-timeout", "DUR"),
    ("v", "log-level", "debug"),
    ("verbose", "log-level", "debug"),
    ("debug", "log-level", "debug"),
    ("q", "log-level", "error"),
    ("quiet", "log-level", "error"),
];

/// What a refused command line may have meant. Where that is known, what clap takes for similar is taken out.
pub(super) fn hint(error: &mut clap::Error, words: &[OsString]) -> Option<String> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let hint = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            command(&words, error.get(ContextKind::SuggestedSubcommand).is_some())
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => return of_variable(error, &words),
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

/// The variable that has the refused value, where no option of the command line does.
fn of_variable(error: &clap::Error, words: &[String]) -> Option<String> {
    let refused = error.get(ContextKind::InvalidArg)?.to_string();
    let option = refused.split([' ', '=']).next()?.strip_prefix("--")?.to_owned();
    let is_it =
        |word: &String| word.strip_prefix("--").and_then(|word| word.split('=').next()) == Some(&option);
    if words.iter().take_while(|word| *word != "--").any(is_it) {
        return None;
    }
    let cli = Cli::command();
    let command = cli.find_subcommand(words.first()?)?;
    let argument = command.get_arguments().find(|argument| argument.get_long() == Some(&option))?;
    let name = argument.get_env()?.to_str()?;
    variable(name).map(|_| format!("the value is that of the variable {name}"))
}

/// Hides in what is refused what may be a secret: it may be a URL that nobody could read as one.
pub(super) fn mask(error: &mut clap::Error) {
    // A line break in a value would be a line of its own.
    let shown = |text: &str| foreign::line(&secrets::mask_unread(text)).into_owned();
    let said: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    let is_shown_as_is = |value: &ContextValue| {
        let text = value.to_string();
        shown(&text) == text
    };
    let hides = said.iter().any(|(kind, value)| is_typed(*kind) && !is_shown_as_is(value));
    for (kind, value) in said {
        match value {
            ContextValue::String(text) if is_typed(kind) => {
                error.insert(kind, ContextValue::String(shown(&text)));
            }
            ContextValue::Strings(texts) if is_typed(kind) => {
                error.insert(kind, ContextValue::Strings(texts.iter().map(|text| shown(text)).collect()));
            }
            // A tip repeats what was typed.
            ContextValue::StyledStr(_) | ContextValue::StyledStrs(_)
                if hides && kind != ContextKind::Usage =>
            {
                error.remove(kind);
            }
            _ => {}
        }
    }
}

/// Says whether that is a typed word, and not this program's own.
fn is_typed(kind: ContextKind) -> bool {
    matches!(
        kind,
        ContextKind::InvalidValue
            | ContextKind::InvalidArg
            | ContextKind::InvalidSubcommand
            | ContextKind::TrailingArg
    )
}

/// The first word is no command of this program.
fn command(words: &[String], has_similar: bool) -> Option<String> {
    let word = words.iter().find(|word| *word != "--")?;
    match word.as_str() {
        "replicate" => Some(format!("litekeeper starts litestream by itself: {}", as_run(words))),
        "up" | "serve" | "supervise" => Some("`litekeeper run -- COMMAND ARG…` runs an app".to_owned()),
        // A misspelt command has a similar one; what is left is somebody's app.
        _ if has_similar && !word.contains('/') => None,
        _ => {
            let word = secrets::mask_unread(word);
            Some(format!("an app's command comes after `run --`: `litekeeper run -- {word}`"))
        }
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
    let app = value("exec").map_or_else(|| "COMMAND ARG…".to_owned(), |app| secrets::mask_unread(&app));
    format!("`litekeeper run{config} -- {app}`")
}

/// Explains a word of `litekeeper COMMAND …` that is not one of its options.
fn option(words: &[String], refused: &str) -> Option<String> {
    let (name, rest) = words.split_first()?;
    let cli = Cli::command();
    if name.starts_with('-') {
        return before_any_command(cli.find_subcommand("run")?, words);
    }
    let command = cli.find_subcommand(name)?;
    let before: Vec<&String> = rest.iter().take_while(|word| *word != "--").collect();
    // With one dash clap reads the letters one by one, and complains about the first that it does not know.
    let dashed = before.iter().filter(|word| word.starts_with('-') && word.len() > 2);
    let known = dashed.filter_map(|word| named(command, word)).next();
    known
        .or_else(|| before.iter().find_map(|word| elsewhere(command, word)))
        .or_else(|| bare(command, refused))
}

/// An option stands where a command belongs.
fn before_any_command(run: &Command, words: &[String]) -> Option<String> {
    let first = words.first()?;
    let name = first.trim_start_matches('-').split('=').next().unwrap_or_default();
    if ["v", "V", "version"].contains(&name) {
        return Some(
            "`litekeeper --version` says its version; `litekeeper run --log-level debug` says more of a run"
                .to_owned(),
        );
    }
    let ours = ELSEWHERE.iter().find(|(other, ..)| *other == name).map_or(name, |(_, ours, _)| ours);
    let argument = run.get_arguments().find(|argument| argument.get_long() == Some(ours))?;
    let value = match first.split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => words.get(1).filter(|word| !word.starts_with('-')).cloned(),
    };
    // A replica's URL may hold a password.
    let value = value.filter(|_| ours == "config").unwrap_or_else(|| "…".to_owned());
    let value = if argument.get_action().takes_values() { format!(" {value}") } else { String::new() };
    Some(format!("the command comes first: `litekeeper run --{ours}{value} -- COMMAND ARG…`"))
}

/// An option that has another name here.
fn elsewhere(command: &Command, word: &str) -> Option<String> {
    let is_short = word.len() == 2 && word.starts_with('-');
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    if !word.starts_with('-') || name.len() == 1 && !is_short {
        return None;
    }
    if ["V", "version"].contains(&name) {
        return Some("`litekeeper --version` says it".to_owned());
    }
    let (_, ours, value) = ELSEWHERE.iter().find(|(other, ..)| *other == name)?;
    let has_it = command.get_arguments().any(|argument| argument.get_long() == Some(ours));
    has_it.then(|| format!("`{word}` is `--{ours} {value}` here"))
}

fn named(command: &Command, word: &str) -> Option<String> {
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let is_called = |argument: &Arg| {
        argument.get_long() == Some(name)
            || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    };
    let is_ours = command.get_arguments().any(is_called);
    match name {
        _ if is_ours && !word.starts_with("--") => Some(format!("`--{name}`, with two dashes")),
        _ if is_ours => None,
        "exec" => Some("the app's command comes after `--`: `litekeeper run -- COMMAND ARG…`".to_owned()),
        name if BY_ITSELF.contains(&name) => Some(format!(
            "leave `{word}` out: `litekeeper run` restores a missing database that has a backup by itself"
        )),
        name if OPTIONS.contains(&name) => {
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
            ("restore -timestamp x", "`--timestamp`, with two dashes"),
            ("restore -if-db-not-exists", "`--if-db-not-exists`, with two dashes"),
            ("-- bin/server", "`litekeeper run -- bin/server`"),
            ("bin/server --port 80", "`litekeeper run -- bin/server`"),
            ("exec bin/console", "`litekeeper exec -- bin/console`"),
            ("sync -wait app.db", "`--wait`, with two dashes"),
            ("ltx -config f app.db", "`--config`, with two dashes"),
            ("ltx -level 9 app.db", "`--level`, with two dashes"),
            ("databases -c f", "`-c` is `--config FILE` here"),
            ("-config f", "`litekeeper run --config f -- COMMAND ARG…`"),
            ("--config=f -- x", "`litekeeper run --config f -- COMMAND ARG…`"),
            ("-c f", "`litekeeper run --config f -- COMMAND ARG…`"),
            ("--db app.db --replica s3://k:hunter2@b", "`litekeeper run --db … -- COMMAND ARG…`"),
            ("-v", "`litekeeper --version`"),
            ("run -c f", "`-c` is `--config FILE` here"),
            ("run -c f -- true", "`-c` is `--config FILE` here"),
            ("run -v -- true", "`-v` is `--log-level debug` here"),
            ("run --verbose -- true", "`--verbose` is `--log-level debug` here"),
            ("run -d app.db -- true", "`-d` is `--db PATH` here"),
            ("run --workdir x -- true", "`--workdir` is `--cwd FOLDER` here"),
            ("run -V", "`litekeeper --version`"),
            ("check -c f", "`-c` is `--config FILE` here"),
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
