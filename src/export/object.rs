//! One live object → one manifest: head, fields, the entries inside it, and what has to be said about it.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    Options,
    cycle::Edge,
    node::{Comment, Item, Member, Node},
    reference::Site,
    stub::Stubs,
    value::{Values, Written, is_default, left_out},
    world::World,
};
use crate::{
    description::{
        Api, Kind, Specs,
        format::{FieldSpec, FieldType, InsideForm},
        hook,
    },
    dialect::attribute,
    diff::holds,
    live::LiveObject,
    manifest::Fitting,
    value::{Fields, Target, as_reference, is_empty, text},
};

/// What writing an object takes.
pub(super) struct Writer<'w> {
    pub(super) world: &'w World<'w>,
    pub(super) options: &'w Options<'w>,
    pub(super) cut: &'w HashSet<Edge>,
    pub(super) fitting: Fitting,
    pub(super) stubs: Stubs,
}

/// Fields as they are written, and those that a manifest would declare, canonical.
#[derive(Default)]
struct Spec {
    members: Vec<Member>,
    declared: Fields,
}

impl Writer<'_> {
    /// Writes the manifest of an object as the members of its document.
    pub(super) fn object(&mut self, api: &Api, index: usize, name_connection: bool) -> Vec<Member> {
        let live = self.world.object(index);
        let kind = &live.kind;
        let handle = self.world.handles.get(&index).cloned().unwrap_or_default();
        self.stubs.kind.clone_from(&kind.name);
        self.stubs.handle.clone_from(&handle);
        self.stubs.address = format!("{}/{}/{handle}", kind.api, kind.name);
        self.stubs.more = [kind.api.clone(), live.id.clone()];
        let mut spec = self.fields(api, index, live, self.world.specs(index), &[]);
        self.hidden(index, live, &mut spec);
        let entries = self.entries(api, index, live, &mut spec);
        let mut members = Vec::new();
        if name_connection {
            members.push(Member::of("connection", Node::text(&*live.connection)));
        }
        members.append(&mut spec.members);
        members.extend(entries);
        let mut metadata = vec![Member::of("name", Node::text(handle))];
        if self.needs_id(index, live, &spec.declared) {
            let id = Node::text(live.id.clone());
            let remark = Some("told from others by its id".to_owned());
            metadata.push(Member { remark, ..Member::of("annotations", Node::pair("plumb.dev/external-id", id)) });
        }
        let first = Member {
            comments: remarks(live).into_iter().map(Comment::Words).collect(),
            ..Member::of("apiVersion", Node::text(api.api_version()))
        };
        let mut document =
            vec![first, Member::of("kind", Node::text(kind.name.clone())), Member::of("metadata", Node::Map(metadata))];
        let bare = members.iter().all(|member| member.value.is_none());
        if bare {
            document.push(Member::of("spec", Node::Map(Vec::new())));
            document.extend(members);
        } else {
            document.push(Member::of("spec", Node::Map(members)));
        }
        document
    }

    /// Whether the natural key does not say which object it is.
    fn needs_id(&self, index: usize, live: &LiveObject, declared: &Fields) -> bool {
        !live.kind.spec.singleton && self.world.same_key(index, declared) != Some(&[index])
    }

    /// Writes the fields of an object or entry.
    fn fields(&mut self, api: &Api, index: usize, live: &LiveObject, specs: &Specs, path: &[&str]) -> Spec {
        let mut out = Spec::default();
        let kind = &live.kind;
        let defaults = self.options.defaults.get(&*live.connection).filter(|_| kind.inside().is_none());
        for (name, field) in specs {
            // What the server moves with other fields is its own; what it clears with them is the user's.
            let cleared = specs.values().flat_map(|other| &other.effect).any(|effect| effect.clears.contains(name));
            let moved = !field.moved_by.is_empty() && !cleared;
            if field.read_only || field.not_sent || moved || self.options.omits(kind, name) {
                continue;
            }
            // Two fields may be two ways to say one thing: the first says it.
            let said =
                |other: &String| specs.get(other).is_some_and(|other| other.wire == field.wire && other.when.is_none());
            if field.when.is_none() && field.wire.is_some() && out.declared.keys().any(said) {
                continue;
            }
            if field.when.as_ref().is_some_and(|condition| !holds(specs, condition, &live.fields, &live.fields)) {
                continue;
            }
            let below = [path, &[name.as_str()]].concat();
            if field.always_sensitive() {
                self.secret(field, name, live, &below, &mut out);
                continue;
            }
            let value = live.fields.get(name).unwrap_or(&Value::Null);
            let given = defaults.and_then(|defaults| defaults.get(name));
            // The API asks for it, and takes an empty one.
            if field.required && given.is_none() && *value == "" && self.fitting.misfit(name, value, field).is_none() {
                out.declared.insert(name.clone(), value.clone());
                out.members.push(Member::of(name, Node::text("")));
                continue;
            }
            if given.is_none() && is_default(field, value) && !is_needed(kind, name, value) {
                continue;
            }
            let told = self.stubs.list.len();
            let mut values = Values {
                world: self.world,
                site: Site { api, connection: &live.connection, from: index, beside: &live.fields, cut: self.cut },
                fitting: &mut self.fitting,
                stubs: &mut self.stubs,
                is_secret: self.options.is_secret,
                redact: self.options.redact,
            };
            match values.value(field, value, &below) {
                Ok(Written::As(node, remark)) => {
                    out.declared.insert(name.clone(), value.clone());
                    // What the connection gives to all of its objects need not be said.
                    if given.is_some_and(|given| *given == node.value() || is_given(live, name, given)) {
                        continue;
                    }
                    out.members.push(Member { remark, ..Member::of(name, node) });
                }
                Ok(Written::Nothing) if given.is_some_and(|given| !is_empty(given)) => {
                    out.members.push(Member::of(name, Node::Scalar(Value::Null)));
                }
                Ok(Written::Nothing) => {}
                Err(why) => {
                    self.stubs.list.truncate(told);
                    out.members.push(left_out(name, &why));
                }
            }
        }
        out
    }

    /// Writes a stub for a secret that is there, or may be.
    fn secret(&mut self, field: &FieldSpec, name: &str, live: &LiveObject, path: &[&str], out: &mut Spec) {
        let shown = live.fields.get(name);
        let known = !field.write_only && !field.on_get_only;
        let there = shown.is_some_and(|value| !is_empty(value));
        let asked = live.detailed && live.kind.spec.get.without_secrets.is_empty();
        if !field.required && !there && (known || asked && !field.write_only) {
            return;
        }
        if matches!(field.ty, FieldType::Object | FieldType::Map) {
            return self.secrets(field, name, live, path, out);
        }
        let seldom = field.seldom && !field.required && !there;
        let stub = self.stubs.add(path, seldom);
        if seldom {
            let line = super::yaml::document(&[Member::of(name, stub)]).trim_end().to_owned();
            let comments = vec![Comment::Code(format!("{line}  # the API does not show whether there is one"))];
            out.members.push(Member { comments, ..Member::comment("") });
            return;
        }
        out.members.push(Member::of(name, stub));
    }

    /// Writes stubs for the members of an object that is a secret as a whole.
    fn secrets(&mut self, field: &FieldSpec, name: &str, live: &LiveObject, path: &[&str], out: &mut Spec) {
        let wanted: Vec<&String> = match &field.variants {
            Some(variants) => {
                let decides = variants.field.as_ref().and_then(|decides| live.fields.get(decides)).and_then(text);
                let variant = decides.and_then(|word| variants.of.get(&word));
                variant
                    .into_iter()
                    .flat_map(|variant| variant.required.iter().chain(variant.one_of.first().into_iter().flatten()))
                    .collect()
            }
            None => field.fields.iter().filter(|(_, member)| member.required).map(|(name, _)| name).collect(),
        };
        let keys = |name: &String| -> Option<Vec<String>> {
            let at = field.fields.get(name)?.keys_at.as_deref()?;
            let keys = attribute(&live.kind, live.raw.as_ref()?, at)?;
            let keys: Vec<String> = keys.as_array()?.iter().filter_map(text).collect();
            // The names of the members of the whole say nothing of this one's.
            (!keys.is_empty() && keys != [name.as_str()]).then_some(keys)
        };
        let known = |name: &&String| {
            field.fields.get(*name).is_some_and(|member| !matches!(member.ty, FieldType::Map | FieldType::Object))
                || keys(name).is_some()
        };
        if wanted.is_empty() || !wanted.iter().all(known) {
            out.members.push(left_out(
                name,
                "has secrets of names that are not known, and stays as it is while it is not declared",
            ));
            return;
        }
        let members = wanted.into_iter().map(|member| {
            let below = [path, &[member.as_str()]].concat();
            let node = match keys(member) {
                Some(keys) => Node::Map(
                    keys.iter()
                        .map(|key| {
                            Member::of(key, self.stubs.add(&[below.as_slice(), &[key.as_str()]].concat(), false))
                        })
                        .collect(),
                ),
                None => self.stubs.add(&below, false),
            };
            Member::of(member, node)
        });
        let members = members.collect();
        out.members.push(Member::of(name, Node::Map(members)));
    }

    /// Says what a hook's field has that the API does not show.
    fn hidden(&mut self, index: usize, live: &LiveObject, spec: &mut Spec) {
        let Some(hook) = live.kind.spec.hook.as_deref().and_then(hook::find) else { return };
        let Some(refined) = self.world.specs(index).get(hook.field()) else { return };
        let raw = live.raw.as_ref().and_then(|raw| attribute(&live.kind, raw, refined.wire_name()));
        let mut more = Vec::new();
        let mut unseen = Vec::new();
        for (name, member) in refined.fields.iter().filter(|(_, member)| member.write_only) {
            let there = raw.as_ref().and_then(|raw| raw.get(member.wire_name())).is_some_and(|value| !is_empty(value));
            match (there, member.always_sensitive()) {
                (true, true) => more.push(Member::of(name, self.stubs.add(&[hook.field(), name], false))),
                (false, true) => unseen.push(name),
                (true, false) => more.push(Member::comment(format!(
                    "`{name}` has a file, whose content cannot be exported: it stays as it is while it is not declared."
                ))),
                (false, false) => {}
            }
        }
        if !unseen.is_empty() && more.iter().all(|member| member.value.is_none()) && self.world.hides(live) {
            match unseen[..] {
                [only] => more.push(Member::of(only, self.stubs.add(&[hook.field(), only], false))),
                _ => more.push(Member::comment(format!(
                    "There is a secret in one of {}, and the API does not show in which: declare it, or updates are refused.",
                    unseen.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                ))),
            }
        }
        if more.is_empty() {
            return;
        }
        match spec.members.iter_mut().find(|member| member.key == hook.field()) {
            Some(Member { value: Some(Node::Map(members)), .. }) => members.extend(more),
            _ if more.iter().any(|member| member.value.is_some()) => {
                spec.members.push(Member::of(hook.field(), Node::Map(more)));
            }
            _ => spec.members.extend(more),
        }
    }

    /// Writes the entries inside an object, a member for each field that lists some.
    fn entries(&mut self, api: &Api, parent: usize, live: &LiveObject, spec: &mut Spec) -> Vec<Member> {
        let mut out = Vec::new();
        let children: Vec<_> = api.children(&live.kind.name).cloned().collect();
        for child in children {
            let Some(inside) = child.inside() else { continue };
            if self.options.omits(&live.kind, &inside.field) {
                continue;
            }
            let mut indices: Vec<usize> = self.world.children(live, &child).to_vec();
            // A place of its own orders them better than ids do.
            let place =
                inside.unique.iter().find(|name| child.field(name).is_some_and(|field| field.ty == FieldType::Integer));
            if let Some(place) = place {
                indices.sort_by_key(|index| self.world.object(*index).fields.get(place).and_then(Value::as_i64));
            }
            let mut keys = HashSet::new();
            let mut items = Vec::new();
            let mut pairs = Vec::new();
            for index in indices {
                let entry = self.world.object(index);
                let title = self.world.title(index).unwrap_or_else(|| entry.id.clone());
                let told = self.stubs.list.len();
                let path = [inside.field.as_str(), title.as_str()];
                let written = self.fields(api, index, entry, &child.spec.fields, &path);
                // A link that the API made by itself goes with what it was made of.
                if let ([key], 1) = (child.spec.key.as_slice(), written.members.len())
                    && self.world.referred(index, key).is_some_and(|target| self.world.is_tagged(parent, target))
                {
                    continue;
                }
                let Some(key) = entry_key(&child, &written.members) else {
                    self.stubs.list.truncate(told);
                    items.push(Item::comment(format!(
                        "`{title}` is left out: it has nothing that tells it from the others."
                    )));
                    continue;
                };
                if !keys.insert(key.clone()) {
                    self.stubs.list.truncate(told);
                    items.push(Item::comment(format!(
                        "A further `{key}` is left out: the key of an entry is to be its own."
                    )));
                    continue;
                }
                for conflict in live.kind.spec.conflicts.iter().filter(|conflict| conflict.with == inside.field) {
                    if holds(&child.spec.fields, &conflict.condition, &entry.fields, &entry.fields) {
                        spec.members.retain(|member| !conflict.fields.contains(&member.key));
                    }
                }
                match inside.form {
                    InsideForm::Map => pairs.extend(pair(&child, key, written.members)),
                    InsideForm::List => items.push(item(&child, entry, written.members)),
                    InsideForm::Variables => items.push(Item::of(Node::Map(variable(written.members)))),
                }
            }
            let node = if inside.form == InsideForm::Map { Node::Map(pairs) } else { Node::List(items) };
            match &node {
                Node::List(items) if items.is_empty() => {}
                Node::Map(members) if members.is_empty() => {}
                Node::List(items) if node.is_bare() => {
                    let comments = items.iter().flat_map(|item| item.comments.clone()).collect();
                    out.push(Member { comments, ..Member::comment("") });
                }
                _ => out.push(Member::of(&inside.field, node)),
            }
        }
        out
    }
}

/// Whether a connection gives an object just the target that a field refers to.
pub(super) fn is_given(live: &LiveObject, name: &str, given: &Value) -> bool {
    let target = live.fields.get(name).and_then(as_reference).map(|(_, target)| target);
    let words = target.and_then(|target| match target {
        Target::Id(words) | Target::Field(_, words) => Some(words),
        Target::New(_) => None,
    });
    words.is_some() && words == text(given)
}

/// Whether a field has to be written although it has the value that the server would give it: it is a part of the key.
fn is_needed(kind: &Kind, name: &str, value: &Value) -> bool {
    !is_empty(value) && kind.spec.key.iter().any(|key| key == name)
}

/// What tells an entry from its siblings, as it is written.
fn entry_key(kind: &Kind, members: &[Member]) -> Option<String> {
    let part = |name: &String| {
        let member = members.iter().find(|member| member.key == *name)?;
        text(&member.value.as_ref()?.value()).filter(|text| !text.is_empty())
    };
    std::iter::once(&kind.spec.key).chain(&kind.spec.key_fallbacks).find_map(|names| {
        let names: Vec<&String> =
            names.iter().filter(|name| kind.field(name).is_some_and(|field| !field.read_only)).collect();
        let parts: Option<Vec<String>> = names.iter().map(|name| part(name)).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
    })
}

/// An entry of a list; files say why they have no content.
fn item(kind: &Kind, entry: &LiveObject, members: Vec<Member>) -> Item {
    let file = kind.spec.fields.iter().find(|(_, field)| field.ty == FieldType::File);
    let remark = file.map(|(name, _)| {
        let size = entry.fields.get(name).and_then(crate::value::file).and_then(|file| file.get("size")).and_then(text);
        let size = size.map(|size| format!("{size} bytes; ")).unwrap_or_default();
        format!("{size}the content cannot be exported")
    });
    Item { remark, ..Item::of(Node::Map(members)) }
}

/// An entry of a map of texts.
fn pair(kind: &Kind, key: String, members: Vec<Member>) -> Option<Member> {
    let own = kind.spec.key.last()?;
    let other = members.into_iter().find(|member| member.key != *own && member.value.is_some());
    Some(match other {
        Some(member) => Member { key, ..member },
        None => Member::of(key, Node::text("")),
    })
}

/// A variable: a stub stands in the place of the value.
fn variable(members: Vec<Member>) -> Vec<Member> {
    members
        .into_iter()
        .map(|member| match &member.value {
            Some(Node::Map(inner)) if member.key == "value" && inner.len() == 1 && inner[0].key == "valueFrom" => {
                Member { value: inner[0].value.clone(), key: "valueFrom".into(), ..member }
            }
            _ => member,
        })
        .collect()
}

/// What a reader has to know of an object.
fn remarks(live: &LiveObject) -> Vec<String> {
    let mut out = Vec::new();
    if live.synced
        && let Some(synced) = &live.kind.spec.synced
    {
        let by = synced.by.as_deref().unwrap_or("another system");
        let allowed: Vec<String> = synced.allow.iter().map(|name| format!("`{name}`")).collect();
        out.push(if allowed.is_empty() {
            format!("Owned by {by}: the API refuses changes, so that it can only be referred to and watched.")
        } else {
            format!("Owned by {by}: the API takes changes of {} only.", allowed.join(", "))
        });
    }
    if live.never_delete {
        out.push("It is never deleted.".into());
    }
    out
}

/// The objects that a live one refers to in the fields that are written.
pub(super) fn references_of(world: &World<'_>, options: &Options<'_>, index: usize) -> Vec<usize> {
    let live = world.object(index);
    let mut out = Vec::new();
    for (name, field) in world.specs(index) {
        if field.read_only || field.not_sent || options.omits(&live.kind, name) {
            continue;
        }
        if let Some(value) = live.fields.get(name) {
            crate::live::each_reference(value, &mut |kind, target| {
                out.extend(world.target(index, kind, &target));
            });
        }
    }
    out
}
