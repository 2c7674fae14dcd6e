//! `plumb apply`: plan, confirm, execute, report.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};

use super::{
    args::{Global, Limits, Selection},
    console::Console,
    execute::{Manner, check_question, execute},
    exit::Exit,
    options,
    output::{Output, PlanFormat},
};
use crate::{
    failure::Failure,
    pipeline,
    plan::{FORMAT_VERSION, Mode, PlanDocument},
};

/// Change what the plan says, after a question
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb apply -f stack/         plan, ask, apply
  plumb apply --yes             without the question, as in CI
  plumb apply plan.json         only if the plan is still what was saved; give the flags that it was made with
  plumb apply --prune --yes     delete as well what no manifest declares any more

Exit codes: 0 done, 1 error or a failed action, 3 refused for safety, 4 stale plan, 130 interrupted.")]
pub struct ApplyArgs {
    /// A plan saved by `plan --out`: it is planned again, and applied only if the digest is the same
    #[arg(value_name = "PLANFILE", value_hint = ValueHint::FilePath)]
    pub plan: Option<PathBuf>,

    /// Ask no question; required where there is no terminal
    #[arg(short = 'y', long)]
    pub yes: bool,

    #[command(flatten)]
    pub output: Output<PlanFormat>,

    #[command(flatten)]
    pub selection: Selection,

    #[command(flatten)]
    pub limits: Limits,
}

/// How many differences between a saved plan and the present one are told.
const TOLD: usize = 5;

/// Plans, asks, carries out and reports. A saved plan is its own yes: it says exactly what is meant.
pub(super) async fn run(global: &Global, args: &ApplyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let saved = args.plan.as_deref().map(read).transpose()?;
    let yes = args.yes || saved.is_some();
    check_question(yes, console)?;
    let mut options = options::planning(global, &args.selection, &args.limits, console)?;
    options.keep_key = true;
    let planned = console.interrupt().or(Box::pin(pipeline::plan(&options, Mode::Plan))).await?;
    if let Some(saved) = &saved
        && saved.digest != planned.digest()
    {
        return Err(stale(saved, &planned.document));
    }
    let manner = Manner { yes, seen: saved.is_some(), question: "Apply this?", format: args.output.format };
    execute(planned, &options, manner, global, console).await
}

/// Reads a saved plan.
fn read(path: &Path) -> Result<PlanDocument, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::user(format!("The plan `{}` cannot be read: {error}.", path.display())))?;
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, path: &str) -> Result<PlanDocument, Failure> {
    let bad = |why: String| {
        Failure::user(format!("`{path}` is no saved plan: {why}.")).hint("`plumb plan --out FILE` saves one.")
    };
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    match value.get("formatVersion").and_then(serde_json::Value::as_str) {
        Some(FORMAT_VERSION) => {}
        Some(other) => return Err(bad(format!("its format is `{other}`, and this plumb reads `{FORMAT_VERSION}`"))),
        None => return Err(bad("it has no `formatVersion`".to_owned())),
    }
    let plan: PlanDocument = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
    if plan.actions.iter().any(|action| action.outcome.is_some()) {
        return Err(bad("it is the report of an apply".to_owned()));
    }
    Ok(plan)
}

/// Says how what would be done now differs from what was saved.
fn stale(saved: &PlanDocument, now: &PlanDocument) -> Failure {
    let of = |plan: &PlanDocument| -> BTreeSet<String> {
        plan.actions.iter().map(|action| format!("{} {}", action.action.word(), action.address)).collect()
    };
    let (before, after) = (of(saved), of(now));
    let mut failure = Failure::stale("The saved plan is stale: it is not what would be done now. Nothing was written.");
    let mut differences: Vec<String> = after.difference(&before).map(|what| format!("now: {what}")).collect();
    differences.extend(before.difference(&after).map(|what| format!("no longer: {what}")));
    let more = differences.len().saturating_sub(TOLD);
    for difference in differences.into_iter().take(TOLD) {
        failure = failure.hint(difference);
    }
    if more > 0 {
        failure = failure.hint(format!("and {more} more differences"));
    }
    failure.hint("Plan again with `--out`, review, and give `apply` the flags that `plan` had.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, ActionKind, Reason};

    fn plan(addresses: &[&str]) -> PlanDocument {
        let action = |address: &&str| Action {
            action: ActionKind::Update,
            address: (*address).to_owned(),
            connection: "c".into(),
            api: "rest".into(),
            kind: "Webhook".into(),
            name: "a".into(),
            id: None,
            reason: Reason::Changed,
            depends_on: Vec::new(),
            changes: Vec::new(),
            requests: Vec::new(),
            notes: Vec::new(),
            outcome: None,
            error: None,
            drifted: false,
        };
        PlanDocument {
            format_version: FORMAT_VERSION.into(),
            actions: addresses.iter().map(action).collect(),
            ..PlanDocument::default()
        }
    }

    #[test]
    fn a_stale_plan_says_what_differs() {
        let failure = stale(&plan(&["rest/Webhook/a", "rest/Webhook/b"]), &plan(&["rest/Webhook/b", "rest/Webhook/c"]));
        assert_eq!(failure.hints[..2], ["now: update rest/Webhook/c", "no longer: update rest/Webhook/a"]);
    }

    #[test]
    fn only_saved_plans_are_taken() {
        let text = serde_json::to_string(&plan(&["rest/Webhook/a"])).unwrap();
        assert_eq!(parse(&text, "p").unwrap(), plan(&["rest/Webhook/a"]));
        let mut report = plan(&["rest/Webhook/a"]);
        report.actions[0].outcome = Some(crate::plan::Outcome::Done);
        for (text, why) in [
            ("{".to_owned(), "EOF"),
            ("{}".to_owned(), "no `formatVersion`"),
            (r#"{"formatVersion": "2"}"#.to_owned(), "its format is `2`"),
            (serde_json::to_string(&report).unwrap(), "report of an apply"),
        ] {
            let failure = parse(&text, "p").unwrap_err();
            assert!(failure.message.contains(why), "{}", failure.message);
        }
    }
}
