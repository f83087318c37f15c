//! `litekeeper demo`: a guest book to break, and the plan of what runs where.

pub mod guestbook;
pub mod plan;
