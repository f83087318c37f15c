//! Every environment variable that Litekeeper reads.
