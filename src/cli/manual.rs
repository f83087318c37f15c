//! What shells and `man` are told: `litekeeper completions` and `litekeeper man`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use clap::CommandFactory as _;

use super::args::{self, Cli};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::printer;

/// What the program is called.
const NAME: &str = "litekeeper";
/// It, and which one.
const VERSION: &str = concat!("litekeeper ", env!("CARGO_PKG_VERSION"));

/// Prints a shell's completions.
///
/// # Errors
/// They cannot be written.
pub(super) fn completions(args: &args::Completions) -> Result<ExitCode, Failure> {
    let shell = match args.shell {
        args::Shell::Bash => clap_complete::Shell::Bash,
        args::Shell::Zsh => clap_complete::Shell::Zsh,
        args::Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut text);
    printer::data(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::OK)
}

/// Prints the page of a command, or writes all of them to a folder.
///
/// # Errors
/// There is no such command, or they cannot be written.
pub(super) fn man(args: &args::Man) -> Result<ExitCode, Failure> {
    let Some(folder) = &args.to_dir else {
        let page = page(args.command.as_deref())?;
        printer::data(&page.text)?;
        return Ok(ExitCode::OK);
    };
    let unwritten = |path: &Path, error: &io::Error| {
        Failure::new(ExitCode::UNAVAILABLE, format!("{} cannot be written: {error}", path.display())).hint(
            "name a folder that this user may write to; without --to-dir a page goes to standard output",
        )
    };
    fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    for page in pages() {
        let path = folder.join(&page.name);
        write(folder, &path, page.text.as_bytes()).map_err(|error| unwritten(&path, &error))?;
        printer::data(&format!("{}\n", path.display()))?;
    }
    Ok(ExitCode::OK)
}

/// A page of the manual, and the name of its file.
struct Page {
    name: String,
    text: String,
}

impl Page {
    fn of(of: clap::Command) -> Self {
        let command = of.get_name().to_owned();
        let man = clap_mangen::Man::new(of).manual("Litekeeper").source(VERSION);
        let mut text = Vec::new();
        // Memory takes all that is written.
        let _ = man.render(&mut text);
        let text = String::from_utf8_lossy(&text);
        let (text, examples) = text.split_once(".SH EXTRA\nExamples:\n").unwrap_or((&text, ""));
        let examples = if examples.is_empty() { String::new() } else { format!(".SH EXAMPLES\n{examples}") };
        Self { name: man.get_filename(), text: format!("{text}{}{examples}", exit_status(&command)) }
    }
}

/// What a command's codes mean, as a section.
fn exit_status(command: &str) -> String {
    let of = |codes: &[(&str, &str)]| {
        let line = |(code, what): &(&str, &str)| format!(".TP\n\\fB{code}\\fR\n{what}\n");
        format!(".SH \"EXIT STATUS\"\n{}", codes.iter().map(line).collect::<String>())
    };
    let own: &[(&str, &str)] = match command {
        "run" => &[
            ("the app's own", "the app ended and is not to be restarted"),
            ("128 + n", "signal n ended the app"),
            ("70", "Litestream could not be started, or kept failing"),
            ("74", "something that the app wrote, or an earlier run left, is not on the replica"),
            ("126, 127", "the app cannot be executed, was not found"),
        ],
        "status" => &[
            ("0", "a keeper runs, the app is ready and each database is on its replica"),
            ("1", "one is not, or the keeper is not ready or does not answer"),
            ("3", "no keeper runs"),
        ],
        "healthcheck" => {
            return of(&[
                ("0", "the keeper is ready"),
                ("1", "it is not, or cannot be asked"),
                ("2", "the command line is wrong"),
            ]);
        }
        "verify" => &[
            ("0", "in-sync: each backup restores to its database"),
            ("1", "out-of-sync: one restores to something else"),
            ("69", "not-restorable: nothing whole comes of one"),
            ("75", "inconclusive: nobody can tell now"),
        ],
        "wait" => &[
            ("0", "all that was in them is on their replicas"),
            ("74", "it is not, as far as was confirmed in time"),
            ("75", "too many wait already"),
        ],
        "query" => &[(
            "1",
            "the replica has not answered for longer than max-lag-seconds: what was shown may be old",
        )],
        "exec" | "litestream" => &[("the command's own", "it ended with that")],
        _ => &[],
    };
    let common: &[(&str, &str)] = &[
        ("0", "all went well"),
        (
            "2, 64",
            "the command line is wrong, or names what is not there or not clear, or asks for what this Litestream has not",
        ),
        ("69", "what is needed is not available: the replica, the backup, a file or a keeper"),
        ("75", "somebody else has the database"),
        ("78", "the configuration is wrong, or the system lacks what is needed"),
    ];
    let others = common.iter().filter(|(code, _)| own.iter().all(|(known, _)| known != code));
    let mut lines: Vec<_> = own.iter().chain(others).copied().collect();
    // In the order of the numbers, after what has none.
    lines.sort_by_key(|(code, _)| code.split(',').next().and_then(|code| code.parse::<u8>().ok()));
    of(&lines)
}

/// The program as it is typed: without a command that only prints what these pages say.
fn program() -> clap::Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

fn pages() -> Vec<Page> {
    let program = program();
    let commands: Vec<clap::Command> =
        program.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    std::iter::once(program).chain(commands).map(Page::of).collect()
}

fn page(command: Option<&str>) -> Result<Page, Failure> {
    let program = program();
    let Some(name) = command else { return Ok(Page::of(program)) };
    if let Some(found) = program.find_subcommand(name) {
        return Ok(Page::of(found.clone()));
    }
    let known: Vec<&str> = program
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    Err(Failure::new(ExitCode::USAGE, format!("`{name}` is no command"))
        .hint(format!("these are: {}", known.join(", "))))
}

/// Writes a file in one step: whoever reads the page meanwhile has the old one.
fn write(folder: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}
