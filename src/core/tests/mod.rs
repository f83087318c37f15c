//! The machine in a simulated world, as quinn tests its connections: no process, no clock, and
//! hours pass in a millisecond.
//!
//! [`plan`] says how the world behaves, [`world`] carries the actions out, [`socket`] answers,
//! [`sources`] name databases, and [`lives`] lets its [`processes`] live and die. The scenarios are by what they are about;
//! [`properties`] lets chance write them. [`town`] is the machine with the databases that sources name beside it, without
//! time: [`reconcile`] has its scenarios, and [`reconcile_properties`] those by chance.

mod app;
mod drain;
mod lease;
mod lineage;
mod litestream;
mod lives;
mod membership;
mod membership_ends;
mod plan;
mod processes;
mod properties;
mod reconcile;
mod reconcile_ends;
mod reconcile_folders;
mod reconcile_properties;
mod socket;
mod sources;
mod start;
mod status;
mod stop;
mod table;
mod town;
mod waits;
mod watch;
mod world;

pub(super) use plan::policy;
