//! `litekeeper check`.

use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::args;
use super::databases::{self, Source};
use super::layers;
use super::one_shot;
use super::settings::{self, variable};
use crate::check::{self, Site};
use crate::config::lint::{self, Lint, Severity};
use crate::config::{self, Config, Document, LoadOptions, Origin, SECTION, Section, Series, Setting};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::binary::{self, Named};
use crate::litestream::command::Runner;
use crate::litestream::install;
use crate::os::user::{self, Identity};

/// Lists everything that is wrong, and everything that is worth to be known.
///
/// # Errors
/// What keeps it from looking: a wrong command line.
pub(super) fn check(args: &args::Check) -> Result<ExitCode, Failure> {
    let cwd = settings::current_dir()?;
    let source = Source {
        config: args.config.as_deref(),
        dbs: &args.db,
        replicas: &args.replica,
        no_expand_env: args.no_expand_env,
    };
    let pairs = databases::pairs(&source)?;
    let user = who(args.user.as_deref())?;
    let binary = binary::find(Named::default(), &variable, &cwd, install::installed(variable));
    let found = one_shot::block_on(|children| async {
        let runner = |binary| Runner {
            binary,
            user: user.clone().filter(|_| user::is_root()),
            children,
            env: Rc::default(),
        };
        check::look_for_litestream(binary, runner, None).await
    })?;
    let series =
        found.usable.as_ref().map(|(_, version)| if version.is_ltx() { Series::V05 } else { Series::V03 });

    let home = user::home();
    let options = LoadOptions {
        no_expand_env: args.no_expand_env,
        env: &databases::text_variable,
        cwd: &cwd,
        home: home.as_deref(),
        pid: std::process::id(),
    };
    let (config, mut lints) = read(pairs.as_deref(), args.config.as_deref(), &options, series);
    let has_secrets = lints.iter().any(|lint| lint.rule == lint::SECRET_IN_FILE);
    if let Some(config) = &config {
        let stop_timeout = args.stop_timeout;
        let default_stop = Duration::from_secs(if variable("FLY_APP_NAME").is_some() { 5 } else { 10 });
        let roots = settings::runtime_roots();
        lints.extend(check::look(&Site {
            config,
            has_secrets,
            user,
            variable: &variable,
            cwd: &cwd,
            runtime_roots: &roots,
            stop_timeout,
            default_stop,
        }));
    }
    lints.extend(found.lints);
    sort(&mut lints);
    show(&lints, args.json).map_err(|error| {
        Failure::new(ExitCode::UNAVAILABLE, format!("standard output cannot be written: {error}"))
    })?;
    let is_bad = |lint: &Lint| match lint.rule.severity {
        Severity::Error => true,
        Severity::Warning => args.strict,
        Severity::Note => false,
    };
    Ok(if lints.iter().any(is_bad) { ExitCode::CONFIG } else { ExitCode::OK })
}

/// The user that will run, unless it is this one. Anybody may ask how another one would fare.
fn who(text: Option<&str>) -> Result<Option<Identity>, Failure> {
    let found = text.map(Identity::find).transpose();
    let found = found.map_err(|error| Failure::new(ExitCode::CONFIG, format!("--user: {error}")))?;
    Ok(found.filter(|user| !user.is_current()))
}

/// Reads the configuration as far as that is possible.
fn read(
    pairs: Option<&[(String, String)]>,
    config: Option<&Path>,
    options: &LoadOptions<'_>,
    series: Option<Series>,
) -> (Option<Config>, Vec<Lint>) {
    let (config, mut lints) = match pairs {
        Some(pairs) => (Config::from_pairs(pairs, options), Vec::new()),
        None => {
            let exists = |path: &Path| options.cwd.join(path).is_file();
            match config::find(config, options.env, &exists) {
                Some(path) => match config::open(&path, options) {
                    Ok(document) => {
                        let mut lints = lint::lint(&document, options, series);
                        lints.extend(section(&document, options));
                        (document.config(options), lints)
                    }
                    Err(error) => (Err(error), Vec::new()),
                },
                None => match Config::from_environment(options) {
                    Ok(Some(config)) => (Ok(config), Vec::new()),
                    Ok(None) => (Err(config::Error::nothing_given()), Vec::new()),
                    Err(error) => (Err(error), Vec::new()),
                },
            }
        }
    };
    let errors: Vec<config::Error> = match &config {
        Ok(config) => {
            let several = config.check(series.unwrap_or(Series::V05)).err();
            several.into_iter().chain(config.exec().err()).collect()
        }
        Err(error) => vec![error.clone()],
    };
    for lint in errors.iter().flat_map(lint::of_error) {
        // The table of all settings may have said the same, and with the column.
        if !lints.iter().any(|other| other.line == lint.line && other.rule == lint.rule) {
            lints.push(lint);
        }
    }
    (config.ok(), lints)
}

/// What is wrong in the `litekeeper` section, and what changes nothing.
fn section(document: &Document, options: &LoadOptions<'_>) -> Vec<Lint> {
    let section = match Section::read(document, options.env, &layers::accepts) {
        Ok(section) => section,
        Err(error) => return lint::of_error(&error),
    };
    let idle = section.settings().iter().filter(|setting| setting.key.is_idle());
    let lint = |setting: &Setting| {
        let message = format!("`{SECTION}.{}` has no effect in this version", setting.key.path);
        Lint::new(lint::NO_EFFECT, &document.origin, message).at(setting.line, 0)
    };
    idle.map(lint).collect()
}

/// What belongs to one file comes together, the files and the rest in the order in which they were found.
fn sort(lints: &mut [Lint]) {
    let mut origins: Vec<Origin> = Vec::new();
    for lint in lints.iter() {
        if !origins.contains(&lint.origin) {
            origins.push(lint.origin.clone());
        }
    }
    lints.sort_by_key(|lint| {
        let origin = origins.iter().position(|origin| *origin == lint.origin);
        (origin, lint.line, lint.column, lint.rule.severity)
    });
}

fn show(lints: &[Lint], json: bool) -> std::io::Result<()> {
    let mut text = String::new();
    if json {
        let all: Vec<_> = lints.iter().map(as_json).collect();
        text = format!("{:#}\n", serde_json::Value::from(all));
    } else {
        lints.iter().for_each(|lint| text.push_str(&as_text(lint)));
    }
    std::io::stdout().write_all(text.as_bytes())?;
    eprintln!("{}", summary(lints));
    Ok(())
}

fn as_text(lint: &Lint) -> String {
    let place = match (lint.line, lint.column) {
        (0, _) => String::new(),
        (line, 0) => format!(":{line}"),
        (line, column) => format!(":{line}:{column}"),
    };
    let mut text =
        format!("{}{place}: {}: {} [{}]\n", lint.origin, lint.rule.severity, lint.message, lint.rule.code);
    if let Some(hint) = &lint.hint {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    text
}

fn as_json(lint: &Lint) -> serde_json::Value {
    let position = |number: usize| (number > 0).then_some(number);
    json!({
        "severity": lint.rule.severity.to_string(),
        "code": lint.rule.code,
        "origin": lint.origin.to_string(),
        "file": lint.origin.file().map(|path| path.to_string_lossy()),
        "line": position(lint.line),
        "column": position(lint.column),
        "message": lint.message,
        "hint": lint.hint,
    })
}

fn summary(lints: &[Lint]) -> String {
    let count = |severity: Severity, one: &str| {
        let number = lints.iter().filter(|lint| lint.rule.severity == severity).count();
        format!("{number} {one}{}", if number == 1 { "" } else { "s" })
    };
    if lints.is_empty() {
        return "nothing found".to_owned();
    }
    let (errors, warnings) = (count(Severity::Error, "error"), count(Severity::Warning, "warning"));
    format!("{errors}, {warnings}, {}", count(Severity::Note, "note"))
}
