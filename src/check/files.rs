//! Who may read and write what, who may read secrets, and who runs already.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::context::CheckContext;
use super::rules::{
    KEEPER_RUNS, NOT_READABLE, NOT_WRITABLE, REPLICA_TAKEN, SECOND_LITESTREAM, SECRET_READABLE, SYMLINK,
};
use crate::config::lint::Lint;
use crate::config::{Database, Kind, Origin, Replica};
use crate::litestream::database::{HISTORY, LEDGER, lock_of, with_suffix};
use crate::litestream::ltx;
use crate::litestream::others::Others;
use crate::os::access::{self, Access};
use crate::os::lock;
use crate::os::locks::{self, Held};
use crate::os::permit::Folder;
use crate::os::{mount, needs, permit, user};

/// Settings that name a file, and whether what is in it is secret.
const KEY_FILES: &[(&str, bool)] = &[
    ("key-path", true),
    ("creds", true),
    ("client-key", true),
    ("sse-customer-key-path", true),
    ("client-cert", false),
    ("root-cas", false),
];

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found: Vec<Lint> = configuration(context);
    for path in context.env_files.iter().filter(|path| access::is_world_readable(path)) {
        let message = "everybody on this machine can read the file, and variables of the app are in it";
        let lint = Lint::new(SECRET_READABLE, &Origin::File(path.clone()), message);
        found.push(lint.hint(format!("`chmod 600 {}`", path.display())));
    }
    found.extend(rights(context, &fresh(context)));
    found.extend(keepers(context));
    found.extend(key_files(context));
    found
}

/// What keeps Litestream, or the app, from what it needs.
pub(super) fn faults(context: &CheckContext<'_>, fresh: &Fresh) -> Vec<Lint> {
    let mut found = rights(context, fresh);
    found.extend(key_files(context));
    found
}

fn key_files(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = Vec::new();
    for (key, is_secret) in KEY_FILES {
        for node in context.replica_settings(key) {
            let Some(path) = node.as_str().filter(|path| !path.is_empty()) else { continue };
            let path = context.cwd.join(path);
            found.extend(
                key_file(context, key, &path, *is_secret).map(|lint| lint.at(node.line, node.column)),
            );
        }
    }
    found
}

/// Who may read and write the databases, their folders and replicas.
pub(super) fn rights(context: &CheckContext<'_>, fresh: &Fresh) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for folder in context.config.directories() {
        found.extend(folder.replicas.iter().filter_map(|replica| replica_folder(context, replica, fresh)));
        // What stands in its place is told by whoever looks into it.
        let is_other = folder.dir.exists() && !folder.dir.is_dir();
        let unwritable = || unwritable_folder(context, &folder.dir, BESIDE, fresh);
        let unwritable = (!is_other).then(unwritable).flatten();
        found.extend(unwritable.map(|lint| lint.at(folder.line, 0)));
        seen.insert((folder.line, folder.dir.clone()));
    }
    found.extend(context.of_each(|database, folder| {
        // A folder with thousands of databases is looked at once, and its replicas with it.
        let is_new = |path: &Path| folder.is_none() || seen.insert((database.line, path.to_owned()));
        of_database(context, database, folder.is_some(), is_new, fresh)
    }));
    found
}

/// The keepers that run already.
fn keepers(context: &CheckContext<'_>) -> Vec<Lint> {
    let (held, others) = (Held::now(), Others::now());
    context.of_each(|database, _| {
        keeper(context, database, &held, &others).into_iter().chain(taken(context, database, &held)).collect()
    })
}

/// A keeper that replicates another database to the folder of this one.
fn taken(context: &CheckContext<'_>, database: &Database, held: &Held) -> Option<Lint> {
    let folders = database.replicas.iter().filter(|replica| replica.kind == Kind::File);
    let lock = folders
        .map(|replica| Path::new(&replica.display).join(permit::REPLICA_LOCK))
        .find(|lock| held.contains(lock))?;
    let (text, pid) = holder(&lock);
    let other = text.lines().find_map(|line| line.strip_prefix("database "))?;
    if Path::new(other) == database.path {
        return None;
    }
    let message =
        format!("another keeper{pid} replicates `{other}` to the folder of `{}`", database.path.display());
    let hint = "give each database a replica of its own: two in one place overwrite each other's backup";
    Some(context.lint(REPLICA_TAKEN, database.line, message).hint(hint))
}

/// What the holder of a lock has left in it, and its number in brackets.
fn holder(lock: &Path) -> (String, String) {
    let text = permit::theirs(|| Ok(lock::held_by(lock))).ok().flatten().unwrap_or_default();
    let said = text.lines().find_map(|line| line.strip_prefix("pid ")).map(|pid| pid.trim().to_owned());
    let taker = lock.symlink_metadata().ok().as_ref().and_then(locks::taker).map(|pid| pid.to_string());
    let pid = taker.or(said).map_or_else(String::new, |pid| format!(" (pid {pid})"));
    (text, pid)
}

fn configuration(context: &CheckContext<'_>) -> Vec<Lint> {
    let Some(path) = context.config.origin().file() else { return Vec::new() };
    let mut found = Vec::new();
    if let Ok(target) = std::fs::read_link(path) {
        let message = format!("the configuration is a link to {}", target.display());
        found.push(context.lint(SYMLINK, 0, message));
    }
    if context.has_secrets && access::is_world_readable(path) {
        let message = "everybody on this machine can read the file, and there are secrets in it";
        let hint = format!("`chmod 600 {}`, or write ${{NAME}} in their place", path.display());
        found.push(context.lint(SECRET_READABLE, 0, message).hint(hint));
    }
    found
}

/// Folders that the keeper makes, or gives away as they are fresh, to the user that will run.
pub(super) type Fresh = BTreeSet<PathBuf>;

/// Those of the databases that the configuration names, as root sees them; see `supervise::database_lock`.
pub(super) fn fresh(context: &CheckContext<'_>) -> Fresh {
    if context.user.is_none() || !user::is_root() {
        return Fresh::new();
    }
    let folders: BTreeSet<&Path> =
        context.databases.iter().filter_map(|database| database.path.parent()).collect();
    folders.into_iter().filter(|folder| is_fresh(folder)).map(Path::to_owned).collect()
}

/// Whether there is nothing in it yet, or it is not there and nobody but root has a say where it will be.
fn is_fresh(path: &Path) -> bool {
    for folder in path.ancestors() {
        match Folder::open_trusted(folder) {
            Ok(found) => return folder != path || found.is_fresh(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return false,
        }
    }
    false
}

/// Why the folder of a database has to be writable.
const BESIDE: &str = "SQLite and Litestream keep files beside the database";

fn of_database(
    context: &CheckContext<'_>,
    database: &Database,
    is_in_folder: bool,
    mut is_new: impl FnMut(&Path) -> bool,
    fresh: &Fresh,
) -> Vec<Lint> {
    let (path, line, who) = (&database.path, database.line, context.who());
    let user = context.user.as_ref();
    let mut found = Vec::new();
    if path.exists() {
        if !access::may(path, Access::Read, user) {
            let message = format!("{who} cannot read `{}`", path.display());
            let hint = owner_hint(context, path, Access::Read);
            found.push(context.lint(NOT_READABLE, line, message).hint(hint));
        } else if !access::may(path, Access::Write, user) {
            let message = format!("{who} cannot write `{}`", path.display());
            found.push(context.lint(NOT_WRITABLE, line, message).hint(owner_hint(
                context,
                path,
                Access::Write,
            )));
        }
        for beside in ["-wal", "-shm"].map(|suffix| with_suffix(path, suffix)) {
            if beside.exists() && !access::may(&beside, Access::Write, user) {
                let message = format!("{who} cannot write `{}`", beside.display());
                let hint = owner_hint(context, &beside, Access::Write);
                found.push(context.lint(NOT_WRITABLE, line, message).hint(hint));
            }
        }
    }
    let mut folders: Vec<&Path> = path.parent().into_iter().collect();
    let state = database
        .meta_path
        .parent()
        .filter(|folder| !database.meta_path.exists() && !folders.contains(folder));
    folders.extend(state);
    for folder in folders.into_iter().filter(|folder| is_new(folder)) {
        found.extend(unwritable_folder(context, folder, BESIDE, fresh).map(|lint| lint.at(line, 0)));
    }
    let meta = database.meta_path.as_path();
    if meta.exists() && is_new(meta) {
        found.extend(litestreams_folder(context, meta, BESIDE, fresh).map(|lint| lint.at(line, 0)));
    }
    if !is_in_folder {
        found.extend(database.replicas.iter().filter_map(|replica| replica_folder(context, replica, fresh)));
    }
    found
}

/// A keeper that runs on a database, or a Litestream without one.
fn keeper(context: &CheckContext<'_>, database: &Database, held: &Held, others: &Others) -> Option<Lint> {
    let path = &database.path;
    let lock = lock_of(path);
    if !held.contains(&lock) {
        let other = others.on(path, &database.meta_path)?;
        let (pid, program) = (other.pid, &other.program);
        let message =
            format!("a litestream replicates `{}` already (pid {pid}, `{program}`)", path.display());
        let hint = "litekeeper runs litestream itself: stop that one, or take it out of the app's script";
        return Some(context.lint(SECOND_LITESTREAM, database.line, message).hint(hint));
    }
    let (_, who) = holder(&lock);
    let message = format!("a keeper runs on `{}`{who}", path.display());
    Some(
        context
            .lint(KEEPER_RUNS, database.line, message)
            .hint("a second one ends with exit code 75; with `--on-lock wait` it waits for its turn"),
    )
}

fn replica_folder(context: &CheckContext<'_>, replica: &Replica, fresh: &Fresh) -> Option<Lint> {
    let folder = Path::new(&replica.display);
    let lint = || litestreams_folder(context, folder, "the replica is written there", fresh);
    (replica.kind == Kind::File).then(lint).flatten().map(|lint| lint.at(replica.line, 0))
}

/// A folder in which all is Litestream's, or the keeper's beside it: what they write to lies deeper, too.
fn litestreams_folder(context: &CheckContext<'_>, folder: &Path, why: &str, fresh: &Fresh) -> Option<Lint> {
    let user = context.user.as_ref();
    let closed = inside(folder).into_iter().find(|path| !access::may(path, Access::Write, user));
    let all = closed
        .as_ref()
        .and_then(|_| access::whole_remedy(folder, user))
        .filter(|_| entrusted(folder).is_none());
    if let Some(lint) = unwritable_folder(context, folder, why, fresh) {
        return Some(match all {
            Some(all) if folder.is_dir() => lint.hint(format!("{why}: {all}")),
            Some(_) | None => lint,
        });
    }
    let closed = closed.filter(|path| !path.ancestors().any(|folder| fresh.contains(folder)))?;
    let message = format!("{} cannot write `{}`", context.who(), closed.display());
    let own = || owner_hint(context, &closed, Access::Write);
    let hint = all.map_or_else(own, |all| format!("{why}: {all}"));
    Some(context.lint(NOT_WRITABLE, 0, message).hint(hint))
}

/// What is in such a folder and written to: the folders of each level, of both series, and the keeper's two files.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let own = ["generations", LEDGER, HISTORY].map(|name| folder.join(name));
    ltx::levels(folder)
        .chain(own)
        .filter(|path| path.symlink_metadata().is_ok_and(|found| !found.is_symlink()))
        .collect()
}

/// A folder that is not there is made, so what counts is the first that is. The keeper makes the
/// database's while it is still root.
fn unwritable_folder(context: &CheckContext<'_>, folder: &Path, why: &str, fresh: &Fresh) -> Option<Lint> {
    let user = context.user.as_ref();
    if folder.ancestors().any(|folder| fresh.contains(folder)) {
        return None;
    }
    let nearest = mount::nearest(folder)?;
    if !nearest.is_dir() {
        let message = if nearest == folder {
            format!("`{}` is no folder", folder.display())
        } else {
            format!("the folder `{}` cannot be made: `{}` is no folder", folder.display(), nearest.display())
        };
        return Some(
            context.lint(NOT_WRITABLE, 0, message).hint(format!("{why}: name a folder, or remove the file")),
        );
    }
    if access::may(&nearest, Access::Write, user) {
        return None;
    }
    let message = format!("{} cannot write into the folder `{}`", context.who(), nearest.display());
    let hint = if is_mounted_read_only(&nearest) {
        format!("it is mounted read-only, but {why}")
    } else {
        entrusted(folder).or_else(|| lacks_override(context, &nearest)).unwrap_or_else(|| {
            match nearest == folder {
                true => format!("{why}: {}", access::remedy(&nearest, Access::Write, user)),
                // The one above it may be everybody's, and no single user's.
                false => format!("{why}: {}", access::made_for(folder, user)),
            }
        })
    };
    Some(context.lint(NOT_WRITABLE, 0, message).hint(hint))
}

/// Root that may not pass over whose a file is (`capabilities(7)`): nobody would look for that in an owner and a mode.
fn lacks_override(context: &CheckContext<'_>, path: &Path) -> Option<String> {
    let found = path.metadata().ok()?;
    let (owner, group) = (found.uid(), found.gid());
    let applies = context.user.is_none() && user::is_root() && owner != 0 && needs::lacks_dac_override();
    applies.then(|| {
        format!(
            "it belongs to user {owner}, and root lacks CAP_DAC_OVERRIDE (`--cap-drop`): start all as user {owner} (`docker \
             run --user {owner}:{group}`), or give it that (`docker run --cap-add=DAC_OVERRIDE`)"
        )
    })
}

fn owner_hint(context: &CheckContext<'_>, path: &Path, wanted: Access) -> String {
    if is_mounted_read_only(path) {
        return "it is mounted read-only".to_owned();
    }
    if let Some(hint) = entrusted(path).or_else(|| lacks_override(context, path)) {
        return hint;
    }
    access::remedy(path, wanted, context.user.as_ref())
}

/// Why nobody should give away what a path leads to before they have looked at it: somebody but root has made a link on the
/// way, or another name of the file, and decides by that what it is.
pub(super) fn entrusted(path: &Path) -> Option<String> {
    for place in path.ancestors() {
        let (Ok(found), Some(folder)) = (place.symlink_metadata(), place.parent()) else { continue };
        let folder = folder.metadata().map_or(0, |folder| folder.uid());
        if found.is_symlink() && (found.uid() != 0 || folder != 0) {
            let target = std::fs::read_link(place).unwrap_or_default();
            return Some(format!(
                "`{}` is a link to {}, made where user {folder} may make any: give nothing away for it before you have \
                 looked there, and name the place itself",
                place.display(),
                target.display()
            ));
        }
    }
    let found = path.symlink_metadata().ok().filter(|found| found.is_file() && found.nlink() > 1)?;
    Some(format!(
        "it belongs to user {} and has {} names, of which others may have made this one: look where the others are \
         (`find / -samefile {}`) before you give it away",
        found.uid(),
        found.nlink(),
        path.display()
    ))
}

fn is_mounted_read_only(path: &Path) -> bool {
    mount::space(path).is_some_and(|space| space.read_only)
}

fn key_file(context: &CheckContext<'_>, key: &str, path: &Path, is_secret: bool) -> Option<Lint> {
    let shown = path.display();
    if !access::may(path, Access::Read, context.user.as_ref()) || !path.is_file() {
        let what = if path.exists() { "cannot be read" } else { "does not exist" };
        let message = format!("`{key}`: `{shown}` {what}");
        let mut hint = format!("{} has to be able to read it", context.who());
        if path.is_file() {
            hint = format!("{hint}: {}", owner_hint(context, path, Access::Read));
        }
        return Some(context.lint(NOT_READABLE, 0, message).hint(hint));
    }
    if is_secret && access::is_world_readable(path) {
        let message = format!("`{key}`: everybody on this machine can read `{shown}`");
        return Some(context.lint(SECRET_READABLE, 0, message).hint(format!("`chmod 600 {shown}`")));
    }
    None
}
