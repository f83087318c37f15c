//! What makes a configuration unusable, as findings.

use super::finding::{Lint, Rule};
use super::rules::{
    BAD_DURATION, BAD_SIZE, BARE_DURATION, BOTH_SPELLINGS, BROKEN_URL, DATABASE_PATH, EXEC_SHELL,
    HOST_AS_BUCKET, LIMIT, NO_DATABASE, NO_REPLICA, NO_VARIABLE, NOT_YAML, OCTAL, PATH_MODE, REFUSED_KEY,
    REPLICA_IN_METADATA, REPLICA_PLACE, SAME_DATABASE, SAME_METADATA, SAME_REPLICA, SECTION_KEY,
    SECTION_VALUE, SEVERAL_REPLICAS, UNKNOWN_TEMPLATE, UNREADABLE, VARIABLE_VALUE, WRONG_TYPE,
};
use crate::config::error::{Error, Finding, Problem};
use crate::config::fault::Fault;
use crate::config::given::Given;
use crate::config::schema::Type;

/// Returns the findings of an error.
pub fn of_error(error: &Error) -> Vec<Lint> {
    error.findings().iter().map(of_finding).collect()
}

pub(super) fn of_finding(finding: &Finding) -> Lint {
    let lint = Lint::new(rule_of(&finding.problem), &finding.origin, finding.problem.to_string());
    lint.at(finding.line, finding.column).hint(finding.hint())
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn rule_of(problem: &Problem) -> &'static Rule {
    match problem {
        Problem::Unreadable { .. } => UNREADABLE,
        Problem::Text(problem) if problem.is_limit() => LIMIT,
        Problem::NotUtf8 { .. } | Problem::Text(_) => NOT_YAML,
        Problem::OutOfRange { kind: Type::Int, .. } => WRONG_TYPE,
        Problem::OutOfRange { kind: Type::Size, .. } => BAD_SIZE,
        Problem::OutOfRange { kind: Type::Octal, .. } => OCTAL,
        Problem::WrongType { kind: Type::Duration, .. } | Problem::OutOfRange { .. } => BAD_DURATION,
        Problem::WrongType { kind: Type::Size, .. } => BAD_SIZE,
        Problem::WrongType { kind: Type::Octal, .. } | Problem::NotOctal { .. } => OCTAL,
        Problem::BareDuration { .. } => BARE_DURATION,
        Problem::NotIn05 { .. } => REFUSED_KEY,
        Problem::BadAnswer { .. }
        | Problem::NotMapping { .. }
        | Problem::WrongType { .. }
        | Problem::NoPort { .. } => WRONG_TYPE,
        Problem::BothSpellings { .. } => BOTH_SPELLINGS,
        Problem::UnknownTemplate { .. } => UNKNOWN_TEMPLATE,
        Problem::BadPathMode { .. } | Problem::BadName { .. } => PATH_MODE,
        Problem::NoDatabases
        | Problem::NothingGiven { .. }
        | Problem::NoDatabaseUrl { .. }
        | Problem::ForeignDatabaseUrl { .. }
        | Problem::MemoryDatabaseUrl => NO_DATABASE,
        Problem::TwoReadings { .. } | Problem::Given(Given::SeveralPaths { .. }) => DATABASE_PATH,
        Problem::Given(Given::NoReplica { .. }) => NO_REPLICA,
        Problem::Given(Given::NotUrl { .. }) => REPLICA_PLACE,
        Problem::Given(
            Given::InQuotes { .. } | Given::LineEnd { .. } | Given::Unexpanded { .. } | Given::Empty { .. },
        ) => VARIABLE_VALUE,
        Problem::NoPath
        | Problem::PathAndDir
        | Problem::NotIn03
        | Problem::NeedsDir { .. }
        | Problem::NoPattern
        | Problem::MetaPathAndDir
        | Problem::PathIsUrl { .. }
        | Problem::PathHasNul { .. }
        | Problem::UpFromLink { .. }
        | Problem::NoHome { .. } => DATABASE_PATH,
        Problem::NoReplica { .. } => NO_REPLICA,
        Problem::ReplicaAndReplicas { .. } | Problem::SeveralReplicas { .. } | Problem::SameName { .. } => {
            SEVERAL_REPLICAS
        }
        Problem::ReplicaPathIsUrl
        | Problem::BadUrl { .. }
        | Problem::Contradiction { .. }
        | Problem::Missing { .. }
        | Problem::Empty { .. }
        | Problem::BucketWithMore { .. }
        | Problem::NoType { .. }
        | Problem::ReplicaIsDatabase { .. }
        | Problem::FolderOnNats
        | Problem::NatsWithPath
        | Problem::ReplicaNotUrl { .. } => REPLICA_PLACE,
        Problem::ReplicaInMetadata { .. } => REPLICA_IN_METADATA,
        Problem::HostAsBucket { .. } => HOST_AS_BUCKET,
        Problem::HeartbeatUrl => BROKEN_URL,
        Problem::SameDatabase { .. } => SAME_DATABASE,
        Problem::SameReplica { .. } => SAME_REPLICA,
        Problem::SameMetadata { .. } => SAME_METADATA,
        Problem::NoVariable { .. }
        | Problem::Elsewhere { .. }
        | Problem::Unset { .. }
        | Problem::NoFile { .. } => NO_VARIABLE,
        Problem::Expanded { problem, .. } => rule_of(problem),
        Problem::Variable { .. } => VARIABLE_VALUE,
        Problem::Section(Fault::UnknownKey { .. } | Fault::KeyTwice { .. }) => SECTION_KEY,
        Problem::Section(Fault::NoVariable { .. } | Fault::NoFile { .. }) => NO_VARIABLE,
        Problem::Section(Fault::WrongType { .. }) => WRONG_TYPE,
        Problem::Section(
            Fault::WrongValue { .. }
            | Fault::NeedsShell { .. }
            | Fault::Unfinished { .. }
            | Fault::EmptyCommand { .. }
            | Fault::TooLong { .. }
            | Fault::Nul { .. }
            | Fault::VariableName { .. },
        ) => SECTION_VALUE,
        Problem::ExecNeedsShell { .. } | Problem::ExecUnfinished => EXEC_SHELL,
    }
}
