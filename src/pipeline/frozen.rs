//! Updates of fields that cannot be changed once something makes use of the object: whether anything does is looked up,
//! and such an update refused before the API refuses it.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Connected;
use crate::{
    description::format::FrozenBy,
    diagnostic::Diagnostic,
    dialect::attribute,
    live::ListQuery,
    plan::{Operation, Plan, Step},
    value::{is_empty, text},
};

/// Changes of one connection by what could forbid them: the kind that makes use, and the object that is made use of.
type Asked<'a> = BTreeMap<(String, String, String), Vec<(usize, &'a Step, &'a str, &'a FrozenBy)>>;

/// Declared objects with a change that cannot be made any more, by index.
pub(super) async fn changes(
    connected: &Connected,
    plan: &Plan,
    diagnostics: &mut Vec<Diagnostic>,
) -> HashMap<usize, Diagnostic> {
    let mut asked = Asked::new();
    for step in plan.steps.iter().filter(|step| step.operation == Operation::Update) {
        let Some(live) = &step.live else { continue };
        for name in &step.send {
            let (Some(index), Some(rule)) =
                (step.object, step.specs().get(name).and_then(|spec| spec.frozen_by.as_ref()))
            else {
                continue;
            };
            // What has no value yet can be given one.
            if live.fields.get(name).is_none_or(is_empty) {
                continue;
            }
            let used = live.parent.clone().filter(|_| step.kind.inside().is_some()).unwrap_or_else(|| live.id.clone());
            let key = (step.action.connection.clone(), rule.kind.clone(), used);
            asked.entry(key).or_default().push((index, step, name, rule));
        }
    }
    let mut out = HashMap::new();
    for ((connection, kind, used), steps) in asked {
        let Some(remote) = connected.remotes.get(&connection) else { continue };
        let Some(kind) = remote.api.kind(&kind) else { continue };
        let scope = kind.spec.scope.as_ref();
        let query = ListQuery {
            vars: scope.map(|scope| (scope.field.clone(), used.clone())).into_iter().collect(),
            query: scope.and_then(|scope| Some((scope.filter.clone()?, used.clone()))).into_iter().collect(),
            ..ListQuery::default()
        };
        let rows = match remote.list(kind, &query).await {
            Ok(listing) => listing.rows,
            Err(error) => {
                let unknown = |(index, step, field, _): &(usize, &Step, &str, &FrozenBy)| {
                    let why = format!("it cannot be found out whether a {} makes use of it", kind.name);
                    (*index, told(step, field, &why))
                };
                out.extend(steps.iter().map(unknown));
                diagnostics.push(error.into());
                continue;
            }
        };
        for (index, step, field, rule) in steps {
            let users = rows.iter().filter(|row| makes_use(row, step, rule, &|row, path| attribute(kind, row, path)));
            let count = users.count();
            if count > 0 {
                let why = match count {
                    1 => format!("a {} makes use of it", kind.name),
                    count => format!("{count} objects of kind {} make use of it", kind.name),
                };
                out.insert(index, told(step, field, &why));
            }
        }
    }
    out
}

fn makes_use(row: &Value, step: &Step, rule: &FrozenBy, read: &dyn Fn(&Value, &str) -> Option<Value>) -> bool {
    let Some(path) = &rule.attribute else { return true };
    let Some(used) = read(row, path).filter(|used| !is_empty(used)) else { return false };
    let live = step.live.as_ref();
    let member = rule.member.as_ref().and_then(|member| live?.fields.get(member)).and_then(text);
    member.is_none_or(|member| used.get(&member).is_some_and(|value| !is_empty(value)))
}

fn told(step: &Step, field: &str, why: &str) -> Diagnostic {
    Diagnostic::error("PL0515", format!("`{field}` of `{}` cannot be changed any more: {why}.", step.address()))
        .hint("Declare it as it is live, or declare another entry beside it and move what makes use of it there.")
}
