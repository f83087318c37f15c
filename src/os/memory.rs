//! Giving memory back.

use std::fs;

use nix::libc;

use super::open;

/// Lets go of this program's code and constants as far as they are in memory, and of what the heap does not
/// use: what is needed comes back page by page out of the system's cache, what only the start needed does not.
///
/// Only the mappings up to the code: what comes after it was relocated, and the file does not have it.
pub fn give_back() {
    let (Ok(maps), Ok(program)) = (open::kernel_text("/proc/self/maps"), fs::read_link("/proc/self/exe"))
    else {
        return;
    };
    let Some(program) = program.to_str() else { return };
    // SAFETY: it takes no pointer, and only gives back what is free (malloc_trim(3)).
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
    for line in maps.lines().filter(|line| line.ends_with(program)) {
        let mut fields = line.split_ascii_whitespace();
        let (range, flags) = (fields.next().unwrap_or_default(), fields.next());
        let bounds = range.split_once('-').and_then(|(start, end)| {
            Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
        });
        if let (Some("r--p" | "r-xp"), Some((start, end))) = (flags, bounds) {
            // SAFETY: a private mapping of a file that was never written to reads the same afterwards
            // (MADV_DONTNEED in madvise(2)); an error changes nothing.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        }
        if flags == Some("r-xp") {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_goes_on_without_its_code_in_memory() {
        super::give_back();
        assert_eq!("on".repeat(2), "onon");
    }
}
