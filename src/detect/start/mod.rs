//! How the app is started.
//!
//! ```text
//! command     the app's command, where no framework tells it, and its port
//! litestream  a Litestream that the project starts itself, and the command below it
//! ```

mod command;
mod litestream;

pub(super) use command::{PHP_FPM, PUMA, deployed, node, plain, ports};
pub use litestream::Below;
pub(super) use litestream::find as litestream;
