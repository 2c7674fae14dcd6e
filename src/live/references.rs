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

/// What stands in `complete` for the very object that has the reference.
const SELF: &str = "self";

/// Whether only the object itself completes what a pointer leads to.
pub(super) fn is_own(specs: &Specs, pointer: &str) -> bool {
    let target = field_at(specs, pointer).and_then(|field| field.reference.as_ref());
    target.is_some_and(|target| target.complete.values().any(|own| own == SELF))
}

/// Whether a field has one of these references.
pub(super) fn has_own(own: &[Use], name: &str) -> bool {
    own.iter().any(|found| found.pointer.split('/').nth(1).map(crate::address::unescape).as_deref() == Some(name))
}

impl Observer<'_> {
    /// The fields of an entry's parent, by which its short keys are completed (`^field`).
    pub(super) fn parent_fields(&self, parent: usize) -> Fields {
        let live = match self.out.standing.get(parent) {
            Some(Standing::Known(Some(live))) => self.out.objects.get(*live),
            _ => None,
        };
        let mut out = Fields::new();
        for fields in live.map(|live| &live.fields).into_iter().chain(self.out.canonical.get(parent)) {
            out.extend(fields.iter().map(|(name, value)| (format!("^{name}"), value.clone())));
        }
        out
    }

    /// Resolves the references that only the object itself completes.
    pub(super) fn own_references(
        &mut self,
        index: usize,
        kind: &Kind,
        own: &[Use],
        fields: &Fields,
        known: Option<usize>,
    ) -> Result<Fields, Stop> {
        let object = &self.manifests.objects[index];
        let id = known.and_then(|live| self.out.objects.get(live)).map(|live| live.id.clone());
        let by_key = |found: &&Use| matches!(found.target, Meaning::Live(Selector::Plain(_) | Selector::Key(_)));
        if id.is_none()
            && let Some(found) = own.iter().find(by_key)
        {
            let message = format!(
                "`{}` refers to what this {} has, and it does not exist yet.",
                found.pointer.trim_start_matches('/'),
                kind.name
            );
            let told = self.about(object, &found.pointer, "PL0202", message);
            return Err(Stop::Fail(vec![told.hint("Leave it out until the object is there and has it.")]));
        }
        let target = id.map_or_else(|| Target::New(object.address.to_string()), Target::Id);
        let mut beside = Fields::new();
        beside.insert(SELF.to_owned(), reference(&kind.name, &target));
        self.put_references(index, &kind.spec.fields, fields, own, &beside)
    }

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
                Meaning::Live(Selector::Plain(_) | Selector::Key(_) | Selector::Id(_)) => later.push(found_use),
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
            self.add_above(index, &mut siblings);
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
        let resolved = map_references(specs, spec, &|pointer| found.get(pointer).cloned());
        let astray = self.astray(index, specs, uses, &resolved, beside);
        if astray.is_empty() { Ok(resolved) } else { Err(Stop::Fail(astray)) }
    }

    /// References to declared objects that are below another parent than the one that stands beside the reference.
    fn astray(&self, index: usize, specs: &Specs, uses: &[Use], resolved: &Fields, beside: &Fields) -> Vec<Diagnostic> {
        let object = &self.manifests.objects[index];
        let wrong = |found: &&Use| {
            let Meaning::Declared(target) = found.target else { return false };
            let other = &self.manifests.objects[target];
            let Some(scope) = other.kind.spec.scope.as_ref() else { return false };
            let spec = field_at(specs, &found.pointer).and_then(|field| field.reference.as_ref());
            let above = spec.and_then(|spec| spec.complete.get(&scope.field)).is_some_and(|own| own.starts_with('^'));
            if !(other.kind.spec.id.local || above) {
                return false;
            }
            let own = spec.and_then(|spec| spec.complete.get(&scope.field)).unwrap_or(&scope.field);
            let there = self.out.canonical.get(target).and_then(|fields| fields.get(&scope.field));
            let known = |value: &&Value| matches!(as_reference(value), Some((_, Target::Id(_) | Target::New(_))));
            let (Some(own), Some(there)) =
                (resolved.get(own).or_else(|| beside.get(own)).filter(known), there.filter(known))
            else {
                return false;
            };
            own != there
        };
        let tell = |found: &Use| {
            let Meaning::Declared(target) = found.target else { return None };
            let other = &self.manifests.objects[target];
            let scope = other.kind.spec.scope.as_ref()?;
            let message = format!(
                "This means `{}`, which is below another {} than the one beside it.",
                other.address, scope.field
            );
            let told = self.about(object, &found.pointer, "PL0202", message);
            Some(told.hint("Name the object that is meant by `key:PARENT/NAME`, or by the name of its manifest."))
        };
        uses.iter().filter(wrong).filter_map(tell).collect()
    }

    /// Adds what an object is below, under the names that its parents have for it.
    fn add_above(&self, index: usize, siblings: &mut Fields) {
        let object = &self.manifests.objects[index];
        let Some(remote) = self.remotes.get(&object.connection) else { return };
        let scope_of = |kind: &Kind| kind.spec.scope.as_ref().map(|scope| scope.field.clone());
        let (mut kind, mut from) = (object.kind.clone(), None);
        if let Some(parent) = object.parent {
            kind = self.manifests.objects[parent].kind.clone();
            from = Some(parent);
        }
        while let Some(field) = scope_of(&kind) {
            let known = match from {
                Some(parent) => self.out.canonical.get(parent).and_then(|fields| fields.get(&field)),
                None => siblings.get(&field),
            };
            let Some(value) = known.cloned() else { return };
            siblings.entry(field.clone()).or_insert_with(|| value.clone());
            let Some((target, place)) = as_reference(&value) else { return };
            let Some(above) = remote.api.kind(target).cloned() else { return };
            let Some(upper) = scope_of(&above) else { return };
            match place {
                Target::Id(id) => {
                    let kind = above.field(&upper).and_then(|field| field.reference.as_ref()?.kind.clone());
                    let (Some(parent), Some(kind)) = (above.parent_in(&id), kind) else { return };
                    siblings.entry(upper).or_insert_with(|| reference(&kind, &Target::Id(parent.to_owned())));
                    from = None;
                }
                Target::New(address) => {
                    from = address.parse().ok().and_then(|address| self.graph.names.address(&address));
                    if from.is_none() {
                        return;
                    }
                }
                Target::Field(..) => return,
            }
            kind = above;
        }
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
        let waits = field_at(specs, &found.pointer).and_then(|field| field.reference.as_ref()?.waits.clone());
        match &found.target {
            Meaning::Declared(target) => {
                let other = &self.manifests.objects[*target];
                if other.connection != object.connection {
                    let told = another_account(self.sources, object, &found.pointer, other);
                    return Err(Stop::Fail(vec![told]));
                }
                if let Some(field) = &by
                    && let Some(words) = other.spec.get(field).and_then(text)
                {
                    return Ok(reference(&found.kind, &Target::Field(field.clone(), words)));
                }
                match self.out.standing.get(*target) {
                    Some(Standing::Known(Some(live))) => {
                        let live = self.out.objects.get(*live);
                        if let Some(field) = by
                            && let Some(words) = live.and_then(|live| live.fields.get(&field)).and_then(text)
                        {
                            return Ok(reference(&found.kind, &Target::Field(field, words)));
                        }
                        let id = live.map(|live| live.id.clone()).unwrap_or_default();
                        Ok(reference(&found.kind, &Target::Id(id)))
                    }
                    Some(Standing::Known(None)) => Ok(reference(&found.kind, &Target::New(other.address.to_string()))),
                    Some(Standing::Waiting) => Err(Stop::Wait),
                    _ => Err(Stop::Fail(Vec::new())),
                }
            }
            Meaning::Live(selector) if field_at(specs, &found.pointer).is_some_and(is_as_written) => {
                let words = match selector {
                    Selector::Key(parts) => parts.last().cloned().unwrap_or_default(),
                    Selector::Plain(name) | Selector::Handle(name) | Selector::Id(name) => name.clone(),
                };
                let target = by.map_or(Target::Id(words.clone()), |field| Target::Field(field, words));
                Ok(reference(&found.kind, &target))
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
                None => Ok(reference(&found.kind, &Target::Id(self.whole_id(object, found, id, siblings)))),
                Some(field) => Ok(reference(&found.kind, &Target::Field(field, id.clone()))),
            },
            Meaning::Live(selector) => {
                let parts = match selector {
                    Selector::Key(parts) => parts.clone(),
                    Selector::Plain(name) | Selector::Handle(name) | Selector::Id(name) => vec![name.clone()],
                };
                let free = field_at(specs, &found.pointer)
                    .is_some_and(|field| field.reference.as_ref().is_some_and(|target| target.or_as_written));
                let live = match (self.look_up(object, &connection, specs, found, &parts, siblings), &by) {
                    (Err(Stop::Fail(why)), Some(field)) if free && why.iter().any(|told| told.code == "PL0202") => {
                        let words = parts.last().cloned().unwrap_or_default();
                        return Ok(reference(&found.kind, &Target::Field(field.clone(), words)));
                    }
                    (Err(Stop::Fail(why)), Some(field))
                        if waits.is_some() && why.iter().all(|told| told.code == "PL0202") =>
                    {
                        let pends = waits.filter(|_| !why.is_empty());
                        let Some(pends) = pends else { return Err(Stop::Fail(why)) };
                        if !self.somebody_comes(index, found, field, &pends)? {
                            return Err(Stop::Fail(why));
                        }
                        self.wait(index, found, &pends);
                        let words = parts.last().cloned().unwrap_or_default();
                        return Ok(reference(&found.kind, &Target::Field(field.clone(), words)));
                    }
                    (live, _) => live?,
                };
                let nameless =
                    by.as_ref().is_some_and(|field| self.out.objects[live].fields.get(field).and_then(text).is_none());
                if let Some(waits) = waits.filter(|_| nameless) {
                    self.wait(index, found, &waits);
                }
                let live = &self.out.objects[live];
                match by {
                    Some(field) => {
                        // What the object does not have yet is asked for as it was written.
                        let spoken = || parts.last().cloned().unwrap_or_default();
                        let words = live.fields.get(&field).and_then(text).unwrap_or_else(spoken);
                        Ok(reference(&found.kind, &Target::Field(field, words)))
                    }
                    None => Ok(reference(&found.kind, &Target::Id(live.id.clone()))),
                }
            }
        }
    }

    /// An id as plumb knows it: that of the parent beside the reference goes before a local one.
    fn whole_id(&self, object: &Manifest, found: &Use, id: &str, siblings: &Fields) -> String {
        let Some(kind) = remote_kind(self.remotes, object, &found.kind) else { return id.to_owned() };
        let scope = kind.spec.scope.as_ref().and_then(|scope| siblings.get(&scope.field)).and_then(as_reference);
        match scope {
            Some((_, Target::Id(parent))) => kind.spoken_id(Some(&parent), id),
            _ => id.to_owned(),
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
                        scope = self.named_id(&kind, connection, field, words, object, found, siblings)?;
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
        let declared = |target_kind: &str, id: &str, words: &str| {
            let index = self.graph.names.handle(&kind.api, target_kind, words);
            let live = index.and_then(|index| self.out.live(index));
            live.is_some_and(|live| live.id == id)
        };
        let named = |target_kind: &str, target: &Target, words: &str| match target {
            Target::Id(id) if declared(target_kind, id, words) => true,
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
    #[expect(clippy::too_many_arguments, reason = "what is known of the part, and of who speaks it")]
    pub(super) fn named_id(
        &mut self,
        kind: &Kind,
        connection: &Arc<str>,
        field: &str,
        words: &str,
        object: &Manifest,
        found: &Use,
        siblings: &Fields,
    ) -> Result<Option<String>, Stop> {
        let Some(target) = kind.field(field).and_then(|field| field.ref_spec()?.kind.clone()) else { return Ok(None) };
        let Some(target) = remote_kind(self.remotes, object, &target) else { return Ok(None) };
        if let Some(index) = self.graph.names.handle(&target.api, &target.name, words) {
            match self.out.standing.get(index) {
                Some(Standing::Known(Some(live))) => {
                    return Ok(self.out.objects.get(*live).map(|live| live.id.clone()));
                }
                Some(Standing::Waiting) => return Err(Stop::Wait),
                _ => {}
            }
        }
        let own = kind.field(field).and_then(|field| field.reference.as_ref());
        if own.is_some_and(|own| own.as_written) {
            return Ok(Some(words.to_owned()));
        }
        // What is listed below a parent only is looked for below the one that stands beside the reference.
        let above = target.spec.scope.as_ref().and_then(|scope| Some((&scope.field, siblings.get(&scope.field)?)));
        let scope = above.and_then(|(_, value)| as_reference(value)).and_then(|(_, target)| match target {
            Target::Id(id) => Some(id),
            _ => None,
        });
        if scope.is_none() && target.spec.scope.as_ref().is_some_and(|scope| scope.required) {
            return Err(Stop::Fail(vec![self.no_match(object, found, &target, connection, &[words.to_owned()])]));
        }
        self.kind_read(connection, &target, scope.as_deref())?;
        let found_so = match above {
            Some((field, value)) => self.names.find_with(connection, &target, words, &(field.clone(), value.clone())),
            None => self.names.find(connection, &target, words),
        };
        match found_so[..] {
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

fn is_as_written(field: &crate::description::format::FieldSpec) -> bool {
    field.reference.as_ref().is_some_and(|target| target.as_written)
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
