//! `litekeeper query ALIAS|DB|URL [SQL]`: SQL on a replica, without a restore.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use nix::libc;
use tokio::sync::oneshot::{self, error::RecvError};

use super::args::{self, Given};
use super::asker::Asker;
use super::candidate::{Candidate, Candidates, is_url};
use super::lists;
use super::opened::{self, Opened};
use crate::cli::{app_env, mounted, one_shot};
use crate::config::ReadReplica;
use crate::core::{Ended, ExitCode};
use crate::error::Failure;
use crate::litestream::command::KEEPERS_OWN;
use crate::os::children::Children;
use crate::os::spawn::Spawn;
use crate::os::{event, fd, fork, signal};
use crate::replica::helper::Formats;
use crate::secrets;
use crate::vfs::access::{self, Access, Where};
use crate::vfs::job::{Format, Job, Report, Step, Wrong};

/// After so long it is asked what the replica holds: the extension waits for a first backup for ever, and says nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long that may take.
const LOOK: Duration = Duration::from_secs(10);

/// How often it is looked how far it has got.
const TICK: Duration = Duration::from_millis(250);

/// The end of a process that is waited for.
type Ending = oneshot::Receiver<Ended>;

/// Asks a replica.
///
/// # Errors
/// There is none that is meant, no extension, no backup, or something is wrong with the SQL.
pub(in crate::cli) fn query(args: &args::Query) -> Result<ExitCode, Failure> {
    let target = Target::find(args)?;
    let named = args.vfs_library.as_deref();
    let library = app_env::extension(named, &target.opened.said.cwd, target.opened.user.as_ref())
        .map_err(|error| Failure::new(ExitCode::CONFIG, error.to_string()).hint(error.hint()))?;
    let format = match (args.json, args.csv) {
        (true, _) => Format::Json,
        (false, true) => Format::Csv,
        (false, false) => Format::Table,
    };
    let job = Job {
        library,
        place: target.place.clone(),
        at: args.at.clone(),
        sql: args.sql.clone(),
        format,
        limit: args.timeout,
        max_lag: target.max_lag,
    };
    one_shot::block_on(|children| async { target.ask(&job, children).await })?
}

/// What is asked.
struct Target {
    /// The settings.
    opened: Opened,
    /// Where it is, for people.
    place: String,
    /// How the extension gets there.
    access: Access,
    /// How many seconds ago it may have answered last.
    max_lag: Option<u64>,
    /// The same for Litestream itself, which tells more where something is wrong, as far as it can be asked.
    one: Option<Candidate>,
    /// The settings for that, where they are others.
    apart: Option<Opened>,
}

impl Target {
    fn find(args: &args::Query) -> Result<Self, Failure> {
        if is_url(&args.target) {
            let (opened, one) = by_url(&args.given, &args.target)?;
            let access = Access::of_url(&args.target);
            let place = one.db.replica.clone();
            return Ok(Self { opened, place, access, max_lag: None, one: Some(one), apart: None });
        }
        let opened = opened::open_any(&args.given, None)?;
        let replicas = opened.said.section.replicas();
        match replicas.iter().find(|one| one.alias == args.target).cloned() {
            Some(replica) => Ok(Self::by_alias(args, opened, &replica)),
            None => Self::of_database(args, opened),
        }
    }

    fn by_alias(args: &args::Query, opened: Opened, replica: &ReadReplica) -> Self {
        let top = |key: &str| opened.said.configured.root().get(key).and_then(|value| value.as_str());
        let (id, secret) = (top("access-key-id"), top("secret-access-key"));
        let access = Access::of_url(&replica.url).with_keys(id, secret);
        let given = Given { config: None, ..args.given.clone() };
        let place = secrets::mask_value(&replica.url);
        // Without it less is told where something is wrong.
        let (apart, one) = by_url(&given, &replica.url).ok().unzip();
        Self { opened, place, access, max_lag: replica.max_lag, one, apart }
    }

    fn of_database(args: &args::Query, opened: Opened) -> Result<Self, Failure> {
        let replicas = opened.said.section.replicas();
        let aliases: Vec<&str> = replicas.iter().map(|one| one.alias.as_str()).collect();
        let unknown = |failure: Failure| match aliases.is_empty() {
            true => failure,
            false => {
                let message = failure
                    .message
                    .replace("is no database", "is no replica of `litekeeper.vfs` and no database");
                let hint = failure.hint.clone().unwrap_or_default();
                Failure { message, ..failure }
                    .hint(format!("the replicas are: {}; {hint}", aliases.join(", ")))
            }
        };
        let inventory = opened.inventory();
        let one = Candidates::look(&opened, &inventory)?.only(Some(&args.target)).map_err(unknown)?;
        drop(inventory);
        let Some(access) = Access::of(&one.db) else {
            let message = format!(
                "{}: litestream's extension takes a replica as a URL alone, and {} has settings beside it",
                one.db.path.display(),
                one.db.replica
            );
            return Err(Failure::new(ExitCode::CONFIG, message).hint(
                "name its URL, if it has one (`litekeeper query sftp://USER@HOST/PATH`), here or as an alias in `litekeeper.vfs`",
            ));
        };
        let place = one.db.replica.clone();
        Ok(Self { opened, place, access, max_lag: None, one: Some(one), apart: None })
    }

    /// Has a process of its own ask, and waits for its end.
    async fn ask(&self, job: &Job, children: Children) -> Result<ExitCode, Failure> {
        let memory = |error: std::io::Error| {
            Failure::new(ExitCode::UNAVAILABLE, format!("no process to ask {} with: {error}", self.place))
                .hint("the limits of this shell are too low (`ulimit -a`)")
        };
        let text = serde_json::to_vec(job).map_err(|error| memory(error.into()))?;
        let (job_fd, report) =
            (fd::memory(&text).map_err(memory)?, File::from(fd::memory(b"").map_err(memory)?));
        let folder = self.folder()?;
        let url = match (&self.access.place, &folder) {
            (Where::Url(url), _) => url.clone(),
            // By its descriptor: litestream takes a URL's path as it is written, and a folder may have any name.
            (Where::Folder(_), Some(folder)) => format!("file://{}", fd::path(folder).display()),
            (Where::Folder(path), None) => format!("file://{}", path.display()),
        };
        let pid = self.start(&[&job_fd, &report.try_clone().map_err(memory)?.into()], folder.as_ref(), &url);
        let (pid, verdict) = pid.map_err(memory)?;
        let mut ended = children.watch_one_shot(pid);
        event::became(verdict, fork::LIMIT).await.map_err(memory)?;
        let mut look = None;
        let how = match self.opening(&mut ended, &report).await {
            Some(how) => how,
            None => match select(&mut ended, pin!(self.look(&children, LOOK))).await {
                Either::Left((how, _)) => how,
                Either::Right((found @ (Look::Nothing | Look::Generations), _))
                    if step(&report) == Step::Opening =>
                {
                    children.kill(pid);
                    // It says nothing that is not known.
                    let _ = ended.await;
                    return Err(if let Look::Generations = found { self.old() } else { self.nothing() });
                }
                Either::Right((found, _)) => {
                    look = Some(found);
                    ended.await
                }
            },
        };
        let how = how.unwrap_or(Ended::Signal(libc::SIGKILL));
        let report = Report::read(&report).unwrap_or_default();
        let is_late = how == Ended::Signal(libc::SIGALRM);
        let is_unopened = match report.step {
            Step::Opening => true,
            // It asks the replica there as well.
            Step::Loading => is_late,
            Step::GoingBack | Step::Asking | Step::Done => false,
        };
        if is_unopened && !children.is_aborted() && look.is_none() {
            let limit = if is_late { job.limit.min(LOOK) } else { LOOK };
            look = Some(self.look(&children, limit).await);
        }
        self.judge(how, report, look, job)
    }

    /// Waits for the end, or until it has been opened for so long that nothing may be there.
    async fn opening(&self, ended: &mut Ending, report: &File) -> Option<Result<Ended, RecvError>> {
        let mut waited = Duration::ZERO;
        loop {
            match tokio::time::timeout(TICK, &mut *ended).await {
                Ok(how) => return Some(how),
                Err(_) => match step(report) {
                    Step::Loading => {}
                    Step::Opening if waited < PATIENCE => waited += TICK,
                    Step::Opening => return None,
                    Step::GoingBack | Step::Asking | Step::Done => return Some(ended.await),
                },
            }
        }
    }

    fn start(
        &self,
        [job, report]: &[&OwnedFd; 2],
        folder: Option<&OwnedFd>,
        url: &str,
    ) -> std::io::Result<(i32, fork::Verdict)> {
        let mounted = mounted::for_litestream();
        let own = [(access::REPLICA_URL, url), (access::LOG_FILE, "/dev/null")];
        let with: Vec<(String, String)> = mounted
            .iter()
            .chain(&self.access.env)
            .cloned()
            .chain(own.map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect();
        let with: Vec<(&str, &str)> =
            with.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let without: Vec<&str> = [KEEPERS_OWN, access::UNWANTED, &self.access.without].concat();
        let numbers = [fd::number(job), fd::number(report)];
        let spawn = Spawn {
            dies_with_parent: true,
            user: self.opened.user.as_ref(),
            inherit: numbers.into_iter().chain(folder.map(fd::number)).collect(),
            with_env: &with,
            without_env: &without,
            ..Spawn::default()
        };
        let words: Vec<OsString> = std::iter::once("__query".into())
            .chain(numbers.map(|number| OsString::from(number.to_string())))
            .collect();
        let program = fd::own_program()?;
        let born = spawn.start_here(&fd::path(&program), &words)?;
        Ok((born.pid, born.verdict))
    }

    /// The folder of the replica, if it is one.
    fn folder(&self) -> Result<Option<OwnedFd>, Failure> {
        let Where::Folder(path) = &self.access.place else { return Ok(None) };
        fd::open_folder(path).map(Some).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => self.nothing(),
            _ => Failure::new(ExitCode::UNAVAILABLE, format!("replica {}: {error}", path.display()))
                .hint("it must be a folder that this user may enter"),
        })
    }

    /// Asks Litestream itself what is there.
    async fn look(&self, children: &Children, limit: Duration) -> Look {
        let Some(one) = &self.one else { return Look::Unknown(None) };
        let opened = self.apart.as_ref().unwrap_or(&self.opened);
        let inventory = opened.inventory();
        let listed = async {
            let asker = Asker::start(opened, children.clone()).await.map_err(|_| None)?;
            if !asker.version.is_ltx() {
                return Ok(match asker.held(&inventory, one, limit).await.and_then(Result::ok) {
                    Some(Formats { ltx: None, generations: None }) => Look::Nothing,
                    Some(Formats { ltx: None, generations: Some(_) }) => Look::Generations,
                    Some(Formats { ltx: Some(_), .. }) => Look::Files,
                    // Who reads no such files cannot say why there is no answer either.
                    None => Look::Unknown(None),
                });
            }
            let text = asker.list(&inventory, one, ("ltx", &[]), limit).await.map_err(Some)?;
            Ok(if lists::File::listed(&text).is_empty() { Look::Nothing } else { Look::Files })
        };
        listed.await.unwrap_or_else(Look::Unknown)
    }

    fn nothing(&self) -> Failure {
        Failure::new(ExitCode::UNAVAILABLE, format!("replica {} holds no backup", self.place))
            .hint("is that the right place? a backup of Litestream 0.3 cannot be read this way: `litekeeper restore` can")
    }

    fn old(&self) -> Failure {
        let message = format!(
            "replica {} holds a backup of Litestream 0.3, which its extension cannot read",
            self.place
        );
        Failure::new(ExitCode::UNAVAILABLE, message)
            .hint("`litekeeper restore -o FILE` makes a file of it; a replica that litestream 0.5 goes on with can be asked")
    }

    fn judge(&self, how: Ended, report: Report, look: Option<Look>, job: &Job) -> Result<ExitCode, Failure> {
        let place = &self.place;
        match (how, report.wrong, look) {
            (Ended::Code(0), ..) if report.lag.is_some() => Ok(ExitCode::of_app(1)),
            (Ended::Code(0), ..) => Ok(ExitCode::OK),
            (_, _, Some(Look::Nothing)) => Err(self.nothing()),
            (_, _, Some(Look::Generations)) => Err(self.old()),
            (_, _, Some(Look::Unknown(Some(failure)))) => Err(nameless(failure)),
            (_, Some(wrong), _) => Err(explained(place, &wrong)),
            (Ended::Signal(libc::SIGALRM), None, _) => {
                let seconds = job.limit.as_secs() + u64::from(job.limit.subsec_nanos() > 0);
                let what = match report.step {
                    Step::Loading => "the extension was not loaded",
                    Step::Opening => "it was not opened",
                    Step::GoingBack => "the state of that time was not found",
                    Step::Asking | Step::Done => "the statement gave no row",
                };
                Err(Failure::new(
                    ExitCode::UNAVAILABLE,
                    format!("replica {place}: {what} within {seconds} s"),
                )
                .hint("`litekeeper ltx` says whether it answers; a longer --timeout gives it more time"))
            }
            (Ended::Signal(number), None, _) => Err(Failure::new(
                ExitCode::UNAVAILABLE,
                format!("replica {place}: litestream's extension was ended by SIG{}", signal::name(number)),
            )
            .hint("it crashes where a replica does not answer: `litekeeper ltx` says whether it does")),
            (Ended::Code(code), None, _) => Err(Failure::new(
                ExitCode::UNAVAILABLE,
                format!("replica {place}: the process that asked it ended with code {code} and said nothing"),
            )
            .hint("`litekeeper ltx` says whether the replica answers")),
        }
    }
}

/// What Litestream itself says.
enum Look {
    /// There is nothing.
    Nothing,
    /// There is something.
    Files,
    /// There is what Litestream 0.3 has written, and nothing else.
    Generations,
    /// It cannot tell, for this reason, where there is a Litestream.
    Unknown(Option<Failure>),
}

fn step(report: &File) -> Step {
    Report::read(report).map_or(Step::Loading, |report| report.step)
}

/// The name that who has none gets.
const NOBODY: &str = "url.db";

/// A replica by its URL, as a database that is nowhere.
fn by_url(given: &Given, url: &str) -> Result<(Opened, Candidate), Failure> {
    let opened = opened::open(given, Some((OsStr::new(NOBODY), url)))?;
    let inventory = opened.inventory();
    let one = Candidates::look(&opened, &inventory)?.only(None)?;
    drop(inventory);
    Ok((opened, one))
}

/// Without the name that is nobody's.
fn nameless(failure: Failure) -> Failure {
    let Some((name, rest)) = failure.message.split_once(": ") else { return failure };
    let is_nobody = Path::new(name).file_name() == Some(OsStr::new(NOBODY));
    if is_nobody { Failure { message: rest.to_owned(), ..failure } } else { failure }
}

fn explained(place: &str, wrong: &Wrong) -> Failure {
    let (message, hint) = wrong.words();
    let exit = match wrong {
        Wrong::Library(_) => ExitCode::CONFIG,
        Wrong::Replica(_) | Wrong::Past(_) | Wrong::Output(_) | Wrong::Input(_) => ExitCode::UNAVAILABLE,
        Wrong::Sql(_) | Wrong::Writes => ExitCode::USAGE,
    };
    let message = match wrong {
        Wrong::Replica(_) | Wrong::Past(_) => format!("replica {place}: {message}"),
        Wrong::Library(_) | Wrong::Sql(_) | Wrong::Writes | Wrong::Input(_) | Wrong::Output(_) => message,
    };
    Failure::new(exit, message).hinted(hint)
}
