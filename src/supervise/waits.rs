//! Those who wait for all that is in a database to be on its replica: who came before a question was asked is answered by its
//! confirmation, all others by the next one. So a thousand of them cost a handful of questions.
//!
//! Questions are numbered. A number belongs to one Litestream: what was asked of one that was launched anew is void.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::durability::{TOLD, Told, WaitAnswer};
use crate::core::Db;
use crate::status::Copied;

/// So many may wait at a time; each has a descriptor.
const MOST: usize = 4096;
/// For so many databases all of them together: who waits for each of a thousand remembers a thousand.
const MOST_DATABASES: usize = 1 << 16;
/// Of so many databases one who waits for all has Litestream asked at a time.
const AT_ONCE: usize = 16;
/// How long somebody waits who does not say it, and at most.
pub(super) const WITHIN: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Somebody who wants to wait.
pub(super) struct WaitAsked {
    /// For this database, by its path, alias or base name; for all without one.
    pub(super) database: Option<String>,
    /// So long.
    pub(super) within: Duration,
    /// The lock that is to be this keeper's.
    pub(super) holding: Option<(u64, u64)>,
    /// Where the answer goes.
    pub(super) sender: oneshot::Sender<WaitAnswer>,
}

/// Somebody who waits.
struct Waiter {
    /// For these, still.
    left: BTreeSet<Db>,
    /// He has named it.
    is_named: bool,
    /// The last question before he came: no answer to that, or one before it, is his.
    after: u64,
    until: Instant,
    /// These he has, as far as they are told one by one, and so many others.
    done: BTreeMap<Db, Copied>,
    more: usize,
    sender: oneshot::Sender<WaitAnswer>,
}

impl Waiter {
    /// Those that are being asked about for him.
    fn wants(&self) -> impl Iterator<Item = Db> + '_ {
        self.left.iter().take(AT_ONCE).copied()
    }

    fn answer(self, answer: WaitAnswer) {
        // Who has gone meanwhile needs no answer.
        let _ = self.sender.send(answer);
    }
}

/// Who has not got it in time, for which databases.
pub(super) struct Over {
    pub(super) left: BTreeSet<Db>,
    sender: oneshot::Sender<WaitAnswer>,
}

impl Over {
    pub(super) fn answer(self, answer: WaitAnswer) {
        // Who has gone meanwhile needs no answer.
        let _ = self.sender.send(answer);
    }
}

/// All who wait.
#[derive(Default)]
pub(super) struct Waits {
    waiters: BTreeMap<u64, Waiter>,
    came: u64,
    /// When each of them has had his time.
    ends: BTreeSet<(Instant, u64)>,
    /// The last question's number, and those of the questions that are under way.
    asked: u64,
    questions: BTreeMap<Db, u64>,
    /// Those that are wanted, as far as the core was told.
    wanted: BTreeSet<Db>,
    /// Those of whoever has come since, and whether others may be wanted by now, or none of these.
    new: Vec<Db>,
    has_changed: bool,
}

impl Waits {
    /// One more, for these.
    pub(super) fn add(&mut self, now: Instant, dbs: BTreeSet<Db>, asked: WaitAsked) {
        let all: usize = self.waiters.values().map(|waiter| waiter.left.len()).sum();
        let WaitAsked { database, within, holding: _, sender } = asked;
        let waiter = Waiter {
            left: dbs,
            is_named: database.is_some(),
            after: self.asked,
            until: now + within.min(LONGEST),
            done: BTreeMap::new(),
            more: 0,
            sender,
        };
        if self.waiters.len() >= MOST || all + waiter.left.len() > MOST_DATABASES {
            return waiter.answer(WaitAnswer::Busy);
        }
        if waiter.left.is_empty() {
            return waiter.answer(WaitAnswer::Durable(Told::default()));
        }
        self.new.extend(waiter.wants());
        self.came += 1;
        self.ends.insert((waiter.until, self.came));
        self.waiters.insert(self.came, waiter);
    }

    /// Those that are wanted from now on, and those that are not any more.
    pub(super) fn news(&mut self) -> (Vec<Db>, Vec<Db>) {
        let mut new = std::mem::take(&mut self.new);
        if !std::mem::take(&mut self.has_changed) {
            self.wanted.extend(new.iter().copied());
            return (new, Vec::new());
        }
        let wanted: BTreeSet<Db> = self.waiters.values().flat_map(Waiter::wants).collect();
        new.retain(|db| wanted.contains(db));
        new.extend(wanted.difference(&self.wanted));
        let gone = self.wanted.difference(&wanted).copied().collect();
        self.wanted = wanted;
        (new, gone)
    }

    /// Litestream is being asked about it; the question's number.
    pub(super) fn ask(&mut self, db: Db) -> u64 {
        self.asked += 1;
        self.questions.insert(db, self.asked);
        self.asked
    }

    /// Its answer is there. Whether that is the question that is under way: another has been asked since, or by another
    /// Litestream, is nobody's.
    pub(super) fn is_answer(&mut self, db: Db, question: u64) -> bool {
        let is_its = self.questions.get(&db) == Some(&question);
        if is_its {
            self.questions.remove(&db);
        }
        is_its
    }

    /// Whether somebody waits for it.
    pub(super) fn has(&self, db: Db) -> bool {
        self.waiters.values().any(|waiter| waiter.left.contains(&db))
    }

    /// It is confirmed as of that question, and what there is to tell of it.
    pub(super) fn confirmed(&mut self, db: Db, question: u64, copied: &Copied) {
        for waiter in self.waiters.values_mut().filter(|waiter| waiter.after < question) {
            if waiter.left.remove(&db) {
                if waiter.done.len() < TOLD {
                    waiter.done.insert(db, copied.clone());
                } else {
                    waiter.more += 1;
                }
            }
        }
        // The core has it as answered, too; who still waits for it is told of anew.
        self.wanted.remove(&db);
        self.answer_done();
    }

    /// Another file stands in its place.
    pub(super) fn replaced(&mut self, db: Db, copied: &Copied) {
        let told = Told { each: vec![copied.clone()], more: 0 };
        self.answer_where(|waiter| waiter.left.contains(&db), |_| WaitAnswer::Replaced(told.clone()));
    }

    /// Nobody has it any more: who has named it waits in vain.
    pub(super) fn forget(&mut self, db: Db, path: &str) {
        self.questions.remove(&db);
        self.wanted.remove(&db);
        let gone = WaitAnswer::Unknown { error: format!("{path}: it is replicated no more"), hint: None };
        self.answer_where(|waiter| waiter.is_named && waiter.left.contains(&db), |_| gone.clone());
        for waiter in self.waiters.values_mut() {
            waiter.left.remove(&db);
        }
        self.answer_done();
    }

    /// What the last Litestream was asked is void.
    pub(super) fn relaunched(&mut self) {
        self.questions.clear();
    }

    /// Nobody can be answered any more.
    pub(super) fn end(&mut self, answer: &WaitAnswer) {
        if !self.waiters.is_empty() {
            self.answer_where(|_| true, |_| answer.clone());
        }
    }

    /// When the time of the next one is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// Those whose time is over.
    pub(super) fn over(&mut self, now: Instant) -> Vec<Over> {
        self.has_changed = true;
        let late = self.ends.split_off(&(now, u64::MAX));
        let over = std::mem::replace(&mut self.ends, late);
        let waiters = over.into_iter().filter_map(|(_, number)| self.waiters.remove(&number));
        waiters.map(|Waiter { left, sender, .. }| Over { left, sender }).collect()
    }

    /// Forgets those who have gone.
    pub(super) fn look_for_gone(&mut self) {
        self.waiters.retain(|_, waiter| !waiter.sender.is_closed());
        self.ends.retain(|(_, number)| self.waiters.contains_key(number));
        self.has_changed = true;
    }

    /// Answers those who have all that they have waited for.
    fn answer_done(&mut self) {
        let done = |waiter: &mut Waiter| {
            let each = std::mem::take(&mut waiter.done).into_values().collect();
            WaitAnswer::Durable(Told { each, more: waiter.more })
        };
        self.answer_where(|waiter| waiter.left.is_empty(), done);
    }

    fn answer_where(
        &mut self,
        which: impl Fn(&Waiter) -> bool,
        mut answer: impl FnMut(&mut Waiter) -> WaitAnswer,
    ) {
        self.has_changed = true;
        let numbers: Vec<u64> =
            self.waiters.iter().filter(|(_, waiter)| which(waiter)).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(mut waiter) = self.waiters.remove(&number) else { continue };
            self.ends.remove(&(waiter.until, number));
            let answer = answer(&mut waiter);
            waiter.answer(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Db = Db(0);
    const OTHER: Db = Db(1);

    type Receiver = oneshot::Receiver<WaitAnswer>;

    fn come(waits: &mut Waits, name: Option<&str>, dbs: &[Db], within: u64) -> Receiver {
        let (sender, receiver) = oneshot::channel();
        let within = Duration::from_secs(within);
        let asked = WaitAsked { database: name.map(str::to_owned), within, holding: None, sender };
        waits.add(Instant::now(), dbs.iter().copied().collect(), asked);
        receiver
    }

    fn copied(path: &str) -> Copied {
        Copied { path: path.to_owned(), durable: true, ..Copied::default() }
    }

    /// What he was told, in a word; none if he waits still.
    fn told(receiver: &mut Receiver) -> Option<&'static str> {
        receiver.try_recv().ok().map(|answer| answer.word())
    }

    fn confirm(waits: &mut Waits, db: Db, question: u64) {
        assert!(waits.is_answer(db, question));
        waits.confirmed(db, question, &copied("db"));
    }

    #[test]
    fn who_came_before_a_question_has_its_answer_and_all_others_the_next_ones() {
        let mut waits = Waits::default();
        let mut before: Vec<Receiver> = (0..500).map(|_| come(&mut waits, Some("a"), &[ONE], 9)).collect();
        assert_eq!(waits.news().0.first(), Some(&ONE));
        let first = waits.ask(ONE);
        let mut during: Vec<Receiver> = (0..500).map(|_| come(&mut waits, Some("a"), &[ONE], 9)).collect();
        confirm(&mut waits, ONE, first);
        assert!(before.iter_mut().all(|one| told(one) == Some("durable")));
        assert!(during.iter_mut().all(|one| told(one).is_none()));
        assert_eq!(waits.news().0, vec![ONE; 501], "it is wanted still");
        let next = waits.ask(ONE);
        confirm(&mut waits, ONE, next);
        assert!(during.iter_mut().all(|one| told(one) == Some("durable")) && !waits.has(ONE));
        assert_eq!((waits.news(), waits.next()), ((Vec::new(), Vec::new()), None));
    }

    #[test]
    fn what_a_dead_litestream_was_asked_is_nobodys_answer() {
        let mut waits = Waits::default();
        let mut one = come(&mut waits, Some("a"), &[ONE], 9);
        let first = waits.ask(ONE);
        waits.relaunched();
        let second = waits.ask(ONE);
        assert!(!waits.is_answer(ONE, first));
        assert_eq!(told(&mut one), None);
        confirm(&mut waits, ONE, second);
        assert_eq!(told(&mut one), Some("durable"));
        assert!(!waits.is_answer(ONE, second), "it was told");
    }

    #[test]
    fn who_waits_for_all_has_a_part_of_them_asked_about_at_a_time() {
        let mut waits = Waits::default();
        let all: Vec<Db> = (0..40).map(Db).collect();
        let mut one = come(&mut waits, None, &all, 9);
        let mut wanted = waits.news().0;
        assert_eq!(wanted.len(), AT_ONCE);
        for _ in 0..40 {
            assert_eq!(told(&mut one), None);
            let db = wanted.remove(0);
            let question = waits.ask(db);
            confirm(&mut waits, db, question);
            wanted.extend(waits.news().0);
        }
        let Ok(WaitAnswer::Durable(done)) = one.try_recv() else { panic!("all are") };
        assert_eq!((done.each.len(), done.more), (TOLD, 40 - TOLD));
    }

    #[test]
    fn each_has_a_time_of_his_own_and_what_nobody_waits_for_is_wanted_no_more() {
        let mut waits = Waits::default();
        let mut short = come(&mut waits, None, &[ONE, OTHER], 1);
        let mut long = come(&mut waits, Some("b"), &[OTHER], 60);
        assert_eq!(waits.news().0, [ONE, OTHER, OTHER]);
        let now = Instant::now();
        assert!(waits.over(now).is_empty());
        let over = waits.over(now + Duration::from_secs(2));
        assert_eq!(over.iter().map(|one| one.left.len()).collect::<Vec<_>>(), [2]);
        over.into_iter().for_each(|one| one.answer(WaitAnswer::Timeout(Told::default())));
        assert_eq!((told(&mut short), told(&mut long)), (Some("timeout"), None));
        assert_eq!(waits.news(), (Vec::new(), vec![ONE]));
        drop(long);
        waits.look_for_gone();
        assert_eq!((waits.news(), waits.next()), ((Vec::new(), vec![OTHER]), None));
    }

    #[test]
    fn nobody_waits_for_what_is_gone_or_another_file() {
        let mut waits = Waits::default();
        let mut named = come(&mut waits, Some("a"), &[ONE], 9);
        let mut all = come(&mut waits, None, &[ONE, OTHER], 9);
        waits.forget(ONE, "a");
        assert_eq!((told(&mut named), told(&mut all)), (Some("unknown-database"), None));
        waits.replaced(OTHER, &copied("b"));
        assert_eq!(told(&mut all), Some("replaced"));
        let mut late = come(&mut waits, None, &[OTHER], 9);
        waits.end(&WaitAnswer::Stopping);
        assert_eq!(told(&mut late), Some("stopping"));
        let mut none = come(&mut waits, None, &[], 9);
        assert_eq!(told(&mut none), Some("durable"), "there is nothing that is not");
    }

    #[test]
    fn too_many_are_sent_away() {
        let mut waits = Waits::default();
        let all: Vec<Receiver> = (0..MOST).map(|_| come(&mut waits, Some("a"), &[ONE], 9)).collect();
        assert_eq!(told(&mut come(&mut waits, Some("a"), &[ONE], 9)), Some("busy"));
        drop(all);
        waits.look_for_gone();
        let many: Vec<Db> = (0..MOST_DATABASES).map(Db).collect();
        let mut large = come(&mut waits, None, &many, 9);
        assert_eq!(told(&mut large), None);
        assert_eq!(told(&mut come(&mut waits, Some("a"), &[ONE], 9)), Some("busy"));
    }
}
