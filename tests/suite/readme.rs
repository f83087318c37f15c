//! README and `--help` say the same: what the program does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use litekeeper::cli::args::Cli;
use litekeeper::env_vars;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Option, variable and default of each row of the options table.
fn options_table(readme: &str) -> BTreeMap<String, (String, String)> {
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    let rows = readme.lines().filter(|line| line.starts_with("| `--"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        let option = cell(cells[1]).split(' ').next().unwrap().to_owned();
        (option, (cell(cells[2]), cell(cells[3])))
    })
    .collect()
}

#[test]
fn the_options_table_is_the_command_line() {
    let table = options_table(&readme());
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let variables: BTreeMap<&str, &str> =
        env_vars::OPTIONS.iter().map(|(name, option)| (*option, *name)).collect();
    let mut options = 0;
    for arg in run.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help")) {
        options += 1;
        let long = format!("--{}", arg.get_long().unwrap());
        let (variable, default) =
            table.get(&long).unwrap_or_else(|| panic!("the README has no row for {long}"));
        assert_eq!(variables.get(long.as_str()), Some(&variable.as_str()), "{long}");
        if let Some(read) = arg.get_env() {
            assert_eq!(read.to_str(), Some(variable.as_str()), "{long}");
        }
        if let [real] = arg.get_default_values() {
            let real = real.to_str().unwrap();
            assert!(
                default == real || (default == "off" && real == "false"),
                "{long}: {default}, really {real}"
            );
        }
    }
    assert_eq!(table.len(), options, "the README has rows for options that are not there");
    assert_eq!(variables.len(), options);
}

#[test]
fn every_variable_is_in_the_readme() {
    let readme = readme();
    for (name, _) in env_vars::OPTIONS.iter().chain(env_vars::OTHERS) {
        assert!(readme.contains(name), "{name}");
    }
}

#[test]
fn every_exit_code_is_in_the_readme() {
    use litekeeper::core::ExitCode;
    let readme = readme();
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
fn help_is_complete_on_every_command() {
    for command in ["run", "check", "demo", "install"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_litekeeper")).args([command, "--help"]).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Usage: litekeeper") && !text.contains("__shim"), "{text}");
    }
}
