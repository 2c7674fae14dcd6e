//! The signs, words and closing lines that every report uses, so that they agree.

use crate::plan::{
    Action, ActionKind, DiagnosticDocument, Outcome, PlanDocument, PlanNotes, Reason, RequestInfo, Summary,
};

use super::safe;

/// All kinds of action, the most dangerous first.
pub(super) const BY_DANGER: [ActionKind; 6] = [
    ActionKind::Delete,
    ActionKind::Replace,
    ActionKind::Update,
    ActionKind::Adopt,
    ActionKind::Create,
    ActionKind::Forget,
];

/// All kinds of action, in the order of the closing lines.
pub(super) const IN_ORDER: [ActionKind; 6] = [
    ActionKind::Create,
    ActionKind::Adopt,
    ActionKind::Update,
    ActionKind::Replace,
    ActionKind::Delete,
    ActionKind::Forget,
];

/// The sign of a kind of action: with its word, what carries the meaning where there is no colour.
pub(super) fn sign(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Create => "+",
        ActionKind::Adopt => ">",
        ActionKind::Update => "~",
        ActionKind::Replace => "-/+",
        ActionKind::Delete => "-",
        ActionKind::Forget => "x",
    }
}

/// The word for an action that was done.
pub(super) fn past(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Create => "created",
        ActionKind::Adopt => "adopted",
        ActionKind::Update => "updated",
        ActionKind::Replace => "replaced",
        ActionKind::Delete => "deleted",
        ActionKind::Forget => "forgotten",
    }
}

/// How many of the plan's actions are of a kind.
pub(super) fn count(summary: &Summary, kind: ActionKind) -> usize {
    match kind {
        ActionKind::Create => summary.create,
        ActionKind::Adopt => summary.adopt,
        ActionKind::Update => summary.update,
        ActionKind::Replace => summary.replace,
        ActionKind::Delete => summary.delete,
        ActionKind::Forget => summary.forget,
    }
}

/// Why an action exists, in words.
pub(super) fn reason(action: &Action) -> String {
    let words = match (action.reason, action.action) {
        (Reason::New, ActionKind::Adopt) => "found live, taken over",
        (Reason::New, _) => "new",
        (Reason::Changed, ActionKind::Adopt) => "changed in the manifest, and now taken over",
        (Reason::Changed, _) => "changed in the manifest",
        (Reason::Drift, ActionKind::Create) => "drift: deleted behind plumb's back",
        (Reason::Drift, _) => "drift: changed behind plumb's back",
        (Reason::Removed, _) => "removed from the manifests",
        (Reason::Dependency, _) => "something that it depends on is replaced",
        (Reason::Rollout, _) => "the configuration is rolled out",
        (Reason::Appears, _) => "appears through another object",
    };
    if action.drifted && action.reason != Reason::Drift {
        format!("{words}; also drifted: changed behind plumb's back")
    } else {
        words.to_owned()
    }
}

/// The word for what came of an action.
pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Skipped => "skipped",
        Outcome::Waiting => "waiting",
    }
}

/// A diagnostic in a line, with its hints below it.
pub(super) fn diagnostic(diagnostic: &DiagnosticDocument) -> String {
    let mut text = format!("{}[{}]: {}", diagnostic.severity, diagnostic.code, diagnostic.message);
    text = safe::line(&text).into_owned();
    if let Some(place) = place(diagnostic) {
        text = format!("{place}: {text}");
    }
    text.push('\n');
    for hint in &diagnostic.hints {
        text.push_str("    hint: ");
        text.push_str(&safe::line(hint));
        text.push('\n');
    }
    text
}

/// File, line and column of a diagnostic, or else its object.
pub(super) fn place(diagnostic: &DiagnosticDocument) -> Option<String> {
    let mut text = safe::line(diagnostic.file.as_deref().or(diagnostic.address.as_deref())?).into_owned();
    if diagnostic.file.is_some() {
        for number in [diagnostic.line, diagnostic.column].into_iter().flatten() {
            text.push(':');
            text.push_str(&number.to_string());
        }
    }
    Some(text)
}

/// One call, as it is announced.
pub(super) fn request(request: &RequestInfo) -> String {
    match request {
        RequestInfo::Call { method, path } => format!("{} {}", safe::line(method), safe::line(path)),
        RequestInfo::Shared { shared_with } => format!("shared with {}", safe::line(shared_with)),
    }
}

/// The plan's closing line.
pub(super) fn plan_line(summary: &Summary) -> String {
    let Summary { create, adopt, update, replace, delete, forget, unchanged, .. } = summary;
    format!(
        "Plan: {create} to create, {adopt} to adopt, {update} to update, {replace} to replace, {delete} to delete, \
         {forget} to forget, {unchanged} unchanged"
    )
}

/// The line that says what the plan costs.
pub(super) fn calls_line(document: &PlanDocument, notes: &PlanNotes, verbose: bool) -> String {
    let counts = document.requests;
    let mut line = format!("Calls: {} to observe, {} to apply", counts.observe, counts.apply);
    let mut inside = Vec::new();
    if counts.apply > 0 {
        inside.push(format!("{} within the limits of the connections", duration(notes.seconds)));
    }
    if verbose && !notes.calls.is_empty() {
        let by: Vec<String> = notes.calls.iter().map(|(name, calls)| format!("{} {calls}", safe::line(name))).collect();
        inside.push(by.join(", "));
    }
    if !inside.is_empty() {
        line.push_str(" (");
        line.push_str(&inside.join("; "));
        line.push(')');
    }
    line.push('.');
    line
}

/// The sentence for a plan without an action.
pub(super) const NOTHING: &str = "Nothing to do: everything live is as it is declared.";

/// The sentence for a plan without an action of which a part could not be made.
pub(super) const NOTHING_BUT_ERRORS: &str = "Nothing to do in what could be planned; see the errors for the rest.";

/// Whether an action exists, or has a change, because something changed behind plumb's back.
pub(super) fn is_drift(action: &Action) -> bool {
    action.drifted || action.reason == Reason::Drift || action.changes.iter().any(|change| change.drift)
}

/// Whether a diagnostic stops an apply.
pub(super) fn is_error(diagnostic: &DiagnosticDocument) -> bool {
    matches!(diagnostic.severity.as_str(), "error" | "refusal")
}

/// Heading of what the stack owns and no manifest declares.
pub(super) const UNDECLARED: &str = "Owned and not declared:";

/// `1 object`, `2 objects`.
pub(super) fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.clamp(0.0, 1e9) } else { 0.0 };
    if seconds < 90.0 {
        format!("about {:.0} s", seconds.ceil().max(1.0))
    } else if seconds < 5400.0 {
        format!("about {:.0} min", (seconds / 60.0).ceil())
    } else {
        format!("about {:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_unit_that_people_would_take() {
        assert_eq!(duration(0.02), "about 1 s");
        assert_eq!(duration(61.2), "about 62 s");
        assert_eq!(duration(600.0), "about 10 min");
        assert_eq!(duration(9000.0), "about 2.5 h");
        assert_eq!(duration(f64::NAN), "about 1 s");
    }
}
