//! A reader for each framework, and for projects without one.
//!
//! ```text
//! rails erb            `config/database.yml`, and the templates in it
//! django settings      `DATABASES`, by the project's own Python, else from the settings' text
//! laravel              `.env` and `config/database.php`
//! phoenix              `config/runtime.exs`
//! pocketbase           `pb_data`
//! prisma drizzle       their configurations and schemas
//! sqlalchemy           the URL in a project's Python, alone or below Flask
//! url                  `DATABASE_URL`
//! files                SQLite files
//! ```

pub(super) mod django;
pub(super) mod drizzle;
mod erb;
pub(super) mod files;
pub(super) mod laravel;
pub(super) mod phoenix;
pub(super) mod pocketbase;
pub(super) mod prisma;
pub(super) mod rails;
mod settings;
pub(super) mod sqlalchemy;
pub(super) mod url;
