//! The plan as a litestream.yml that litekeeper and plain Litestream read.
//!
//! Litestream expands `$NAME` in the text before it reads YAML, comments included: only what is meant as a variable
//! has a dollar sign, all others are written as `\x24` in double quotes.

use super::bucket;
use super::code::Value;
use super::existing::with_variables;
use super::place;
use super::plan::{Database, Framework, Plan, Setting};

/// Where the replicas are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The S3 bucket that `LITESTREAM_REPLICA_BUCKET` names where the app runs.
    Bucket,
    /// Below this URL or folder; `${NAME}` in it stays.
    Below(&'a str),
}

/// The file's text.
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
        let explains = !explained
            && target == Target::Bucket
            && database.left_out.is_none()
            && database.replica.is_none();
        entry(plan, database, &replica, explains, &mut text);
        explained |= explains;
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
        // No variable and no line end of somebody else's gets into a comment.
        let text = text.replace(|c: char| c == '$' || is_break(c), " ");
        self.line(indent, format!("# {text}").trim_end());
    }
}

fn head(plan: &Plan, target: Target<'_>, text: &mut Text) {
    text.comment(0, &format!("Written by `litekeeper init` for {}: {}.", plan.framework, plan.source));
    text.comment(0, "");
    text.comment(0, "`litekeeper run` finds this file in the folder that it is started in, and relative paths are relative");
    text.comment(
        0,
        "to that folder. Plain Litestream reads the file too; it passes over the part `litekeeper`.",
    );
    if begins_with_project(plan, target) {
        text.comment(0, "");
        text.comment(
            0,
            &format!(
                "Its places on the replica begin with `{}`, so that other projects may use the same one.",
                plan.project
            ),
        );
    }
    let from_bucket = uses_bucket(plan, target);
    let mut needed: Vec<(String, &str)> = Vec::new();
    for (name, value) in &plan.env {
        needed.push((format!("{name}={value}"), "these are its databases"));
    }
    if from_bucket {
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
    if !needed.is_empty() {
        text.comment(0, "");
        text.comment(0, "Set where it runs; secrets never go into this file:");
    }
    for (name, what) in needed {
        text.comment(0, format!("  {name:<30}{what}").trim_end());
    }
}

/// Whether anything goes to the bucket that the environment names.
pub(super) fn uses_bucket(plan: &Plan, target: Target<'_>) -> bool {
    let own = |database: &Database| database.left_out.is_none() && database.replica.is_none();
    target == Target::Bucket && plan.databases.iter().any(own)
}

/// Whether what the environment names takes the keys of S3: a URL that is set here may be another one.
pub(super) fn has_bucket_keys(plan: &Plan) -> bool {
    let url = plan.place.iter().find(|(key, _)| *key == "url");
    url.and_then(|(_, name)| plan.schemes.get(*name)).is_none_or(|scheme| scheme == "s3")
}

/// The variables that the file is going to have, in its order.
pub(super) fn variables(plan: &Plan, target: Target<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut take = |text: &str| {
        // Litestream puts its own number in the place of that one.
        for name in place::variables(text).filter(|name| *name != "PID") {
            if !found.iter().any(|known| known == name) {
                found.push(name.to_owned());
            }
        }
    };
    for database in plan.databases.iter().filter(|database| database.left_out.is_none()) {
        take(&database.path);
        for (_, value) in database.replica.iter().flatten() {
            if let Setting::Text(text) = value {
                take(text);
            }
        }
    }
    for (_, value) in &plan.settings {
        if let Setting::Text(text) = value {
            take(text);
        }
    }
    plan.vfs.iter().for_each(|(_, url)| take(url));
    if let Target::Below(url) = target {
        take(&with_variables(url));
    }
    plan.uses.iter().for_each(|name| take(&place::variable(name)));
    found
}

/// What each database is called on the replica: its file's name, unless two have the same.
fn names(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for database in &plan.databases {
        let plain = database.called();
        let whole = || {
            let literal =
                place::pieces(&database.path).into_iter().map(Result::unwrap_or_default).collect::<String>();
            literal.split('/').filter(|part| !part.is_empty() && *part != "..").collect::<Vec<_>>().join("/")
        };
        let mut name = if names.contains(&plain) { whole() } else { plain };
        while names.contains(&name) {
            name.push_str("-2");
        }
        names.push(name);
    }
    names
}

fn replica(plan: &Plan, database: &Database, name: &str, target: Target<'_>) -> Vec<(String, Setting)> {
    if let Some(replica) = &database.replica {
        return replica.clone();
    }
    let name = match &plan.path_prefix {
        Some(prefix) => format!("{}/{name}", prefix.trim_matches('/')),
        None if is_shared(plan, target) => format!("{}/{name}", plan.project),
        None => name.to_owned(),
    };
    let text = |key: &str, value: String| (key.to_owned(), Setting::Text(value));
    match target {
        Target::Bucket => in_bucket(plan, database, name),
        Target::Below(url) if url.contains("://") => {
            let url = with_variables(url);
            let (base, query) =
                url.split_once('?').map_or((url.as_str(), None), |(base, query)| (base, Some(query)));
            // In a URL the name is one of its parts.
            let name = name.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(' ', "%20");
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            // A URL without a host keeps its slashes: what is wrong with it is that.
            let (scheme, place) = base.split_once("://").unwrap_or((base, ""));
            let place = place.trim_end_matches('/');
            // An object store is one database's, and has no folders.
            if scheme.eq_ignore_ascii_case("nats") {
                return vec![text("url", format!("{scheme}://{place}{query}"))];
            }
            vec![text("url", format!("{scheme}://{place}/{name}{query}"))]
        }
        Target::Below(folder) => {
            let folder = with_variables(folder);
            vec![
                text("type", "file".to_owned()),
                text("path", format!("{}/{name}", folder.trim_end_matches('/'))),
            ]
        }
    }
}

/// Where the environment says; what it does not say is the project's own place.
fn in_bucket(plan: &Plan, database: &Database, name: String) -> Vec<(String, Setting)> {
    let text = |key: &str, value: String| (key.to_owned(), Setting::Text(value));
    let variable = |key: &str| plan.place.iter().find(|(known, _)| *known == key).map(|(_, name)| *name);
    let own = |one: &&Database| one.left_out.is_none() && one.replica.is_none();
    // What names the place of one database is that place, as `run` reads it too; of several it is what they are below.
    let is_alone = own(&database) && plan.databases.iter().filter(own).count() == 1;
    let below = |base: &str| {
        let base = place::variable(base);
        if is_alone { base } else { format!("{base}/{}", place::name(&name)) }
    };
    if let Some(url) = variable("url") {
        return vec![text("url", below(url))];
    }
    let path = variable("path").map_or_else(|| name.clone(), below);
    let mut replica = vec![
        text("type", "s3".to_owned()),
        text("bucket", place::variable(bucket_variable(plan))),
        text("path", path),
    ];
    for key in ["region", "endpoint"] {
        replica.extend(variable(key).map(|name| text(key, place::variable(name))));
    }
    replica
}

/// The variable that has the bucket's name.
pub(super) fn bucket_variable(plan: &Plan) -> &'static str {
    plan.place.iter().find(|(key, _)| *key == "bucket").map_or("LITESTREAM_REPLICA_BUCKET", |(_, name)| name)
}

/// Whether other projects may go to the same place: to all but a folder of the project, or one that has its name.
fn is_shared(plan: &Plan, target: Target<'_>) -> bool {
    match target {
        Target::Bucket => true,
        Target::Below(url) => {
            let base = url.split('?').next().unwrap_or(url).trim_end_matches('/');
            let path = base
                .split_once("://")
                .map_or(base, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
            !url.starts_with("./") && place::name(path) != plan.project
        }
    }
}

/// Whether the project's name is in the file.
pub fn begins_with_project(plan: &Plan, target: Target<'_>) -> bool {
    let own = |database: &Database| database.left_out.is_none() && database.replica.is_none();
    let said = |key: &str| target == Target::Bucket && plan.place.iter().any(|(known, _)| *known == key);
    plan.path_prefix.is_none()
        && is_shared(plan, target)
        && plan.databases.iter().any(own)
        && !said("path")
        && !said("url")
}

fn entry(plan: &Plan, database: &Database, replica: &[(String, Setting)], explains: bool, text: &mut Text) {
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
    let is_said = |key: &str| plan.place.iter().any(|(known, _)| *known == key || *known == "url");
    if explains && !is_said("region") {
        text.line(6, "# region: eu-central-1           # Amazon's is found out when it is not given");
    }
    if explains && !is_said("endpoint") {
        text.line(6, "# endpoint: https://HOST         # Tigris, R2, MinIO and others that speak S3");
    }
}

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
    let whose = match plan.framework {
        Framework::Rails
        | Framework::Django
        | Framework::Laravel
        | Framework::Phoenix
        | Framework::PocketBase
        | Framework::Prisma
        | Framework::Drizzle => format!("as {} has them", plan.framework),
        Framework::Flask
        | Framework::SqlAlchemy
        | Framework::DatabaseUrl
        | Framework::Files
        | Framework::Existing => "whose paths the app gets as LITEKEEPER_DATABASE_NAME".to_owned(),
    };
    text.comment(2, &format!("Names of the databases, {whose}:"));
    text.line(2, "aliases:");
    for database in &plan.databases {
        let mark = if database.left_out.is_some() { "# " } else { "" };
        text.line(4, &format!("{mark}{}: {}", scalar(&database.alias), scalar(&database.path)));
    }
    if !plan.vfs.is_empty() {
        text.line(2, "vfs:");
        plan.vfs.iter().for_each(|(alias, url)| text.line(4, &format!("{}: {}", scalar(alias), scalar(url))));
    }
}

fn words(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", quoted.join(", "))
}

fn setting(value: &Setting) -> String {
    match value {
        Setting::Text(text) => scalar(text),
        Setting::Plain(plain) => plain.clone(),
    }
}

/// Several values in one line.
pub(super) fn flow(value: &Value) -> Option<String> {
    Some(match value {
        Value::Text(text) => quoted(text),
        Value::Unset(name) => quoted(&place::variable(name)),
        Value::Number(number) => number.clone(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Option<Vec<_>>>()?.join(", "))
        }
        Value::Table(entries) => {
            let entry = |(key, value): &(String, Value)| Some(format!("{}: {}", quoted(key), flow(value)?));
            format!("{{{}}}", entries.iter().map(entry).collect::<Option<Vec<_>>>()?.join(", "))
        }
        Value::Nothing | Value::Unknown => return None,
    })
}

/// A text as YAML, in quotes only where it needs them.
fn scalar(text: &str) -> String {
    let literal: String = place::pieces(text).into_iter().map(|piece| piece.unwrap_or("x")).collect();
    let starts_plain = literal.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        || literal.starts_with("./")
        || literal.starts_with("../");
    let is_plain = starts_plain
        && literal.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@=:~".contains(c))
        && !literal.ends_with(':')
        // What YAML 1.1 takes for something else than a text.
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&literal.to_ascii_lowercase().as_str());
    if is_plain { place::shown(text) } else { quoted(text) }
}

/// What ends a line somewhere, or nobody sees: Litestream's YAML has more ends of lines than most.
fn is_break(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A text in double quotes, its variables apart.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for piece in place::pieces(text) {
        match piece {
            Err(name) => out.push_str(&format!("${{{name}}}")),
            Ok(literal) => {
                for c in literal.chars() {
                    match c {
                        '"' | '\\' => out.extend(['\\', c]),
                        '$' => out.push_str("\\x24"),
                        c if is_break(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                        c => out.push(c),
                    }
                }
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        for (text, yaml) in [
            ("storage/production.sqlite3", "storage/production.sqlite3"),
            ("/data/x.db", "/data/x.db"),
            ("../x.db", "../x.db"),
            ("s3://bucket/x", "s3://bucket/x"),
            ("on", "\"on\""),
            ("No", "\"No\""),
            ("1.5", "\"1.5\""),
            (".5", "\".5\""),
            ("a b", "\"a b\""),
            ("a#b: \"c\"\\", "\"a#b: \\\"c\\\"\\\\\""),
            ("$HOME/x", "\"\\x24HOME/x\""),
            ("dé.db", "\"dé.db\""),
            ("x:", "\"x:\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), yaml, "{text}");
        }
        assert_eq!(scalar(&place::variable("DATABASE_PATH")), "${DATABASE_PATH}");
        assert_eq!(scalar(&format!("a b/{}", place::variable("X"))), "\"a b/${X}\"");
    }
}
