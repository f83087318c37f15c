//! Everything that knows the operating system: all `unsafe` and `cfg` lives here.
//!
//! Linux is what is built and tested. Pages in `man7.org`'s numbering are named where a behaviour
//! comes from them.
//!
//! Architecture invariant: this room imports `core` at most.

pub mod access;
pub mod alarm;
pub mod byte_lock;
mod capability;
pub mod cgroup;
pub mod child;
pub mod children;
pub mod digest;
pub mod dir;
pub mod event;
pub mod exec;
pub mod extension;
pub mod fd;
pub mod folder;
pub mod fork;
pub mod gather;
pub mod guarded;
pub mod here;
pub mod interrupt;
pub mod limit;
pub mod lock;
mod lock_file;
pub mod locks;
pub mod memory;
pub mod mount;
pub mod needs;
pub mod oom;
pub mod oom_score;
pub mod open;
pub mod order;
pub mod outlet;
pub mod packet;
pub mod permit;
pub mod pidfd;
pub mod priority;
pub mod proc;
mod program_file;
pub mod reap;
pub mod remove;
pub mod run_as;
pub mod screen;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod tcp;
pub mod terminal;
pub mod tree;
pub mod unstarted;
pub mod user;
mod walk;
pub mod watchdog;
pub mod way;
