//! README, the pages in `docs/` and `--help` say the same: what the program does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use litekeeper::cli::args::Cli;
use litekeeper::config;
use litekeeper::env_vars;

use crate::support::docs;

/// Variable, key and default of each row of the options table.
fn options_table(page: &str) -> BTreeMap<String, [String; 3]> {
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    let rows = page.lines().filter(|line| line.starts_with("| `--"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let option = cell(cells[1]).split(' ').next().unwrap().to_owned();
        (option, [cell(cells[2]), cell(cells[3]), cell(cells[4])])
    })
    .collect()
}

#[test]
fn the_options_table_is_the_command_line() {
    let pages = docs::everything();
    let table = options_table(&docs::page("docs/configuration.md").text);
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let variables: BTreeMap<&str, &str> =
        env_vars::OPTIONS.iter().map(|(name, option)| (*option, *name)).collect();
    let mut options = 0;
    for arg in run.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help")) {
        options += 1;
        let long = format!("--{}", arg.get_long().unwrap());
        let [variable, key, default] =
            table.get(&long).unwrap_or_else(|| panic!("docs/configuration.md has no row for {long}"));
        assert_eq!(variables.get(long.as_str()), Some(&variable.as_str()), "{long}");
        if let Some(read) = arg.get_env() {
            assert_eq!(read.to_str(), Some(variable.as_str()), "{long}");
        }
        let real = config::KEYS.iter().find(|key| key.option == arg.get_long()).map(|key| key.path);
        let without_key = ["--config", "--no-expand-env", "--db", "--replica"].contains(&long.as_str());
        assert!(real.map_or(without_key, |real| real == key), "{long}: {key}, really {real:?}");
        if let [real] = arg.get_default_values() {
            let real = real.to_str().unwrap();
            assert!(
                default == real || (default == "off" && real == "false"),
                "{long}: {default}, really {real}"
            );
        }
    }
    assert_eq!(table.len(), options, "docs/configuration.md has rows for options that are not there");
    assert_eq!(variables.len(), options);
    for key in config::KEYS {
        let named = format!("`{}`", key.path);
        assert!(pages.contains(&named), "no page names {named}");
        let is_option = |option| option == "command" || table.contains_key(&format!("--{option}"));
        assert!(key.option.is_none_or(is_option), "{named} is the key of no option");
    }
}

#[test]
fn every_variable_is_in_the_pages() {
    let pages = docs::everything();
    for (name, _) in env_vars::OPTIONS.iter().chain(env_vars::OTHERS) {
        assert!(pages.contains(name), "{name}");
    }
    let rows = pages.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<(&str, &str)> =
        rows.filter(|(name, _)| env_vars::all().any(|(known, _)| known == *name)).collect();
    let table = env_vars::LITESTREAM.iter().chain(env_vars::PASSED_ON);
    let expected: Vec<(&str, String)> =
        table.map(|(name, meaning)| (*name, format!("{meaning} |"))).collect();
    let found: Vec<(&str, String)> =
        rows.into_iter().map(|(name, meaning)| (name, meaning.to_owned())).collect();
    assert_eq!(found, expected);
}

/// A variable that the sources name is in the tables.
#[test]
fn every_variable_that_is_read_is_in_the_tables() {
    fn look(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                look(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            // What tests set is not what the program reads.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let names = code.split('"').filter(|text| {
                (text.starts_with("LITEKEEPER_") || text.starts_with("LITESTREAM_"))
                    && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
                    && !text.ends_with('_')
            });
            found.extend(names.map(str::to_owned));
        }
    }
    let mut found = Vec::new();
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 40, "{found:?}");
    for name in found {
        assert!(env_vars::all().any(|(known, _)| known == name), "{name}");
    }
}

#[test]
fn every_exit_code_is_in_the_readme() {
    use litekeeper::core::ExitCode;
    let readme = docs::page("README.md").text;
    let table: String =
        readme.lines().filter(|line| line.starts_with("| ") && line.contains(" | ")).collect();
    for code in [
        ExitCode::USAGE,
        ExitCode::UNAVAILABLE,
        ExitCode::LITESTREAM,
        ExitCode::NOT_DRAINED,
        ExitCode::LOCKED,
        ExitCode::CONFIG,
        ExitCode::NOT_EXECUTABLE,
        ExitCode::NOT_FOUND,
    ] {
        assert!(table.contains(&code.to_string()), "{code}");
    }
}

#[test]
fn help_is_as_wide_as_the_terminal() {
    for (columns, most) in [("60", 60), ("300", 100)] {
        let mut help = Command::new(env!("CARGO_BIN_EXE_litekeeper"));
        let output = help.args(["run", "-h"]).env("COLUMNS", columns).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // A default value is one word for clap.
        let wide: Vec<_> =
            text.lines().filter(|line| line.chars().count() > most && line.contains("  ")).collect();
        assert!(wide.len() < 3, "{columns}: {wide:#?}");
    }
}

#[test]
fn a_command_line_of_litestreams_is_told_what_it_is_here() {
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_litekeeper")).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let text = run(&["replicate", "-config", "f", "-exec", "bin/server"]);
    assert!(
        text.contains(
            "hint: litekeeper starts litestream by itself: `litekeeper run --config f -- bin/server`"
        ),
        "{text}"
    );
    assert!(!text.contains("reload"), "{text}");
    let text = run(&["run", "-config", "f", "--", "x"]);
    assert!(text.contains("hint: `--config`, with two dashes"), "{text}");
}

#[test]
fn help_is_complete_on_every_command() {
    let cli = Cli::command();
    for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
        let command = command.get_name();
        let output =
            Command::new(env!("CARGO_BIN_EXE_litekeeper")).args([command, "--help"]).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Usage: litekeeper") && !text.contains("__shim"), "{text}");
        assert!(text.contains(&format!("Examples:\n  litekeeper {command}")), "{text}");
    }
}
