//! `kind: Stack` → name, inventory, prune, limits and history of the stack, and what the operator is to do with it.

use std::str::FromStr;

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    convert::{Convert, Known},
    faults::Path,
    model::{MaxDeletes, Retention, StackFeed, StackMode, StackSpec},
    node::{Mark, Member},
};
use crate::{
    description::format::{FieldSpec, FieldType, Sensitivity},
    value::{Fields, value_from},
};

/// Reads a stack.
pub(super) fn read<'t>(name: &str, spec: Option<&Member<'t>>, at: Mark, convert: &mut Convert<'_, 't>) -> StackSpec {
    let members = spec.and_then(|spec| spec.value.as_map()).unwrap_or_default();
    let fields = fields();
    let values = convert.fields(members, Known::from(&fields), &Path::Root, &mut |_, _| false);
    let max_deletes = values.get("limits").and_then(|limits| limits.get("maxDeletes")).and_then(Value::as_str);
    let max_deletes = max_deletes.and_then(|text| match MaxDeletes::from_str(text) {
        Ok(limit) => Some(limit),
        Err(wrong) => {
            let limits = members.iter().find(|member| member.key == "limits");
            let at = limits.and_then(|limits| limits.value.member("maxDeletes")).map_or(at, |m| m.value.best(m.at));
            convert.faults.error("PL0122", format!("`limits.maxDeletes`: {wrong}."), at);
            None
        }
    });
    let whole = |name: &str| values.get("history").and_then(|history| history.get(name)).and_then(Value::as_u64);
    let usual = Retention::default();
    let history = Retention {
        runs: whole("runs").and_then(|runs| usize::try_from(runs).ok()).unwrap_or(usual.runs),
        days: whole("days").and_then(|days| u32::try_from(days).ok()).unwrap_or(usual.days),
    };
    let written = |name: &str| members.iter().find(|member| member.key == name);
    let feed = values.get("source").filter(|source| source.is_object()).map(|source| feed(source, &values));
    if let Some(source) = written("source") {
        if feed.as_ref().is_some_and(|feed| feed.git.is_empty()) {
            convert.faults.error("PL0108", "`source.git` is required.".to_owned(), source.at);
        }
        if written("prune").is_none() {
            let message = "`prune` has to be written beside `source`: whether what is taken out of Git is deleted.";
            convert.faults.error("PL0122", message.to_owned(), source.at);
        }
    } else if let Some(stray) = FEED.iter().find_map(|name| written(name)) {
        let message = format!("`{}` is for a stack in a cluster that has a `source`.", stray.key);
        convert.faults.error("PL0122", message, stray.at);
    }
    StackSpec {
        name: name.to_owned(),
        inventory: values.get("inventory").and_then(Value::as_str).map(str::to_owned),
        prune: values.get("prune").and_then(Value::as_bool).unwrap_or_default(),
        max_deletes,
        history,
        feed: feed.map(Box::new),
    }
}

/// Fields that mean something beside `source` only.
const FEED: [&str; 5] = ["interval", "mode", "approvePlan", "suspend", "dependsOn"];

fn feed(source: &Value, values: &Fields) -> StackFeed {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let texts = |value: Option<&Value>| -> Vec<String> {
        value
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    let auth = source.get("auth");
    let secrets = auth.and_then(Value::as_object).into_iter().flatten();
    StackFeed {
        git: text(source.get("git")).unwrap_or_default(),
        reference: text(source.get("ref")),
        paths: text(source.get("path")).into_iter().chain(texts(source.get("paths"))).collect(),
        auth: secrets.filter_map(|(name, value)| Some((name.clone(), value_from(value)?.clone()))).collect(),
        username: text(auth.and_then(|auth| auth.get("username"))),
        allowed_signers: text(source.get("allowedSigners")),
        interval: values.get("interval").and_then(Value::as_str).and_then(super::span),
        mode: match values.get("mode").and_then(Value::as_str) {
            Some("enforce") => StackMode::Enforce,
            Some("observe") => StackMode::Observe,
            _ => StackMode::Plan,
        },
        approve_plan: text(values.get("approvePlan")),
        suspend: values.get("suspend").and_then(Value::as_bool).unwrap_or_default(),
        depends_on: texts(values.get("dependsOn")),
    }
}

/// The fields of a stack's `spec`.
pub(super) fn fields() -> IndexMap<String, FieldSpec> {
    let text = |description: &str| FieldSpec { description: Some(description.to_owned()), ..FieldSpec::default() };
    let max_deletes = text("How much a run may delete: a number, or a share of each kind such as `50%`.");
    let limits = FieldSpec {
        ty: FieldType::Object,
        fields: [("maxDeletes".to_owned(), max_deletes)].into_iter().collect(),
        ..text("Limits of a run.")
    };
    let prune =
        FieldSpec { ty: FieldType::Boolean, ..text("Whether what is owned and no longer declared is deleted.") };
    let number = |most: f64, description: &str| FieldSpec {
        ty: FieldType::Integer,
        minimum: Some(0.),
        maximum: Some(most),
        ..text(description)
    };
    let runs = number(100_000., "How many of the last runs are kept; 100 unless given, and none where it is 0.");
    let days = number(36_500., "For how many days a run is kept; 90 unless given.");
    let history = FieldSpec {
        ty: FieldType::Object,
        fields: [("runs".to_owned(), runs), ("days".to_owned(), days)].into_iter().collect(),
        ..text("How long runs are kept in the inventory, for `history` and `undo`.")
    };
    let secret = |description: &str| FieldSpec { sensitive: Some(Sensitivity::Always), ..text(description) };
    let object = |description: &str, fields: Vec<(&str, FieldSpec)>| FieldSpec {
        ty: FieldType::Object,
        fields: fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect(),
        ..text(description)
    };
    let texts = |description: &str| FieldSpec {
        ty: FieldType::List,
        items: Some(Box::new(FieldSpec::default())),
        ..text(description)
    };
    let word = |words: &[&str], description: &str| FieldSpec {
        allowed: words.iter().map(|word| Value::from(*word)).collect(),
        ..text(description)
    };
    let auth = object(
        "How the repository is reached: by a token or a password over HTTPS, by a key over ssh.",
        vec![
            ("token", secret("A token.")),
            ("username", text("The user of a token or password, where the host wants one.")),
            ("password", secret("A password.")),
            ("sshKey", secret("A private key.")),
            ("passphrase", secret("What opens that key.")),
            ("knownHosts", secret("The keys of servers, as `ssh-keyscan` prints them; needed with `sshKey`.")),
            ("ca", secret("Certificates (PEM) that servers may be signed by besides the usual ones.")),
        ],
    );
    let git =
        FieldSpec { required: true, ..text("URL of the repository, such as `https://git.example/team/saas.git`.") };
    let source = object(
        "Where the manifests are: a Git repository. For the operator; the command line reads what `-f` names.",
        vec![
            ("git", git),
            ("ref", text("Branch, tag or commit; the repository's usual branch unless given.")),
            ("path", text("Path in the repository; all of it unless given.")),
            ("paths", texts("Several paths in the repository.")),
            ("auth", auth),
            (
                "allowedSigners",
                text("ssh keys that commits must be signed by, as git's `allowedSignersFile` has them."),
            ),
        ],
    );
    let interval = FieldSpec {
        pattern: Some("([0-9]+[smhd])+".to_owned()),
        ..text("How often the repository is asked for news and live objects are compared, such as `5m`.")
    };
    let suspend = FieldSpec { ty: FieldType::Boolean, ..text("Whether nothing is done until it is lifted.") };
    let mode = word(
        &["enforce", "plan", "observe"],
        "`enforce` applies, `plan` (the usual) shows what would be done, `observe` only tells of drift.",
    );
    let approve = text("Digest of the plan that may be carried out, as `status.planDigest` tells it; or `auto`.");
    vec![
        ("inventory", text("Where the ownership record is: a path or a URL.")),
        ("prune", prune),
        ("limits", limits),
        ("history", history),
        ("source", source),
        ("interval", interval),
        ("mode", mode),
        ("approvePlan", approve),
        ("suspend", suspend),
        ("dependsOn", texts("Stacks of the namespace that have to be ready before.")),
    ]
    .into_iter()
    .map(|(name, field)| (name.to_owned(), field))
    .collect()
}
