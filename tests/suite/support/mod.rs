//! The harness of the suite: real processes, real Litestream, real SQLite, a real S3 server.
//!
//! ```text
//! birth       children caught between their fork and their exec
//! careless    a way to a server of buckets on which every condition is lost
//! world       one test's folder: databases, replicas, configs, the app's trace
//! clock       a keeper whose time of day is not the machine's
//! config      litestream.yml as a test needs it
//! corpus      the fixtures of configurations, and Litestream's own word on what they mean
//! django      the real Django, fetched once
//! docs        the README and the pages in docs/: their examples, links and headings
//! fetched     what is fetched once for all tests
//! litestream  the real binaries, fetched once; bare `replicate` and `restore`
//! s3          an S3 server in this process that can be paused, broken, slowed, taken away
//! s3_host     the bucket in the host's name
//! s3_locks    writes of locks that meet, or whose answers are lost
//! s3_time     whether the server minds a client's time of day
//! sqlite      databases made, counted, compared with what the app was told
//! app         `examples/probe.rs` spelled in Rust, and its trace file read back
//! keeper      `litekeeper …` with a clean environment
//! history     all that can be restored of a database, which has to be one history
//! operator    what an operator types, and what is printed
//! orphan      what makes a process die, or wait to be killed, in the middle of a commit
//! preload     libraries in C that are preloaded into programs
//! process     a started program: its log, its signals, its end, its survivors
//! manager     a service manager's end of sd_notify
//! procfs      processes as /proc shows them, found by the mark that each test leaves in the environment
//! pages       a whole database compared with its backup
//! pair        two machines that replicate to one place
//! pty         a shell with job control on a terminal of its own
//! refused     a start that `check` and `run` refuse in the same words
//! seccomp     a kernel that refuses a system call
//! server      a server of somebody else's on a free port: sshd, nats-server, apache2 …
//! tenants     databases that a resolver names
//! vfs         Litestream's extension of SQLite, fetched once
//! wrap        what to put in front of a keeper: PID 1, a full disk, a read-only folder, LISTEN_FDS
//! wait        the only place that sleeps
//! unit        a keeper on one database with a folder as its replica, and what must hold at its end
//! ```

pub mod app;
pub mod birth;
pub mod careless;
pub mod clock;
pub mod config;
pub mod corpus;
pub mod django;
pub mod docs;
pub mod fetched;
pub mod history;
pub mod http;
pub mod keeper;
pub mod litestream;
pub mod manager;
pub mod operator;
pub mod orphan;
pub mod pages;
pub mod pair;
pub mod preload;
pub mod process;
pub mod procfs;
pub mod pty;
pub mod refused;
pub mod s3;
pub mod s3_host;
pub mod s3_locks;
pub mod s3_time;
pub mod seccomp;
pub mod server;
pub mod sqlite;
pub mod store;
pub mod strace;
pub mod tenants;
pub mod unit;
pub mod vfs;
pub mod wait;
pub mod world;
pub mod wrap;
