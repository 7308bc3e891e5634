//! How often a bulk action is asked for. Pure: time is a parameter.

use std::time::Duration;

/// When questions are asked, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long after the answer the first question is asked; then twice as long after each.
    pub(super) first: Duration,
    /// The longest time between two questions.
    pub(super) longest: Duration,
    /// Since the beginning: from then on a refusal to tell is taken for the last word.
    pub(super) refused: Duration,
    /// Since the beginning: the last question is asked then.
    pub(super) total: Duration,
    /// How long one answer is waited for.
    pub(super) answer: Duration,
}

impl Pace {
    /// The one that every bulk action is followed at: about 65 questions in an hour.
    pub(super) const HOUR: Pace = Pace {
        first: Duration::from_secs(1),
        longest: Duration::from_mins(1),
        refused: Duration::from_mins(5),
        total: Duration::from_hours(1),
        answer: Duration::from_secs(30),
    };

    /// How long to wait before the next question, `elapsed` since the beginning and `waited` before the one that was
    /// asked last; `None` where it was the last. `refused` says whether QStash refused to tell.
    pub(super) fn next(&self, waited: Option<Duration>, elapsed: Duration, refused: bool) -> Option<Duration> {
        let until = if refused { self.refused } else { self.total };
        let wait = waited.map_or(self.first, |waited| waited.saturating_mul(2).min(self.longest));
        let left = self.total.saturating_sub(elapsed);
        (elapsed < until && !left.is_zero()).then(|| wait.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each question is asked, where none takes time, and `refused` tells of each question how it is answered.
    fn questions(refused: impl Fn(usize) -> bool) -> Vec<Duration> {
        let (mut at, mut waited, mut elapsed) = (Vec::new(), None, Duration::ZERO);
        while let Some(wait) = Pace::HOUR.next(waited, elapsed, !at.is_empty() && refused(at.len() - 1)) {
            elapsed += wait;
            waited = Some(wait);
            at.push(elapsed);
        }
        at
    }

    #[test]
    fn the_first_question_comes_soon_and_the_last_after_an_hour() {
        let at = questions(|_| false);
        let seconds: Vec<u64> = at.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds[..8], [1, 3, 7, 15, 31, 63, 123, 183]);
        assert_eq!(at.last(), Some(&Pace::HOUR.total));
        assert!(at.windows(2).all(|pair| pair[1] <= pair[0] + Pace::HOUR.longest));
        assert_eq!(at.len(), 65);
    }

    #[test]
    fn a_refusal_is_believed_after_five_minutes() {
        let at = questions(|_| true);
        let last = *at.last().unwrap();
        assert!(
            last >= Pace::HOUR.refused && last < Pace::HOUR.refused + Pace::HOUR.longest,
            "{last:?}"
        );
        // One refusal among other answers ends nothing before that.
        assert_eq!(questions(|question| question == 3).len(), 65);
    }

    #[test]
    fn questions_that_take_long_do_not_lengthen_the_hour() {
        let over = Pace::HOUR.total + Duration::from_secs(30);
        assert_eq!(Pace::HOUR.next(Some(Pace::HOUR.longest), over, false), None);
        let nearly = Pace::HOUR.total.checked_sub(Duration::from_secs(2)).unwrap();
        let left = Pace::HOUR.next(Some(Pace::HOUR.longest), nearly, false);
        assert_eq!(left, Some(Duration::from_secs(2)));
    }
}
