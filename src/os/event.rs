//! Descriptors in the event loop.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::fork::Verdict;
use super::signal::Signals;

/// Waits for a descriptor to become readable.
///
/// # Errors
/// What `epoll_ctl(2)` says.
pub fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(fd, Interest::READABLE)
}

/// As [`readable`], and to become writable.
///
/// # Errors
/// What `epoll_ctl(2)` says.
pub fn both_ways(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(fd, Interest::READABLE | Interest::WRITABLE)
}

fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and stays the same file for as long as it lives, and it lives in
    // what is returned.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

/// Waits for signals.
///
/// # Errors
/// What `epoll_ctl(2)` says.
pub fn signals(signals: Signals) -> io::Result<AsyncFd<Signals>> {
    // SAFETY: `Signals` owns its descriptor, never replaces it, and lives in what is returned.
    Ok(unsafe { AsyncFd::register_with_interest(signals, Interest::READABLE) }?)
}

/// Waits until a child has become its program, or has ended before; what to do with one that fails is the
/// caller's.
///
/// # Errors
/// Why it could not; `TimedOut` when it is still under way at the limit.
pub async fn became(verdict: Verdict, limit: Duration) -> io::Result<()> {
    // SAFETY: `Verdict` owns its descriptor, never replaces it, and lives in what is returned.
    let verdict = unsafe { AsyncFd::register_with_interest(verdict, Interest::READABLE) }?;
    let waiting = async {
        loop {
            let mut ready = verdict.readable().await?;
            match verdict.get_ref().look() {
                Some(known) => return known,
                None => ready.clear_ready(),
            }
        }
    };
    tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| {
        let message = format!("its process had not become the program after {} s", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// What comes of a child that says this, and is under way or gone then.
    fn verdict(said: &[u8], under_way: bool) -> io::Result<()> {
        let (reader, writer) = Verdict::pipe().unwrap();
        let mut writer = std::fs::File::from(writer);
        writer.write_all(said).unwrap();
        let open = under_way.then_some(writer);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let became = runtime.block_on(became(reader, Duration::from_millis(10)));
        drop(open);
        became
    }

    #[test]
    fn an_exec_that_works_fails_or_never_comes() {
        assert!(verdict(b"", false).is_ok());
        for under_way in [false, true] {
            let error = verdict(&nix::libc::E2BIG.to_ne_bytes(), under_way).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(nix::libc::E2BIG));
        }
        assert_eq!(verdict(b"", true).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
