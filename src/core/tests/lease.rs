//! Two keepers that want one place, in all orders of what can happen to their requests.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::super::lease::{Lease, Lock, Next};

const TTL: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_secs(1);

type Owner = u8;
type Version = u16;

/// A request on its way to the store, or its answer on the way back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Request {
    Write { over: Option<Version>, owner: Owner, is_release: bool },
    Look,
    Wrote(Version),
    Saw(Lock<Owner, Version>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Keeper {
    lease: Lease<Owner, Version>,
    /// What it waits for, and since when.
    asked: Option<(Instant, Request)>,
    /// What it has given up waiting for, and may yet be carried out.
    late: Option<Request>,
    lives: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    now: Instant,
    lock: Lock<Owner, Version>,
    versions: Version,
    keepers: [Keeper; 2],
}

impl World {
    fn new(start: Instant) -> Self {
        let keeper = |own| Keeper { lease: Lease::new(own, None, TTL), asked: None, late: None, lives: 1 };
        Self { now: start, lock: Lock::Nothing, versions: 0, keepers: [keeper(0), keeper(1)] }
    }

    fn carry_out(&mut self, request: Request) -> Request {
        match request {
            Request::Write { over, owner, is_release } => {
                let stands = match &self.lock {
                    Lock::Nothing => None,
                    Lock::Of { version, .. } => Some(*version),
                };
                if stands != over {
                    return Request::Saw(self.lock.clone());
                }
                self.versions += 1;
                self.lock = Lock::Of { owner, version: self.versions, is_released: is_release };
                Request::Wrote(self.versions)
            }
            Request::Look => Request::Saw(self.lock.clone()),
            Request::Wrote(_) | Request::Saw(_) => request,
        }
    }

    /// All worlds that may come next.
    fn nexts(&self) -> Vec<Self> {
        let mut nexts = vec![Self { now: self.now + TICK, ..self.clone() }];
        for number in 0..2 {
            let keeper = &self.keepers[number];
            let mut become_next = |change: &dyn Fn(&mut Self)| {
                let mut next = self.clone();
                change(&mut next);
                nexts.push(next);
            };
            if let Some(late) = &keeper.late {
                become_next(&|world| {
                    world.keepers[number].late = None;
                    world.carry_out(late.clone());
                });
            }
            let id = |lives: u8| (lives - 1) * 2 + number as u8;
            match &keeper.asked {
                None => {
                    let request = match keeper.lease.next(self.now) {
                        Next::Write(over) => {
                            Some(Request::Write { over, owner: id(keeper.lives), is_release: false })
                        }
                        Next::Look => Some(Request::Look),
                        Next::Leave => None,
                    };
                    if let Some(request) = request {
                        become_next(&|world| {
                            world.keepers[number].asked = Some((world.now, request.clone()));
                        });
                    }
                }
                Some((asked, request)) => {
                    // The store does it, or the answer comes.
                    become_next(&|world| {
                        let answer = world.carry_out(request.clone());
                        let keeper = &mut world.keepers[number];
                        match (request, answer) {
                            (Request::Wrote(version), _) => {
                                keeper.lease.written(*asked, *version);
                                keeper.asked = None;
                            }
                            (Request::Saw(lock), _) => {
                                keeper.lease.saw(world.now, lock.clone());
                                keeper.asked = None;
                            }
                            (_, answer) => keeper.asked = Some((*asked, answer)),
                        }
                    });
                    // The answer is not waited for any longer, and what was asked may be done at any time.
                    if keeper.late.is_none() {
                        become_next(&|world| {
                            let keeper = &mut world.keepers[number];
                            (keeper.asked, keeper.late) = (None, Some(request.clone()));
                        });
                    }
                }
            }
            // It dies, and the next one on its volume knows that.
            if keeper.lives == 1 && number == 0 {
                become_next(&|world| {
                    let keeper = &mut world.keepers[number];
                    let late = keeper.asked.take().map(|(_, request)| request);
                    *keeper = Keeper {
                        lease: Lease::new(id(2), Some(id(1)), TTL),
                        asked: None,
                        late: keeper.late.take().or(late),
                        lives: 2,
                    };
                });
            }
            // It ends, and says so.
            if let (Some(_), Next::Write(Some(over)), None, 1 | 2) =
                (keeper.lease.held_until(), keeper.lease.next(self.now), &keeper.asked, keeper.lives)
            {
                become_next(&|world| {
                    let owner = id(world.keepers[number].lives);
                    (world.keepers[number].lease, world.keepers[number].lives) =
                        (Lease::new(id(3), None, TTL), 3);
                    world.carry_out(Request::Write { over: Some(over), owner, is_release: true });
                });
            }
        }
        nexts
    }

    fn owners(&self) -> usize {
        let holds = |keeper: &&Keeper| keeper.lease.held_until().is_some_and(|until| self.now < until);
        self.keepers.iter().filter(holds).count()
    }
}

/// Whatever is delayed, lost or carried out twice, never two have one place: in each order of the first events.
#[test]
fn never_two_have_one_place() {
    let start = Instant::now();
    let (mut level, mut seen) = (vec![World::new(start)], HashSet::new());
    let (mut held, mut taken_over) = (0, 0);
    for _ in 0..13 {
        let mut next_level = Vec::new();
        for world in level {
            for next in world.nexts() {
                assert!(next.owners() <= 1, "{next:#?}");
                held += next.owners();
                taken_over += usize::from(
                    next.keepers
                        .iter()
                        .any(|keeper| keeper.lease.rival().is_some_and(|(_, free_at)| free_at.is_none())),
                );
                if next.now <= start + TICK * 7 && seen.insert(next.clone()) {
                    next_level.push(next);
                }
            }
        }
        level = next_level;
    }
    assert!(held > 100 && taken_over > 0, "{held} {taken_over}: not much was tried");
}
