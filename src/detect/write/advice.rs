//! The lines that belong into Dockerfile, Procfile, fly.toml and a systemd unit.

use super::configuration::variables;
use super::credentials;
use super::ignored::{Syntax, ignored};
use super::kinds::kinds;
use super::replica::{Target, bucket_variable, has_bucket_keys, uses_bucket};
use super::volumes::Volumes;
use crate::detect::bucket::keys;
use crate::detect::path::{self, is_below};
use crate::detect::start::PHP_FPM;
use crate::detect::{Database, Plan, shell};

/// Writes what to add to the files that start the app; `file` is the configuration's name.
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

/// The settings of a unit whose defaults are wrong for it.
const SYSTEMD: [&str; 6] = [
    "# TERM goes to litekeeper alone; 143 is how many apps end when they are told to stop",
    "KillMode=process",
    "SuccessExitStatus=143",
    "OOMPolicy=continue",
    "RuntimeDirectory=litekeeper",
    "RuntimeDirectoryPreserve=yes",
];

/// Adds the lines of a Dockerfile.
fn dockerfile(plan: &Plan, file: &str, volumes: &Volumes, lines: &mut Vec<String>) {
    let mut add = |line: String| lines.push(format!("  {line}"));
    add("# from the image that, in Litekeeper's sources, `docker build --target litekeeper -f examples/docker/Dockerfile -t litekeeper .` makes".to_owned());
    add("COPY --from=litekeeper /usr/local/bin/litekeeper /usr/local/bin/litestream /usr/local/bin/"
        .to_owned());
    let there = copy(plan, file, &mut add);
    let folder = plan.workdir().trim_end_matches('/');
    let is_found = path::is_below(&there, folder) && is_usual(there[folder.len()..].trim_start_matches('/'));
    let mut run = vec!["litekeeper".to_owned(), "run".to_owned()];
    if !is_found && !is_usual(&there) {
        run.extend(["--config".to_owned(), there]);
    }
    volumes.replicated.iter().for_each(|volume| add(format!("VOLUME {volume}")));
    if !volumes.others.is_empty() {
        add("# not replicated, so gone with its container unless a volume holds it:".to_owned());
        volumes.others.iter().for_each(|volume| add(format!("VOLUME {volume}")));
    }
    let env = plan.env.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
    add(format!("ENV LITEKEEPER_STOP_TIMEOUT=9s{env}"));
    entrypoint(plan, run, &mut add);
}

/// Adds the lines that copy the configuration, unless an instruction does; returns its path in the image.
fn copy(plan: &Plan, file: &str, add: &mut dyn FnMut(String)) -> String {
    let image = &plan.deployment.image;
    if let Some(there) = image.place_of(file) {
        return there;
    }
    let folder = plan.workdir().trim_end_matches('/');
    // A folder that is the base image's, or a variable's, is written as `.`.
    let is_relative = image.is_there
        && image.workdir.is_none()
        && (image.sets_workdir
            || (image.is_where_it_copies() && image.folder(None).is_some_and(|own| own == plan.workdir())));
    let to = if is_relative { "./".to_owned() } else { format!("{folder}/") };
    if image.workdir.is_none() && !is_relative {
        add(format!("WORKDIR {}", plan.workdir()));
    }
    add(match file.contains(char::is_whitespace) {
        true => exec_form("COPY", &[file.to_owned(), to]),
        false => format!("COPY {file} {to}"),
    });
    format!("{folder}/{}", path::name(file))
}

/// Adds ENTRYPOINT, and CMD where the command is not in the configuration.
fn entrypoint(plan: &Plan, mut run: Vec<String>, add: &mut dyn FnMut(String)) {
    let command = match plan.below.image.clone().or_else(|| plan.deployment.image.start()) {
        Some(start) if mentions_litekeeper(&start.join(" ")) => return,
        // The image's own CMD would follow `litekeeper run` as its arguments.
        Some(mut start) => {
            if start.last().is_some_and(|word| word == PHP_FPM[0]) {
                start.push(PHP_FPM[1].to_owned());
            }
            add("# in place of ENTRYPOINT and CMD; this command counts, and not litekeeper.app.command:"
                .to_owned());
            start
        }
        None if plan.command.is_empty() => {
            run.push("--".to_owned());
            return add(format!("{}    # and your app's command as CMD", exec_form("ENTRYPOINT", &run)));
        }
        None if plan.is_command_written => return add(exec_form("ENTRYPOINT", &run)),
        // The configuration that exists has no command.
        None => plan.command.clone(),
    };
    run.push("--".to_owned());
    add(exec_form("ENTRYPOINT", &run));
    add(exec_form("CMD", &command));
}

/// Tells whether `run` finds a configuration of this name, in the folder that it is started in or in `/etc`.
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

/// Writes an instruction whose words no shell reads.
fn exec_form(instruction: &str, words: &[String]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
    format!("{instruction} [{}]", words.join(", "))
}

fn mentions_litekeeper(command: &str) -> bool {
    command.contains("litekeeper")
}

/// Writes the command of the process `web`.
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

/// Puts a Procfile's own line below litekeeper.
fn below(run: &str, own: &str) -> String {
    // A shell reads the line: a second command in it would run beside litekeeper.
    if shell::is_shells(own) {
        let quoted =
            shlex::try_quote(own).map_or_else(|_| "YOUR COMMAND".into(), std::borrow::Cow::into_owned);
        format!("{run} -- sh -c {quoted}")
    } else {
        format!("{run} -- {own}")
    }
}

/// Adds the lines of a fly.toml.
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

/// Lists the variables that are the whole path of a database.
fn path_variables(plan: &Plan) -> Vec<&str> {
    let is_whole =
        |database: &&Database| database.is_replicated() && path::begins_with_variable(&database.path);
    let databases = plan.databases.iter().filter(is_whole);
    databases.filter_map(|database| path::variables(&database.path).next()).collect()
}
