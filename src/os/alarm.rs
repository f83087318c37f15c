//! A time that comes whatever else happens, also while the machine sleeps (`timerfd_create(2)`, `CLOCK_BOOTTIME`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Since the machine was booted, asleep or not.
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The clock that a service manager goes by (`CLOCK_MONOTONIC`).
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// A descriptor that becomes readable at a time.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// One for this time since the machine was booted.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn at(time: Duration) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let alarm = Self(fd);
        alarm.set(time)?;
        Ok(alarm)
    }

    /// Another time in place of the one before.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set(&self, time: Duration) -> io::Result<()> {
        // Zero would be none at all.
        let time = time.max(Duration::from_nanos(1));
        let it_value = Timespec {
            tv_sec: time.as_secs().try_into().map_err(io::Error::other)?,
            tv_nsec: time.subsec_nanos().into(),
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval, it_value })?;
        Ok(())
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    #[test]
    fn it_comes_when_it_is_time_and_what_is_past_comes_at_once() {
        let rings = |alarm: &Alarm, limit: PollTimeout| {
            poll(&mut [PollFd::new(alarm.as_fd(), PollFlags::POLLIN)], limit).unwrap() == 1
        };
        let alarm = Alarm::at(now() + Duration::from_secs(3600)).unwrap();
        assert!(!rings(&alarm, PollTimeout::ZERO));
        alarm.set(now() + Duration::from_millis(20)).unwrap();
        assert!(rings(&alarm, PollTimeout::from(10_000_u16)));
        alarm.set(now() + Duration::from_secs(3600)).unwrap();
        assert!(!rings(&alarm, PollTimeout::ZERO));
        assert!(rings(&Alarm::at(Duration::ZERO).unwrap(), PollTimeout::from(10_000_u16)));
    }
}
