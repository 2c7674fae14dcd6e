//! The conformance suite: every declarable kind of every built-in API through create, change, drift, delete, adoption,
//! lost answers and interrupted runs, driven by nothing but the descriptions.

mod adoption;
mod changes;
mod export;
mod lifecycle;
mod many;
mod particular;
mod parts;
mod recovery;
pub(crate) mod stage;
pub(crate) mod subject;
mod undo;
mod values;
mod world;

use std::{collections::BTreeSet, future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures::{FutureExt as _, StreamExt as _, stream};
use plumb::{
    apis,
    description::{Api, format::ApiSpec},
};
use serde_json::Value;

use self::subject::Case;

/// What a kind goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Create,
    Change,
    Drift,
    Clear,
    Parts,
    Delete,
    Adopt,
    Export,
    Many,
    Lost,
    Crash,
    Undo,
}

/// A field (or, where it is empty, a kind) that does not go through a step, and why. Each must be needed: one whose step
/// succeeds after all fails the suite.
struct Exemption {
    kind: &'static str,
    field: &'static str,
    step: Step,
    why: &'static str,
}

const fn exempt(kind: &'static str, field: &'static str, step: Step, why: &'static str) -> Exemption {
    Exemption { kind, field, step, why }
}

/// What no answer of the API shows, so that nobody can see it change.
const UNSEEN: &str = "no answer of the API shows it";

/// What is found by its name and by nothing else.
const NAMED: &str = "the name is the id: under another one it is another object";

/// All exemptions.
const EXEMPTIONS: &[Exemption] = &[
    exempt("bindplane/Configuration", "rolloutPolicy", Step::Change, "another policy starts the rollout that is due"),
    exempt("bindplane/Configuration", "name", Step::Drift, NAMED),
    exempt("bindplane/Connector", "name", Step::Drift, NAMED),
    exempt("bindplane/Destination", "name", Step::Drift, NAMED),
    exempt("bindplane/DestinationType", "name", Step::Drift, NAMED),
    exempt("bindplane/Extension", "name", Step::Drift, NAMED),
    exempt("bindplane/ExtensionType", "name", Step::Drift, NAMED),
    exempt("bindplane/Fleet", "name", Step::Drift, NAMED),
    exempt("bindplane/ProcessorType", "name", Step::Drift, NAMED),
    exempt("bindplane/SecretKey", "name", Step::Drift, NAMED),
    exempt("bindplane/Source", "name", Step::Drift, NAMED),
    exempt("bindplane/SourceType", "name", Step::Drift, NAMED),
    exempt("balena/ApiKey", "", Step::Crash, "a key that was lost with the answer is made anew"),
    exempt("balena/ApiKey", "", Step::Lost, "a key that was lost with the answer is made anew"),
    exempt(
        "balena/DeviceServiceEnvironmentVariable",
        "",
        Step::Crash,
        "the first call that is cut off makes what the variable hangs on, not the variable",
    ),
    exempt("cycloid/ApiKey", "", Step::Crash, "a token that was lost with the answer is made anew"),
    exempt("cycloid/ApiKey", "", Step::Lost, "a token that was lost with the answer is made anew"),
    exempt("cycloid/CloudCostManagementAccount", "externalBackend.purpose", Step::Change, "it has one value"),
    exempt(
        "cycloid/CloudCostManagementTagMapping",
        "organization",
        Step::Change,
        "each organization has one of its own",
    ),
    exempt("cycloid/CloudCostManagementTagMapping", "", Step::Adopt, "each organization has one of its own"),
    exempt("cycloid/Quota", "", Step::Many, "a team and a pool have one"),
    exempt("itglue/Configuration", "contact", Step::Drift, UNSEEN),
    exempt("itglue/Configuration", "defaultGateway", Step::Drift, UNSEEN),
    exempt("itglue/Configuration", "mitpDeviceExpirationDate", Step::Drift, UNSEEN),
    exempt("itglue/Configuration", "mitpEndOfLifeDate", Step::Drift, UNSEEN),
    exempt("itglue/Configuration", "restricted", Step::Drift, UNSEEN),
    exempt("itglue/Contact", "restricted", Step::Drift, UNSEEN),
    exempt("itglue/FlexibleAssetType", "enabled", Step::Drift, UNSEEN),
    exempt("itglue/Location", "restricted", Step::Drift, UNSEEN),
    exempt("itglue/Model", "manufacturer", Step::Drift, UNSEEN),
    exempt("itglue/Password", "archived", Step::Drift, UNSEEN),
    exempt("itglue/Password", "generatedPasswordType", Step::Drift, UNSEEN),
    exempt("itglue/Password", "shareable", Step::Drift, UNSEEN),
];

/// Something that does not hold.
struct Finding {
    step: Step,
    field: String,
    message: String,
}

impl Finding {
    fn new(step: Step, field: &str, message: String) -> Self {
        Self { step, field: field.to_owned(), message }
    }
}

type Work = for<'c> fn(&'c Case) -> Pin<Box<dyn Future<Output = Vec<Finding>> + 'c>>;

/// Takes all kinds through some steps. `CONFORMANCE=itglue/Contact` limits it to kinds whose name has that in it.
async fn all(steps: &[Step], work: Work) {
    let only = std::env::var("CONFORMANCE").unwrap_or_default();
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.title().contains(&only)).collect();
    let results: Vec<(Case, Vec<Finding>)> = stream::iter(cases)
        .map(|case| async move {
            let found = AssertUnwindSafe(work(&case)).catch_unwind().await;
            let found = found.unwrap_or_else(|_| vec![Finding::new(steps[0], "", "the suite broke, see above".into())]);
            (case, found)
        })
        .buffer_unordered(4)
        .collect()
        .await;
    let mut wrong = Vec::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for (case, findings) in results {
        for finding in findings {
            let exemption = EXEMPTIONS.iter().position(|exemption| {
                exemption.kind == case.name() && exemption.step == finding.step && exemption.field == finding.field
            });
            match exemption {
                Some(number) => {
                    used.insert(number);
                }
                None => {
                    wrong.push(format!("{:?} {} {}: {}", finding.step, case.title(), finding.field, finding.message));
                }
            }
        }
    }
    for (number, exemption) in EXEMPTIONS.iter().enumerate() {
        if steps.contains(&exemption.step) && only.is_empty() && !used.contains(&number) {
            wrong.push(format!(
                "{:?} {} {} needs no exemption ({})",
                exemption.step, exemption.kind, exemption.field, exemption.why
            ));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// APIs that users describe: the guide's example, and one that has of everything.
const DESCRIBED: [&str; 2] =
    [include_str!("../../examples/custom-api/api.yaml"), include_str!("../cases/conformance/depot.yaml")];

fn described(manifest: &str) -> Arc<Api> {
    let document: Value = serde_saphyr::from_str(manifest).unwrap();
    let spec: ApiSpec = serde_json::from_value(document["spec"].clone()).unwrap();
    Arc::new(Api::compile(document["metadata"]["name"].as_str().unwrap(), spec).unwrap())
}

fn cases() -> Vec<Case> {
    let builtin = apis::builtin().apis.values().flat_map(|api| Case::all(api, None));
    let described = DESCRIBED.iter().flat_map(|manifest| Case::all(&described(manifest), Some(manifest)));
    builtin.chain(described).collect()
}

#[test]
fn every_kind_is_in_the_suite_or_only_referred_to() {
    let cases = cases();
    for api in apis::builtin().apis.values() {
        for kind in api.kinds.values() {
            // What is only found, as stacks in Git, cannot be begun with.
            assert!(
                kind.spec.lookup || !self::world::is_made(kind) || cases.iter().any(|case| case.kind == *kind),
                "{}",
                kind.title()
            );
        }
    }
    for exemption in EXEMPTIONS {
        let known = cases.iter().any(|case| case.name() == exemption.kind);
        assert!(known && !exemption.why.is_empty(), "{}", exemption.kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_created_as_declared() {
    all(&[Step::Create], |case| Box::pin(lifecycle::create(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_changes_drifts_and_clears_by_itself() {
    all(&[Step::Change, Step::Drift, Step::Clear], |case| Box::pin(changes::changes(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_declared_stays_and_entries_are_managed_one_by_one() {
    all(&[Step::Parts], |case| Box::pin(parts::parts(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_goes_as_its_description_says() {
    all(&[Step::Delete], |case| Box::pin(lifecycle::delete(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_adopted_and_never_made_twice() {
    all(&[Step::Adopt], |case| Box::pin(adoption::adopt(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_exported_and_imported() {
    all(&[Step::Export], |case| Box::pin(export::export(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_go_by_bulk_calls_where_there_are_some() {
    all(&[Step::Many], |case| Box::pin(many::many(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_survives_lost_answers() {
    all(&[Step::Lost], |case| Box::pin(recovery::lost(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_survives_an_interrupted_run() {
    all(&[Step::Crash], |case| Box::pin(recovery::crash(case))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_undone() {
    all(&[Step::Undo], |case| Box::pin(undo::undo(case))).await;
}
