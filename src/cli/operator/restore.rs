//! `litekeeper restore`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args;
use super::asker::{self, Asker};
use super::candidate::{Candidate, is_url};
use super::folders;
use super::follow;
use super::lists;
use super::opened::{self, Opened};
use super::shown::{self, Lines};
use super::target::{self, Over, Place, Stands};
use crate::backup::{self, Brought, Chosen, Done, Errand, Manner, Restorer};
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::Users;
use crate::inventory::Inventory;
use crate::litestream::argv;
use crate::litestream::command;
use crate::litestream::database::Database;
use crate::litestream::position::Plan;
use crate::litestream::version::Version;
use crate::os::dir;
use crate::printer::{self, Format, Paint};

/// Restores databases.
///
/// # Errors
/// One of them could not be; all are reported.
pub(in crate::cli) fn restore(args: &args::Restore) -> Result<ExitCode, Failure> {
    printer::start(Format::Text, tracing::Level::INFO);
    let (opened, place) = open(args)?;
    let inventory = opened.inventory();
    let words: Vec<String> = args.dbs.iter().filter(|word| !is_url(word)).cloned().collect();
    let chosen = folders::choose(&words, &opened, &inventory, args.timeout)?;
    if chosen.len() > 1 && matches!(place, Place::File(_)) {
        let message = format!("-o names one file, and {} databases are to be restored", chosen.len());
        return Err(
            Failure::new(ExitCode::USAGE, message).hint("name one of them, or a folder with --to-dir")
        );
    }
    if chosen.len() > 1 && args.txid.is_some() {
        let message = format!("a txid is one database's, and {} are to be restored", chosen.len());
        return Err(
            Failure::new(ExitCode::USAGE, message).hint("name one of them, or take --timestamp for all")
        );
    }
    let targets = place.targets(&chosen);
    if !matches!(place, Place::Own) {
        targets.iter().try_for_each(|target| target::refuse_inside(&opened, &target.path))?;
        dir::keep_to_ourselves();
    }
    args.replica.iter().try_for_each(|name| known_replica(&opened, &chosen, name))?;
    if args.follow {
        return follow::follow(args, &opened, &inventory, &chosen, &targets);
    }
    let over = Over { if_missing: args.if_missing, force: args.force };
    let mut jobs: Vec<Job> =
        chosen.into_iter().zip(targets).map(|(one, target)| Job::new(one, target)).collect();
    let (mut locks, users) = (Vec::new(), Users::now());
    for job in &mut jobs {
        // What a plan says is so whoever has the file.
        let stands =
            if args.dry_run { Ok(would(&job.target, over)) } else { target::look(&job.target, over, &users) };
        match stands {
            Ok(Stands::Stays) => job.end = Some(End::Exists),
            Ok(stands) => job.replaces = stands == Stands::Moves,
            Err(failure) => job.end = Some(End::Failed(failure)),
        }
    }
    let moves: Vec<&Database> = jobs.iter().filter(|job| job.replaces).map(|job| &job.target).collect();
    if !args.yes && !args.dry_run {
        target::confirm(&moves)?;
    }
    for job in jobs.iter_mut().filter(|job| job.end.is_none() && !args.dry_run) {
        match target::lock(&job.target) {
            Ok(lock) => locks.push(lock),
            Err(failure) => job.end = Some(End::Failed(failure)),
        }
    }
    let ran = if jobs.iter().any(|job| job.end.is_none()) {
        one_shot::block_on(async |children| {
            let asker = Asker::start(&opened, children).await?;
            run(args, &asker, &opened, &inventory, &mut jobs).await
        })
    } else {
        Ok(Ok(()))
    };
    locks.into_iter().for_each(|lock| target::unlock(&place, lock));
    ran??;
    let limit = opened.said.layers.args.compare_limit;
    report(args, &jobs, matches!(place, Place::Own).then_some(limit))
}

/// Refuses a name that no replica of these has (0.3): what Litestream does not find it calls empty.
fn known_replica(opened: &Opened, chosen: &[Candidate], name: &str) -> Result<(), Failure> {
    for one in chosen {
        let known = opened.said.configured.databases().iter().find(|known| known.path == one.db.path);
        let names: Vec<&str> = known
            .into_iter()
            .flat_map(|known| &known.replicas)
            .map(|replica| replica.name.as_str())
            .collect();
        if !names.is_empty() && !names.contains(&name) {
            let path = one.db.path.display();
            return Err(Failure::new(ExitCode::USAGE, format!("{path} has no replica `{name}`"))
                .hint(format!("its replicas are: {}", names.join(", "))));
        }
    }
    Ok(())
}

/// Reads the settings, and says where all is to be.
fn open(args: &args::Restore) -> Result<(Opened, Place), Failure> {
    let cwd = crate::cli::process::current_dir()?;
    let place = match (&args.output, &args.to_dir) {
        (Some(file), _) => Place::File(cwd.join(file)),
        (None, Some(folder)) => Place::Folder(cwd.join(folder)),
        (None, None) => Place::Own,
    };
    let Some(url) = args.dbs.iter().find(|word| is_url(word)) else {
        return Ok((opened::open(&args.given, None)?, place));
    };
    match &place {
        Place::File(file) if args.dbs.len() == 1 => {
            let opened = opened::open(&args.given, Some((file.as_os_str(), url)))?;
            Ok((opened, place))
        }
        Place::File(_) | Place::Folder(_) | Place::Own => {
            Err(Failure::new(ExitCode::USAGE, "a URL does not say where the database is to be")
                .hint("restore one at a time, to a file: `litekeeper restore -o FILE URL`"))
        }
    }
}

/// One database that is to be restored.
struct Job {
    candidate: Candidate,
    target: Database,
    replaces: bool,
    end: Option<End>,
    took: Option<Duration>,
}

/// How it ended.
enum End {
    Restored(Brought),
    Planned(Plan),
    Exists,
    NoBackup,
    Failed(Failure),
}

impl Job {
    fn new(candidate: Candidate, target: Database) -> Self {
        Self { candidate, target, replaces: false, end: None, took: None }
    }
}

/// What is in the way of a plan is said by nobody: nothing is touched.
fn would(target: &Database, over: Over) -> Stands {
    match target.exists() {
        true if over.if_missing => Stands::Stays,
        true => Stands::Moves,
        false => Stands::Nothing,
    }
}

/// Restores, or plans, all that have not ended yet.
async fn run(
    args: &args::Restore,
    asker: &Asker,
    opened: &Opened,
    inventory: &Inventory,
    jobs: &mut [Job],
) -> Result<(), Failure> {
    let manner = manner(args, asker.version)?;
    let open: Vec<usize> = (0..jobs.len()).filter(|place| jobs[*place].end.is_none()).collect();
    let candidates: Vec<Candidate> = open.iter().map(|place| jobs[*place].candidate.clone()).collect();
    let apart = asker.apart(inventory, &candidates)?;
    let settings = &opened.said.layers.args;
    let mut txids = BTreeMap::new();
    if let (Some(txid), [one]) = (args.txid, candidates.as_slice()) {
        txids.insert(one.db.path.clone(), txid);
    }
    let restorer = Restorer {
        parallel: args.parallel.unwrap_or(settings.restore_parallel),
        chosen: Rc::new(Chosen { txids, is_alone: true, by_restore: true }),
        manner: Rc::new(manner),
        ..asker.restorer(settings, apart, args.timeout)
    };
    if args.dry_run {
        for (place, one) in open.into_iter().zip(&candidates) {
            let planned = restorer.plan(&one.db).await;
            jobs[place].end = Some(match planned {
                Ok(Some(plan)) => End::Planned(plan),
                Ok(None) => End::NoBackup,
                Err(error) => failed(&error)?,
            });
        }
        return Ok(());
    }
    let errand = |place: &usize| {
        let job = &jobs[*place];
        Errand { db: job.candidate.db.clone(), target: job.target.clone(), replaces: job.replaces }
    };
    let errands: Vec<Errand> = open.iter().map(errand).collect();
    let mut done: Vec<Done> = Vec::new();
    restorer.bring_all(&errands, |one| done.push(one)).await;
    for Done { place, took, result } in done {
        let job = &mut jobs[open[place]];
        job.took = Some(took);
        job.end = Some(match result {
            Ok(Some(brought)) => End::Restored(brought),
            Ok(None) => End::NoBackup,
            Err(error) => failed(&error)?,
        });
    }
    Ok(())
}

/// One that failed, and stops no other; but for a signal, which ends all.
fn failed(error: &backup::Error) -> Result<End, Failure> {
    match error {
        backup::Error::Command(command::Error::Aborted) => Err(asker::failure(error)),
        error => Ok(End::Failed(asker::failure(error))),
    }
}

/// What Litestream is told, as far as this one knows it.
fn manner(args: &args::Restore, version: Version) -> Result<Manner, Failure> {
    let refuse = |what: &str, hint: &str| Err(Failure::new(ExitCode::USAGE, what).hint(hint));
    if version.is_ltx() {
        if args.generation.is_some() || args.index.is_some() {
            return Err(lists::without(version, "generations", "ltx", "0.3.13"));
        }
        if args.replica.is_some() {
            return Err(lists::one_replica(version));
        }
    } else if args.txid.is_some() {
        return Err(lists::without(version, "txids", "generations", "0.5"));
    }
    if args.dry_run && !version.plans() {
        let what = format!("litestream {version} makes no plan of a restore: 0.5.12 and later do");
        return refuse(&what, "`litekeeper snapshots` tells what is there");
    }
    let mut options: Vec<OsString> = Vec::new();
    let mut point: Vec<OsString> = Vec::new();
    if version.plans() && !args.dry_run {
        options.push("-json".into());
    }
    if let Some(count) = args.parallelism {
        if version.is_ltx() && !version.plans() {
            let what = format!("litestream {version} has no --parallelism: 0.3.13 has, and 0.5.12 and later");
            return refuse(&what, "leave it out");
        }
        options.extend(["-parallelism".into(), count.to_string().into()]);
    }
    args.replica.iter().for_each(|name| options.extend(["-replica".into(), name.into()]));
    let mut choose = |option: &str, value: Option<&String>| {
        value.iter().for_each(|value| point.extend([option.into(), OsString::from(value.as_str())]));
    };
    choose("-timestamp", args.timestamp.as_ref());
    choose("-generation", args.generation.as_ref());
    choose("-index", args.index.as_ref());
    Ok(Manner { options, point, depth: args.integrity_check.depth() })
}

/// Prints what became of each, and ends with what went wrong. `own` is the limit of a comparison at the next start, where they were restored in
/// their place.
fn report(args: &args::Restore, jobs: &[Job], own: Option<u64>) -> Result<ExitCode, Failure> {
    let is_bad = |job: &&Job| match &job.end {
        Some(End::Failed(_)) | None => true,
        Some(End::NoBackup) => !args.if_replica_exists,
        Some(End::Restored(_) | End::Planned(_) | End::Exists) => false,
    };
    if args.json {
        shown::json(&jobs.iter().map(|job| as_json(args, job)).collect())?;
    } else {
        table(args, jobs, &is_bad)?;
    }
    if jobs.len() > 1 {
        printer::note(&summary(jobs));
    }
    let bad: Vec<&Job> = jobs.iter().filter(is_bad).collect();
    let sizes = jobs.iter().filter_map(|job| match &job.end {
        Some(End::Restored(brought)) => Some(brought.size),
        Some(End::Planned(_) | End::Exists | End::NoBackup | End::Failed(_)) | None => None,
    });
    let largest = sizes.max();
    if let (Some(limit), Some(largest)) = (own, largest) {
        if args.is_past() {
            printer::note(
                "its backup is newer than this state: `litekeeper run` goes on from it once with `--if-unrelated adopt`, and what came \
                 after it leaves the latest restore",
            );
        } else if largest > limit {
            printer::note(
                "it is larger than what `litekeeper run` compares with its backup (--compare-limit): the next start goes on from it with \
                 `--if-unrelated adopt`, or with a higher limit",
            );
        }
    }
    let failures: Vec<Failure> = bad.iter().map(|job| failure(job)).collect();
    let Some(first) = failures.first() else { return Ok(ExitCode::OK) };
    Err(Failure::all(first.exit, &failures))
}

fn failure(job: &Job) -> Failure {
    let (path, replica) = (job.candidate.db.path.display(), &job.candidate.db.replica);
    match &job.end {
        Some(End::Failed(failure)) => failure.clone(),
        _ => Failure::new(ExitCode::UNAVAILABLE, format!("{path}: {replica} holds no backup")).hint(
            "if there should be one, the place is wrong; `--if-replica-exists` takes that for no failure",
        ),
    }
}

fn summary(jobs: &[Job]) -> String {
    let count = |what: &str, is_it: &dyn Fn(&End) -> bool| {
        let count = jobs.iter().filter(|job| job.end.as_ref().is_some_and(is_it)).count();
        (count > 0).then(|| format!("{count} {what}"))
    };
    let all = [
        count("restored", &|end| matches!(end, End::Restored(_))),
        count("planned", &|end| matches!(end, End::Planned(_))),
        count("there already", &|end| matches!(end, End::Exists)),
        count("without a backup", &|end| matches!(end, End::NoBackup)),
        count("failed", &|end| matches!(end, End::Failed(_))),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a plan says: its last transaction, its bytes, its files, and the times of the first and last of them.
fn planned(plan: &Plan) -> (Option<String>, u64, usize, [Option<String>; 2]) {
    let mut times: Vec<String> =
        plan.files.iter().filter_map(|file| shown::time(file.timestamp.as_deref()?)).collect();
    times.sort_unstable();
    let ends = [times.first().cloned(), times.last().cloned()];
    (Some(plan.max_txid.clone()), plan.size(), plan.files.len(), ends)
}

fn word(end: Option<&End>) -> &'static str {
    match end {
        Some(End::Restored(_)) => "restored",
        Some(End::Planned(_)) => "planned",
        Some(End::Exists) => "exists",
        Some(End::NoBackup) => "no-backup",
        Some(End::Failed(_)) | None => "failed",
    }
}

fn as_json(args: &args::Restore, job: &Job) -> Value {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (txid, bytes, integrity, error) = match &job.end {
        Some(End::Restored(brought)) => {
            let integrity = args.integrity_check.depth().word();
            (brought.txid.map(argv::txid_text), Some(brought.size), Some(integrity), None)
        }
        Some(End::Planned(plan)) => {
            let (txid, bytes, ..) = planned(plan);
            (txid, Some(bytes), None, None)
        }
        Some(End::Failed(failure)) => (None, None, None, Some(failure.message.clone())),
        Some(End::Exists | End::NoBackup) | None => (None, None, None, None),
    };
    let mut value = json!({
        "path": text(&job.candidate.db.path),
        "output": text(&job.target.path),
        "replica": job.candidate.db.replica,
        "txid": txid,
        "result": word(job.end.as_ref()),
        "bytes": bytes,
        "duration_ms": job.took.map(shown::milliseconds),
        "integrity": integrity,
        "error": error,
    });
    if let (Some(End::Planned(plan)), Some(value)) = (&job.end, value.as_object_mut()) {
        let (_, _, files, [from, to]) = planned(plan);
        value.extend([
            ("files".into(), json!(files)),
            ("from".into(), json!(from)),
            ("to".into(), json!(to)),
        ]);
    }
    value
}

fn table(args: &args::Restore, jobs: &[Job], is_bad: &dyn Fn(&&Job) -> bool) -> Result<(), Failure> {
    let mut lines = match args.dry_run {
        true => Lines::new(["DATABASE", "OUTPUT", "RESULT", "TXID", ">FETCHED", ">FILES", "FROM", "TO"]),
        false => Lines::new(["DATABASE", "OUTPUT", "RESULT", "TXID", ">SIZE", ">TIME"]),
    };
    for job in jobs {
        let paint = match () {
            () if is_bad(&job) => Paint::Bad,
            () if matches!(job.end, Some(End::Restored(_))) => Paint::Good,
            () => Paint::Plain,
        };
        let path = |path: &Path| path.display().to_string();
        let first = [path(&job.candidate.db.path), path(&job.target.path), word(job.end.as_ref()).to_owned()];
        let rest: Vec<String> = match (&job.end, args.dry_run) {
            (Some(End::Planned(plan)), _) => {
                let (txid, bytes, files, [from, to]) = planned(plan);
                let [txid, from, to] = [txid, from, to].map(shown::known);
                vec![txid, shown::size(Some(bytes)), files.to_string(), from, to]
            }
            (Some(End::Restored(brought)), _) => {
                let txid = shown::known(brought.txid.map(argv::txid_text));
                vec![txid, shown::size(Some(brought.size)), shown::took(job.took)]
            }
            (_, true) => vec![shown::unknown(); 5],
            (_, false) => vec![shown::unknown(); 3],
        };
        lines.add(paint, first.into_iter().chain(rest));
    }
    lines.print("nothing to restore")
}
