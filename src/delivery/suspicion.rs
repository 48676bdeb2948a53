//! What single replies cannot show: a CRM whose answers, taken together, make no sense. Pure.

use std::collections::VecDeque;

/// Equal refusals from the start after which a configuration counts as broken.
const EQUAL_REFUSALS: usize = 10;

/// Calls that may be reported as created under one id: a third is one too many.
const SAME_ID: usize = 3;

/// How many ids are remembered; whoever records has to remember the calls of as many.
pub const IDS_KEPT: usize = 256;

/// Watches a run's verdicts for two patterns: one non-zero id for three different calls reported as created, and every
/// one of the first ten calls refused with one and the same text that nobody has seen before.
#[derive(Debug)]
pub struct Suspicion {
    ids: VecDeque<i64>,
    /// Refusals are to be believed.
    proven: bool,
    known: Vec<String>,
    refusal: Option<String>,
    refusals: usize,
}

impl Suspicion {
    /// What earlier runs learned: see [`super::Limits`].
    #[must_use]
    pub fn new(proven: bool, known: Vec<String>) -> Self {
        Self {
            ids: VecDeque::with_capacity(IDS_KEPT),
            proven,
            known,
            refusal: None,
            refusals: 0,
        }
    }

    /// A call was reported as created under this id. Gives the id and what is wrong with it.
    pub fn created(&mut self, call_id: Option<i64>) -> Option<(i64, String)> {
        self.proven = true;
        let id = call_id.filter(|id| *id != 0)?;
        if self.ids.len() == IDS_KEPT {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
        let seen = self.ids.iter().filter(|known| **known == id).count();
        (seen >= SAME_ID).then(|| {
            let reason = format!(
                "the CRM reported phonecallId {id} for {seen} different calls as created: its answers do not belong to \
                 the calls they answer; ask its administrator"
            );
            (id, reason)
        })
    }

    /// The CRM answered something that proves that it understands (existing, unmatched).
    pub fn understood(&mut self) {
        self.proven = true;
    }

    /// Whether a refusal has to be held back until it is known not to be one of a kind.
    #[must_use]
    pub fn holds_refusals(&self) -> bool {
        !self.proven
    }

    /// A call was refused with this text. Gives what is wrong.
    pub fn refused(&mut self, reason: &str) -> Option<String> {
        if self.proven {
            return None;
        }
        if self.known.iter().any(|known| known == reason) {
            self.proven = true;
            return None;
        }
        match &self.refusal {
            Some(first) if first != reason => {
                self.proven = true;
                return None;
            }
            Some(_) => {}
            None => self.refusal = Some(reason.to_owned()),
        }
        self.refusals += 1;
        (self.refusals >= EQUAL_REFUSALS).then(|| {
            format!(
                "the CRM refused each of the first {} calls with the same words: {reason}; nothing was recorded as \
                 rejected; correct what they complain about and run again",
                self.refusals
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_for_three_calls_is_noticed_and_zero_means_no_id() {
        let mut suspicion = Suspicion::new(false, Vec::new());
        assert_eq!(suspicion.created(Some(7)), None);
        assert_eq!(suspicion.created(Some(8)), None);
        assert_eq!(suspicion.created(Some(7)), None);
        assert!(suspicion.created(Some(7)).is_some());
        let mut suspicion = Suspicion::new(false, Vec::new());
        assert!((0..20).all(|_| suspicion.created(Some(0)).is_none()));
        assert!((0..20).all(|_| suspicion.created(None).is_none()));
    }

    #[test]
    fn ten_equal_refusals_from_the_start_are_a_broken_configuration() {
        let mut suspicion = Suspicion::new(false, Vec::new());
        let words: Vec<Option<String>> = (0..10).map(|_| suspicion.refused("no")).collect();
        assert!(words[..9].iter().all(Option::is_none));
        assert!(
            words[9]
                .as_deref()
                .is_some_and(|w| w.contains("first 10 calls"))
        );
    }

    #[test]
    fn refusals_after_any_other_verdict_are_ordinary() {
        let mut suspicion = Suspicion::new(false, Vec::new());
        suspicion.understood();
        assert!((0..50).all(|_| suspicion.refused("no").is_none()));
        let mut suspicion = Suspicion::new(false, Vec::new());
        assert_eq!(suspicion.refused("a"), None);
        assert_eq!(suspicion.refused("b"), None);
        assert!((0..50).all(|_| suspicion.refused("a").is_none()));
        let mut suspicion = Suspicion::new(true, Vec::new());
        assert!((0..50).all(|_| suspicion.refused("no").is_none()));
    }

    #[test]
    fn a_text_that_rejected_a_call_before_is_nothing_suspicious_and_another_one_is() {
        let mut suspicion = Suspicion::new(false, vec!["no".into()]);
        assert!((0..50).all(|_| suspicion.refused("no").is_none()));
        assert!(!suspicion.holds_refusals());
        let mut suspicion = Suspicion::new(false, vec!["no".into()]);
        assert!((0..9).all(|_| suspicion.refused("never").is_none()));
        assert!(suspicion.refused("never").is_some());
    }
}
