//! References of declared objects → live ids, or what must be read to know them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Standing,
    observe::{Need, Observer, Stop},
    remote::{Remote, can_list},
    resolve::{Narrow, fits, narrow},
};
use crate::{
    description::{Kind, Specs, format::Verb},
    diagnostic::{Diagnostic, SUGGESTIONS},
    graph::{Meaning, Selector, Use, another_account, map_references},
    manifest::Manifest,
    value::{Fields, Target, as_reference, reference, text},
};

impl Observer<'_> {
    /// Resolves the references of an object.
    pub(super) fn put_references(
        &mut self,
        index: usize,
        specs: &Specs,
        spec: &Fields,
        uses: &[Use],
        beside: &Fields,
    ) -> Result<Fields, Stop> {
        let mut found: HashMap<String, Value> = HashMap::new();
        let mut needs = Vec::new();
        let mut wait = false;
        let mut wrong = Vec::new();
        let mut failed = false;
        // Full references first: a short key may be completed from them.
        let mut later: Vec<&Use> = Vec::new();
        for found_use in uses {
            match &found_use.target {
                Meaning::Live(Selector::Plain(_) | Selector::Key(_)) => later.push(found_use),
                _ => match self.resolve_use(index, specs, found_use, &Fields::new()) {
                    Ok(value) => {
                        found.insert(found_use.pointer.clone(), value);
                    }
                    Err(stop) => note(stop, &mut needs, &mut wait, &mut wrong, &mut failed),
                },
            }
        }
        // Some short keys complete others (`region` needs `country`): they wait for those, unless they wait for each
        // other.
        let mut open = later;
        let mut patient = true;
        while !open.is_empty() {
            let mut siblings = beside.clone();
            siblings.extend(map_references(specs, spec, &|pointer| found.get(pointer).cloned()));
            let waiting: HashSet<&str> =
                uses.iter().map(|one| one.pointer.as_str()).filter(|pointer| !found.contains_key(*pointer)).collect();
            let mut left = Vec::new();
            let mut stops = Vec::new();
            for found_use in &open {
                if patient && self.completed_by(index, specs, found_use).any(|one| waiting.contains(&*one)) {
                    left.push(*found_use);
                    continue;
                }
                match self.resolve_use(index, specs, found_use, &siblings) {
                    Ok(value) => {
                        found.insert(found_use.pointer.clone(), value);
                    }
                    Err(stop) => {
                        stops.push(stop);
                        left.push(*found_use);
                    }
                }
            }
            if left.len() == open.len() {
                if !stops.is_empty() || !patient || !needs.is_empty() || wait || failed {
                    for stop in stops {
                        note(stop, &mut needs, &mut wait, &mut wrong, &mut failed);
                    }
                    break;
                }
                patient = false;
            }
            open = left;
        }
        if !needs.is_empty() {
            return Err(Stop::Read(needs));
        }
        if wait {
            return Err(Stop::Wait);
        }
        if failed || !wrong.is_empty() {
            return Err(Stop::Fail(wrong));
        }
        Ok(map_references(specs, spec, &|pointer| found.get(pointer).cloned()))
    }

    /// Pointers to the siblings that complete a use's short key.
    fn completed_by(&self, index: usize, specs: &Specs, found: &Use) -> impl Iterator<Item = String> + use<> {
        let target = field_at(specs, &found.pointer).and_then(|field| field.reference.as_ref());
        let remote = self.remotes.get(&self.manifests.objects[index].connection);
        let key = remote.and_then(|remote| remote.api.kind(&found.kind)).map(|kind| &kind.spec.key);
        let heads = key.and_then(|key| key.split_last()).map_or(&[][..], |(_, heads)| heads);
        let own = |head: &String| {
            let name = target.and_then(|target| target.complete.get(head)).unwrap_or(head);
            format!("/{}", crate::address::escape(name))
        };
        heads.iter().map(own).filter(|own| *own != found.pointer).collect::<Vec<_>>().into_iter()
    }

    pub(super) fn resolve_use(
        &mut self,
        index: usize,
        specs: &Specs,
        found: &Use,
        siblings: &Fields,
    ) -> Result<Value, Stop> {
        let object = &self.manifests.objects[index];
        let connection = self.connection(&object.connection);
        let by = field_at(specs, &found.pointer).and_then(|field| field.reference.as_ref()?.by.clone());
        match &found.target {
            Meaning::Declared(target) => {
                let other = &self.manifests.objects[*target];
                if other.connection != object.connection {
                    let told = another_account(self.sources, object, &found.pointer, other);
                    return Err(Stop::Fail(vec![told]));
                }
                if let Some(field) = by
                    && let Some(words) = other.spec.get(&field).and_then(text)
                {
                    return Ok(reference(&found.kind, &Target::Field(field, words)));
                }
                match self.out.standing.get(*target) {
                    Some(Standing::Known(Some(live))) => {
                        let id = self.out.objects.get(*live).map(|live| live.id.clone()).unwrap_or_default();
                        Ok(reference(&found.kind, &Target::Id(id)))
                    }
                    Some(Standing::Known(None)) => Ok(reference(&found.kind, &Target::New(other.address.to_string()))),
                    Some(Standing::Waiting) => Err(Stop::Wait),
                    _ => Err(Stop::Fail(Vec::new())),
                }
            }
            Meaning::Live(selector) if self.is_lenient(&connection, specs, found)? => {
                let name = match selector {
                    Selector::Key(parts) => parts.join("/"),
                    Selector::Plain(name) | Selector::Handle(name) | Selector::Id(name) => name.clone(),
                };
                Ok(reference(&found.kind, &Target::Id(name)))
            }
            Meaning::Live(Selector::Id(id)) if by.is_none() && !self.is_there(object, &connection, found, id)? => {
                let message = format!("There is no live {} with the id `{id}`.", found.kind);
                Err(Stop::Fail(vec![self.about(object, &found.pointer, "PL0202", message)]))
            }
            Meaning::Live(Selector::Id(id)) => match by {
                None => Ok(reference(&found.kind, &Target::Id(id.clone()))),
                Some(field) => Ok(reference(&found.kind, &Target::Field(field, id.clone()))),
            },
            Meaning::Live(selector) => {
                let parts = match selector {
                    Selector::Key(parts) => parts.clone(),
                    Selector::Plain(name) | Selector::Handle(name) | Selector::Id(name) => vec![name.clone()],
                };
                let live = self.look_up(object, &connection, specs, found, &parts, siblings)?;
                let live = &self.out.objects[live];
                match by {
                    Some(field) => {
                        let words = live.fields.get(&field).and_then(text).unwrap_or_else(|| live.id.clone());
                        Ok(reference(&found.kind, &Target::Field(field, words)))
                    }
                    None => Ok(reference(&found.kind, &Target::Id(live.id.clone()))),
                }
            }
        }
    }

    /// Whether a name is taken as it is, because the API lists no object of its kind.
    fn is_lenient(&self, connection: &Arc<str>, specs: &Specs, found: &Use) -> Result<bool, Stop> {
        let target = field_at(specs, &found.pointer).and_then(|field| field.reference.as_ref());
        if !target.is_some_and(|target| target.lenient) {
            return Ok(false);
        }
        let kind = self.remotes.get(&**connection).and_then(|remote| remote.api.kind(&found.kind));
        let Some(kind) = kind.filter(|kind| can_list(kind)) else { return Ok(true) };
        if self.unlisted.contains(&(connection.clone(), kind.name.clone())) {
            return Ok(true);
        }
        self.kind_read(connection, kind, None)?;
        Ok(!self.names.has_any(connection, kind))
    }

    /// Whether a live object with this id is there, as far as the API can tell.
    fn is_there(&self, object: &Manifest, connection: &Arc<str>, found: &Use, id: &str) -> Result<bool, Stop> {
        let Some(kind) = remote_kind(self.remotes, object, &found.kind).filter(|kind| kind.inside().is_none()) else {
            return Ok(true);
        };
        let slot = (connection.clone(), kind.name.clone(), id.to_owned());
        if self.out.by_id.contains_key(&slot) {
            return Ok(true);
        }
        if self.out.gone.contains(&slot) || self.out.complete.contains(&(connection.clone(), kind.name.clone())) {
            return Ok(false);
        }
        if kind.can(Verb::Get) && !kind.spec.path.contains('{') {
            self.one_read(connection, &kind, id, None)?;
            return Ok(self.out.by_id.contains_key(&slot));
        }
        if can_list(&kind) && kind.spec.scope.as_ref().is_none_or(|scope| !scope.required) {
            self.kind_read(connection, &kind, None)?;
            return Ok(self.out.by_id.contains_key(&slot));
        }
        Ok(true)
    }

    /// Finds the live object that a spoken key names.
    #[expect(clippy::too_many_lines, reason = "what limits the list, what narrows it, what is left")]
    pub(super) fn look_up(
        &mut self,
        object: &Manifest,
        connection: &Arc<str>,
        specs: &Specs,
        found: &Use,
        parts: &[String],
        siblings: &Fields,
    ) -> Result<usize, Stop> {
        let Some(remote) = self.remotes.get(object.connection.as_str()) else { return Err(Stop::Fail(Vec::new())) };
        let Some(kind) = remote.api.kind(&found.kind).cloned() else {
            return Err(Stop::Fail(vec![
                self.about(
                    object,
                    &found.pointer,
                    "PL0202",
                    format!("A `{}` can only be referred to by its id here.", found.kind),
                )
                .hint(format!("Write `{}/id:NUMBER`.", found.kind)),
            ]));
        };
        let field = field_at(specs, &found.pointer);
        let whole = parts.len() > kind.spec.key.len().max(1);
        let (name, narrows) = narrow(&kind, field, parts, siblings);
        // What the list must be limited to, where the API demands it or it is known anyway.
        let mut scope = None;
        if let Some(scoped) = &kind.spec.scope {
            for narrow in &narrows {
                match narrow {
                    Narrow::Same(field, value) if *field == scoped.field => match as_reference(value) {
                        Some((_, Target::Id(id))) => scope = Some(id),
                        Some((_, Target::New(_))) => {
                            return Err(Stop::Fail(vec![self.no_match(object, found, &kind, connection, parts)]));
                        }
                        _ => {}
                    },
                    Narrow::Text(field, words) if *field == scoped.field => {
                        scope = self.named_id(&kind, connection, field, words, object, found)?;
                    }
                    _ => {}
                }
            }
            if scope.is_none() && scoped.required {
                return Err(Stop::Fail(vec![
                    self.about(
                        object,
                        &found.pointer,
                        "PL0204",
                        format!("A {} is found only below its {}.", kind.name, scoped.field),
                    )
                    .hint(format!(
                        "Write `key:{}/{}`, or declare `{}` beside it.",
                        scoped.field,
                        parts.join("/"),
                        scoped.field
                    )),
                ]));
            }
        }
        if can_list(&kind) {
            self.kind_read(connection, &kind, scope.as_deref())?;
        }
        // Keys of the parts that are references need their kinds too.
        for narrow in &narrows {
            if let Narrow::Text(field, _) = narrow
                && let Some(target) = kind.field(field).and_then(|field| field.ref_spec()?.kind.clone())
                && let Some(target) = remote_kind(self.remotes, object, &target)
                && can_list(&target)
                && target.spec.scope.as_ref().is_none_or(|scope| !scope.required)
            {
                self.kind_read(connection, &target, None)?;
            }
        }
        let named = |target_kind: &str, target: &Target, words: &str| match target {
            Target::Id(id) => self
                .out
                .by_id
                .get(&(connection.clone(), target_kind.to_owned(), id.clone()))
                .and_then(|index| self.out.objects.get(*index))
                .is_some_and(|live| {
                    let names = live.kind.spec.key.last().into_iter().chain(&live.kind.spec.aliases);
                    names.filter_map(|field| live.fields.get(field)).any(|value| text(value).as_deref() == Some(words))
                }),
            Target::Field(_, value) => value == words,
            Target::New(_) => false,
        };
        let scoped = kind.spec.scope.as_ref().zip(scope.as_ref()).and_then(|(scoped, id)| {
            let target = kind.field(&scoped.field)?.ref_spec()?.kind.clone()?;
            Some((scoped.field.clone(), reference(&target, &Target::Id(id.clone()))))
        });
        let part = scoped.filter(|(field, _)| kind.spec.key.contains(field)).or_else(|| {
            narrows.iter().find_map(|narrow| match narrow {
                Narrow::Same(field, value) => Some((field.clone(), value.clone())),
                Narrow::Text(..) => None,
            })
        });
        let matching: Vec<usize> = if whole {
            Vec::new()
        } else {
            let named_so = match &part {
                Some(part) => self.names.find_with(connection, &kind, &name, part),
                None => self.names.find(connection, &kind, &name),
            };
            named_so
                .into_iter()
                .filter(|index| self.out.objects.get(*index).is_some_and(|live| fits(live, &narrows, &named)))
                .collect()
        };
        match matching[..] {
            [only] => Ok(only),
            [] => Err(Stop::Fail(vec![self.no_match(object, found, &kind, connection, parts)])),
            _ => {
                let ids: Vec<String> =
                    matching.iter().take(10).map(|index| format!("`id:{}`", self.out.objects[*index].id)).collect();
                let needed = kind.spec.key.join("/");
                Err(Stop::Fail(vec![
                    self.about(
                        object,
                        &found.pointer,
                        "PL0209",
                        format!(
                            "`{}` matches {} live objects of kind {}: {}.",
                            parts.join("/"),
                            matching.len(),
                            kind.name,
                            ids.join(", ")
                        ),
                    )
                    .hint(if kind.spec.key.len() > 1 {
                        format!("Write one of these, or the whole key `key:{needed}`.")
                    } else {
                        "Write one of these.".to_owned()
                    }),
                ]))
            }
        }
    }

    /// The id of the object that a part of a key names.
    pub(super) fn named_id(
        &mut self,
        kind: &Kind,
        connection: &Arc<str>,
        field: &str,
        words: &str,
        object: &Manifest,
        found: &Use,
    ) -> Result<Option<String>, Stop> {
        let Some(target) = kind.field(field).and_then(|field| field.ref_spec()?.kind.clone()) else { return Ok(None) };
        let Some(target) = remote_kind(self.remotes, object, &target) else { return Ok(None) };
        if let Some(index) = self.graph.names.handle(&target.api, &target.name, words)
            && let Some(Standing::Known(Some(live))) = self.out.standing.get(index)
        {
            return Ok(self.out.objects.get(*live).map(|live| live.id.clone()));
        }
        self.kind_read(connection, &target, None)?;
        match self.names.find(connection, &target, words)[..] {
            [only] => Ok(self.out.objects.get(only).map(|live| live.id.clone())),
            _ => Err(Stop::Fail(vec![self.no_match(object, found, &target, connection, &[words.to_owned()])])),
        }
    }

    pub(super) fn no_match(
        &self,
        object: &Manifest,
        found: &Use,
        kind: &Kind,
        connection: &Arc<str>,
        parts: &[String],
    ) -> Diagnostic {
        let name = parts.last().map(String::as_str).unwrap_or_default();
        let shown = parts.join("/");
        let mut wrong = self.about(
            object,
            &found.pointer,
            "PL0202",
            format!("`{shown}` is neither a declared {kind} nor the key of a live one.", kind = kind.name),
        );
        let many = self.out.diagnostics.len() >= SUGGESTIONS;
        let near = if many { Vec::new() } else { self.names.near(connection, kind, name) };
        if near.is_empty() {
            wrong = wrong.hint(if kind.is_declarable() {
                format!("Declare it by a manifest of kind `{}`, or refer to a live object by `id:ID`.", kind.name)
            } else {
                "Refer to a live object by `id:ID`.".to_owned()
            });
        } else {
            let list: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
            wrong = wrong.hint(format!("Live objects with a similar name: {}.", list.join(", ")));
        }
        wrong
    }
}

fn note(stop: Stop, needs: &mut Vec<Need>, wait: &mut bool, wrong: &mut Vec<Diagnostic>, failed: &mut bool) {
    match stop {
        Stop::Wait => *wait = true,
        Stop::Read(more) => needs.extend(more),
        Stop::Fail(diagnostics) => {
            *failed = true;
            wrong.extend(diagnostics);
        }
    }
}

fn remote_kind(remotes: &HashMap<String, Remote>, object: &Manifest, kind: &str) -> Option<Arc<Kind>> {
    remotes.get(object.connection.as_str())?.api.kind(kind).cloned()
}

/// The field that a pointer leads to.
fn field_at<'s>(specs: &'s Specs, pointer: &str) -> Option<&'s crate::description::format::FieldSpec> {
    let mut parts = pointer.split('/').skip(1).map(crate::address::unescape);
    let mut field = specs.get(&parts.next()?)?;
    for part in parts {
        field = match field.fields.get(&part) {
            Some(member) => member,
            None => field.items.as_deref()?,
        };
    }
    Some(if field.reference.is_none() { field.items.as_deref().unwrap_or(field) } else { field })
}
