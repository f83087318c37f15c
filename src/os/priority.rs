//! Staying out of others' way.

/// Lets everybody else go first, for as long as this process lives (`nice(2)`).
pub fn lower() {
    // Where it is forbidden, the work is done all the same.
    let _ = rustix::process::nice(19);
}
