//! Flag, variable, file, default: each outweighs the next, and the command line's own reader decides.
//!
//! What the file says becomes the default of the option of the same meaning, and the command line is
//! read a second time. So a file's value is checked by the very parser that checks the flag's, and
//! who wins is decided in one place for all.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches};

use super::args::{Cli, Run};
use super::typed;
use crate::config::{self, KeeperKey, KeeperSection, Setting};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::secrets;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SettingOrigin {
    /// The command line.
    Flag(String),
    /// A variable.
    Variable(String),
    /// A file, and the line in it.
    File(PathBuf, usize),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingOrigin::Flag(flag) => f.write_str(flag),
            SettingOrigin::Variable(name) => f.write_str(name),
            SettingOrigin::File(path, 0) => write!(f, "{}", path.display()),
            SettingOrigin::File(path, line) => write!(f, "{}:{line}", path.display()),
            SettingOrigin::Default => f.write_str("default"),
        }
    }
}

/// A command line as it was typed.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// All of its words, the program's name first.
    pub(super) words: &'a [OsString],
    /// The command among them, which has the options of `run`.
    pub(super) subcommand: &'static str,
    /// Those options.
    pub(super) run: &'a Run,
}

/// The options of a run, and where each came from.
pub(super) struct Layers {
    /// The options.
    pub(super) args: Run,
    origins: BTreeMap<String, SettingOrigin>,
    texts: BTreeMap<String, Vec<String>>,
}

impl Layers {
    /// Reads the command line again, above what the file says.
    ///
    /// # Errors
    /// When the command line is not the one that was read before.
    pub(super) fn of(line: Line<'_>, section: &KeeperSection, file: Option<&Path>) -> Result<Self, Failure> {
        let with_file = |run: clap::Command| {
            section.settings().iter().fold(run, |run, setting| match setting.key.option {
                Some(option) => {
                    run.mut_arg(id(option), |arg| arg.default_values(setting.values.iter().cloned()))
                }
                None => run,
            })
        };
        let unreadable = |mut error: clap::Error| {
            typed::mask(&mut error);
            Failure::lines(ExitCode::USAGE, error.to_string().trim_end().split('\n'))
        };
        let subcommand = line.subcommand;
        let command = Cli::command().mut_subcommand(subcommand, with_file);
        let matches = command.try_get_matches_from(line.words).map_err(unreadable)?;
        let Some(matches) = matches.subcommand_matches(subcommand) else {
            return Err(Failure::new(ExitCode::USAGE, format!("the command is not `{subcommand}`")));
        };
        let args = Run::from_arg_matches(matches).map_err(unreadable)?;
        let options = options();
        let origins = options.get_arguments().map(|arg| {
            let name = arg.get_id().as_str();
            let is_it = |setting: &&Setting| setting.key.option.is_some_and(|option| id(option) == name);
            let setting = section.settings().iter().find(is_it);
            (name.to_owned(), origin(arg, matches, setting, file))
        });
        let texts = options.get_arguments().filter_map(|arg| {
            let name = arg.get_id().as_str();
            let texts = matches.get_raw(name)?.map(|text| text.to_string_lossy().into_owned());
            Some((name.to_owned(), texts.collect()))
        });
        let layers = Self { args, origins: origins.collect(), texts: texts.collect() };
        layers
            .texts("restore-from")
            .iter()
            .flat_map(|text| config::secrets_of_url(text))
            .for_each(secrets::know);
        Ok(layers)
    }

    /// The texts of an option as whoever won wrote them; none if nobody gave it any.
    pub(super) fn texts(&self, option: &str) -> &[String] {
        self.texts.get(&id(option)).map_or(&[], Vec::as_slice)
    }

    /// Where the value of an option came from.
    pub(super) fn origin(&self, name: &str) -> &SettingOrigin {
        self.origins.get(&id(name)).unwrap_or(&SettingOrigin::Default)
    }
}

fn origin(arg: &Arg, matches: &ArgMatches, setting: Option<&Setting>, file: Option<&Path>) -> SettingOrigin {
    match (matches.value_source(arg.get_id().as_str()), setting) {
        (Some(ValueSource::CommandLine), _) => SettingOrigin::Flag(
            arg.get_long().map_or_else(|| "command line".to_owned(), |long| format!("--{long}")),
        ),
        (Some(ValueSource::EnvVariable), _) => {
            SettingOrigin::Variable(arg.get_env().unwrap_or_default().to_string_lossy().into_owned())
        }
        (Some(_), Some(setting)) => {
            SettingOrigin::File(file.unwrap_or(Path::new("")).to_owned(), setting.line)
        }
        (Some(_) | None, _) => SettingOrigin::Default,
    }
}

/// The options of `run` alone.
fn options() -> clap::Command {
    Run::augment_args(clap::Command::new("run"))
}

/// The name of the field of [`Run`] for an option.
fn id(option: &str) -> String {
    option.replace('-', "_")
}

/// A reader that says whether a text may be the value of a key, by the options as they are known to it once and for all.
///
/// # Errors
/// The reader's: a fragment that says why not.
pub(super) fn accepts() -> impl Fn(&'static KeeperKey, &str) -> Result<(), String> {
    let options = options();
    move |key, text| accepted(&options, key, text)
}

fn accepted(options: &clap::Command, key: &KeeperKey, text: &str) -> Result<(), String> {
    let Some(option) = key.option else {
        return match key.path {
            path if path.starts_with("http.auth.") && text.is_empty() => {
                Err("it must not be empty".to_owned())
            }
            "resolver.interval" => config::Resolver::interval(text).map(drop),
            _ => Ok(()),
        };
    };
    let Some(arg) = options.get_arguments().find(|arg| arg.get_long() == Some(option)) else { return Ok(()) };
    let alone = clap::Command::new("file").arg(arg.clone().env(None));
    match alone.try_get_matches_from(["file", &format!("--{option}={text}")]) {
        Ok(_) => Ok(()),
        Err(error) => Err(reason(&error)),
    }
}

/// What the command line's reader has against a value, without the command line.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        return source.to_string();
    }
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => {
            let meant = match error.get(ContextKind::SuggestedValue) {
                Some(ContextValue::String(meant)) => format!("; did you mean `{meant}`?"),
                Some(_) | None => String::new(),
            };
            format!("it must be one of {}{meant}", values.join(", "))
        }
        Some(_) | None => "not a value for it".to_owned(),
    }
}
