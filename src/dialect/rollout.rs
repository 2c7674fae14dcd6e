//! Rows → how far the rollout of their newest version is.

use serde_json::Value;

use crate::{
    description::format::RolloutSpec,
    value::{get_path, text},
};

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The newest version was never started.
    Open,
    /// It waits at a gate for somebody to let it go on.
    Gate,
    /// It is under way.
    Started,
    /// Somebody paused it.
    Paused,
    /// It failed.
    Failed,
    /// It is done.
    Stable,
    /// A newer one took its place.
    Replaced,
    /// The row does not say.
    Unknown,
}

/// How far the rollout of an object's newest version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Where it is.
    pub phase: Phase,
    /// The newest version.
    pub version: Option<String>,
    /// A hash of the newest version's content, where the row has one.
    pub hash: Option<String>,
    /// The version that was rolled out last.
    pub current: Option<String>,
    /// The stage that it is at.
    pub stage: u64,
    /// How many there are, by word.
    pub progress: Vec<(String, u64)>,
}

impl Rollout {
    /// Reads it from a row.
    pub fn of(spec: &RolloutSpec, row: &Value) -> Self {
        let word = |path: &str| {
            let value = get_path(row, path).filter(|_| !path.is_empty()).and_then(text);
            value.filter(|word| !word.is_empty() && word != "0")
        };
        let number = |path: &str| word(path).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        let (version, hash, current) = (word(&spec.version), word(&spec.hash), word(&spec.current));
        let stage = number(&spec.stage);
        let progress: Vec<(String, u64)> =
            spec.progress.iter().map(|(name, path)| (name.clone(), number(path))).collect();
        let done = progress.iter().any(|(name, count)| name == "completed" && *count > 0);
        let state = get_path(row, &spec.state).and_then(text);
        let is = |words: &[Value]| state.as_deref().is_some_and(|state| words.iter().any(|word| says(word, state)));
        let states = &spec.states;
        let told = version.is_some() && (current.is_some() || state.is_some());
        let phase = if is(&states.started) {
            Phase::Started
        } else if is(&states.paused) {
            Phase::Paused
        } else if is(&states.error) {
            Phase::Failed
        } else if is(&states.replaced) {
            Phase::Replaced
        } else if version.is_some() && version == current {
            Phase::Stable
        } else if is(&states.pending) && (stage > 0 || done) {
            Phase::Gate
        } else if is(&states.stable) {
            // The state may still be that of the version before.
            if version == current || current.is_none() { Phase::Stable } else { Phase::Open }
        } else if told {
            Phase::Open
        } else {
            Phase::Unknown
        };
        Self { phase, version, hash, current, stage, progress }
    }

    /// Whether the newest version, or what is in it, is another than before; nothing where it cannot be told.
    pub fn has_moved(&self, before: &Self) -> Option<bool> {
        if before.version.as_ref()? != self.version.as_ref()? {
            return Some(true);
        }
        Some(before.hash.as_ref()? != self.hash.as_ref()?)
    }

    /// The progress in words, such as `3 completed, 1 errors`.
    pub fn progress_words(&self) -> String {
        let words = self.progress.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

fn says(word: &Value, state: &str) -> bool {
    text(word).is_some_and(|word| word.eq_ignore_ascii_case(state))
}
