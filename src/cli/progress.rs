//! Bars and spinners on standard error: how a run gets on, for a person at a terminal.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Progress, ProgressEvent};

/// Shows a run as one line per collection that is being listed, and a bar for the actions.
#[derive(Debug)]
pub(super) struct Bars {
    multi: MultiProgress,
    state: Mutex<State>,
    color: bool,
}

#[derive(Debug, Default)]
struct State {
    /// A spinner for each collection, by connection and kind.
    collections: HashMap<(String, String), ProgressBar>,
    /// The line about planning, or the bar of the actions.
    main: Option<ProgressBar>,
    failed: u64,
}

impl Bars {
    /// Draws on the process's standard error.
    pub(super) fn new(color: bool) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { multi, state: Mutex::default(), color }
    }

    fn spinner(&self) -> ProgressBar {
        let template = if self.color { "{spinner:.cyan} {msg}" } else { "{spinner} {msg}" };
        let bar = self.multi.add(ProgressBar::new_spinner().with_style(style(template)));
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn bar(&self, actions: usize) -> ProgressBar {
        let template = if self.color {
            "{spinner:.cyan} [{bar:30.green}] {pos}/{len} {wide_msg}"
        } else {
            "{spinner} [{bar:30}] {pos}/{len} {wide_msg}"
        };
        let length = u64::try_from(actions).unwrap_or(u64::MAX);
        let bar = self.multi.add(ProgressBar::new(length).with_style(style(template).progress_chars("=> ")));
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Progress for Bars {
    fn event(&self, event: &ProgressEvent<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            ProgressEvent::Observing { connection, kind, pages, total } => {
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                state
                    .collections
                    .entry((connection.to_owned(), kind.to_owned()))
                    .or_insert_with(|| self.spinner())
                    .set_message(format!("{connection}: {kind}, page {pages}{of}"));
            }
            ProgressEvent::Observed { connection, kind, .. } => {
                if let Some(bar) = state.collections.remove(&(connection.to_owned(), kind.to_owned())) {
                    bar.finish_and_clear();
                }
            }
            ProgressEvent::Planning => {
                state.collections.drain().for_each(|(_, bar)| bar.finish_and_clear());
                state.main.get_or_insert_with(|| self.spinner()).set_message("comparing");
            }
            ProgressEvent::Applying { actions } => {
                if let Some(bar) = state.main.replace(self.bar(actions)) {
                    bar.finish_and_clear();
                }
            }
            ProgressEvent::ActionStarted { address, action } => {
                if let Some(bar) = &state.main {
                    bar.set_message(format!("{} {address}", action.word()));
                }
            }
            ProgressEvent::ActionDone { outcome, .. } => {
                if outcome == crate::plan::Outcome::Failed {
                    state.failed += 1;
                }
                let failed = state.failed;
                if let Some(bar) = &state.main {
                    bar.inc(1);
                    if failed > 0 {
                        bar.set_message(format!("{failed} failed"));
                    }
                }
            }
            ProgressEvent::RollingOut { address, how_far } => {
                if let Some(bar) = &state.main {
                    bar.set_message(format!("rolling out {address}: {how_far}"));
                }
            }
            ProgressEvent::Throttled { connection, seconds } => {
                if let Some(bar) = state.main.as_ref().or_else(|| state.collections.values().next()) {
                    bar.set_message(format!("{connection}: waiting {seconds:.0} s for its rate limit"));
                }
            }
            ProgressEvent::Called(_) => {}
            ProgressEvent::Finished => {
                state.collections.drain().for_each(|(_, bar)| bar.finish_and_clear());
                if let Some(bar) = state.main.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.event(&ProgressEvent::Finished);
    }
}
