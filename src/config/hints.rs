//! What to do about each problem, in the order in which the particular comes before the general: one list, so that
//! whoever adds a problem sees the hints of all others.

use crate::config::duration::in_hours;
use crate::config::model::bucket;
use crate::config::model::url;
use crate::config::problem::Problem;
use crate::config::schema::Type;
use crate::config::variable_names::unset_hint;
use crate::{secrets, yaml};

/// Returns the next step.
#[expect(clippy::too_many_lines, reason = "one table of words")]
pub(super) fn hint(problem: &Problem) -> String {
    let text = match problem {
        Problem::Text(problem) => problem.hint(),
        Problem::Section(fault) => return fault.hint(),
        Problem::Given(given) => return given.hint(),
        Problem::BadUrl { meant: Some(meant), .. } => return meant.clone(),
        Problem::UnknownTemplate { template, .. } if url::is_url(template) => {
            return format!("a URL is written so: `replica: {{url: \"{}\"}}`", secrets::mask_value(template));
        }
        Problem::UnknownTemplate { template, .. } if template.starts_with(['/', '.', '~']) => {
            return format!("a folder is written so: `replica: {{path: \"{template}\"}}`");
        }
        Problem::Unset { name, .. } => return unset_hint(name),
        Problem::HostAsBucket { host } => return bucket::hint(host),
        Problem::BucketWithMore { what: "a blank" } => {
            "write the bucket's name alone; no bucket has a blank in it"
        }
        Problem::BucketWithMore { .. } => "a path goes into `path`, and a server into `endpoint`",
        Problem::Expanded { names, problem }
            if matches!(**problem, Problem::Text(yaml::YamlProblem::Syntax { .. })) =>
        {
            let name = names.first().map_or("NAME", String::as_str);
            return format!(
                "write {{env: {name}}} in its place, which no value can break, or set another value"
            );
        }
        Problem::Expanded { problem, .. } => {
            return hint(problem);
        }
        Problem::Unreadable { reason, .. } if reason == "it is a folder, not a file" => {
            "Docker makes such a folder where the file that is to be mounted is not there: remove it, and mount the file, or name another one with --config"
        }
        Problem::Unreadable { missing: true, .. } => {
            "name the file with --config, or give --db and --replica"
        }
        Problem::NoDatabases => {
            "add a `dbs:` list with a `path` and a `replica` for each database, or give --db and --replica"
        }
        Problem::PathIsUrl { .. } => "write the plain path of the file; sqlite:// is understood, too",
        Problem::NoReplica { .. } => {
            "add `replica: {url: …}` to the database, or set LITESTREAM_REPLICA_URL or LITESTREAM_REPLICA_BUCKET"
        }
        Problem::ReplicaAndReplicas { .. } => "keep `replica`; `replicas` is the older form",
        Problem::WrongType { kind: Type::Duration, value, .. } => match value.as_deref().and_then(in_hours) {
            Some(hours) => return format!("it knows no days or weeks: write {hours}"),
            None => "write it as 10s, 500ms, 5m or 1h30m",
        },
        Problem::BareDuration { text, .. } => {
            return format!("write a unit: {text}s is seconds, {text}m minutes");
        }
        Problem::WrongType { kind: Type::Size, .. } => "write it as 5MiB, 1.5GB, or a number of bytes",
        Problem::WrongType { kind: Type::Octal, .. } | Problem::NotOctal { .. } => {
            "write it without quotes and with a 0 in front, such as 0600"
        }
        Problem::WrongType { kind: Type::Bool | Type::Int, is_plain: false, .. } => "take the quotes away",
        Problem::WrongType { kind: Type::Texts | Type::Mappings(_), .. } => {
            "write each entry in a line of its own, after `- `"
        }
        Problem::WrongType { kind: Type::Text, .. } => "write one text there, in quotes if need be",
        Problem::NotIn05 { key: "age", .. } => {
            "leave it out, and let the storage encrypt: 0.5 cannot, only Litestream 0.3 can (--allow-litestream)"
        }
        Problem::NotIn03 => "name each database, or use Litestream 0.5",
        Problem::SameName { .. } => "give each replica a `name`",
        Problem::FolderOnNats => "name each database by itself, with a bucket of its own",
        Problem::NatsWithPath => {
            "write `nats://HOST/BUCKET`, with the server's port behind HOST and a bucket of its own for each database"
        }
        Problem::NoPattern => "for example `pattern: \"*.db\"`",
        Problem::SeveralReplicas { .. } => "keep one; only Litestream 0.3 writes to several",
        Problem::ReplicaPathIsUrl => "use `url` instead of `path`",
        Problem::BadUrl { reason, .. } if reason.contains('%') => {
            "write each `%` that is meant as one as `%25`, in a password as well"
        }
        Problem::Contradiction { first: "url", .. } => {
            "a `url` says it all; the other setting may also come from the top of the file"
        }
        Problem::BothSpellings { .. } => "keep one of them",
        Problem::UnknownTemplate { known, .. } if !known.is_empty() => {
            return format!("there are: {}", known.join(", "));
        }
        Problem::UnknownTemplate { .. } => {
            "a text in the place of a replica is the name of a mapping in `litekeeper.replicas`"
        }
        Problem::NoFile { .. } => {
            "mount it, or write another path: a relative one begins in the current folder"
        }
        Problem::Elsewhere { .. } => "write the whole path",
        Problem::NoVariable { .. } => "set the variable in the environment that litekeeper is started in",
        Problem::SameReplica { .. } => "give each database a place of its own, for example by its name",
        Problem::ReplicaIsDatabase { .. } | Problem::ReplicaInMetadata { .. } => {
            "give the replica a folder of its own, better one on another disk"
        }
        Problem::ExecNeedsShell { .. } => {
            "let a shell run it: leave `exec` out and start with `litekeeper run -- sh -c '…'`"
        }
        Problem::ExecUnfinished => "close the quotes, or give the command after `--`",
        Problem::NothingGiven { seen: Some(file) } => {
            return format!("`{file}` is there, but not looked for: name it with --config {file}");
        }
        Problem::NothingGiven { seen: None } => {
            "`litekeeper init` writes a litestream.yml; or give --db PATH --replica URL"
        }
        Problem::ReplicaNotUrl { meant: Some(meant), .. } => return meant.clone(),
        Problem::ReplicaNotUrl { .. } => {
            "for example s3://bucket/path, file:///backups/app.db or /backups/app.db"
        }
        Problem::NoDatabaseUrl { .. } => "set DATABASE_URL to the SQLite file, or give --db and --replica",
        Problem::TwoReadings { .. } => {
            "write the whole path with four slashes, which all read alike: sqlite:////PATH; or make the folder that is meant"
        }
        Problem::Variable { .. } => "correct it, or take the variable out",
        Problem::ForeignDatabaseUrl { .. } => "name the SQLite file with --db",
        Problem::NotUtf8 { .. } => "save the file as UTF-8",
        Problem::UpFromLink { .. } => "write the path without `..`",
        Problem::PathHasNul { .. } => "correct the path",
        Problem::BadAnswer { .. } => {
            "print a JSON list of mappings with the same keys as in `dbs`, and all else to standard error"
        }
        Problem::Unreadable { reason, .. } if reason.starts_with("the pipe") => {
            "whoever writes it has to close it; or name a file"
        }
        Problem::Unreadable { .. } => "name a file that this user can read with --config",
        Problem::NotMapping { .. } => "write `key: value` lines; `litekeeper init` prints an example",
        Problem::WrongType { .. } | Problem::OutOfRange { .. } => {
            "correct the value; leaving it out gives the default"
        }
        Problem::NotIn05 { .. } => "leave it out, or use Litestream 0.3 (--allow-litestream)",
        Problem::NeedsDir { .. } => "leave it out, or write `dir` in place of `path`",
        Problem::MetaPathAndDir | Problem::PathAndDir => "keep one of the two",
        Problem::BadPathMode { .. } => "write one of these, or leave it out",
        Problem::BadName { .. } => "write a name without slashes that is neither `.` nor `..`",
        Problem::NoPath => "add `path`, or `dir` and `pattern` for a folder of databases",
        Problem::NoHome { .. } => "write the whole path, or set HOME",
        Problem::BadUrl { .. } => {
            "for example s3://bucket/path, file:///backups/app.db or sftp://user@host/path"
        }
        Problem::NoPort { .. } => {
            "write host and port, for example 127.0.0.1:9090, or `:9090` for all addresses"
        }
        Problem::HeartbeatUrl => "write the whole URL that is to be asked, or leave it out",
        Problem::Contradiction { .. } => "keep one of the two",
        Problem::Missing { .. } | Problem::Empty { .. } => {
            "add its value, or say where the replica is with a `url`"
        }
        Problem::NoType { key: "host" } => "write `type: sftp` beside it",
        Problem::NoType { .. } => "write `type: s3` beside it, or the type that it is",
        Problem::SameDatabase { .. } => "keep one of the two entries",
        Problem::SameMetadata { .. } => "give one of them a `meta-path` of its own",
        Problem::MemoryDatabaseUrl => "set DATABASE_URL to a file, or name one with --db",
    };
    text.to_owned()
}
