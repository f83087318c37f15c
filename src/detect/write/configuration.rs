//! The plan as a litestream.yml that litekeeper and plain Litestream read.

use super::replica::{
    Target, begins_with_project, bucket_variable, has_bucket_keys, names, replica, uses_bucket,
};
use super::scalar::{scalar, setting, words};
use crate::detect::{Database, Plan, Setting, bucket, path};
use crate::foreign::is_obeyed;

/// Writes the file's text.
pub fn yaml(plan: &Plan, target: Target<'_>) -> String {
    let mut text = Text(String::new());
    head(plan, target, &mut text);
    plan.settings
        .iter()
        .for_each(|(key, value)| text.line(0, &format!("{}: {}", scalar(key), setting(value))));
    text.line(0, "dbs:");
    let names = names(plan);
    let mut explained = false;
    for (database, name) in plan.databases.iter().zip(&names) {
        let replica = replica(plan, database, name, target);
        let is_explained = target == Target::Bucket && database.goes_with_others();
        entry(plan, database, &replica, is_explained.then_some(!explained), &mut text);
        explained |= is_explained;
    }
    if uses_bucket(plan, target) {
        text.0.push_str(OTHERS);
    }
    text.0.push('\n');
    section(plan, &mut text);
    text.0
}

/// Other kinds of replica.
const OTHERS: &str = "
# Other kinds of replica, in place of type, bucket and path:
#   url: gs://BUCKET/PATH                  Google Cloud Storage
#   url: abs://ACCOUNT@CONTAINER/PATH      Azure
#   url: sftp://USER@HOST:22/PATH          with key-path: beside it
#   path: /mnt/backups/NAME                a folder
";

/// Lines with an indentation, and a `#` in front of what is left out.
struct Text(String);

impl Text {
    fn line(&mut self, indent: usize, text: &str) {
        self.0.extend(std::iter::repeat_n(' ', indent));
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn comment(&mut self, indent: usize, text: &str) {
        // Names of the project bring no variable and no line end into a comment.
        let text = text.replace(|c: char| c == '$' || is_obeyed(c), " ");
        self.line(indent, format!("# {text}").trim_end());
    }
}

/// How the file is used.
const ABOUT: &str =
    "`litekeeper run` finds this file in the folder that it is started in, and relative paths are relative
to that folder. Plain Litestream reads the file too; it passes over the part `litekeeper`.";

/// Writes the comment at the top: what the file is, and the variables that it needs.
fn head(plan: &Plan, target: Target<'_>, text: &mut Text) {
    text.comment(0, &format!("Written by `litekeeper init` for {}: {}.", plan.framework, plan.source));
    text.comment(0, "");
    ABOUT.lines().for_each(|line| text.comment(0, line));
    if begins_with_project(plan, target) {
        let begins = format!("Its places on the replica begin with `{}`", plan.project);
        text.comment(0, "");
        text.comment(0, &format!("{begins}, so that other projects may use the same one."));
    }
    let needed = explained(plan, target);
    if !needed.is_empty() {
        text.comment(0, "");
        text.comment(0, "Set where it runs; secrets never go into this file:");
    }
    for (name, what) in needed {
        text.comment(0, format!("  {name:<30}{what}").trim_end());
    }
}

/// Lists the variables that have to be set where it runs, each with its meaning.
fn explained(plan: &Plan, target: Target<'_>) -> Vec<(String, &'static str)> {
    let env = plan.env.iter();
    let mut needed: Vec<(String, &str)> =
        env.map(|(name, value)| (format!("{name}={value}"), "these are its databases")).collect();
    if uses_bucket(plan, target) {
        for (key, name) in &plan.place {
            let what = match *key {
                "url" => "where the backups go",
                "bucket" => "the bucket",
                "path" => "the place in it",
                "region" => "its region",
                _ => "where it is",
            };
            needed.push(((*name).to_owned(), what));
        }
        if has_bucket_keys(plan) {
            let [key, secret] = bucket::keys(bucket_variable(plan));
            needed.push((key.to_owned(), "its key, and"));
            needed.push((secret.to_owned(), "its secret; AWS's own variables and roles do as well"));
        }
    }
    for name in variables(plan, target) {
        if !needed.iter().any(|(known, _)| *known == name) {
            needed.push((name, "used below"));
        }
    }
    needed
}

/// Lists the variables of the file, in its order.
pub(super) fn variables(plan: &Plan, target: Target<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut take = |text: &str| {
        // Litestream replaces `PID` by its own.
        for name in path::variables(text).filter(|name| *name != "PID") {
            if !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    };
    for database in plan.databases.iter().filter(|database| database.is_replicated()) {
        take(&database.path);
        database.replica.iter().flatten().filter_map(|(_, value)| value.text()).for_each(&mut take);
    }
    plan.settings.iter().filter_map(|(_, value)| value.text()).for_each(&mut take);
    plan.vfs.iter().for_each(|(_, url)| take(url));
    if let Target::Below(url) = target {
        take(&path::with_variables(url));
    }
    plan.uses.iter().for_each(|name| take(&path::variable(name)));
    found
}

/// Writes a database and its replica, in comments where it is left out. What may be added to it stands below each, and what it is
/// for below the first.
fn entry(
    plan: &Plan,
    database: &Database,
    replica: &[(String, Setting)],
    explains: Option<bool>,
    text: &mut Text,
) {
    let mark = match &database.left_out {
        Some(why) => {
            text.comment(2, &format!("{} is not replicated: {why}.", database.alias));
            text.comment(2, "To replicate it all the same, take the `# ` away from these lines:");
            "# "
        }
        None => {
            let comment = database.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
            text.comment(2, &format!("{}{comment}", database.alias));
            ""
        }
    };
    text.line(2, &format!("{mark}- path: {}", scalar(&database.path)));
    text.line(2, &format!("{mark}  replica:"));
    for (key, value) in replica {
        text.line(2, &format!("{mark}    {}: {}", scalar(key), setting(value)));
    }
    let is_set = |key: &str| plan.place.iter().any(|(known, _)| *known == key || *known == "url");
    for (key, line, what) in [
        ("region", "# region: eu-central-1", "Amazon's is found out when it is not given"),
        ("endpoint", "# endpoint: https://HOST", "Tigris, R2, MinIO and others that speak S3"),
    ] {
        if let Some(is_first) = explains.filter(|_| !is_set(key)) {
            let what = if is_first { what } else { "as above" };
            text.line(6, &format!("{line:<33}# {what}"));
        }
    }
}

/// Writes Litekeeper's own part.
fn section(plan: &Plan, text: &mut Text) {
    text.line(0, "litekeeper:");
    text.line(2, "app:");
    if plan.command.is_empty() {
        text.comment(4, "How the app is started, when `litekeeper run` is given no command of its own:");
        text.line(4, "# command: [bin/server]");
        text.line(4, "env: {}");
    } else {
        text.line(4, &format!("command: {}", words(&plan.command)));
    }
    if plan.folder != "." {
        text.line(4, &format!("cwd: {}", scalar(&plan.folder)));
    }
    if !plan.before.is_empty() {
        text.comment(2, "After the restore, under replication, before the app:");
        text.line(2, "before:");
        plan.before.iter().for_each(|command| text.line(4, &format!("- {}", words(command))));
    }
    if let Some(prefix) = &plan.path_prefix {
        text.line(2, &format!("path-prefix: {}", scalar(prefix)));
    }
    let whose = match plan.framework.names_databases() {
        true => format!("as {} has them", plan.framework),
        false => "whose paths the app gets as LITEKEEPER_DATABASE_NAME".to_owned(),
    };
    text.comment(2, &format!("Names of the databases, {whose}:"));
    text.line(2, "aliases:");
    for database in &plan.databases {
        let mark = if database.is_replicated() { "" } else { "# " };
        text.line(4, &format!("{mark}{}: {}", scalar(&database.alias), scalar(&database.path)));
    }
    if !plan.vfs.is_empty() {
        text.line(2, "vfs:");
        for (alias, url) in &plan.vfs {
            let is_number = url.bytes().all(|byte| byte.is_ascii_digit());
            let value = if is_number { url.clone() } else { scalar(url) };
            text.line(4, &format!("{}: {value}", scalar(alias)));
        }
    }
}
