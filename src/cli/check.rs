//! `litekeeper check`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::app_env;
use super::args;
use super::databases::{self, Found};
use super::findings;
use super::given;
use super::layers::{self, Layers, Line};
use super::mounted::{self, text_variable};
use super::one_shot;
use super::opened::ConfigInput;
use super::policy;
use super::process::{self, variable};
use super::restored;
use super::settings;
use super::switch;
use super::unread;
use super::words;
use crate::check::{self, CheckContext, Discovered, Online};
use crate::config::lint::{self, Lint, Severity};
use crate::config::{self, Config, KeeperSection, LoadOptions, Origin, Series};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::inventory;
use crate::litestream::command::Runner;
use crate::litestream::folder::{Backups, Folder};
use crate::os::children::Children;
use crate::os::exec::Command;
use crate::os::limit;
use crate::os::permit;
use crate::os::unstarted;
use crate::os::user::{self, Identity};
use crate::supervise::{Question, Said, refuse_apart, refuse_strict};
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
    let (opened, layers) = match first {
        Ok(first) => (first.opened, first.layers),
        Err(_) => (databases::open(&settings::source(&args.run), &cwd).map(ConfigInput::of), None),
    };
    let opened = match opened {
        // It follows from what is not there.
        Err(_) if is_wrong => return Ok(of_variables),
        opened => opened?,
    };
    if matches!(opened.found, Found::Nothing)
        && of_variables.iter().any(|lint| lint.rule == check::SWITCHED_OFF)
    {
        // Nothing is to be replicated, and nothing says what would be.
        return Ok(of_variables);
    }
    let (section, mut lints) = opened.section();
    lints.extend(of_variables);
    let layers = match layers {
        Some(layers) => layers,
        None => Layers::of(line, &section, opened.found.file())?,
    };
    Look { args, options, layers, section, children, user: None, lints }.all(opened).await
}

/// The look at one configuration, and at what is around it.
struct Look<'a> {
    args: &'a args::Check,
    options: LoadOptions<'a>,
    layers: Layers,
    section: KeeperSection,
    children: Children,
    /// Who the app is to run as, if that is another user.
    user: Option<Identity>,
    lints: Vec<Lint>,
}

/// The app's environment.
type Env = Vec<(OsString, OsString)>;

impl Look<'_> {
    async fn all(mut self, opened: ConfigInput) -> Result<Vec<Lint>, Failure> {
        if !self.looks_as_user() {
            return Ok(self.lints);
        }
        let (folder, env) = self.app();
        let litestream = self.litestream().await;
        let version = litestream.usable.as_ref().map(|(_, version)| *version);
        let series = version.map(|version| Series::of(version.is_ltx()));
        let unset = opened.unset();
        let (config, is_sound) = self.config(opened, series);
        // What passes a limit is told alone: the rest would be as long.
        if self.lints.iter().any(|lint| lint.rule == lint::LIMIT) {
            self.lints.retain(|lint| lint.rule == lint::LIMIT);
            return Ok(self.lints);
        }
        if let Some(config) = config.as_ref().filter(|_| is_sound) {
            let from = restored::elsewhere(&self.layers, config, self.options.cwd);
            settle(&mut self.lints, &self.layers, "restore_from", from);
        }
        let seen = env.clone().unwrap_or_default();
        let answer = match folder.zip(env) {
            Some((folder, env)) => self.answer(folder, env, config.as_ref(), is_sound).await,
            None => (Vec::new(), 0),
        };
        let Some(config) = config else {
            self.lints.extend(litestream.lints);
            return Ok(self.lints);
        };
        // What is wrong with the file would be said of each database once more.
        let folders = if is_sound { inventory::folders(&config) } else { Vec::new() };
        let own = inventory::also_in(text_variable, &seen);
        let discovered = Discovered::of(&config, answer, &folders, self.options.env, &own);
        if is_sound && self.layers.args.lease == args::Lease::Strict {
            let refused = self.strict(&config, &folders, &discovered.named);
            settle(&mut self.lints, &self.layers, "lease", refused);
        }
        self.machine(&config, &discovered, unset, series);
        self.lints.extend(litestream.lints);
        if let (true, Some((binary, version))) = (self.args.online && is_sound, litestream.usable) {
            let online = Online { runner: self.runner(binary), version, limit: self.args.limit };
            let found = check::try_replicas(online, &discovered.named).await.map_err(|error| {
                Failure::new(ExitCode::UNAVAILABLE, format!("no private folder for --online: {error}"))
                    .hint("set TMPDIR to a folder that this user may write to")
            })?;
            self.lints.extend(found);
        }
        Ok(self.lints)
    }

    /// Looks whether all can be held for one machine alone: what the configuration has, and what its resolver named.
    fn strict(&self, config: &Config, folders: &[Folder], named: &Config) -> Result<(), Failure> {
        let resolver = databases::resolver(config).ok().flatten();
        let common = resolver.map(|_| inventory::common(config, self.options.env));
        let (dbs, written) = (inventory::databases(named), config.databases().len());
        let (configured, tenants) = dbs.split_at(written.min(dbs.len()));
        refuse_strict(common.as_deref(), configured, folders)?;
        let of_folders = folders.iter().map(|folder| folder.backups.clone());
        let held: Vec<Backups> = common.into_iter().flatten().chain(of_folders).collect();
        refuse_apart(&held, tenants)
    }

    /// Takes the place of the app's user; false where nothing more may be looked at.
    fn looks_as_user(&mut self) -> bool {
        // Anybody may ask how another one would fare.
        let user = settings::named_user(&self.layers);
        let user = settle(&mut self.lints, &self.layers, "user", user).flatten();
        self.user = user.filter(|user| !user.is_current());
        if let Some(user) = self.user_of_root() {
            let refused = databases::refuse_unreadable(&user);
            if settle(&mut self.lints, &self.layers, "user", refused).is_none() {
                // What root has read in that user's place goes nowhere.
                return false;
            }
        }
        permit::belong_to(self.user_of_root().as_ref());
        if let Some((message, hint)) = self.user.as_ref().and_then(settings::typed_into) {
            self.lints.push(Lint::new(check::TERMINAL, &Origin::Environment, message).hint(hint));
        }
        true
    }

    /// The app's user, where this process can become that one.
    fn user_of_root(&self) -> Option<Identity> {
        self.user.clone().filter(|_| user::is_root())
    }

    /// The app's folder, if it is another one, and its environment, as far as nothing is wrong with them.
    fn app(&mut self) -> (Option<Option<PathBuf>>, Option<Env>) {
        let (layers, cwd) = (&self.layers, self.options.cwd);
        let before = settle(&mut self.lints, layers, "before", settings::before(layers));
        let folder = settle(&mut self.lints, layers, "cwd", settings::app_folder(layers, cwd));
        let variables = self.section.variables();
        let env = app_env::environment(process::environment(), layers, variables, &[], cwd);
        let env = settle(&mut self.lints, layers, "env_file", env);
        if let (Some(before), Some(folder), Some(env)) = (before, &folder, &env) {
            let found = refuse_first(before, folder.as_deref(), env);
            settle(&mut self.lints, layers, "before", found);
        }
        (folder, env)
    }

    async fn litestream(&self) -> check::FoundLitestream {
        let args = &self.layers.args;
        let binary = settings::litestream(&self.layers, self.options.cwd, self.user.as_ref());
        let (wanted, allowed) = (args.litestream_version, args.allow_litestream.as_deref());
        check::look_for_litestream(binary, |binary| self.runner(binary), wanted, allowed).await
    }

    fn runner(&self, binary: PathBuf) -> Runner {
        Runner {
            binary,
            user: self.user_of_root(),
            children: self.children.clone(),
            env: Rc::new(mounted::for_litestream()),
            inherit: Vec::new(),
        }
    }

    /// The configuration as far as it can be read, and whether that is all of it.
    fn config(&mut self, opened: ConfigInput, series: Option<Series>) -> (Option<Config>, bool) {
        let document = opened.found.document().cloned();
        let is_legible = !matches!(&opened.found, Found::File(_, Err(_)));
        let found = opened.config(&self.options, series, &mut self.lints);
        // Of a file that cannot be read nobody knows what it would name.
        if is_legible {
            let environment = process::environment();
            let names = environment.iter().filter_map(|(name, _)| name.to_str());
            let asked: Vec<&str> = self.layers.args.enabled_if.iter().map(String::as_str).collect();
            let unread = unread::look(names, document.as_ref(), &asked, &self.lints);
            self.lints.extend(unread);
        }
        found
    }

    /// Looks for the app's programs, and asks the resolver: its databases, and the line that names it.
    async fn answer(
        &mut self,
        named: Option<PathBuf>,
        env: Env,
        config: Option<&Config>,
        is_sound: bool,
    ) -> (Vec<Node>, usize) {
        let none = (Vec::new(), 0);
        let folder = named.clone().unwrap_or_else(|| self.options.cwd.to_owned());
        self.lints.extend(app_missing(&self.layers, config, &folder, &env));
        self.lints.extend(app_words(&self.layers, config));
        let Some(config) = config else { return none };
        let Some(resolver) = databases::resolver(config).ok().flatten() else { return none };
        let question = Question {
            children: self.children.clone(),
            command: Rc::new(resolver.command.into_iter().map(Into::into).collect()),
            env: Rc::new(env),
            cwd: named,
            user: self.user_of_root(),
            limit: self.args.limit,
            said: Said::default(),
        };
        match ask(&question, &folder, config.origin(), self.args.online && is_sound).await {
            Ok(entries) => (entries, resolver.line),
            Err(lint) => {
                self.lints.push(lint.at(resolver.line, 0));
                none
            }
        }
    }

    /// Looks at what needs files, mounts, or an answer.
    fn machine(
        &mut self,
        config: &Config,
        discovered: &Discovered,
        unset: Vec<String>,
        series: Option<Series>,
    ) {
        let has_secrets = self.lints.iter().any(|lint| lint.rule == lint::SECRET_IN_FILE);
        let has_answered = discovered.named.databases().len() > config.databases().len();
        let check = || discovered.named.check(series.unwrap_or(Series::V05)).err();
        let refused = has_answered.then(check).flatten();
        let of_named = refused.iter().flat_map(lint::of_error);
        findings::add(&mut self.lints, discovered.lints.iter().cloned().chain(of_named));
        self.lints.extend(lint::replicas(&discovered.named, series.unwrap_or(Series::V05)));
        let cwd = self.options.cwd;
        let found = check::look(&CheckContext {
            config: &discovered.named,
            databases: discovered.all.databases(),
            written: config.databases().len(),
            contents: &discovered.contents,
            unset,
            has_secrets,
            env_files: self.layers.args.env_file.iter().map(|path| cwd.join(path)).collect(),
            user: self.user.clone(),
            variable: &variable,
            is_looked_up: &mounted::is_used,
            cwd,
            is_old: &|| series == Some(Series::V03),
            runtime_roots: &settings::runtime_roots(),
            stop_timeout: self.layers.args.stop_timeout,
            default_stop: policy::default_stop(),
        });
        self.lints.extend(found);
    }
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

/// Refuses a first one-shot command that is certain not to start, as `run` does. What comes after it, it may make.
fn refuse_first(before: Vec<Vec<OsString>>, folder: Option<&Path>, env: &Env) -> Result<(), Failure> {
    let Some(argv) = before.into_iter().next() else { return Ok(()) };
    match unstarted::beforehand(&Command { argv, env: env.clone() }, folder) {
        None => Ok(()),
        Some(refused) => {
            let program = foreign::word(&refused.program.to_string_lossy());
            Err(Failure::new(ExitCode::CONFIG, format!("`{program}` cannot be started: {}", refused.why))
                .hint("it is looked for in the PATH of the app, or relative to its folder"))
        }
    }
}

/// Whether there is a program of this name for the app, or for what runs in its place.
fn is_executable(program: &OsStr, folder: &Path, env: &[(OsString, OsString)]) -> bool {
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    which::which_in(program, path, folder).is_ok()
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

fn place(origin: &layers::SettingOrigin) -> (Origin, usize) {
    match origin {
        layers::SettingOrigin::File(path, line) => (Origin::File(path.clone()), *line),
        layers::SettingOrigin::Variable(_) => (Origin::Environment, 0),
        layers::SettingOrigin::Flag(_) | layers::SettingOrigin::Default => (Origin::CommandLine, 0),
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
