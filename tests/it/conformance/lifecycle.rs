//! Objects come, stay as they are, and go as their descriptions say.

use plumb::{
    description::format::Verb,
    plan::{ActionKind, Reason},
};

use super::{
    Finding, Step,
    stage::{Check, Stage},
    subject::Case,
    world::Variant,
};
use crate::support::stack::lines;

/// Every form of the kind is created as declared, with all fields and with as few as it needs; the next plan is empty.
pub(super) async fn create(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut forms: Vec<(Variant, usize)> = case.forms().into_iter().map(|variant| (variant, 0)).collect();
    // Further values of fields that allow more than two, once for each place of the kind's entries.
    let first_place = case
        .kind
        .inside()
        .is_none_or(|inside| inside.parents.keys().next() == case.parent.as_ref().map(|kind| &kind.name));
    let most =
        case.kind.spec.fields.values().map(|field| {
            field.allowed.len().max(field.reference.as_ref().map_or(0, |reference| reference.kinds.len()))
        });
    for number in 1..most.max().unwrap_or(0).max(2) {
        if first_place || number == 1 {
            forms.push((case.forms().into_iter().next().unwrap_or_default(), number));
        }
    }
    for (variant, number) in forms {
        let stage = Stage::set(case, &variant, number).await;
        out.extend(
            created(&stage)
                .await
                .err()
                .map(|wrong| Finding::new(Step::Create, "", format!("value {number}{variant}: {wrong}"))),
        );
    }
    for variant in case.forms() {
        let stage = Stage::set_minimal(case, &variant).await;
        out.extend(
            created(&stage)
                .await
                .err()
                .map(|wrong| Finding::new(Step::Create, "", format!("minimal{variant}: {wrong}"))),
        );
    }
    out
}

async fn created(stage: &Stage) -> Check {
    let planned = stage.plan().await?;
    let again = stage.plan().await?;
    if planned.document.digest != again.document.digest {
        return Err("two plans of the same have different digests".into());
    }
    let address = stage.address();
    let action = planned.document.actions.iter().find(|action| action.address == address);
    let action = action.ok_or_else(|| format!("no action for `{address}`: {}", lines(&planned.document).join("; ")))?;
    let is_there = stage.case.kind.spec.singleton && !stage.case.kind.can(Verb::Create);
    let wanted = if is_there { ActionKind::Adopt } else { ActionKind::Create };
    if (action.action, action.reason) != (wanted, Reason::New) {
        return Err(format!("`{address}` is planned as {} ({})", action.action.word(), action.reason.word()));
    }
    stage.apply(planned).await?;
    stage.row().await?;
    stage.quiet().await
}

impl Variant {
    fn is_first(&self, case: &Case) -> bool {
        case.forms().first() == Some(self)
    }
}

/// What is no longer declared is deleted, forgotten or retained, as the description and the policy say.
pub(super) async fn delete(case: &Case) -> Vec<Finding> {
    let mut out = Vec::new();
    let kind = &case.kind;
    let mut policies = vec!["", "delete", "retain", "protect"];
    if kind.spec.archive.is_some() && case.parent.is_none() {
        policies.push("archive");
    }
    for variant in case.forms().into_iter().filter(|variant| variant.is_first(case)) {
        for adopted in [false, true] {
            for policy in &policies {
                let result = gone(case, &variant, policy, adopted).await;
                let what = format!("policy `{policy}`, adopted {adopted}");
                out.extend(result.err().map(|wrong| Finding::new(Step::Delete, "", format!("{what}: {wrong}"))));
            }
        }
    }
    out.extend(vanished(case).await.err().map(|wrong| Finding::new(Step::Delete, "", format!("vanished: {wrong}"))));
    out
}

/// What becomes of an object that is no longer declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Deleted,
    Forgotten,
    Retained,
    Archived,
    Refused,
}

fn fate(case: &Case, policy: &str, adopted: bool) -> Fate {
    let spec = &case.kind.spec;
    match policy {
        "protect" => return Fate::Refused,
        "retain" => return Fate::Retained,
        "archive" => return Fate::Archived,
        _ => {}
    }
    if !case.kind.can(Verb::Delete) {
        return if adopted || spec.singleton { Fate::Forgotten } else { Fate::Retained };
    }
    if policy == "delete" {
        return Fate::Deleted;
    }
    if adopted || spec.contains || spec.delete_loses.is_some() { Fate::Forgotten } else { Fate::Deleted }
}

async fn gone(case: &Case, variant: &Variant, policy: &str, adopted: bool) -> Check {
    let mut stage = Stage::set(case, variant, 0).await;
    match policy {
        "" => {}
        "protect" => {
            stage.docs[&stage.doc.clone()].annotations.insert("plumb.dev/protect".into(), "true".into());
        }
        policy => {
            stage.docs[&stage.doc.clone()].annotations.insert("plumb.dev/deletion-policy".into(), policy.into());
        }
    }
    if let Some(archive) = case.kind.spec.archive.as_ref().filter(|_| policy == "archive") {
        let field = case.kind.field(&archive.field).unwrap();
        let other =
            field.allowed.iter().cloned().chain([false.into(), true.into()]).find(|value| *value != archive.value);
        stage.spec().insert(archive.field.clone(), other.unwrap());
    }
    stage.write();
    stage.apply(stage.plan().await?).await?;
    if adopted {
        stage.lose_inventory();
        stage.apply(stage.plan().await?).await?;
    }
    stage.quiet().await?;
    let (before, address) = (stage.count(), stage.address());
    let record = stage.record().await.ok_or("there is no record")?;
    stage.withdraw();
    let left_alone = stage.plan().await?;
    if !lines(&left_alone.document).is_empty() || !left_alone.notes.undeclared.iter().any(|(left, _)| *left == address)
    {
        return Err(format!("without prune: {:?}, {:?}", lines(&left_alone.document), left_alone.notes.undeclared));
    }
    stage.stack.options.prune = true;
    stage.stack.options.max_deletes = None;
    let expected = fate(case, policy, adopted);
    let planned = stage.try_plan().await?;
    let found: Vec<String> =
        lines(&planned.document).into_iter().filter(|line| !line.contains(&format!(" {address}#"))).collect();
    let wanted = match expected {
        Fate::Deleted => vec![format!("delete {address} (removed)")],
        Fate::Forgotten => vec![format!("forget {address} (removed)")],
        Fate::Archived => {
            vec![format!("update {address} (removed) /{}", case.kind.spec.archive.as_ref().unwrap().field)]
        }
        Fate::Retained | Fate::Refused => Vec::new(),
    };
    if found != wanted {
        return Err(format!("planned {found:?} instead of {wanted:?}"));
    }
    // What is inside is forgotten with it; it is no action where it vanishes or stays with it.
    let inside = format!("{address}#");
    let entries = planned.document.actions.iter().filter(|action| action.address.starts_with(&inside));
    if let Some(entry) =
        entries.into_iter().find(|action| expected != Fate::Forgotten || action.action != ActionKind::Forget)
    {
        return Err(format!("planned to {} `{}` too", entry.action.word(), entry.address));
    }
    let refused = planned.refusal().map(|told| told.code.to_string());
    if (expected == Fate::Refused) != (refused.as_deref() == Some("PL0601")) {
        return Err(format!("refused with {refused:?}"));
    }
    if expected == Fate::Refused {
        return Ok(());
    }
    if expected == Fate::Retained && !planned.notes.undeclared.iter().any(|(left, _)| *left == address) {
        return Err(format!("what is retained is not listed: {:?}", planned.notes.undeclared));
    }
    stage.apply(planned).await?;
    let calls = stage.writes().len();
    if (expected == Fate::Deleted || expected == Fate::Archived) != (calls == 1) {
        return Err(format!("{calls} calls were made"));
    }
    stage.stack.sandbox.flush();
    let there = stage.find(&record).is_some();
    if there == (expected == Fate::Deleted) {
        return Err(format!("the live object is {}", if there { "there" } else { "gone" }));
    }
    let owned = stage.state().await.objects.contains_key(&address);
    if owned != matches!(expected, Fate::Retained | Fate::Archived) {
        return Err(format!("afterwards it is {}owned", if owned { "" } else { "not " }));
    }
    if there && stage.count() != before {
        return Err("another object of the kind is gone".into());
    }
    stage.quiet().await
}

/// What went behind plumb's back is made again, and forgotten without a call where it is not declared any more.
async fn vanished(case: &Case) -> Check {
    if case.kind.spec.singleton {
        return Ok(());
    }
    let variant = case.forms().into_iter().next().unwrap_or_default();
    let mut stage = Stage::ready(case, &variant).await?;
    let row = stage.row().await?;
    assert!(stage.stack.sandbox.remove(&case.api.name, &case.kind.name, &row.key));
    let planned = stage.plan().await?;
    let address = stage.address();
    let mut own = planned.document.actions.iter();
    let again = own.all(|action| {
        let ours = action.address == address || action.address.starts_with(&format!("{address}#"));
        ours && (action.action, action.reason, action.drifted) == (ActionKind::Create, Reason::Drift, true)
    });
    if !again || planned.document.actions.is_empty() {
        return Err(format!("planned {:?}", lines(&planned.document)));
    }
    stage.apply(planned).await?;
    stage.quiet().await?;
    let row = stage.row().await?;
    assert!(stage.stack.sandbox.remove(&case.api.name, &case.kind.name, &row.key));
    stage.withdraw();
    stage.stack.options.prune = true;
    let planned = stage.plan().await?;
    let found = lines(&planned.document);
    if case.kind.can(Verb::Delete) && !case.kind.spec.contains {
        let mut actions = planned.document.actions.iter();
        if found.is_empty() || !actions.all(|action| action.action == ActionKind::Forget && action.requests.is_empty())
        {
            return Err(format!("planned {found:?} for what is gone already"));
        }
    }
    stage.apply(planned).await?;
    if !stage.writes().is_empty() {
        return Err("a call was made for what is gone already".into());
    }
    stage.quiet().await
}
