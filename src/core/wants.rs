//! Who is waited for: databases of which somebody wants to know that all is on their replicas. All times are the world's.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Db;

/// Somebody waits for all that is in a database.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// It is to be asked then, or as soon as there is somebody to ask.
    At(Instant),
    /// It was wanted then, and is being asked.
    Asked(Instant),
}

impl Want {
    fn at(self) -> Instant {
        match self {
            Self::At(at) | Self::Asked(at) => at,
        }
    }
}

/// All of them, whether or not there is anybody to ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants(BTreeMap<Db, Want>);

impl Wants {
    /// Somebody waits for all that is in it now.
    pub(super) fn add(&mut self, now: Instant, db: Db) {
        match self.0.get(&db) {
            // After a question that has failed the next one is asked no sooner for it.
            Some(Want::At(_)) => {}
            // The answer will not tell of what was committed since.
            Some(Want::Asked(_)) | None => drop(self.0.insert(db, Want::At(now))),
        }
    }

    /// Nobody does any more.
    pub(super) fn remove(&mut self, db: Db) {
        self.0.remove(&db);
    }

    /// A question about it is asked: the answer tells of all that was committed until now.
    pub(super) fn asked(&mut self, db: Db) {
        if let Some(want) = self.0.get_mut(&db) {
            *want = Want::Asked(want.at());
        }
    }

    /// The answer was a good one: who waits still has come since.
    pub(super) fn answered(&mut self, db: Db) {
        if let Some(Want::Asked(_)) = self.0.get(&db) {
            self.0.remove(&db);
        }
    }

    /// It was none: it is asked again then.
    pub(super) fn failed(&mut self, again: Instant, db: Db) {
        if let Some(want) = self.0.get_mut(&db) {
            *want = Want::At(again);
        }
    }

    /// There will be no answer.
    pub(super) fn unasked(&mut self, db: Db) {
        if let Some(want) = self.0.get_mut(&db) {
            *want = Want::At(want.at());
        }
    }

    /// There will be none to any question.
    pub(super) fn all_unasked(&mut self) {
        self.0.values_mut().for_each(|want| *want = Want::At(want.at()));
    }

    /// Each, and since when it is to be asked about where no question is under way.
    pub(super) fn all(&self) -> impl Iterator<Item = (Db, Instant)> + '_ {
        self.0.iter().map(|(db, want)| (*db, want.at()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DB: Db = Db(0);

    fn since(wants: &Wants) -> Vec<Instant> {
        wants.all().map(|(_, at)| at).collect()
    }

    #[test]
    fn an_answer_is_for_whoever_came_before_its_question() {
        let (now, mut wants) = (Instant::now(), Wants::default());
        wants.add(now, DB);
        wants.asked(DB);
        wants.answered(DB);
        assert_eq!(since(&wants), []);
        wants.add(now, DB);
        wants.asked(DB);
        let later = now + Duration::from_secs(1);
        wants.add(later, DB);
        wants.answered(DB);
        assert_eq!(since(&wants), [later]);
    }

    #[test]
    fn a_question_that_came_to_nothing_is_for_all_of_them() {
        let (now, mut wants) = (Instant::now(), Wants::default());
        let again = now + Duration::from_secs(1);
        wants.add(now, DB);
        wants.asked(DB);
        wants.failed(again, DB);
        wants.add(now, DB);
        assert_eq!(since(&wants), [again], "none is asked sooner");
        wants.asked(DB);
        wants.unasked(DB);
        wants.answered(DB);
        assert_eq!(since(&wants), [again], "nobody was answered");
        wants.asked(DB);
        wants.all_unasked();
        wants.answered(DB);
        assert_eq!(since(&wants), [again]);
        wants.remove(DB);
        assert_eq!(since(&wants), []);
    }
}
