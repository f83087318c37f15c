//! Databases that sources name, as the core has them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::database_lock;
use super::reload::Reason;
use crate::core::{Reconciliation, Wanted};
use crate::inventory::{Entry, Named};
use crate::os::guarded;
use crate::os::lock::Lock;
use crate::os::permit;

/// All of them.
pub(super) type Tenants = Reconciliation<Tenant>;

/// One of them. No `Debug`: what a source said may hold secrets.
#[derive(Clone)]
pub(super) struct Tenant {
    pub(super) named: Rc<Named>,
    /// Where its file was, when that was looked at last.
    file: PathBuf,
    /// The folder that it is replicated to, by the same look.
    place: Option<PathBuf>,
    /// The path that this keeper has the same file by, if that is another one: it was renamed, or has both names.
    other_name: Option<PathBuf>,
}

impl Tenant {
    pub(super) fn new(named: Named) -> Self {
        let mut tenant = Self { named: Rc::new(named), file: PathBuf::new(), place: None, other_name: None };
        tenant.refile();
        tenant
    }

    /// Looks again where its file is.
    pub(super) fn refile(&mut self) {
        self.file = database_lock::resolved(&self.named.database.path);
        self.place = self.named.database.replica_folder.as_deref().map(permit::real);
        self.other_name = guarded::other_name(&self.named.database.path);
    }

    /// Whether its file is this one's, by another name.
    pub(super) fn is_file_of(&self, there: &Self) -> bool {
        self.other_name.as_ref() == Some(&there.named.database.path)
    }

    pub(super) fn path(&self) -> String {
        self.named.database.path.display().to_string()
    }
}

impl Wanted for Tenant {
    type File = PathBuf;
    type Lock = Lock;
    type Reason = Reason;

    fn file(&self) -> &PathBuf {
        &self.file
    }

    fn is_same(&self, other: &Self) -> bool {
        self.named.tells_the_same(&other.named)
    }

    fn is_written_as(&self, other: &Self) -> bool {
        self.named.entry.is_same(&other.named.entry)
    }

    fn collides(&self, other: &Self) -> bool {
        let (one, two) = (&self.named.database, &other.named.database);
        let is_one_folder = self.place.is_some() && self.place == other.place;
        let is_one_place = one.replica == two.replica || is_one_folder || one.meta == two.meta;
        is_one_place || self.file == other.file || self.is_file_of(other) || other.is_file_of(self)
    }

    fn claims(&self) -> Vec<u64> {
        let database = &self.named.database;
        let mut claims = vec![
            claim("replica", database.replica.as_ref()),
            claim("meta", &database.meta),
            claim("file", &self.file),
            claim("path", &database.path),
        ];
        claims.extend(self.place.as_deref().map(|place| claim("folder", place)));
        claims.extend(self.other_name.as_deref().map(|other| claim("path", other)));
        claims
    }

    fn is_found(&self) -> bool {
        matches!(self.named.entry, Entry::InFolder(..))
    }
}

/// A number for this path as what it is.
fn claim(what: &str, path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    (what, path.as_os_str()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::litestream::database::Database;

    #[test]
    fn one_folder_is_one_place_by_whatever_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("backup")).unwrap();
        std::os::unix::fs::symlink("backup", dir.path().join("link")).unwrap();
        let tenant = |name: &str, place: &str| {
            let folder = dir.path().join(place);
            let (path, replica) = (dir.path().join(name), folder.display().to_string());
            let database = Database { replica, replica_folder: Some(folder), ..Database::at(path) };
            let entry = Entry::InFolder(0, name.into());
            Tenant::new(Named { database, url: Err(String::new()), told: None, entry })
        };
        assert!(tenant("a", "backup/x").collides(&tenant("b", "link/x")));
        assert!(tenant("a", "backup").collides(&tenant("b", "link")));
        assert!(!tenant("a", "backup/x").collides(&tenant("b", "link/y")));
        // Who collides is found by what both claim.
        let claims = |name, place| tenant(name, place).claims();
        let is_one = |one: &[u64], other: &[u64]| one.iter().any(|claim| other.contains(claim));
        assert!(is_one(&claims("a", "backup/x"), &claims("b", "link/x")));
        assert!(!is_one(&claims("a", "backup/x"), &claims("b", "link/y")));
    }
}
