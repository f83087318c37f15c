//! How the project is deployed so far.
//!
//! ```text
//! deployment  all of it: the Dockerfile's image, the Procfile, compose file and fly.toml
//! image       the image that the Dockerfile makes
//! compose     the service of the app in a compose file
//! fly         what matters of a fly.toml
//! ```

mod compose;
mod deployment;
mod fly;
mod image;

pub use deployment::Deployment;
pub(super) use deployment::is_file;
pub(super) use image::SHELL;
