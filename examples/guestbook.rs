//! The demo's guest book on its own, as the app of any launcher:
//!
//! ```sh
//! cargo run --example guestbook -- guestbook.db 8080
//! litekeeper run --db guestbook.db --replica file:///var/backups/guestbook -- guestbook guestbook.db
//! ```

use std::process::ExitCode;

use litekeeper::demo::guestbook::{self, Options, Port};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let db = arguments.next().unwrap_or_else(|| "guestbook.db".into()).into();
    let port = arguments
        .next()
        .map(|port| port.to_string_lossy().into_owned())
        .or_else(|| std::env::var("PORT").ok());
    let served = Port::chosen(None, port.as_deref()).and_then(|port| guestbook::serve(&Options { db, port }));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guestbook: {error}");
            ExitCode::FAILURE
        }
    }
}
