//! Files that other programs read.

use std::path::Path;

use crate::os::open;

/// Reads the text of a settings file; nothing of one that is not a file, not UTF-8 or too long.
pub(super) fn text(path: &Path) -> Option<String> {
    const LONGEST: usize = 1 << 20;
    String::from_utf8(open::whole(path, LONGEST).ok()?).ok()
}
