//! The command line as it is meant: flag, variable, file and default have become one value each.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::app_env;
use super::args;
use super::databases::{self, Source};
use super::faults::Faults;
use super::given;
use super::http;
use super::layers::{Layers, Line, SettingOrigin};
use super::listen::listen_fds;
use super::mounted::{self, text_variable};
use super::opened::ConfigInput;
use super::policy;
use super::process::{current_dir, environment, variable};
use super::restored;
use super::unread;
use super::words;
use super::written::Written;
use crate::config::{self, Config, KeeperSection, OFF};
use crate::core::{ExitCode, Policy};
use crate::error::Failure;
use crate::inventory::{self, Environment, Inventory, Old};
use crate::litestream::binary::{self, Named};
use crate::litestream::install;
use crate::os::needs;
use crate::os::terminal::Terminal;
use crate::os::user::Identity;
use crate::printer::Format;
use crate::shim::LISTEN_FDNAMES;
use crate::supervise::Setup;

/// What is found before anything of it is judged: the configuration's file, and the options above it.
pub(super) struct First {
    cwd: PathBuf,
    /// That file and Litekeeper's own half of it, whatever is wrong with either.
    pub(super) opened: Result<ConfigInput, Failure>,
    /// None where the file keeps them from being told; what is wrong with it is found later.
    pub(super) layers: Option<Layers>,
}

impl First {
    /// Opens the configuration.
    ///
    /// # Errors
    /// There is no current folder.
    pub(super) fn look(line: Line<'_>) -> Result<Self, Failure> {
        given::refuse()?;
        let cwd = current_dir()?;
        let opened = databases::open(&source(line.run), &cwd).map(ConfigInput::of);
        let layers =
            |opened: &ConfigInput| Layers::of(line, opened.section.as_ref().ok()?, opened.found.file()).ok();
        let layers = opened.as_ref().ok().and_then(layers);
        Ok(Self { cwd, opened, layers })
    }

    /// As [`First::look`], with what the files of `--env-file` say as variables.
    ///
    /// # Errors
    /// What is wrong with those files.
    pub(super) fn mount(line: Line<'_>) -> Result<Self, Failure> {
        let first = Self::look(line)?;
        let of_options;
        let layers = match &first.layers {
            Some(layers) => layers,
            None => {
                of_options = Layers::of(line, &KeeperSection::default(), None)?;
                &of_options
            }
        };
        if layers.args.env_file.is_empty() {
            return Ok(first);
        }
        mounted::add(app_env::from_files(layers, &first.cwd, &environment())?);
        // The file may name one of them.
        Self::look(line)
    }

    /// Why the app is to run alone, if `--enabled-if` or the file says so.
    pub(super) fn disabled(&self) -> Option<String> {
        let layers = self.layers.as_ref()?;
        let name = layers.args.enabled_if.as_deref()?;
        let origin = layers.origin("enabled_if");
        match name {
            OFF => Some(format!("{origin} switches replication off")),
            name => text_variable(name).is_none().then(|| {
                format!("{name} is not set or empty ({origin}{})", unread::meant(name, &environment()))
            }),
        }
    }
}

/// All that is said about a run, by flag, variable and file.
pub(super) struct Said {
    /// The options, and where they come from.
    pub(super) layers: Layers,
    /// Litestream's half of the configuration.
    pub(super) configured: Config,
    /// Litekeeper's own.
    pub(super) section: KeeperSection,
    written: Written,
    /// The current folder.
    pub(super) cwd: PathBuf,
}

/// Reads the configuration that was found.
///
/// # Errors
/// What is wrong with them.
pub(super) fn read(line: Line<'_>, first: First) -> Result<Said, Failure> {
    let First { cwd, opened, layers } = first;
    let (source, ConfigInput { found, section }) = (source(line.run), opened?);
    let written = Written::of(&found, &source, &cwd);
    let (section, configured) = databases::both(found, section, &source, &cwd)?;
    let layers = match layers {
        Some(layers) => layers,
        None => Layers::of(line, &section, configured.origin().file())?,
    };
    Ok(Said { layers, configured, section, written, cwd })
}

/// Resolves the settings of one run.
///
/// # Errors
/// What is wrong with them.
#[expect(clippy::too_many_lines, reason = "a line for each setting of a run")]
pub(super) fn resolve(said: Said) -> Result<Setup, Failure> {
    mounted::check()?;
    let listen_fds = listen_fds()?;
    let app = usable_app(&said)?;
    let Said { layers, configured, section, written, cwd } = said;
    let args = &layers.args;
    let dbs = inventory::databases(&configured);
    let named = user(&layers)?;
    let binary = litestream(&layers, &cwd, named.as_ref())
        .map_err(|error| Failure::new(error.exit(), error.to_string()).hint(error.hint()))?;
    let resolver = databases::resolver(&configured)?;
    let common = resolver.as_ref().map_or_else(Vec::new, |_| inventory::common(&configured, &text_variable));
    let folders = inventory::folders(&configured);
    let resolves = resolver.is_some() || !folders.is_empty();
    let policy = Policy {
        resolves,
        resolve_interval: resolver.as_ref().map(|resolver| resolver.interval),
        ..policy::policy(args, policy::stop_timeout(args), dbs.len())
    };
    let shutdown_sync = policy::shutdown_sync(&policy);
    if configured.is_socket_off() {
        tracing::warn!(
            "the control socket is switched off, but replication is confirmed over it: it is made all the same"
        );
    }
    let socket = configured.socket();
    let restore_txids = Rc::new(restored::chosen(&layers, &dbs, resolves, &cwd)?);
    let asked = restore_txids.clone();
    let from = restored::elsewhere(&layers, &configured, &cwd)?;
    let checked = configured.clone();
    let http = http::settings(&layers, &section)?;
    let env = variables(&layers, &configured, &section, &cwd, named.as_ref())?;
    let user = another(named, &source(args), &cwd)?;
    let old = Rc::new(Old::of(&binary, args.litestream_version));
    let faults = Faults {
        written: written.clone(),
        config: configured.clone(),
        folders: folders.clone(),
        user: user.clone(),
        cwd: cwd.clone(),
        stop_timeout: policy.stop_timeout,
        gate: policy.gate,
        old: old.clone(),
    };
    let environment =
        Environment { variable: text_variable, mounted: mounted::for_litestream, seen: env.clone() };
    Ok(Setup {
        policy,
        dbs,
        binary,
        allowed_version: args.allow_litestream.clone(),
        required_version: args.litestream_version,
        memory: args.litestream_memory,
        env,
        user,
        app,
        before: before(&layers)?,
        cwd: app_folder(&layers, &cwd)?,
        listen_names: variable(LISTEN_FDNAMES).filter(|_| !listen_fds.is_empty()),
        listen_fds,
        on_lock: args.on_lock,
        if_behind: policy::if_behind(args.if_behind),
        if_unrelated: policy::if_unrelated(args.if_unrelated),
        compare_limit: args.compare_limit,
        allow_unlistable: args.if_unlistable == args::IfUnlistable::Allow,
        look: args.look,
        lease: policy::lease(args),
        l0_retention: configured.l0_retention(),
        restore_timeout: args.restore_timeout,
        restore_parallel: args.restore_parallel,
        restore_txids,
        faults: Rc::new(move |named| faults.refuse(named)),
        check: Rc::new(move |is_ltx| {
            restored::refuse_without_txids(&asked, is_ltx)?;
            written.check(&checked, is_ltx)
        }),
        configuration: configured.origin().file().map(|file| real(&cwd, file)),
        inventory: Rc::new(Inventory::new(
            configured,
            from,
            shutdown_sync,
            resolver.is_some(),
            environment,
            old,
        )),
        folders,
        common,
        resolver: resolver.map(|resolver| resolver.command.into_iter().map(Into::into).collect()),
        socket,
        http,
        json_log: args.log_format == Format::Json,
        runtime_roots: runtime_roots(),
    })
}

/// The app, unless it, or what the configuration names, is none that can be run.
fn usable_app(Said { layers, configured, .. }: &Said) -> Result<Vec<OsString>, Failure> {
    configured.names_any().map_err(|error| inventory::failure(&error))?;
    let app = app(layers, configured)?;
    words::refuse(&app, configured.origin())?;
    Ok(app)
}

/// The app's environment.
fn variables(
    layers: &Layers,
    configured: &Config,
    section: &KeeperSection,
    cwd: &Path,
    user: Option<&Identity>,
) -> Result<Vec<(OsString, OsString)>, Failure> {
    let mut databases = app_env::databases(configured);
    databases.extend(app_env::replicas(section, cwd, user));
    app_env::environment(inherited(user), layers, section.variables(), &databases, cwd)
}

/// Finds Litestream, for an app that runs as this user.
pub(super) fn litestream(
    layers: &Layers,
    cwd: &Path,
    user: Option<&Identity>,
) -> Result<PathBuf, binary::Error> {
    let (installed, runs_as) = (install::installed(variable), user.map(|user| user.uid));
    binary::find(named_binary(layers), &variable, cwd, installed, runs_as)
}

/// A file by a path that is the same whoever names it.
pub(super) fn real(cwd: &Path, file: &Path) -> PathBuf {
    let path = cwd.join(file);
    std::fs::canonicalize(&path).unwrap_or(path)
}

/// The binary as an option or the configuration names it; the variables are looked at elsewhere.
pub(super) fn named_binary(layers: &Layers) -> Named {
    let Some(path) = layers.args.litestream_binary.clone() else { return Named::default() };
    let origin = layers.origin("litestream_binary");
    let named = Some((origin.to_string(), path));
    match origin {
        SettingOrigin::Flag(_) | SettingOrigin::Variable(_) => Named { first: named, ..Named::default() },
        // Whoever names the configuration means what it says.
        SettingOrigin::File(..) | SettingOrigin::Default => Named {
            first: None,
            last: named,
            is_last_found: config::named(layers.args.config.as_deref(), &text_variable).is_none(),
        },
    }
}

/// Where the app starts, if that is named: else it simply stays where this process is.
pub(super) fn app_folder(layers: &Layers, cwd: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = &layers.args.cwd else { return Ok(None) };
    let path = cwd.join(folder);
    let found = std::fs::metadata(&path).and_then(|found| {
        if found.is_dir() { Ok(()) } else { Err(std::io::ErrorKind::NotADirectory.into()) }
    });
    let Err(error) = found else { return Ok(Some(path)) };
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let what = match error.kind() {
        std::io::ErrorKind::NotFound => format!("is not there: {error}"),
        std::io::ErrorKind::NotADirectory if path.exists() => "is a file, and no folder".to_owned(),
        _ => format!("cannot be entered: {error}"),
    };
    let message = format!("{}: the app's folder `{}` {what}", layers.origin("cwd"), path.display());
    let hint = if missing { "make it, or name another one" } else { "name another one" };
    Err(Failure::new(ExitCode::CONFIG, message).hint(hint))
}

pub(super) fn source(args: &args::Run) -> Source<'_> {
    Source {
        config: args.config.as_deref(),
        dbs: &args.db,
        replicas: &args.replica,
        no_expand_env: args.no_expand_env,
    }
}

/// The app: the command line's, else `app.command`, else `exec`.
pub(super) fn app(layers: &Layers, configured: &Config) -> Result<Vec<OsString>, Failure> {
    if !layers.args.command.is_empty() {
        return Ok(layers.args.command.clone());
    }
    let exec = configured.exec().map_err(|error| inventory::failure(&error))?;
    let exec: Vec<OsString> = exec.unwrap_or_default().into_iter().map(Into::into).collect();
    if exec.is_empty() {
        return Err(Failure::new(ExitCode::USAGE, "there is no app to run")
            .hint("give its command after `--`: litekeeper run -- COMMAND ARG…"));
    }
    Ok(exec)
}

/// The one-shot commands.
pub(super) fn before(layers: &Layers) -> Result<Vec<Vec<OsString>>, Failure> {
    layers.args.before.iter().map(|command| split(command)).collect()
}

/// Splits a one-shot command into words, without a shell.
fn split(command: &str) -> Result<Vec<OsString>, Failure> {
    match shlex::split(command) {
        Some(words) if !words.is_empty() => Ok(words.into_iter().map(Into::into).collect()),
        Some(_) | None => Err(Failure::new(ExitCode::USAGE, format!("--before `{command}`: not a command"))
            .hint("check its quotes; no shell reads it, so write sh -c '…' for what needs one")),
    }
}

/// Finds the user that `--user` names, whether or not this process may become it.
///
/// # Errors
/// No such user exists.
pub(super) fn named_user(layers: &Layers) -> Result<Option<Identity>, Failure> {
    let unknown = |error| {
        Failure::new(ExitCode::CONFIG, format!("{}: {error}", layers.origin("user")))
            .hint("name a user of this machine or container, or numbers, which need no entry: 1000:1000")
    };
    layers.args.user.as_deref().map(Identity::find).transpose().map_err(unknown)
}

/// Finds the user that the app is to run as, if one is named.
pub(super) fn user(layers: &Layers) -> Result<Option<Identity>, Failure> {
    let (Some(text), Some(identity)) = (layers.args.user.as_deref(), named_user(layers)?) else {
        return Ok(None);
    };
    let origin = layers.origin("user");
    if identity.is_current() {
        return Ok(Some(identity));
    }
    if !crate::os::user::is_root() {
        return Err(Failure::new(
            ExitCode::CONFIG,
            format!("{origin}: only root may become another user ({text})"),
        )
        .hint("start litekeeper as root, or as that user without --user"));
    }
    let missing = needs::missing_capabilities();
    if !missing.is_empty() {
        let of = |prefix: &str, between: &str| {
            missing.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>().join(between)
        };
        let message = format!("{origin}: to become {text} this process lacks {}", of("CAP_", ", "));
        return Err(Failure::new(ExitCode::CONFIG, message).hint(format!(
            "give it (`docker run {}`), or start all as that user, without --user",
            of("--cap-add=", " ")
        )));
    }
    Ok(Some(identity))
}

/// What an app that runs as another user can do to the terminal that root has started this from, if it can.
pub(super) fn typed_into(user: &Identity) -> Option<(String, &'static str)> {
    let is_another = crate::os::user::is_root() && !user.is_current();
    (is_another && Terminal::can_be_typed_into()).then(|| {
        let message =
            format!("the app runs as user {} and has root's terminal: it can type into its shell", user.uid);
        (message, "start it without a terminal, with `setsid`, or set dev.tty.legacy_tiocsti to 0")
    })
}

/// Returns the user that the app is to run as, if that is another one than this process's, and may be.
///
/// # Errors
/// Somebody else than that user has put the configuration there, or root alone can read what it names.
pub(super) fn another(
    named: Option<Identity>,
    source: &Source<'_>,
    cwd: &Path,
) -> Result<Option<Identity>, Failure> {
    let user = named.filter(|named| !named.is_current());
    warn_of_terminal(user.as_ref());
    if let Some(user) = &user {
        databases::refuse_of_another(source, cwd)?;
        databases::refuse_unreadable(user)?;
    }
    Ok(user)
}

fn warn_of_terminal(user: Option<&Identity>) {
    if let Some((message, hint)) = user.and_then(typed_into) {
        tracing::warn!("{message}; {hint}");
    }
}

/// This process's own environment, with what says who the app runs as.
pub(super) fn inherited(user: Option<&Identity>) -> Vec<(OsString, OsString)> {
    let mut env = environment();
    for (name, value) in user.map(Identity::variables).into_iter().flatten() {
        env.retain(|(known, _)| known != name);
        env.push((name.into(), value));
    }
    env
}

/// Where the runtime folder may be, the best first.
pub(super) fn runtime_roots() -> Vec<PathBuf> {
    if let Some(dir) = variable("LITEKEEPER_RUNTIME_DIR") {
        return vec![dir.into()];
    }
    let mut roots = vec![PathBuf::from("/run/litekeeper")];
    roots.extend(variable("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("litekeeper")));
    roots.push(std::env::temp_dir().join(format!("litekeeper-{}", crate::os::user::own_number())));
    roots
}
