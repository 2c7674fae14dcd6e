//! Descriptions in the form that the engine uses: every default filled in, kinds found by name, parents and children
//! linked.

use std::{collections::HashMap, fmt, sync::Arc};

use indexmap::IndexMap;
use serde_json::Value;

use super::format::{
    ApiSpec, ApplySpec, DialectName, FieldSpec, FieldType, IdWire, Immutable, Inside, KindSpec, Leads, Naming, RefSpec,
    Scope, Sensitivity, UpdateStyle, Verb,
};
use crate::value::text;

/// The suffix that makes an API's name a group of manifests.
pub const GROUP_SUFFIX: &str = ".plumb.dev";
/// The version of every built-in and described kind.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of plumb's own kinds.
pub const CORE_VERSION: &str = "plumb.dev/v1alpha1";
/// Objects in a bulk call, where a description says nothing.
pub const DEFAULT_BULK: u32 = 100;

/// All APIs that manifests may use.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// By name.
    pub apis: IndexMap<String, Arc<Api>>,
}

impl Catalog {
    /// Adds an API, replacing one of the same name.
    pub fn insert(&mut self, api: Arc<Api>) {
        self.apis.insert(api.name.clone(), api);
    }

    /// The API with this name.
    pub fn api(&self, name: &str) -> Option<&Arc<Api>> {
        self.apis.get(name)
    }

    /// The kind of an API.
    pub fn kind(&self, api: &str, kind: &str) -> Option<&Arc<Kind>> {
        self.apis.get(api)?.kind(kind)
    }
}

/// One API.
#[derive(Debug)]
pub struct Api {
    /// Name of the API (`itglue`).
    pub name: String,
    /// What the description says, defaults filled in.
    pub spec: ApiSpec,
    /// Its kinds, by name.
    pub kinds: IndexMap<String, Arc<Kind>>,
    /// Kinds written inside others, by (parent kind, field).
    inside: HashMap<(String, String), Arc<Kind>>,
}

/// One kind.
pub struct Kind {
    /// Name of its API.
    pub api: String,
    /// Name of the kind.
    pub name: String,
    /// What the description says, defaults filled in.
    pub spec: KindSpec,
    /// The dialect of its API.
    pub dialect: DialectName,
    /// Path that every request of its API starts with.
    pub version_path: String,
    /// Names of the parents in paths, the nearest last, where ids are put together from them; else nothing.
    pub chain: Vec<String>,
    /// The call that makes and changes objects of all kinds, where this kind goes by it.
    pub apply: Option<Arc<ApplySpec>>,
    /// Updates name the values that they replace.
    pub guarded: bool,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({}/{})", self.api, self.name)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.api == other.api && self.name == other.name
    }
}

impl Eq for Kind {}

/// Something that a description says wrongly; `path` is a JSON pointer into its `spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in `spec`, as a JSON pointer.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Api {
    /// Turns a description into its usable form, or lists everything that is wrong with it.
    pub fn compile(name: &str, mut spec: ApiSpec) -> Result<Self, Vec<Fault>> {
        fill_api(&mut spec);
        let naming = spec.naming.unwrap_or_else(|| spec.dialect.naming());
        let paths: HashMap<String, String> =
            spec.kinds.iter().map(|kind| (kind.kind.clone(), kind.path.clone())).collect();
        let depth = |kind: &KindSpec| if kind.id.local { chain(kind, &spec.kinds, 0).len() } else { 0 };
        let ids: HashMap<String, (IdWire, usize)> =
            spec.kinds.iter().map(|kind| (kind.kind.clone(), (kind.id.wire, depth(kind)))).collect();
        let shapes = std::mem::take(&mut spec.shapes);
        for kind in &mut spec.kinds {
            kind.fields.values_mut().for_each(|field| expand(field, &shapes, &mut Vec::new()));
            let dialect = *kind.dialect.get_or_insert(spec.dialect);
            fill_kind(kind, naming, dialect);
            kind.scope.iter_mut().for_each(|scope| fill_scope(scope, &kind.fields, dialect));
            kind.fields.values_mut().for_each(|field| fill_refs(field, &ids));
            let omitted = |field: &&mut FieldSpec| spec.omits_empty && (field.nullable || field.default.is_some());
            kind.fields.values_mut().filter(omitted).for_each(|field| field.omitted = true);
            if let Some(through) = kind.inside.as_mut().and_then(|inside| inside.through.as_mut()) {
                through.path = paths.get(&through.kind).cloned().unwrap_or_default();
            }
        }
        spec.shapes = shapes;
        let faults = super::check::check(&spec);
        if !faults.is_empty() {
            return Err(faults);
        }
        let version_path = spec.version_path.clone().unwrap_or_default().trim_end_matches('/').to_owned();
        let chains: HashMap<String, Vec<String>> =
            spec.kinds.iter().map(|kind| (kind.kind.clone(), chain(kind, &spec.kinds, 0))).collect();
        let mut kinds = IndexMap::new();
        let mut inside = HashMap::new();
        let apply = Arc::new(spec.apply.clone());
        for kind in std::mem::take(&mut spec.kinds) {
            let kind = Arc::new(Kind {
                api: name.to_owned(),
                name: kind.kind.clone(),
                dialect: kind.dialect.unwrap_or(spec.dialect),
                apply: (kind.dialect == Some(DialectName::Apply)).then(|| apply.clone()),
                guarded: spec.guarded_updates
                    && kind.dialect.unwrap_or(spec.dialect) == DialectName::Odata
                    && kind.update.style == UpdateStyle::Fields,
                version_path: version_path.clone(),
                chain: chains.get(&kind.kind).cloned().unwrap_or_default(),
                spec: kind,
            });
            if let Some(place) = &kind.spec.inside {
                for parent in place.parents.keys() {
                    inside.insert((parent.clone(), place.field.clone()), kind.clone());
                }
            }
            kinds.insert(kind.name.clone(), kind);
        }
        Ok(Self { name: name.to_owned(), spec, kinds, inside })
    }

    /// The kind with this name.
    pub fn kind(&self, name: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(name)
    }

    /// The kind whose entries are written in a field of a parent's manifests.
    pub fn inside(&self, parent: &str, field: &str) -> Option<&Arc<Kind>> {
        self.inside.get(&(parent.to_owned(), field.to_owned()))
    }

    /// The kinds that are written inside manifests of a kind, in the order of the description.
    pub fn children<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a Arc<Kind>> {
        self.kinds
            .values()
            .filter(move |kind| kind.spec.inside.as_ref().is_some_and(|inside| inside.parents.contains_key(parent)))
    }

    /// `apiVersion` of this API's manifests.
    pub fn api_version(&self) -> String {
        format!("{}{GROUP_SUFFIX}/{VERSION}", self.name)
    }
}

impl Kind {
    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&FieldSpec> {
        self.spec.fields.get(name)
    }

    /// Why an object is not deleted where no deletion policy says so; nothing where it is.
    pub fn spared(&self, adopted: bool) -> Option<String> {
        if adopted {
            return Some("it was there before plumb".to_owned());
        }
        if self.spec.contains {
            return Some(format!(
                "objects of kind `{}` contain others and are deleted only with `plumb.dev/deletion-policy: delete`",
                self.name
            ));
        }
        let loses = self.spec.delete_loses.as_ref()?;
        Some(format!("deleting it would destroy {loses}, so it needs `plumb.dev/deletion-policy: delete`"))
    }

    /// Whether the API can do this for the kind.
    pub fn can(&self, verb: Verb) -> bool {
        if self.spec.lookup && !matches!(verb, Verb::List | Verb::Get) {
            return false;
        }
        !self.spec.lacks.contains(&verb)
            || match verb {
                Verb::Delete => self.spec.bulk.delete.is_some(),
                Verb::Update => self.spec.bulk.update.is_some(),
                Verb::Create => self.spec.bulk.create.is_some(),
                Verb::List | Verb::Get => false,
            }
    }

    /// Where the kind is written inside others.
    pub fn inside(&self) -> Option<&Inside> {
        self.spec.inside.as_ref()
    }

    /// Whether manifests of this kind stand on their own.
    pub fn is_declarable(&self) -> bool {
        !self.spec.lookup && self.spec.inside.is_none()
    }

    /// The id that plumb knows an object by: its own, with the parent's before it where that is needed.
    pub fn full_id(&self, parent: Option<&str>, own: &str) -> String {
        match parent {
            Some(parent) if self.spec.id.local => {
                format!("{parent}/{}", own.replace('%', "%25").replace('/', "%2F"))
            }
            _ => own.to_owned(),
        }
    }

    /// The id that an object has by its fields alone, where it goes by one of them below its parent.
    pub fn id_by_fields(&self, parent: Option<&str>, fields: &crate::value::Fields) -> Option<String> {
        let wire = self.spec.id.path.first().filter(|_| self.spec.id.local)?;
        let (name, _) = self.spec.fields.iter().find(|(_, field)| field.wire_name() == wire && !field.read_only)?;
        Some(self.full_id(Some(parent?), &crate::value::text(fields.get(name)?)?))
    }

    /// What tells the entries of one parent from those of another: its id, with its kind where there are parents of
    /// several kinds, whose ids may be equal.
    pub fn among(&self, parent_kind: &str, parent: &str) -> String {
        let several = self.inside().is_some_and(|inside| inside.parents.len() > 1);
        if several { format!("{parent_kind}:{parent}") } else { parent.to_owned() }
    }

    /// The parent's id in an object's, where it is there.
    pub fn parent_in<'i>(&self, id: &'i str) -> Option<&'i str> {
        if self.spec.id.local { id.rsplit_once('/').map(|(parent, _)| parent) } else { None }
    }

    /// An id as a user may write it, alone or with the parent's, as plumb knows it.
    pub fn spoken_id(&self, parent: Option<&str>, id: &str) -> String {
        if self.spec.id.local && id.split('/').count() <= self.chain.len() {
            return self.full_id(parent, id);
        }
        id.to_owned()
    }

    /// The value of a path's template, where ids are put together from those of parents. `own` has the values that are
    /// known: `id`, and that of the nearest parent under its name.
    pub fn path_part(&self, name: &str, own: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let part = |id: &str, place: usize| {
            let part = id.split('/').nth(place)?;
            Some(part.replace("%2F", "/").replace("%25", "%"))
        };
        if name == "id" {
            let id = own(name)?;
            return if self.spec.id.local { part(&id, self.chain.len()).or(Some(id)) } else { Some(id) };
        }
        let Some(place) = self.chain.iter().position(|known| known == name) else { return own(name) };
        let parent = self.chain.last().and_then(|parent| own(parent));
        let found = parent.and_then(|id| part(&id, place));
        found.or_else(|| if self.spec.id.local { part(&own("id")?, place) } else { None }).or_else(|| own(name))
    }

    /// Plural name in lower case.
    pub fn plural(&self) -> String {
        self.spec.plural.clone().unwrap_or_else(|| plural(&self.name.to_lowercase()))
    }

    /// `KIND.api`, as diagnostics name it.
    pub fn title(&self) -> String {
        format!("{} {}", self.api, self.name)
    }
}

/// The fields by which objects of a kind are contained in objects of another: references of its key or its scope.
pub fn contained_by<'k>(kind: &'k Kind, container: &str) -> Vec<&'k str> {
    let scope = kind.spec.scope.as_ref().map(|scope| &scope.field);
    let mut fields: Vec<&str> = kind
        .spec
        .key
        .iter()
        .chain(scope)
        .map(String::as_str)
        .filter(|field| {
            kind.field(field).and_then(|field| field.reference.as_ref()).is_some_and(|target| {
                target.kind.as_deref() == Some(container) || target.kinds.values().any(|kind| kind == container)
            })
        })
        .collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

impl Leads {
    /// What ways lead to, wherever they name it.
    pub fn targets(&self, ways: &Value) -> Vec<String> {
        let mut out = Vec::new();
        self.gather(ways, &mut out);
        out
    }

    fn gather(&self, value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::Array(texts) if *name == self.by => out.extend(texts.iter().filter_map(text)),
                        _ => self.gather(value, out),
                    }
                }
            }
            Value::Array(entries) => entries.iter().for_each(|entry| self.gather(entry, out)),
            _ => {}
        }
    }
}

impl FieldSpec {
    /// The member of this object that leads to items of other lists, and how.
    pub fn ways(&self) -> Option<(&str, &Leads)> {
        self.fields.iter().find_map(|(name, member)| Some((name.as_str(), member.leads.as_deref()?)))
    }

    /// Attribute on the wire.
    pub fn wire_name(&self) -> &str {
        self.wire.as_deref().unwrap_or_default()
    }

    /// Whether it is a reference, or a list of them.
    pub fn ref_spec(&self) -> Option<&RefSpec> {
        self.reference.as_ref().or_else(|| self.items.as_ref().and_then(|items| items.reference.as_ref()))
    }

    /// Whether it takes nothing but sensitive values.
    pub fn always_sensitive(&self) -> bool {
        self.sensitive == Some(Sensitivity::Always)
    }

    /// Whether a manifest may have it.
    pub fn is_declarable(&self) -> bool {
        !self.read_only
    }

    /// Whether a change of it makes a new object.
    pub fn replaces(&self) -> bool {
        self.immutable == Some(Immutable::Replace)
    }
}

/// The names that a kind's paths have for its parents, the nearest last, where an id of theirs or its own is local.
pub(super) fn chain(kind: &KindSpec, kinds: &[KindSpec], depth: usize) -> Vec<String> {
    let (link, parent) = match (&kind.inside, &kind.scope) {
        (Some(inside), _) => ("parent", inside.parents.keys().next()),
        (None, Some(scope)) => {
            let target = kind.fields.get(&scope.field).and_then(|field| field.reference.as_ref()?.kind.as_ref());
            (scope.field.as_str(), target)
        }
        (None, None) => return Vec::new(),
    };
    let parent = parent.and_then(|name| kinds.iter().find(|other| other.kind == *name));
    let above = parent.filter(|parent| parent.id.local && depth < kinds.len());
    if above.is_none() && !kind.id.local {
        return Vec::new();
    }
    let mut names = above.map(|parent| chain(parent, kinds, depth + 1)).unwrap_or_default();
    names.push(link.to_owned());
    names
}

impl DialectName {
    /// How its field names are spelled on the wire, where a description says nothing.
    pub fn naming(self) -> Naming {
        match self {
            Self::Rest | Self::Odata => Naming::Snake,
            Self::Jsonapi => Naming::Kebab,
            Self::Apply => Naming::Camel,
        }
    }
}

/// How often a shape is laid into itself.
const SHAPE_DEPTH: usize = 2;

/// Gives the fields that name a shape its type. A shape that is inside itself too often ends in anything at all.
fn expand(field: &mut FieldSpec, shapes: &IndexMap<String, FieldSpec>, within: &mut Vec<String>) {
    let depth = within.len();
    if let Some((name, shape)) = field.shape.clone().and_then(|name| shapes.get(&name).map(|shape| (name, shape))) {
        let own = std::mem::take(field);
        if within.iter().filter(|known| **known == name).count() >= SHAPE_DEPTH {
            *field =
                FieldSpec { ty: FieldType::Any, wire: own.wire, description: own.description, ..FieldSpec::default() };
            return;
        }
        *field = shape.clone();
        field.shape = own.shape;
        field.description = own.description.or_else(|| field.description.take());
        field.wire = own.wire.or_else(|| field.wire.take());
        field.when = own.when.or_else(|| field.when.take());
        field.required |= own.required;
        field.nullable |= own.nullable;
        within.push(name);
        // A shape may be another one.
        if let Some(next) = shape.shape.clone() {
            field.shape = Some(next);
            expand(field, shapes, within);
        }
    }
    if let Some(items) = &mut field.items {
        expand(items, shapes, within);
    }
    field.fields.values_mut().for_each(|member| expand(member, shapes, within));
    within.truncate(depth);
}

fn fill_api(spec: &mut ApiSpec) {
    if spec.dialect == DialectName::Odata && spec.envelope.many.is_none() {
        spec.envelope.many = Some("d".into());
    }
    if spec.paging.first.is_none() {
        spec.paging.first = Some(1);
    }
    if spec.errors.absent.is_empty() {
        spec.errors.absent = vec![404, 410];
    }
    if spec.errors.conflict.is_empty() {
        spec.errors.conflict = vec![409];
    }
    if spec.errors.retry.is_empty() {
        spec.errors.retry = vec![429, 502, 503, 504];
    }
    if spec.limits.window.is_none() {
        spec.limits.window = Some(60);
    }
    let apply = &mut spec.apply;
    for (place, usual) in [
        (&mut apply.request, "resources"),
        (&mut apply.answer, "updates"),
        (&mut apply.resource, "resource"),
        (&mut apply.status, "status"),
        (&mut apply.reason, "reason"),
    ] {
        place.get_or_insert_with(|| usual.to_owned());
    }
}

fn fill_kind(kind: &mut KindSpec, naming: Naming, dialect: DialectName) {
    if kind.id.path.is_empty() {
        kind.id.path = vec!["id".into()];
    }
    if kind.wire_type.is_none() && dialect == DialectName::Jsonapi {
        kind.wire_type = kind.path.rsplit('/').next().map(str::to_owned);
    }
    if kind.name_field.as_deref() == Some("") {
        kind.name_field = None;
    } else if kind.name_field.is_none()
        && kind.inside.is_none()
        && let Some(last) = kind.key.last()
        && kind.fields.get(last).is_some_and(|field| field.ty == FieldType::String && !field.read_only)
    {
        kind.name_field = Some(last.clone());
    }
    if dialect == DialectName::Apply {
        kind.update.style = UpdateStyle::Replace;
    }
    for (name, field) in &mut kind.fields {
        if dialect == DialectName::Apply && field.wire.is_none() {
            field.wire = Some(format!("spec.{}", respell(name, naming)));
        }
        fill_field(name, field, naming, dialect);
    }
    // A field that the server clears with others goes along with them.
    let cleared: Vec<(String, String)> = kind
        .fields
        .iter()
        .flat_map(|(name, field)| {
            let cleared = field.effect.iter().flat_map(|effect| &effect.clears);
            cleared.map(|other| (other.clone(), name.clone()))
        })
        .collect();
    for (other, name) in cleared {
        if let Some(field) = kind.fields.get_mut(&other)
            && !field.moved_by.contains(&name)
        {
            field.moved_by.push(name);
        }
    }
}

/// OData limits a list by the attribute that refers to the parent.
fn fill_scope(scope: &mut Scope, fields: &IndexMap<String, FieldSpec>, dialect: DialectName) {
    if dialect == DialectName::Odata && scope.filter.is_none() {
        scope.filter = fields.get(&scope.field).map(|field| field.wire_name().to_owned());
    }
}

fn fill_field(name: &str, field: &mut FieldSpec, naming: Naming, dialect: DialectName) {
    if field.wire.is_none() {
        let mut wire = respell(name, naming);
        if field.ty == FieldType::Ref && dialect != DialectName::Odata {
            wire.push_str(match naming {
                Naming::Snake => "_id",
                Naming::Kebab => "-id",
                Naming::Camel => "Id",
            });
        }
        field.wire = Some(wire);
    }
    if field.ty == FieldType::Sink {
        field.not_sent = true;
        field.write_only = true;
    }
    if let Some(items) = &mut field.items {
        fill_field(name, items, naming, dialect);
    }
    for (name, member) in &mut field.fields {
        fill_field(name, member, naming, dialect);
    }
}

/// Ids are written as the kind that they are of says, unless the reference itself does.
fn fill_refs(field: &mut FieldSpec, ids: &HashMap<String, (IdWire, usize)>) {
    if let Some(reference) = &mut field.reference {
        let found = reference.kind.iter().chain(reference.kinds.values()).find_map(|kind| ids.get(kind)).copied();
        reference.wire = reference.wire.or(found.map(|(wire, _)| wire));
        reference.depth = found.map_or(0, |(_, depth)| depth);
    }
    if let Some(items) = &mut field.items {
        fill_refs(items, ids);
    }
    field.fields.values_mut().for_each(|member| fill_refs(member, ids));
}

/// A path as the API's reference writes it: after the version path, unless it starts at the base URL (`^/…`).
pub fn full_path(version: &str, path: &str) -> String {
    match path.strip_prefix('^') {
        Some(path) => path.to_owned(),
        None => format!("{version}{path}"),
    }
}

/// Spells a lowerCamelCase name another way.
pub fn respell(name: &str, naming: Naming) -> String {
    let separator = match naming {
        Naming::Snake => '_',
        Naming::Kebab => '-',
        Naming::Camel => return name.to_owned(),
    };
    let mut wire = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            wire.push(separator);
            wire.push(letter.to_ascii_lowercase());
        } else {
            wire.push(letter);
        }
    }
    wire
}

/// Spells a wire name (`organization_type_id`, `organization-type-id`) in lowerCamelCase.
pub fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if matches!(letter, '_' | '-') {
            upper = true;
        } else if upper {
            out.extend(letter.to_uppercase());
            upper = false;
        } else {
            out.push(letter);
        }
    }
    out
}

/// The plural of a word of a kind's name.
pub(crate) fn plural(word: &str) -> String {
    if let Some(stem) = word.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    if word.ends_with('s') || word.ends_with('x') || word.ends_with("ch") {
        return format!("{word}es");
    }
    format!("{word}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_ids_have_those_of_the_parents_before_them() {
        let spec: ApiSpec = serde_saphyr::from_str(
            "kinds:
  - {kind: Org, path: /orgs, key: [name], fields: {name: {}}}
  - kind: Team
    path: /orgs/{org}/teams
    id: {path: [name], local: true}
    key: [org, name]
    scope: {field: org, required: true}
    fields: {name: {}, org: {type: ref, ref: {kind: Org}}}
  - kind: Member
    path: /orgs/{org}/teams/{parent}/members
    id: {local: true}
    key: [name]
    inside: {parents: {Team: \"\"}, field: members}
    fields: {name: {}}
",
        )
        .unwrap();
        let api = Api::compile("x", spec).unwrap();
        let (team, member) = (api.kind("Team").unwrap(), api.kind("Member").unwrap());
        assert_eq!(member.chain, ["org", "parent"]);
        let id = team.full_id(Some("acme"), "a/b");
        assert_eq!(id, "acme/a%2Fb");
        assert_eq!(team.spoken_id(Some("acme"), "dev"), "acme/dev");
        assert_eq!(team.spoken_id(Some("acme"), "acme/dev"), "acme/dev");
        let known = |name: &str| (name == "parent").then(|| id.clone());
        assert_eq!(member.path_part("org", &known).as_deref(), Some("acme"));
        assert_eq!(member.path_part("parent", &known).as_deref(), Some("a/b"));
        let own = |name: &str| (name == "id").then(|| "acme/dev/7".to_owned());
        assert_eq!(member.path_part("id", &own).as_deref(), Some("7"));
        assert_eq!(member.path_part("parent", &own).as_deref(), Some("dev"));
    }

    #[test]
    fn names_are_respelled_both_ways() {
        assert_eq!(respell("organizationTypeId", Naming::Kebab), "organization-type-id");
        assert_eq!(respell("perPage", Naming::Snake), "per_page");
        assert_eq!(camel("organization-type-id"), "organizationTypeId");
        assert_eq!(camel("use_for_title"), "useForTitle");
        assert_eq!(plural("category"), "categories");
        assert_eq!(plural("organizationstatus"), "organizationstatuses");
    }
}
