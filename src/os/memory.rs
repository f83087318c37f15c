//! Giving memory back.

use std::fs;

use nix::libc;

/// Lets go of this program's code as far as it is in memory: what is needed comes back page by page out
/// of the system's cache, what only the start needed does not.
///
/// Only the executable mapping: nothing ever writes to it, while a read-only one may hold relocations.
pub fn forget_code() {
    let (Ok(maps), Ok(program)) = (fs::read_to_string("/proc/self/maps"), fs::read_link("/proc/self/exe"))
    else {
        return;
    };
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (range, flags) = (fields.next().unwrap_or_default(), fields.next());
        let is_own = program.to_str().is_some_and(|program| line.ends_with(program));
        let bounds = range.split_once('-').and_then(|(start, end)| {
            Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
        });
        if let (Some("r-xp"), true, Some((start, end))) = (flags, is_own, bounds) {
            // SAFETY: a private mapping of a file that was never written to reads the same afterwards
            // (MADV_DONTNEED in madvise(2)); an error changes nothing.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_goes_on_without_its_code_in_memory() {
        super::forget_code();
        assert_eq!("on".repeat(2), "onon");
    }
}
