//! A keeper whose time of day is not the machine's. See `clock.c`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::keeper::Keeper;
use super::preload;
use super::world::World;

/// How much later it is for a keeper, and for whom it starts.
pub struct Clock(PathBuf);

impl Clock {
    /// One that is wrong by so many seconds.
    pub fn wrong_by(world: &World, seconds: i64) -> Self {
        let clock = Self(world.path("clock"));
        clock.jump(seconds);
        clock
    }

    /// From now on it is wrong by so many.
    pub fn jump(&self, seconds: i64) {
        // In one step: who reads half of it has a time of its own.
        let new = self.0.with_extension("new");
        fs::write(&new, seconds.to_string())
            .and_then(|()| fs::rename(new, &self.0))
            .expect("the world can be written");
    }

    /// Gives it to a keeper.
    pub fn of(&self, keeper: Keeper) -> Keeper {
        keeper.env("LD_PRELOAD", library()).env("CLOCK_OFFSET", &self.0)
    }
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::library("clock"))
}
