//! Updates that send a field whole, while a member of it may have a value that the API does not show: such a value is
//! looked for where it can be seen, and the update is refused rather than lose it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::Connected;
use crate::{
    description::hook::{self, Hidden},
    diagnostic::Diagnostic,
    dialect::attribute,
    live::ListQuery,
    plan::{Operation, Plan, Step},
    value::{Target, as_reference, is_empty, text},
};

/// A declared object's index, its step, where to look, and the member.
type Asked<'a> = (usize, &'a Step, Hidden, String);

/// Declared objects whose update would lose a value, by index.
pub(super) async fn losses(
    connected: &Connected,
    plan: &Plan,
    diagnostics: &mut Vec<Diagnostic>,
) -> HashMap<usize, Diagnostic> {
    let mut asked: BTreeMap<(String, String), Vec<Asked<'_>>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| step.operation == Operation::Update) {
        let (Some(index), Some((hidden, member))) = (step.object, unseen(step)) else { continue };
        let scope = step.live.as_ref().and_then(|live| live.fields.get(hidden.scope)).and_then(as_reference);
        let Some((_, Target::Id(scope))) = scope else { continue };
        asked.entry((step.action.connection.clone(), scope)).or_default().push((index, step, hidden, member));
    }
    let mut out = HashMap::new();
    for ((connection, scope), steps) in asked {
        let Some(remote) = connected.remotes.get(&connection) else { continue };
        let Some((_, _, hidden, _)) = steps.first() else { continue };
        let Some(kind) = remote.api.kind(hidden.kind) else { continue };
        let filter = kind.spec.scope.as_ref().and_then(|scope| scope.filter.clone());
        let query = ListQuery {
            query: filter.into_iter().map(|filter| (filter, scope.clone())).collect(),
            ..ListQuery::default()
        };
        let rows = match remote.list(kind, &query).await {
            Ok(listing) => listing.rows,
            Err(error) => {
                diagnostics.push(error.into());
                out.extend(steps.into_iter().map(|(index, step, _, member)| (index, loss(step, &member))));
                continue;
            }
        };
        let plain = |word: &str| word.to_lowercase().replace(['-', '_', ' '], "");
        let marked: Vec<(Option<String>, Option<String>)> = rows
            .iter()
            .filter(|row| {
                let mark = attribute(kind, row, hidden.marked.0).as_ref().and_then(text);
                mark.is_some_and(|mark| plain(&mark) == plain(hidden.marked.1))
            })
            .map(|row| {
                let part = |wire: &str| attribute(kind, row, wire).as_ref().and_then(text);
                (part(hidden.id), part(hidden.name))
            })
            .collect();
        let ids: HashSet<&str> = marked.iter().filter_map(|(id, _)| id.as_deref()).collect();
        let names: HashSet<&str> = marked.iter().filter_map(|(_, name)| name.as_deref()).collect();
        for (index, step, _, member) in steps {
            let Some(live) = &step.live else { continue };
            let name = live.fields.get("name").and_then(text);
            if ids.contains(live.id.as_str()) || name.is_some_and(|name| names.contains(name.as_str())) {
                out.insert(index, loss(step, &member));
            }
        }
    }
    out
}

fn loss(step: &Step, member: &str) -> Diagnostic {
    let message = format!(
        "`{}` cannot be updated safely: `{member}` has a value that the API does not show, and the update would delete it.",
        step.address()
    );
    Diagnostic::error("PL0516", message)
        .hint(format!("Declare `{member}`, so that it is sent along; or write `null` there if it is to go."))
}

/// The first member that an update leaves out although it may have a value that is not shown.
fn unseen(step: &Step) -> Option<(Hidden, String)> {
    let hook = step.kind.spec.hook.as_deref().and_then(hook::find)?;
    let hidden = hook.hidden()?;
    if !step.send.iter().any(|field| field == hook.field()) {
        return None;
    }
    let refined = step.specs().get(hook.field())?;
    let raw = step.live.as_ref()?.raw.as_ref();
    let raw = raw.and_then(|raw| attribute(&step.kind, raw, refined.wire_name())).unwrap_or(Value::Null);
    let declared = step.desired.get(hook.field()).and_then(Value::as_object);
    refined
        .fields
        .iter()
        .find(|(name, member)| {
            member.write_only
                && member.always_sensitive()
                && !declared.is_some_and(|declared| declared.contains_key(*name))
                && raw.get(member.wire_name()).is_none_or(is_empty)
        })
        .map(|(name, _)| (hidden, format!("{}/{name}", hook.field())))
}
