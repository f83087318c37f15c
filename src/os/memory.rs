//! Giving memory back.

/// Gives back what the heap does not use: a start needs more than the long time after it (`malloc_trim(3)`).
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and only gives back what is free.
    unsafe {
        nix::libc::malloc_trim(0)
    };
}
