//! `litekeeper init`.

mod disk;
mod faults;
mod next;
mod python;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use disk::Disk;

use super::args;
use super::given;
use super::process::{current_dir, variable};
use crate::config;
use crate::config::lint::Lint;
use crate::core::ExitCode;
use crate::detect::{self, Framework, Nothing, Plan, Question, Surroundings, Target};
use crate::error::Failure;
use crate::foreign;
use crate::os::interrupt;
use crate::os::permit;
use crate::os::way::Hand;
use crate::printer;

/// The file's name when none is given.
const NAME: &str = "litestream.yml";

/// Finds the databases and writes a configuration for them.
///
/// # Errors
/// When there is no database, or the file cannot be written.
pub(super) fn init(args: &args::Init) -> Result<ExitCode, Failure> {
    given::refuse_for_init()?;
    let cwd = current_dir()?;
    // As the project's own folder is.
    let cwd = fs::canonicalize(&cwd).unwrap_or(cwd);
    let root = root(&cwd.join(&args.dir))?;
    permit::belong_to_project(&root).map_err(|hand| refused(&root, hand))?;
    let target = target(args.replica.as_deref())?;
    let output = args.output.as_ref().map_or_else(|| root.join(NAME), |file| cwd.join(file));
    let writes = !args.stdout && !args.dry_run;
    let is_there = writes && !args.force && output.symlink_metadata().is_ok();
    // Whoever names another file, or writes over the old one, wants a new one.
    let takes_existing = !args.force && args.output.is_none();
    let plan = match find(&root, args.replica.is_none(), takes_existing) {
        Ok(plan) if plan.framework == Framework::Existing => {
            // What is above is a project of its own.
            let levels = plan.source.matches("../").count();
            return match root.ancestors().nth(levels).filter(|_| levels > 0) {
                Some(above) => works_above(args, &plan, &cwd, &root, above),
                None => works_already(args, &plan, &cwd, &root),
            };
        }
        Ok(_) | Err(_) if is_there => return Err(exists(&output)),
        found => found?,
    };
    let text = detect::yaml(&plan, target);
    let warnings = sound(&text, &output, &root, target)?;
    if writes {
        write(&output, &text, args.force)?;
    }
    let advice = detect::advice(&plan, target, &relative(&output, &root));
    let done = match (writes, args.stdout) {
        (true, _) => format!("wrote {}", output.display()),
        (false, true) => String::new(),
        (false, false) if output.symlink_metadata().is_ok() && !args.force => {
            format!("would not write {}: it is there already, and --force was not given", output.display())
        }
        (false, false) => format!("would write {}", output.display()),
    };
    let mut done = vec![done];
    if detect::begins_with_project(&plan, target) {
        done.push(format!(
            "its places on the replica begin with `{}`: other projects may use the same bucket, under another name",
            plan.project
        ));
    }
    done.extend(warnings);
    let next = next::commands(&plan, &output, &cwd, &root, &[]);
    let mut ends = vec![advice.clone()];
    // What is printed is somewhere else in a moment.
    ends.extend((!args.stdout).then(|| after(&next)));
    printer::notes(&report(&plan, &done, &ends));
    let data = if args.stdout {
        text
    } else if args.json {
        json(&plan, &text, writes.then_some(&*output), &advice, &next)
    } else {
        return Ok(ExitCode::OK);
    };
    printer::data(&data)?;
    Ok(ExitCode::OK)
}

/// What is about to be written is held against the rules of `check`: what is worth a warning.
///
/// # Errors
/// `run` would refuse it.
fn sound(text: &str, output: &Path, root: &Path, target: Target<'_>) -> Result<Vec<String>, Failure> {
    let looked = faults::look(output, Ok(text.into()), root)?;
    let is_option = |lint: &Lint| matches!(target, Target::Below(_)) && looked.is_of_replica(lint);
    let errors = looked.errors();
    let Some(first) = errors.first() else {
        let warned = looked.lints.iter().filter(|lint| is_option(lint));
        return Ok(warned
            .map(|lint| format!("warning: --replica: {}{}", lint.message, hint(lint)))
            .collect());
    };
    // Each database has the fault of the one option, with a place of its own in it.
    if is_option(first) {
        let failure = Failure::new(ExitCode::USAGE, format!("--replica: {}", first.message));
        return Err(match &first.hint {
            Some(hint) => failure.hint(hint),
            None => failure.hint("write it as s3://BUCKET/PATH, sftp://…, or a folder as /PATH or ./PATH"),
        });
    }
    let lines = errors
        .iter()
        .map(|lint| format!("what was found would not run: {}{}", looked.words(lint), hint(lint)));
    Err(Failure::lines(ExitCode::CONFIG, lines)
        .hint("mend it where the project says it; --replica URL replicates below that URL instead"))
}

fn hint(lint: &Lint) -> String {
    lint.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"))
}

/// A configuration that is there already: what is left to do is to start the app with it.
fn works_already(args: &args::Init, plan: &Plan, cwd: &Path, root: &Path) -> Result<ExitCode, Failure> {
    let file = root.join(&plan.source);
    let looked = sound_already(&file, root)?;
    let advice = detect::advice(plan, Target::Bucket, &plan.source);
    let next = next::commands(plan, &file, cwd, root, &[]);
    let done = [format!("{} works as it is, and was left so", file.display())];
    printer::notes(&report(plan, &done, &[advice.clone(), after(&next)]));
    already(args, plan, &looked, &advice, &next)
}

/// One in a folder above: how it is used from this one is all that there is to say.
fn works_above(
    args: &args::Init,
    plan: &Plan,
    cwd: &Path,
    root: &Path,
    above: &Path,
) -> Result<ExitCode, Failure> {
    let file = above.join(plan.source.trim_start_matches("../"));
    let looked = sound_already(&file, root)?;
    let here = next::commands(plan, &file, cwd, root, &[]);
    let mut said = format!("Set where it runs:\n  {}", detect::needed(plan, Target::Bucket).join("\n  "));
    let mut next = here.to_vec();
    if next::is_relative(&looked.document.root) {
        let below = next::word(&next::between(above, root).display().to_string());
        let there = next::commands(plan, &file, cwd, above, &[&format!("--cwd {below}")]);
        said.push_str(&format!(
            "\n\nNext, from its own folder, which its relative paths are below:\n  {}\n\n\
             Or with its relative paths below {}, where it has other databases:\n  {}",
            there.join("\n  "),
            foreign::line(&root.display().to_string()),
            here.join("\n  ")
        ));
        next = there.into_iter().chain(here).collect();
    } else {
        said.push_str(&format!("\n\n{}", after(&here)));
    }
    let done = [format!("{} works as it is, and was left so", file.display())];
    printer::notes(&report(plan, &done, std::slice::from_ref(&said)));
    already(args, plan, &looked, &said, &next)
}

/// Prints what is there for who asked for data.
fn already(
    args: &args::Init,
    plan: &Plan,
    looked: &faults::Looked,
    advice: &str,
    next: &[String],
) -> Result<ExitCode, Failure> {
    let text = &looked.document.text;
    if args.stdout {
        printer::data(text)?;
    } else if args.json {
        printer::data(&json(plan, text, None, advice, next))?;
    }
    Ok(ExitCode::OK)
}

/// Looks at a configuration that is to stay.
///
/// # Errors
/// It would be refused.
fn sound_already(file: &Path, root: &Path) -> Result<faults::Looked, Failure> {
    let looked = faults::look(file, disk::theirs(file, || config::read(file, false)), root)?;
    let wrong = looked.errors();
    if !wrong.is_empty() {
        let lines = wrong.iter().map(|lint| format!("{}: {}", lint.place(), looked.words(lint)));
        let hint = wrong.iter().find_map(|lint| lint.hint.clone());
        let hint = hint.map_or_else(String::new, |hint| format!("{hint}; or "));
        return Err(Failure::lines(ExitCode::CONFIG, lines)
            .hint(format!("{hint}--force writes a new one in its place")));
    }
    Ok(looked)
}

/// Root neither runs nor reads what anybody may have put there.
fn refused(root: &Path, hand: Hand) -> Failure {
    let message = format!("{}: {hand} decides what is in it, and root would run and read it", root.display());
    Failure::new(ExitCode::CONFIG, message)
        .hint("start init as the user whose the project is, or let nobody else write to its folder")
}

/// The lines that say what to type.
fn after(next: &[String]) -> String {
    format!("Next:\n  {}", next.join("\n  "))
}

/// The project's folder, with no symbolic link in its path: what the project says of itself has none either.
fn root(dir: &Path) -> Result<PathBuf, Failure> {
    let fail = |reason: String| {
        Failure::new(ExitCode::USAGE, format!("{}: {reason}", dir.display()))
            .hint("--dir names the project's folder")
    };
    let root = fs::canonicalize(dir).map_err(|error| fail(error.to_string()))?;
    if root.is_dir() { Ok(root) } else { Err(fail("not a folder".to_owned())) }
}

fn target(replica: Option<&str>) -> Result<Target<'_>, Failure> {
    let Some(replica) = replica else { return Ok(Target::Bucket) };
    let fail = |reason: &str, hint: &str| {
        Err(Failure::new(ExitCode::USAGE, format!("--replica: {reason}")).hint(hint))
    };
    let folder = replica == "~" || ["/", "./", "../", "~/"].iter().any(|start| replica.starts_with(start));
    let scheme = replica.split_once("://");
    if replica.contains(char::is_control) {
        return fail("it has control characters", "check its quotes");
    }
    // The URL itself is not repeated.
    let is_written = |secret: &str| !secret.is_empty() && !secret.starts_with("${");
    if config::secrets_of_url(replica).any(is_written) {
        return fail(
            "it has a password or a key in it, and the file is for everybody to read",
            "write ${NAME} in its place, in single quotes, and set that variable where litekeeper runs",
        );
    }
    match scheme {
        Some(_) => Ok(Target::Below(replica)),
        None if folder => Ok(Target::Below(replica)),
        None => fail(
            &format!("`{replica}` is neither a URL nor a folder"),
            "write it as s3://BUCKET/PATH, sftp://…, or a folder as /PATH or ./PATH",
        ),
    }
}

/// The folders above the project that a configuration may be in.
struct Above {
    /// How many there are: those of the same owner that nobody else writes to. Whoever leaves a file in `/tmp` says nothing
    /// about a project below it.
    own: usize,
    /// How many of them are in the project's repository. One that only happens to be above is another project's.
    inside: usize,
}

impl Above {
    fn of(root: &Path) -> Self {
        const MOST: usize = 4;
        const REPOSITORIES: [&str; 4] = [".git", ".hg", ".jj", ".svn"];
        let is_top =
            |folder: &Path| REPOSITORIES.iter().any(|name| folder.join(name).symlink_metadata().is_ok());
        let owner =
            |folder: &Path| fs::metadata(folder).ok().map(|found| (found.uid(), found.mode() & 0o002 == 0));
        let Some((user, _)) = owner(root) else { return Self { own: 0, inside: 0 } };
        let is_own = |folder: &&Path| owner(folder) == Some((user, true)) && folder.parent().is_some();
        let own = root.ancestors().skip(1).take(MOST).take_while(is_own).count();
        let top = root.ancestors().position(is_top).unwrap_or(0);
        Self { own, inside: top.min(own) }
    }

    /// A configuration that is above, but outside of the repository.
    fn stranger(&self, root: &Path) -> Option<PathBuf> {
        let outside = root.ancestors().skip(1).take(self.own).skip(self.inside);
        let file = outside
            .flat_map(|folder| detect::FILES.map(|file| folder.join(file)))
            .find(|file| file.is_file())?;
        Some(next::between(root, &file))
    }
}

fn find(root: &Path, keep_replicas: bool, existing: bool) -> Result<Plan, Failure> {
    let Some(root_text) = root.to_str() else {
        return Err(Failure::new(
            ExitCode::USAGE,
            format!("{}: not UTF-8, which YAML must be", root.display()),
        )
        .hint("give the folder a name in UTF-8"));
    };
    let env = |name: &str| variable(name).and_then(|value| value.into_string().ok());
    let cancel = interrupt::hear().unwrap_or_default();
    let ask = |question: &Question| python::ask(root, question, &cancel);
    let tree = Disk::new(root);
    let above = Above::of(root);
    let found = detect::find(&Surroundings {
        tree: &tree,
        root: root_text,
        env: &env,
        ask: &ask,
        keep_replicas,
        existing,
        parents: above.inside,
    });
    let stranger = || {
        Some(format!(
            "{} is of no repository that this is in, and was not used",
            above.stranger(root)?.display()
        ))
    };
    // What is left to do is to print, which may wait for a reader.
    if let Some(number) = interrupt::done() {
        return Err(Failure::new(ExitCode::of_signal(number), "interrupted: nothing was written"));
    }
    match found {
        Ok(mut plan) => {
            plan.notes.extend(
                Some(plan.framework).filter(|it| *it != Framework::Existing).and_then(|_| stranger()),
            );
            Ok(plan)
        }
        Err(mut nothing) => {
            nothing.notes.extend(stranger());
            Err(nothing_found(root, &nothing))
        }
    }
}

fn nothing_found(root: &Path, nothing: &Nothing) -> Failure {
    let message = match &nothing.framework {
        Some((framework, folder)) => {
            let folder = if folder == "." { root.to_owned() } else { root.join(folder) };
            format!(
                "{}: {framework}, but no SQLite database that Litestream could replicate",
                folder.display()
            )
        }
        None => format!("{}: no framework, no DATABASE_URL and no SQLite file was found", root.display()),
    };
    let notes = nothing.notes.iter().map(|note| format!("  {note}"));
    Failure::lines(ExitCode::CONFIG, std::iter::once(message).chain(notes)).hint(
        "a database that the app has yet to make is found once the app has run, or by its name: DATABASE_URL=sqlite:PATH litekeeper init; \
         --dir names another folder; without a file: litekeeper run --db PATH --replica URL",
    )
}

fn exists(output: &Path) -> Failure {
    Failure::new(ExitCode::USAGE, format!("{} is there already, and was left as it is", output.display()))
        .hint("--force writes over it, --stdout prints instead, --output names another file")
}

/// Puts the file in its place in one step: whole, or not at all.
fn write(output: &Path, text: &str, force: bool) -> Result<(), Failure> {
    // In a folder of somebody else's it is his.
    if permit::is_led(output) {
        return permit::theirs(|| Ok(write_there(output, text, force)))
            .map_err(|error| unwritten(output, &error))?;
    }
    write_there(output, text, force)
}

fn write_there(output: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let fail = |error: &io::Error| unwritten(output, error);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| fail(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| fail(&error))?;
    // It holds no secret, and the app's own user has to read it.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(|error| fail(&error))?;
    file.as_file().sync_all().map_err(|error| fail(&error))?;
    let placed = if force { file.persist(output) } else { file.persist_noclobber(output) };
    match placed {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists(output)),
        Err(error) => Err(fail(&error.error)),
    }
}

fn unwritten(output: &Path, error: &io::Error) -> Failure {
    Failure::new(ExitCode::UNAVAILABLE, format!("{} cannot be written: {error}", output.display()))
        .hint("--output names another file, --stdout prints instead")
}

fn relative(output: &Path, root: &Path) -> String {
    output.strip_prefix(root).unwrap_or(output).display().to_string()
}

/// What was found, for people.
fn report(plan: &Plan, done: &[String], ends: &[String]) -> String {
    let mut lines = vec![format!("{}: {}", plan.framework, plan.source)];
    let width = plan.databases.iter().map(|database| database.alias.len()).max().unwrap_or(0);
    for database in &plan.databases {
        let left_out =
            database.left_out.as_ref().map(|why| format!("  not replicated: {why}")).unwrap_or_default();
        lines.push(format!("  {:width$}  {}{left_out}", database.alias, database.shown_path()));
    }
    for (framework, folder) in &plan.others {
        lines.push(format!("also here, and not looked at: {framework} in {folder}"));
    }
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(done.iter().filter(|line| !line.is_empty()).cloned());
    // What a project calls its things makes no line of its own.
    let mut lines: Vec<_> = lines.iter().map(|line| foreign::line(line).into_owned()).collect();
    for end in ends {
        lines.push(String::new());
        lines.push(end.clone());
    }
    lines.join("\n")
}

fn json(plan: &Plan, text: &str, written: Option<&Path>, advice: &str, next: &[String]) -> String {
    let databases: Vec<serde_json::Value> = plan
        .databases
        .iter()
        .map(|database| {
            serde_json::json!({
                "alias": database.alias,
                "path": database.shown_path(),
                "replicated": database.left_out.is_none(),
                "reason": database.left_out,
            })
        })
        .collect();
    let others: Vec<serde_json::Value> = plan
        .others
        .iter()
        .map(|(framework, folder)| serde_json::json!({"framework": framework, "folder": folder}))
        .collect();
    let value = serde_json::json!({
        "framework": plan.framework,
        "source": plan.source,
        "folder": plan.folder,
        "databases": databases,
        "project": plan.project,
        "command": plan.command,
        "before": plan.before,
        "notes": plan.notes,
        "others": others,
        "config": text,
        "written": written.map(|path| path.display().to_string()),
        "advice": advice,
        "next": next,
    });
    format!("{value:#}\n")
}
