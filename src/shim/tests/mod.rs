//! The policy in a simulated world: no process, no clock.
//!
//! [`rig`] holds one policy and its time, and [`serving`], [`birth`] and [`alone`] go through the rows of its table;
//! [`table`] is about the stages. In [`world`] there are an app, a keeper and a Litestream that die, and [`properties`]
//! lets chance say when.

mod alone;
mod birth;
mod properties;
mod rig;
mod serving;
mod table;
mod world;
