//! Whether the files that a restore begins with and goes on with hold what their names say: Litestream goes by the names alone
//! (`CalcRestorePlan` in its replica.go), and one that was copied over another restores to what it holds, under the other's transaction.

use std::path::Path;

use super::s3::printed;
use crate::litestream::argv::txid_text;
use crate::litestream::ltx::Ltx;
use crate::litestream::restore_plan::{self, PlannedFile, Point};

/// Looks at those of a folder that make up its newest state, or that up to a transaction; says which does not.
pub(super) fn in_folder(replica: &Path, until: Option<u64>) -> Result<Vec<u8>, String> {
    let files = restore_plan::list(replica).map_err(|error| format!("{}: {error}", replica.display()))?;
    let files = files.into_iter().filter(|file| until.is_none_or(|until| file.max <= until)).collect();
    let plan = restore_plan::plan(files, Point::Newest).unwrap_or_default();
    printed(&plan.iter().find_map(misnamed))
}

/// What is wrong with one; what cannot be read, or was compacted meanwhile, was not restored.
fn misnamed(file: &PlannedFile) -> Option<String> {
    let span = Ltx::open(&file.path).ok()??.span;
    (span != (file.min..=file.max)).then(|| {
        let [min, max] = [span.start(), span.end()].map(|txid| txid_text(*txid));
        format!("invalid ltx file: {} holds {min}-{max}", file.path.display())
    })
}
