//! The bar of a restore.

use indicatif::{ProgressBar, ProgressStyle};

use crate::litestream::database::Database;

/// How much of a backup was read.
pub(super) fn bar(db: &Database, size: u64) -> ProgressBar {
    let name = db.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bar = ProgressBar::new(size).with_message(name);
    match ProgressStyle::with_template(
        "restoring {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    ) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
