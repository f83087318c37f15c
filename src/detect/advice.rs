//! The lines that belong into Dockerfile, Procfile and fly.toml.

use super::bucket::keys;
use super::credentials;
use super::ignored::{Syntax, ignored};
use super::place::{self, is_below};
use super::plan::{Database, Plan, Setting};
use super::shell;
use super::spare;
use super::write::{Target, bucket_variable, has_bucket_keys, uses_bucket, variables};

/// What to add to the files that start the app; `file` is the configuration's name.
pub fn advice(plan: &Plan, target: Target<'_>, file: &str) -> String {
    let volumes = Volumes::of(plan);
    let mut lines = vec!["Dockerfile:".to_owned()];
    dockerfile(plan, file, &volumes, &mut lines);
    lines.extend(["", "Procfile:"].map(str::to_owned));
    lines.push(format!("  web: {}", web(plan, file)));
    lines.extend(["", "fly.toml:"].map(str::to_owned));
    fly(plan, &volumes, &mut lines);
    lines.extend(["", "systemd, in [Service]:"].map(str::to_owned));
    lines.extend(SYSTEMD.map(|line| format!("  {line}")));
    for (file, own, syntax) in [(".gitignore", 0, Syntax::GIT), (".dockerignore", 1, Syntax::DOCKER)] {
        let missing = ignored(plan, &syntax, &plan.deployment.ignored[own]);
        if !missing.is_empty() {
            lines.extend([String::new(), format!("{file}:")]);
            lines.extend(missing.iter().map(|line| format!("  {line}")));
        }
    }
    lines.extend(["", "Set where it runs:"].map(str::to_owned));
    lines.push(format!("  {}", needed(plan, target).join("\n  ")));
    lines.join("\n")
}

/// A unit's lines that its own defaults would be wrong for.
const SYSTEMD: [&str; 6] = [
    "# TERM goes to litekeeper alone; 143 is how many apps end when they are told to stop",
    "KillMode=process",
    "SuccessExitStatus=143",
    "OOMPolicy=continue",
    "RuntimeDirectory=litekeeper",
    "RuntimeDirectoryPreserve=yes",
];

fn workdir(plan: &Plan) -> &str {
    plan.workdir.as_deref().unwrap_or("/app")
}

fn dockerfile(plan: &Plan, file: &str, volumes: &Volumes, lines: &mut Vec<String>) {
    let mut add = |line: String| lines.push(format!("  {line}"));
    add("# from the image that, in Litekeeper's sources, `docker build --target litekeeper -f examples/docker/Dockerfile -t litekeeper .` makes".to_owned());
    add("COPY --from=litekeeper /usr/local/bin/litekeeper /usr/local/bin/litestream /usr/local/bin/"
        .to_owned());
    let image = &plan.deployment.image;
    let folder = workdir(plan).trim_end_matches('/');
    let there = match image.place_of(file) {
        Some(there) => there,
        None => {
            // Where the image's folder is its base's, or a variable's, it is `.`, whatever that is.
            let is_relative = image.is_there
                && image.workdir.is_none()
                && (image.sets_workdir
                    || (image.is_where_it_copies()
                        && image.folder(None).is_some_and(|own| own == workdir(plan))));
            let to = if is_relative { "./".to_owned() } else { format!("{folder}/") };
            if image.workdir.is_none() && !is_relative {
                add(format!("WORKDIR {}", workdir(plan)));
            }
            add(match file.contains(char::is_whitespace) {
                true => exec_form("COPY", &[file.to_owned(), to]),
                false => format!("COPY {file} {to}"),
            });
            format!("{folder}/{}", place::name(file))
        }
    };
    let is_found = place::is_below(&there, folder) && is_usual(there[folder.len()..].trim_start_matches('/'));
    let config = match is_found || is_usual(&there) {
        true => Vec::new(),
        false => vec!["--config".to_owned(), there],
    };
    let entrypoint = |more: &[&str]| {
        let words = ["litekeeper", "run"].iter().copied().chain(config.iter().map(String::as_str));
        exec_form("ENTRYPOINT", &words.chain(more.iter().copied()).map(str::to_owned).collect::<Vec<_>>())
    };
    volumes.replicated.iter().for_each(|volume| add(format!("VOLUME {volume}")));
    if !volumes.others.is_empty() {
        add("# not replicated, so gone with its container unless a volume holds it:".to_owned());
        volumes.others.iter().for_each(|volume| add(format!("VOLUME {volume}")));
    }
    let env = plan.env.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
    add(format!("ENV LITEKEEPER_STOP_TIMEOUT=9s{env}"));
    match plan.below.image.clone().or_else(|| plan.deployment.image.start()) {
        Some(start) if mentions_litekeeper(&start.join(" ")) => {}
        // The image's own CMD would follow `litekeeper run` as its arguments.
        Some(mut start) => {
            // In the background it would be an app that has ended.
            if start.last().is_some_and(|word| word == "php-fpm") {
                start.push("-F".to_owned());
            }
            add("# in place of ENTRYPOINT and CMD; this command counts, and not litekeeper.app.command:"
                .to_owned());
            add(entrypoint(&["--"]));
            add(exec_form("CMD", &start));
        }
        // The file that is there has none.
        None if !plan.command.is_empty() && !plan.is_command_written => {
            add(entrypoint(&["--"]));
            add(exec_form("CMD", &plan.command));
        }
        None if plan.command.is_empty() => {
            add(format!("{}    # and your app's command as CMD", entrypoint(&["--"])));
        }
        None => add(entrypoint(&[])),
    }
}

/// Whether `run` finds a configuration of this name, in the folder that it is started in or in `/etc`.
fn is_usual(file: &str) -> bool {
    [
        "litekeeper.yml",
        "litestream.yml",
        "config/litestream.yml",
        "/etc/litekeeper.yml",
        "/etc/litestream.yml",
    ]
    .contains(&file)
}

/// An instruction whose words no shell reads.
fn exec_form(instruction: &str, words: &[String]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
    format!("{instruction} [{}]", words.join(", "))
}

fn mentions_litekeeper(command: &str) -> bool {
    command.contains("litekeeper")
}

/// The command of the process `web`.
fn web(plan: &Plan, file: &str) -> String {
    let run = match is_usual(file) {
        true => "litekeeper run".to_owned(),
        false => {
            let file = shlex::try_quote(file).map_or_else(|_| "…".into(), std::borrow::Cow::into_owned);
            format!("litekeeper run --config {file}")
        }
    };
    let typed = |words: &[String]| {
        let words: Option<Vec<_>> = words.iter().map(|word| shlex::try_quote(word).ok()).collect();
        format!("{run} -- {}", words.map_or_else(|| "YOUR COMMAND".to_owned(), |words| words.join(" ")))
    };
    match plan.deployment.web() {
        Some(own) if mentions_litekeeper(own) => own.to_owned(),
        Some(own) => match &plan.below.web {
            Some(app) => typed(app),
            None => below(&run, own),
        },
        None if plan.is_command_written => run,
        None if plan.command.is_empty() => format!("{run} -- YOUR COMMAND"),
        None => typed(&plan.command),
    }
}

/// A Procfile's own line.
fn below(run: &str, own: &str) -> String {
    // A shell reads the line: what is behind the first of its signs would run beside litekeeper.
    if shell::is_shells(own) {
        let quoted =
            shlex::try_quote(own).map_or_else(|_| "YOUR COMMAND".into(), std::borrow::Cow::into_owned);
        format!("{run} -- sh -c {quoted}")
    } else {
        format!("{run} -- {own}")
    }
}

fn fly(plan: &Plan, volumes: &Volumes, lines: &mut Vec<String>) {
    let own = plan.deployment.fly.as_ref();
    let mut add = |line: String| lines.push(format!("  {line}"));
    if let Some(own) = own {
        let kill: Vec<String> = own.kill.iter().map(|line| format!("`{line}`")).collect();
        let instead =
            if kill.is_empty() { String::new() } else { format!(", in place of {}", kill.join(" and ")) };
        add(format!("# above the first [section]{instead}:"));
    }
    add("kill_signal = \"SIGTERM\"".to_owned());
    add("kill_timeout = \"30s\"".to_owned());
    add(if own.is_some() { "# in [env]:" } else { "[env]" }.to_owned());
    add("  LITEKEEPER_STOP_TIMEOUT = \"28s\"".to_owned());
    plan.env.iter().for_each(|(name, value)| add(format!("  {name} = \"{value}\"")));
    let mounted = own.and_then(|own| own.volume.as_deref());
    // A path that is a variable is set to where the volume is.
    let variables = path_variables(plan);
    let data = mounted.unwrap_or("/data");
    for name in &variables {
        add(format!("  {name} = \"{data}/{}.db\"", name.to_lowercase().replace("_path", "")));
    }
    let replicated = &volumes.replicated;
    match (mounted, replicated.as_slice()) {
        (Some(mounted), [volume, ..]) if !is_below(volume, mounted) => {
            add(format!("# in [mounts], in place of \"{mounted}\", where the database is not:"));
            add(format!("  destination = \"{volume}\""));
        }
        (Some(_), [_, ..]) => {}
        (Some(_), []) if !variables.is_empty() => {}
        (None, []) if variables.is_empty() => add(NO_VOLUME.to_owned()),
        (Some(_), []) => add(NO_VOLUME.to_owned()),
        (None, _) => {
            add("[mounts]".to_owned());
            add("  source = \"data\"".to_owned());
            add(format!("  destination = \"{}\"", replicated.first().map_or(data, String::as_str)));
        }
    }
    if replicated.len() > 1 {
        add("# Fly mounts one volume: bring the databases into one folder".to_owned());
    }
    let on = mounted.or(replicated.first().map(String::as_str));
    for other in volumes.others.iter().filter(|other| !on.is_some_and(|on| is_below(other, on))) {
        add(format!("# {other} is on no volume, and Fly mounts one: what lies there goes with its machine"));
    }
}

const NO_VOLUME: &str = "# no volume: the database lies beside the code, so it is restored at each start; move it into a folder of its own to keep it";

/// The variables without which it does not start, in a line, and what else lets Litestream in; a line that says so if there is
/// nothing.
pub fn needed(plan: &Plan, target: Target<'_>) -> Vec<String> {
    let mut names: Vec<String> = plan.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    names.extend(variables(plan, target));
    let s3 = kinds(plan, target).iter().any(|kind| {
        let has_key = kind.settings.iter().any(|setting| setting == "access-key-id");
        kind.scheme == "s3" && !kind.is_environments && !has_key
    });
    let bucket = uses_bucket(plan, target);
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    if bucket {
        plan.place.iter().for_each(|(_, name)| add(name));
    }
    if (bucket && has_bucket_keys(plan)) || s3 {
        keys(bucket_variable(plan)).iter().for_each(|name| add(name));
    }
    let (variables, more) = credentials::of(plan, target);
    variables.into_iter().for_each(add);
    let mut lines = match names.is_empty() {
        true => Vec::new(),
        false => vec![names.join("  ")],
    };
    lines.extend(more.into_iter().map(|more| format!("({more})")));
    if lines.is_empty() { vec!["nothing".to_owned()] } else { lines }
}

/// A replica that something goes to, as far as it is known here.
pub(super) struct Kind {
    /// Its type, or its URL's scheme; `s3` where that may be known only where it runs.
    pub(super) scheme: String,
    /// What it says besides.
    pub(super) settings: Vec<String>,
    /// It has a user and a password in its URL.
    pub(super) is_let_in: bool,
    /// It is the one that the environment names.
    pub(super) is_environments: bool,
}

impl Kind {
    fn of_url(plan: &Plan, url: &str, settings: Vec<String>) -> Self {
        let scheme = match place::pieces(url).as_slice() {
            // Most are, and what this one is may be known only where it runs.
            [Err(name), ..] => plan.schemes.get(*name).map_or("s3", String::as_str),
            _ => url.split_once("://").map_or(url, |(scheme, _)| scheme),
        };
        let host = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let is_let_in = host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
        Self { scheme: scheme.to_ascii_lowercase(), settings, is_let_in, is_environments: false }
    }
}

/// Where the databases go that are replicated.
pub(super) fn kinds(plan: &Plan, target: Target<'_>) -> Vec<Kind> {
    let of_replica = |replica: &Vec<(String, Setting)>| {
        let text = |name: &str| match replica.iter().find(|(key, _)| key == name) {
            Some((_, Setting::Text(text))) => Some(text.clone()),
            Some((_, Setting::Plain(_))) | None => None,
        };
        let settings = replica.iter().map(|(key, _)| key.clone()).collect();
        let url = text("url").or_else(|| text("type"))?;
        Some(Kind::of_url(plan, &url, settings))
    };
    let databases = plan.databases.iter().filter(|database| database.left_out.is_none());
    let own = databases.filter_map(|database| database.replica.as_ref()).filter_map(of_replica);
    let mut found: Vec<Kind> = own.collect();
    match target {
        Target::Below(url) if url.contains("://") => found.push(Kind::of_url(plan, url, Vec::new())),
        Target::Below(_) => {}
        Target::Bucket if uses_bucket(plan, target) => {
            let url = plan.place.iter().find(|(key, _)| *key == "url").map(|(_, name)| place::variable(name));
            let of_url = url.map(|url| Kind::of_url(plan, &url, Vec::new()));
            found.extend(of_url.map(|kind| Kind { is_environments: true, ..kind }));
        }
        Target::Bucket => {}
    }
    found
}

/// The folders with databases that are folders of their own, as the image has them.
struct Volumes {
    /// Of what is replicated.
    replicated: Vec<String>,
    /// Of what is not, and would not come back.
    others: Vec<String>,
}

impl Volumes {
    fn of(plan: &Plan) -> Self {
        let folders = |databases: &mut dyn Iterator<Item = &Database>| {
            let mut found: Vec<String> = Vec::new();
            for database in databases {
                let folder = spare::folder(database);
                let is_plain = place::variables(&database.path).next().is_none();
                let is_own = folder != "." && folder != plan.folder && folder != "/";
                let volume = place::join(workdir(plan), &folder);
                if is_plain && is_own && !database.beside_code && !found.contains(&volume) {
                    found.push(volume);
                }
            }
            // A folder below another one is in that one's volume.
            let all = found.clone();
            found.retain(|one| !all.iter().any(|other| one != other && is_below(one, other)));
            found
        };
        let replicated = folders(&mut plan.databases.iter().filter(|database| database.left_out.is_none()));
        let all = plan.databases.iter().chain(&plan.spares);
        let mut others =
            folders(&mut all.filter(|database| database.left_out.is_some() && !database.comes_back));
        others.retain(|one| !replicated.iter().any(|volume| is_below(one, volume)));
        Self { replicated, others }
    }
}

fn path_variables(plan: &Plan) -> Vec<&str> {
    let whole = |database: &'_ str| place::pieces(database).first().is_some_and(Result::is_err);
    let databases =
        plan.databases.iter().filter(|database| database.left_out.is_none() && whole(&database.path));
    databases.filter_map(|database| place::variables(&database.path).next()).collect()
}
