//! What a browser, a platform and a collector of metrics are told of a running unit, over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `GET /livez` | 200 while the keeper does its work |
//! | `GET /readyz` | 200 while the app runs and no replica is too far behind, else 503 with the reasons; `?verbose` lists each check |
//! | `GET /metrics` | numbers, in Prometheus' text format |
//! | `GET /status.json` | what `litekeeper status --json` prints of a keeper |
//! | `GET /events` | server-sent: one whenever something of the page has changed |
//! | `POST /wait` | once all that was committed before is on its replica: 200; 504 with how far it is |
//! | `GET /` | the page |
//!
//! It asks the driver as anybody else does ([`Ask`]), and decides nothing. Whoever asks has a limit of everything: time, bytes,
//! connections (`server.rs`); who may ask is said by `access.rs`, which route a request means by `route.rs`, and both are values.

mod access;
mod address;
mod answer;
mod ask;
mod collector;
mod guests;
mod history;
mod metrics;
mod page;
mod patient;
mod route;
mod server;
mod wait;

pub use access::{Account, Open};
pub use address::Address;
pub use ask::{Ask, Asks, Wish};
pub use server::{Server, Settings};
