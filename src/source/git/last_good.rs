//! What held last, and why nothing newer does: a fetch or a manifest that fails never takes away what worked.

/// The last value that was good, and what is wrong with everything since.
#[derive(Debug, Clone)]
pub struct LastGood<T, E> {
    good: Option<T>,
    wrong: Option<E>,
}

impl<T, E> Default for LastGood<T, E> {
    fn default() -> Self {
        Self { good: None, wrong: None }
    }
}

impl<T, E> LastGood<T, E> {
    /// Starts from what was good before, as after a restart.
    pub fn from_good(good: Option<T>) -> Self {
        Self { good, wrong: None }
    }

    /// Takes a result in: a good one replaces what was good, a bad one stands beside it.
    pub fn take(&mut self, result: Result<T, E>) {
        match result {
            Ok(good) => *self = Self { good: Some(good), wrong: None },
            Err(wrong) => self.wrong = Some(wrong),
        }
    }

    /// What is in force.
    pub fn good(&self) -> Option<&T> {
        self.good.as_ref()
    }

    /// Why nothing newer is in force.
    pub fn wrong(&self) -> Option<&E> {
        self.wrong.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_good_stays_until_something_better_comes() {
        let mut state = LastGood::default();
        state.take(Err("no server"));
        assert_eq!((state.good(), state.wrong()), (None, Some(&"no server")));
        state.take(Ok(1));
        state.take(Err("broken"));
        assert_eq!((state.good(), state.wrong()), (Some(&1), Some(&"broken")));
        state.take(Ok(2));
        assert_eq!((state.good(), state.wrong()), (Some(&2), None));
    }
}
