//! `litekeeper check`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::app_env;
use super::args;
use super::databases;
use super::findings;
use super::given;
use super::layers::{self, Layers, Line};
use super::mounted::{self, text_variable};
use super::one_shot;
use super::process::{self, variable};
use super::restored;
use super::settings;
use super::switch;
use super::unread;
use super::words;
use crate::check::{self, Further, Online, Site};
use crate::config::lint::{self, Lint, Severity};
use crate::config::{self, Config, Document, LoadOptions, Origin, SECTION, Section, Series, Setting};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::inventory;
use crate::litestream::binary;
use crate::litestream::command::Runner;
use crate::litestream::install;
use crate::os::children::Children;
use crate::os::limit;
use crate::os::place;
use crate::os::user;
use crate::supervise::{Question, Said};
use crate::yaml::Node;

/// Lists everything that is wrong, and everything that is worth to be known.
///
/// # Errors
/// What keeps it from looking: a wrong command line.
pub(super) fn check(args: &args::Check, words: &[OsString]) -> Result<ExitCode, Failure> {
    limit::raise_open_files();
    let mut lints = check::too_many(0);
    // Of all else nothing could be said with so few.
    if lints.is_empty() {
        lints = one_shot::block_on(|children| look(args, words, children))??;
    }
    findings::sort(&mut lints);
    findings::show(&lints, args.json)?;
    let is_bad = |lint: &Lint| match lint.rule.severity {
        Severity::Error => true,
        Severity::Warning => args.strict,
        Severity::Note => false,
    };
    // `run` reads no further than that: what is wrong is so once replication is on again.
    let is_off = !args.strict && lints.iter().any(|lint| lint.rule == check::SWITCHED_OFF);
    Ok(if !is_off && lints.iter().any(is_bad) { ExitCode::CONFIG } else { ExitCode::OK })
}

async fn look(args: &args::Check, words: &[OsString], children: Children) -> Result<Vec<Lint>, Failure> {
    // All else would follow from it.
    if let Err(error) = given::look() {
        return Ok(lint::of_error(&error));
    }
    let cwd = process::current_dir()?;
    // Whoever looks at a folder has not said that what lies there is to be run, asked or looked up. `run` has been told to.
    if let Some((path, hand)) = databases::of_another(&settings::source(&args.run), &cwd)? {
        let lint = Lint::new(check::OF_ANOTHER, &Origin::File(path.clone()), databases::put_there(hand));
        return Ok(vec![lint.hint(databases::name_it(&path))]);
    }
    let home = user::home();
    let options = LoadOptions {
        no_expand_env: args.run.no_expand_env,
        env: &text_variable,
        cwd: &cwd,
        home: home.as_deref(),
        pid: std::process::id(),
    };
    let line = Line { words, subcommand: "check", run: &args.run };
    // What is wrong with these files is found below.
    let first = settings::First::mount(line);
    let mut of_variables = switched_off(first.as_ref().ok());
    of_variables.extend(unmounted());
    let is_wrong = of_variables.iter().any(|lint| lint.rule.severity == Severity::Error);
    let opened = match open(&args.run, &options) {
        // It follows from what is not there.
        Err(_) if is_wrong => return Ok(of_variables),
        opened => opened?,
    };
    if matches!(opened, Opened::Nothing) && of_variables.iter().any(|lint| lint.rule == check::SWITCHED_OFF) {
        // Nothing is to be replicated, and nothing says what would be.
        return Ok(of_variables);
    }
    let (section, mut lints) = opened.section(&options);
    lints.extend(of_variables);
    let layers = Layers::of(line, &section, opened.file())?;
    // Anybody may ask how another one would fare.
    let user = settle(&mut lints, &layers, "user", settings::named_user(&layers)).flatten();
    let user = user.filter(|user| !user.is_current());
    if let Some(user) = user.as_ref().filter(|user| user::is_root() && !user.is_current()) {
        let refused = databases::refuse_unreadable(user);
        if settle(&mut lints, &layers, "user", refused).is_none() {
            // What root has read in that user's place goes nowhere.
            return Ok(lints);
        }
    }
    place::belong_to(user.as_ref().filter(|_| user::is_root()));
    if let Some((message, hint)) = user.as_ref().and_then(settings::typed_into) {
        lints.push(Lint::new(check::TERMINAL, &Origin::Environment, message).hint(hint));
    }
    settle(&mut lints, &layers, "before", settings::before(&layers));
    let folder = settle(&mut lints, &layers, "cwd", settings::app_folder(&layers, &cwd));
    let env = app_env::environment(process::environment(), &layers, section.variables(), &[], &cwd);
    let env = settle(&mut lints, &layers, "env_file", env);

    let named = settings::named_binary(&layers);
    let binary = binary::find(
        named,
        &variable,
        &cwd,
        install::installed(variable),
        user.as_ref().map(|user| user.uid),
    );
    let runner = |binary| Runner {
        binary,
        user: user.clone().filter(|_| user::is_root()),
        children: children.clone(),
        env: Rc::new(mounted::for_litestream()),
        inherit: Vec::new(),
    };
    let (wanted, allowed) = (layers.args.litestream_version, layers.args.allow_litestream.as_deref());
    let litestream = check::look_for_litestream(binary, runner, wanted, allowed).await;
    let version = litestream.usable.as_ref().map(|(_, version)| *version);
    let series = version.map(|version| if version.is_ltx() { Series::V05 } else { Series::V03 });

    let unset = opened.unset();
    let document = opened.document().cloned();
    let is_legible = !matches!(&opened, Opened::File(_, Err(_)));
    let (config, is_sound) = opened.config(&options, series, &mut lints);
    let environment = process::environment();
    let names = environment.iter().filter_map(|(name, _)| name.to_str());
    let asked: Vec<&str> = layers.args.enabled_if.iter().map(String::as_str).collect();
    // Of a file that cannot be read nobody knows what it would name.
    if is_legible {
        let unread = unread::look(names, document.as_ref(), &asked, &lints);
        lints.extend(unread);
    }
    // What passes a limit is told alone: the rest would be as long.
    if lints.iter().any(|lint| lint.rule == lint::LIMIT) {
        lints.retain(|lint| lint.rule == lint::LIMIT);
        return Ok(lints);
    }
    if let Some(config) = config.as_ref().filter(|_| is_sound) {
        settle(&mut lints, &layers, "restore_from", restored::elsewhere(&layers, config, &cwd));
    }
    let mut answer = (Vec::new(), 0);
    let seen = env.clone().unwrap_or_default();
    if let (Some(folder), Some(env)) = (folder, env) {
        let named = folder.clone();
        let folder = folder.unwrap_or_else(|| cwd.clone());
        lints.extend(app_missing(&layers, config.as_ref(), &folder, &env));
        lints.extend(app_words(&layers, config.as_ref()));
        let resolver = config.as_ref().and_then(|config| databases::resolver(config).ok().flatten());
        if let (Some(resolver), Some(config)) = (resolver, &config) {
            let question = Question {
                children: children.clone(),
                command: Rc::new(resolver.command.into_iter().map(Into::into).collect()),
                env: Rc::new(env),
                cwd: named,
                user: user.clone().filter(|_| user::is_root()),
                limit: args.limit,
                said: Said::default(),
            };
            match ask(&question, &folder, config.origin(), args.online && is_sound).await {
                Ok(entries) => answer = (entries, resolver.line),
                Err(lint) => lints.push(lint.at(resolver.line, 0)),
            }
        }
    }
    let further = config.as_ref().map(|config| {
        // What is wrong with the file would be said of each database once more.
        let folders = if is_sound { inventory::folders(config) } else { Vec::new() };
        Further::of(config, answer, &folders, options.env, &inventory::also_in(text_variable, &seen))
    });
    let has_secrets = lints.iter().any(|lint| lint.rule == lint::SECRET_IN_FILE);
    if let (Some(config), Some(further)) = (&config, &further) {
        let has_answered = further.named.databases().len() > config.databases().len();
        let check = || further.named.check(series.unwrap_or(Series::V05)).err();
        let refused = has_answered.then(check).flatten();
        let of_named = refused.iter().flat_map(lint::of_error);
        findings::add(&mut lints, further.lints.iter().cloned().chain(of_named));
        let env_files = layers.args.env_file.iter().map(|path| cwd.join(path)).collect();
        lints.extend(lint::replicas(&further.named, series.unwrap_or(Series::V05)));
        lints.extend(check::look(&Site {
            config: &further.named,
            databases: further.all.databases(),
            written: config.databases().len(),
            contents: &further.contents,
            unset,
            has_secrets,
            env_files,
            user: user.clone(),
            variable: &variable,
            is_looked_up: &mounted::is_used,
            cwd: &cwd,
            is_old: &|| series == Some(Series::V03),
            runtime_roots: &settings::runtime_roots(),
            stop_timeout: layers.args.stop_timeout,
            default_stop: settings::default_stop(),
        }));
    }
    lints.extend(litestream.lints);
    if let (true, Some(further), Some((binary, version))) =
        (args.online && is_sound, further, litestream.usable)
    {
        let online = Online { runner: runner(binary), version, limit: args.limit };
        lints.extend(check::try_replicas(online, &further.named).await.map_err(|error| {
            Failure::new(ExitCode::UNAVAILABLE, format!("no private folder for --online: {error}"))
                .hint("set TMPDIR to a folder that this user may write to")
        })?);
    }
    Ok(lints)
}

/// Who switches replication off, or says nothing that is one or the other.
fn switched_off(first: Option<&settings::First>) -> Vec<Lint> {
    let why = match switch::off() {
        Err(error) => return lint::of_error(&error),
        Ok(Some(name)) => Some(format!("{name} switches replication off")),
        Ok(None) => first.and_then(settings::First::disabled),
    };
    let lint = |why| {
        Lint::new(check::SWITCHED_OFF, &Origin::Environment, format!("{why}: `run` runs the app alone"))
    };
    why.map(lint).map(|lint| lint.hint("all else here is what counts once it is on")).into_iter().collect()
}

/// Files that variables name, and that have no value.
fn unmounted() -> Vec<Lint> {
    let Err(failure) = mounted::check() else { return Vec::new() };
    let lint = |message: &str| Lint::new(check::SETTING, &Origin::Environment, message);
    failure.message.lines().map(|line| Lint { hint: failure.hint.clone(), ..lint(line) }).collect()
}

/// What there is to read.
enum Opened {
    Pairs(Vec<databases::Pair>),
    File(PathBuf, Result<Box<Document>, config::Error>),
    Nothing,
}

fn open(args: &args::Run, options: &LoadOptions<'_>) -> Result<Opened, Failure> {
    databases::know_secrets_of_variables();
    if let Some(pairs) = databases::pairs(&settings::source(args))? {
        return Ok(Opened::Pairs(pairs));
    }
    Ok(match databases::find(args.config.as_deref(), options.cwd)? {
        Some((path, is_found)) => {
            let read = databases::read_once(&path, is_found);
            let document = config::open_read(&path, read, options).map(Box::new);
            document.iter().for_each(|document| databases::know_secrets_of(document));
            Opened::File(path, document)
        }
        None => Opened::Nothing,
    })
}

impl Opened {
    fn file(&self) -> Option<&Path> {
        match self {
            Opened::File(path, _) => Some(path),
            Opened::Pairs(_) | Opened::Nothing => None,
        }
    }

    fn document(&self) -> Option<&Document> {
        match self {
            Opened::File(_, Ok(document)) => Some(document),
            Opened::File(_, Err(_)) | Opened::Pairs(_) | Opened::Nothing => None,
        }
    }

    fn said_without_file(&self) -> Option<(lint::Said<'static>, Origin)> {
        match self {
            Opened::Pairs(pairs) => Some((databases::said_by(pairs), Origin::CommandLine)),
            Opened::Nothing => Some((lint::Said::Nowhere, Origin::Environment)),
            Opened::File(..) => None,
        }
    }

    /// The variables that the text uses and nobody has set.
    fn unset(&self) -> Vec<String> {
        match self {
            Opened::File(_, Ok(document)) => document.unset.clone(),
            Opened::Pairs(_) | Opened::File(_, Err(_)) | Opened::Nothing => Vec::new(),
        }
    }

    /// The `litekeeper` section, with what is wrong in it and what changes nothing.
    fn section(&self, options: &LoadOptions<'_>) -> (Section, Vec<Lint>) {
        let Opened::File(_, Ok(document)) = self else { return (Section::default(), Vec::new()) };
        let section = match Section::read(document, options.env, &layers::accepts) {
            Ok(section) => section,
            Err(error) => return (Section::default(), lint::of_error(&error)),
        };
        let idle = section.settings().iter().filter(|setting| setting.key.is_idle());
        let lint = |setting: &Setting| {
            let message = format!("`{SECTION}.{}` has no effect in this version", setting.key.path);
            Lint::new(lint::NO_EFFECT, &document.origin, message).at(setting.line, 0)
        };
        let lints = idle.map(lint).collect();
        (section, lints)
    }

    /// Litestream's half, as far as it can be read, and whether that is all of it.
    fn config(
        self,
        options: &LoadOptions<'_>,
        series: Option<Series>,
        lints: &mut Vec<Lint>,
    ) -> (Option<Config>, bool) {
        if let Some((said, origin)) = self.said_without_file() {
            lints.extend(lint::environment(said, &origin, options.env));
        }
        let (config, error) = match self {
            Opened::Pairs(pairs) => parts(Config::from_pairs(&pairs, options)),
            Opened::File(_, Ok(document)) => {
                let (config, result) = document.clone().sound_config(options);
                let told: Vec<&str> =
                    result.as_ref().err().into_iter().flat_map(config::Error::variables).collect();
                lints.extend(lint::lint(&document, options, series, &told));
                (Some(config), result.err())
            }
            Opened::File(_, Err(error)) => (None, Some(error)),
            Opened::Nothing => parts(
                Config::from_environment(options)
                    .and_then(|found| found.ok_or_else(|| config::nothing_given(options))),
            ),
        };
        let is_sound = error.is_none();
        let of_config = |config: &Config| {
            let several = is_sound.then(|| config.check(series.unwrap_or(Series::V05)).err()).flatten();
            let none = is_sound.then(|| config.names_any().err()).flatten();
            several.into_iter().chain(none).chain(config.exec().err()).collect::<Vec<_>>()
        };
        let more = config.as_ref().map(of_config).unwrap_or_default();
        findings::add(lints, error.iter().chain(&more).flat_map(lint::of_error));
        (config, is_sound)
    }
}

/// Asks the resolver, or only looks whether that could be done.
async fn ask(
    question: &Question,
    folder: &Path,
    origin: &Origin,
    is_online: bool,
) -> Result<Vec<Node>, Lint> {
    let lint = |rule, message: String| Lint::new(rule, origin, message);
    let program = question.command.first().cloned().unwrap_or_default();
    if !is_executable(&program, folder, &question.env) {
        let message =
            format!("the resolver's command `{}` was not found, or cannot be executed", program.display());
        return Err(lint(check::RESOLVER_MISSING, message)
            .hint("it is looked for in the PATH of the app, or relative to its folder"));
    }
    if !is_online {
        return Ok(Vec::new());
    }
    let answer = question
        .ask()
        .await
        .map_err(|failure| Lint { hint: failure.hint, ..lint(check::RESOLVER, failure.message) })?;
    config::parse_answer(&answer).map_err(|error| {
        lint(check::RESOLVER, error.to_string()).hint("it has to print a JSON list of databases")
    })
}

/// Whether there is a program of this name for the app, or for what runs in its place.
fn is_executable(program: &OsStr, folder: &Path, env: &[(OsString, OsString)]) -> bool {
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    which::which_in(program, path, folder).is_ok()
}

fn parts(config: Result<Config, config::Error>) -> (Option<Config>, Option<config::Error>) {
    match config {
        Ok(config) => (Some(config), None),
        Err(error) => (None, Some(error)),
    }
}

/// The value, or a finding where the option of this name came from.
fn settle<T>(lints: &mut Vec<Lint>, layers: &Layers, name: &str, result: Result<T, Failure>) -> Option<T> {
    let failure = match result {
        Ok(value) => return Some(value),
        Err(failure) => failure,
    };
    let (origin, line) = place(layers.origin(name));
    let said_by = format!("{}: ", layers.origin(name));
    for message in failure.message.lines() {
        let message = message.strip_prefix(&said_by).unwrap_or(message);
        let lint = Lint::new(check::SETTING, &origin, message).at(line, 0);
        lints.push(Lint { hint: failure.hint.clone(), ..lint });
    }
    None
}

fn place(origin: &layers::Origin) -> (Origin, usize) {
    match origin {
        layers::Origin::File(path, line) => (Origin::File(path.clone()), *line),
        layers::Origin::Variable(_) => (Origin::Environment, 0),
        layers::Origin::Flag(_) | layers::Origin::Default => (Origin::CommandLine, 0),
    }
}

/// The app's command, if one is given, has to be there.
fn app_missing(
    layers: &Layers,
    config: Option<&Config>,
    folder: &Path,
    env: &[(OsString, OsString)],
) -> Option<Lint> {
    if let Some(config) = config.filter(|_| layers.args.command.is_empty())
        && matches!(config.exec(), Ok(None))
    {
        let lint = Lint::new(
            check::NO_APP,
            config.origin(),
            "no app is given, and `run` does not start without one",
        );
        return Some(lint.hint(
            "give its command after `--`, here and to `run`, or write it into `litekeeper.app.command`; \
             `litekeeper check -- true` checks all else",
        ));
    }
    let (argv, (origin, line)) = app(layers, config)?;
    let program = argv.first()?.clone();
    if is_executable(&program, folder, env) {
        return None;
    }
    // `PASSWORD=x command` is a shell's.
    let shown = foreign::word(&program.to_string_lossy());
    let message = format!("the app's command `{shown}` was not found, or cannot be executed");
    let lint = Lint::new(check::APP_MISSING, &origin, message).at(line, 0);
    Some(lint.hint(
        "it is looked for in the PATH of the app, or relative to its folder; where the app is not installed, \
         `litekeeper check -- true` checks all else",
    ))
}

/// The app's command, and where it is from.
fn app(layers: &Layers, config: Option<&Config>) -> Option<(Vec<OsString>, (Origin, usize))> {
    match (layers.args.command.as_slice(), config) {
        ([_, ..], _) => Some((layers.args.command.clone(), place(layers.origin("command")))),
        ([], Some(config)) => {
            let line = config.root().get("exec").map_or(0, |exec| exec.line);
            let words = config.exec().ok()??.into_iter().map(Into::into);
            Some((words.collect(), (config.origin().clone(), line)))
        }
        ([], None) => None,
    }
}

/// What its words show.
fn app_words(layers: &Layers, config: Option<&Config>) -> Vec<Lint> {
    app(layers, config).map(|(argv, (origin, line))| words::look(&argv, &origin, line)).unwrap_or_default()
}
