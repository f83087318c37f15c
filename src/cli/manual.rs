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
    fn of(command: clap::Command) -> Self {
        let man = clap_mangen::Man::new(command).manual("Litekeeper").source(VERSION);
        let mut text = Vec::new();
        // Memory takes all that is written.
        let _ = man.render(&mut text);
        let text = String::from_utf8_lossy(&text).replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n");
        Self { name: man.get_filename(), text }
    }
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
