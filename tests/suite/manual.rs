//! What shells complete and what `man` shows: one word for each command, whatever else comes.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use litekeeper::cli::args::Cli;

use crate::support::keeper::Keeper;
use crate::support::world::World;

fn said(world: &World, words: &[&str]) -> String {
    let (command, options) = words.split_first().expect("a command");
    Keeper::new(world).command(command).args(options).run().expect_code(0).stdout
}

/// All commands but `help`.
fn commands() -> Vec<String> {
    let cli = Cli::command();
    cli.get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect()
}

/// What a real bash offers for these words, the last of which is being typed.
fn completed(world: &World, file: &Path, words: &[&str]) -> Vec<String> {
    let words = shlex::try_join(words.iter().copied()).expect("no NUL");
    let script = format!(
        ". {file}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); \
         _litekeeper litekeeper \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file = file.display()
    );
    let mut shell = Command::new("bash");
    shell.args(["--norc", "-c", &script]).current_dir(world.root());
    let output = shell.output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_real_bash_completes_commands_options_and_values() {
    let world = World::new();
    let file = world.write("litekeeper.bash", &said(&world, &["completions", "bash"]));
    let offered = completed(&world, &file, &["litekeeper", ""]);
    for command in commands() {
        assert!(offered.contains(&command), "no {command} in {offered:?}");
    }
    assert_eq!(completed(&world, &file, &["litekeeper", "snap"]), ["snapshots"]);
    let options = completed(&world, &file, &["litekeeper", "ltx", "--"]);
    assert!(options.contains(&"--level".to_owned()) && options.contains(&"--json".to_owned()), "{options:?}");
    let values = completed(&world, &file, &["litekeeper", "run", "--gate", ""]);
    assert_eq!(values, ["replicated", "reachable", "none"]);
}

#[test]
fn zsh_and_fish_are_told_of_every_command() {
    let world = World::new();
    let zsh = said(&world, &["completions", "zsh"]);
    assert!(zsh.starts_with("#compdef litekeeper"), "{zsh}");
    let fish = said(&world, &["completions", "fish"]);
    for command in commands() {
        assert!(zsh.contains(&format!("({command})")), "no {command} for zsh");
        assert!(fish.contains(&format!("-a \"{command}\"")), "no {command} for fish");
    }
    let ended = Keeper::new(&world).command("completions").arg("tcsh").run().expect_code(2);
    ended.expect_log("[possible values: bash, zsh, fish]");
}

#[test]
fn each_command_has_a_page() {
    let world = World::new();
    let page = said(&world, &["man"]);
    assert!(page.contains(".TH litekeeper 1"), "{page}");
    let run = said(&world, &["man", "run"]);
    assert!(run.contains(".TH litekeeper-run 1") && run.contains("stop\\-timeout"), "{run}");
    // What stands at the end of `--help`.
    let ltx = said(&world, &["man", "ltx"]);
    let (_, examples) = ltx.split_once(".SH EXAMPLES").expect("examples");
    assert!(examples.contains("litekeeper ltx data/app.db"), "{examples}");

    let folder = world.path("share/man1");
    let told = said(&world, &["man", "--to-dir", folder.to_str().expect("UTF-8")]);
    let mut names: Vec<String> = commands().iter().map(|command| format!("litekeeper-{command}.1")).collect();
    names.push("litekeeper.1".to_owned());
    names.sort();
    assert_eq!(world.list("share/man1"), names);
    assert_eq!(told.lines().count(), names.len());
    for name in &names {
        let page = fs::read_to_string(folder.join(name)).expect("text");
        let title = name.trim_end_matches(".1");
        assert!(page.contains(&format!(".TH {title} 1")), "{name}");
        let (_, status) = page.split_once(".SH \"EXIT STATUS\"").expect("each ends with some code");
        assert!(status.contains("\\fB0\\fR") && status.contains("\\fB2"), "{status}");
        if name != "litekeeper.1" {
            let command = title.trim_start_matches("litekeeper-");
            assert!(page.contains(&format!("litekeeper {command}")), "{name} is called as it is typed");
        }
    }
    let written = fs::read_to_string(folder.join("litekeeper-run.1")).expect("text");
    assert!(written.lines().map(str::trim_end).eq(run.lines()), "{written}");
    // Once more, over the old ones.
    said(&world, &["man", "--to-dir", folder.to_str().expect("UTF-8")]);
    assert_eq!(world.list("share/man1"), names);
}

#[test]
fn a_page_that_is_not_there_or_cannot_be_written_is_told() {
    let world = World::new();
    let man = |words: &[&str]| Keeper::new(&world).command("man").args(words).run();
    man(&["nowhere"])
        .expect_code(64)
        .expect_log("`nowhere` is no command")
        .expect_log("hint: these are: run, ");
    world.write("file", "");
    let ended = man(&["--to-dir", "file/man1"]).expect_code(69);
    ended.expect_log("file/man1 cannot be written: ").expect_log("hint: ");
    man(&["run", "--to-dir", "man1"]).expect_code(2);
}

/// A value that is set is nobody's concern: it may be a secret.
#[test]
fn pages_have_no_values_of_variables() {
    let world = World::new();
    let keeper = Keeper::new(&world).command("man").arg("run").env("LITEKEEPER_BEFORE", "hunter2");
    assert!(!keeper.run().expect_code(0).stdout.contains("hunter2"));
    let keeper = Keeper::new(&world).command("completions").arg("zsh").env("LITEKEEPER_BEFORE", "hunter2");
    assert!(!keeper.run().expect_code(0).stdout.contains("hunter2"));
}

/// What a command says of itself changes when somebody means it.
#[test]
fn the_help_of_every_command_is_as_it_was() {
    let world = World::new();
    for command in commands() {
        insta::assert_snapshot!(format!("help_of_{command}"), said(&world, &[&command, "--help"]));
    }
}
