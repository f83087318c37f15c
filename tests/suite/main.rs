//! The suite (map).

mod guestbook;
mod install;
