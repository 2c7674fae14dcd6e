//! The format of API descriptions: what the `spec` of a `kind: Api` manifest may say.
//!
//! Everything here is plain data read from YAML; [`super::compiled`] turns it into the form that the engine uses.
//! The built-in APIs are written in exactly this format. The file is long on purpose: it is the format's one reference.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One API: where it is, how it speaks, and its kinds.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiSpec {
    /// The API's name for people, such as `IT Glue`.
    pub title: Option<String>,
    /// What the API manages, in a sentence.
    pub description: Option<String>,
    /// Address of the vendor's reference.
    pub docs: Option<String>,
    /// Default base URL, without the version path. A connection's `url` overrides it.
    pub url: Option<String>,
    /// Hosts that credentials may be sent to, besides the host of `url`; `*.example.com` covers subdomains.
    pub hosts: Vec<String>,
    /// Path that every request starts with, such as `/v1`. A connection's `url` may or may not end with it.
    pub version_path: Option<String>,
    /// Headers sent with every request.
    pub headers: IndexMap<String, String>,
    /// Query parameters sent with every request.
    pub query: IndexMap<String, String>,
    /// The family of wire conventions.
    pub dialect: DialectName,
    /// How field names are spelled on the wire; the default is the dialect's (`kebab` for JSON:API, else `snake`).
    pub naming: Option<Naming>,
    /// Media type of request bodies; the default is the dialect's.
    pub content_type: Option<String>,
    /// TLS, where the usual is not enough.
    pub tls: TlsSpec,
    /// HTTP proxy that requests go through; the environment's (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`) unless given.
    pub proxy: Option<String>,
    /// How long to wait for the API.
    pub timeouts: Timeouts,
    /// The ways to authenticate that the API offers, in order of preference. None: no authentication.
    pub auth: Vec<AuthScheme>,
    /// A read that tells who the credential belongs to; `doctor` calls it.
    pub check: Option<Check>,
    /// What bodies are wrapped in.
    pub envelope: Envelope,
    /// How lists are paged.
    pub paging: Paging,
    /// How errors look.
    pub errors: Errors,
    /// Documented limits.
    pub limits: Limits,
    /// Answers leave out what is null, empty, false or zero: a field that can be cleared or has a default, and is not in
    /// a whole object, has no value.
    pub omits_empty: bool,
    /// The call that makes and changes objects of all kinds, of APIs whose `dialect` is `apply`.
    pub apply: ApplySpec,
    /// An update by key may have a `$filter` as well (`dialect: odata`): it names the values that it replaces, and changes
    /// nothing where they are others by then. What became of it is read, because such a server answers the same.
    pub guarded_updates: bool,
    /// Where the server tells its version, for kinds that `needs` one.
    pub version: Option<VersionSpec>,
    /// Types that fields of several kinds share, or that contain themselves: a field takes one by its `shape`.
    pub shapes: IndexMap<String, FieldSpec>,
    /// The kinds of objects that can be declared or referred to.
    pub kinds: Vec<KindSpec>,
}

/// TLS of an API's servers. What a connection says of it comes first.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsSpec {
    /// Certificates (PEM) that servers may be signed by, besides the machine's.
    pub ca: Option<String>,
    /// Every connection has to have a client certificate.
    pub client_certificate: bool,
    /// Server certificates are not checked; every run warns of it.
    pub insecure_skip_verify: bool,
}

/// How long to wait, in seconds. What a connection says of it comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection; 10 unless given.
    pub connect: Option<u32>,
    /// While an answer is silent; 60 unless given.
    pub silence: Option<u32>,
    /// For one attempt, its answer's body included; 120 unless given.
    pub total: Option<u32>,
    /// For how long the server may still be at a call without an answer; 10 unless given. Only then does the absence of
    /// what the call was to make count.
    pub settle: Option<u32>,
}

/// A family of wire conventions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DialectName {
    /// JSON objects, bare or in an envelope.
    #[default]
    Rest,
    /// JSON:API: `{"data": {"type", "id", "attributes", "relationships"}}`.
    Jsonapi,
    /// OData: keys in parentheses, `$select`, `$filter`, `$expand`; lists as `{"d": [...]}` or `{"value": [...]}`.
    Odata,
    /// Whole resources, `{"apiVersion", "kind", "metadata", "spec"}`, that one call makes or changes, whatever their
    /// kind: see `apply`.
    Apply,
}

/// The call that makes and changes objects of all kinds at once, and the one that deletes them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApplySpec {
    /// Path of the call (POST).
    pub path: String,
    /// Member of the body that lists the resources; `resources` unless given.
    pub request: Option<String>,
    /// Member of the answer that lists what became of each; `updates` unless given.
    pub answer: Option<String>,
    /// Member of such an entry that holds the resource; `resource` unless given.
    pub resource: Option<String>,
    /// Member with the word that says what became of it; `status` unless given.
    pub status: Option<String>,
    /// Member with the reason in words; `reason` unless given.
    pub reason: Option<String>,
    /// Words that mean success. Every other word is a failure of that resource, whatever the status of the answer.
    pub done: Vec<String>,
    /// Words of `done` that mean that nothing had to be changed.
    pub unchanged: Vec<String>,
    /// Resources a call at most; 100 unless given.
    pub max: Option<u32>,
    /// `apiVersion` of resources whose kind says nothing else.
    pub api_version: Option<String>,
    /// Attributes of a live resource that are sent back with it besides its fields, such as `metadata.id`.
    pub carried: Vec<String>,
    /// The call that deletes many resources.
    pub delete: Option<ApplyDelete>,
}

/// The call that deletes many resources, whatever their kind.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApplyDelete {
    /// Path of the call (POST).
    pub path: String,
    /// Words that mean that the resource is gone. One that the answer does not mention was gone before.
    pub done: Vec<String>,
}

/// Where the server tells its version.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VersionSpec {
    /// Path of the call (GET).
    pub path: String,
    /// Where the answer has the version, such as `tag`.
    pub at: String,
}

/// What an object needs of the server.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Need {
    /// Where it does.
    pub when: Condition,
    /// The oldest version that will do, such as `1.85`.
    pub version: String,
}

/// How a new version of an object gets to where it is used, which an update alone does not do.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RolloutSpec {
    /// Field that says what plumb does about a new version of its own: `none`, `start` (the default) or `wait`.
    pub policy: String,
    /// Field with the seconds that `wait` takes at most.
    pub limit: Option<String>,
    /// Attribute whose change makes a new version, such as `spec`; any change where there is none.
    pub under: Option<String>,
    /// Kinds whose change makes a new version of the objects that use them.
    pub caused_by: Vec<String>,
    /// Where an object has its newest version.
    pub version: String,
    /// Where it has a hash of the newest version's content: one that is not rolled out may be edited in place.
    pub hash: String,
    /// Where it has the version that was rolled out last.
    pub current: String,
    /// Where it has the state of the newest version's rollout.
    pub state: String,
    /// Where it has the stage that the rollout is at; it is at a gate where it is not started and has a stage.
    pub stage: String,
    /// Where it has how many there are, by word: `completed`, `errors`, `pending`, `waiting`.
    pub progress: IndexMap<String, String>,
    /// What the states are.
    pub states: RolloutStates,
    /// The call that starts it.
    pub start: CallSpec,
    /// The body of that call.
    pub body: Value,
    /// The read that tells how it gets on.
    pub status: CallSpec,
    /// Who gets it, to be counted in plans.
    pub receivers: Option<Receivers>,
}

/// The states of a rollout, by the values that answers have for them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RolloutStates {
    /// It was not started, or waits at a gate.
    pub pending: Vec<Value>,
    /// It is under way.
    pub started: Vec<Value>,
    /// Somebody paused it.
    pub paused: Vec<Value>,
    /// It failed.
    pub error: Vec<Value>,
    /// It is done.
    pub stable: Vec<Value>,
    /// A newer one took its place.
    pub replaced: Vec<Value>,
}

/// Who gets a rollout: rows of a kind that bear the right labels.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Receivers {
    /// The kind.
    pub kind: String,
    /// What they are called, in the plural.
    pub called: String,
    /// Where a row has its labels.
    pub labels: String,
    /// The label that names the object by its id, and wins.
    pub label: String,
    /// Where the object has the labels that a row must bear otherwise.
    pub selector: String,
}

/// How field names are spelled on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Naming {
    /// `organization_type_id`
    Snake,
    /// `organization-type-id`
    Kebab,
    /// `organizationTypeId`
    Camel,
}

/// A way to authenticate.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuthScheme {
    /// A key in a header or a query parameter.
    ApiKey(ApiKeyScheme),
    /// `Authorization: Bearer TOKEN`.
    Bearer(BearerScheme),
    /// HTTP basic authentication.
    Basic(BasicScheme),
    /// OAuth 2.0 client credentials (RFC 6749 section 4.4).
    Oauth2(OAuth2Scheme),
    /// A token got by logging in, and refreshed.
    Login(Box<LoginScheme>),
}

/// A key in a header or a query parameter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiKeyScheme {
    /// Header that carries the key.
    pub header: Option<String>,
    /// Query parameter that carries the key, where there is no header.
    pub query: Option<String>,
    /// Text before the key, such as `Token `.
    pub prefix: Option<String>,
}

/// A bearer token.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BearerScheme {
    /// Text before the token; `Bearer ` unless given.
    pub prefix: Option<String>,
}

/// HTTP basic authentication.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BasicScheme {}

/// OAuth 2.0 client credentials.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OAuth2Scheme {
    /// Token endpoint: a URL, or a path below the base URL. A connection may give its own.
    pub token_url: Option<String>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// The `audience` parameter, where the server wants one.
    pub audience: Option<String>,
    /// Where the client id and secret go.
    pub client_auth: ClientAuth,
}

/// Where an OAuth 2.0 client's id and secret go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClientAuth {
    /// Into the form body.
    #[default]
    Body,
    /// Into an `Authorization: Basic` header.
    Header,
}

/// A login exchange: tokens that are refreshed, or a session's cookie.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginScheme {
    /// Path of the login call.
    pub path: String,
    /// Method of the login and the refresh call; POST unless given.
    #[serde(default)]
    pub method: Option<String>,
    /// Body of the login call; `{email}`, `{username}`, `{password}` stand for the connection's values.
    #[serde(default)]
    pub body: IndexMap<String, String>,
    /// The body is a form (`application/x-www-form-urlencoded`) rather than JSON.
    #[serde(default)]
    pub form: bool,
    /// Cookie of the login's answer that every call sends back; the answer then needs no token.
    #[serde(default)]
    pub cookie: Option<String>,
    /// Path of the refresh call; none: log in again instead.
    #[serde(default)]
    pub refresh_path: Option<String>,
    /// Body of the refresh call; `{refresh_token}` stands for the token.
    #[serde(default)]
    pub refresh_body: IndexMap<String, String>,
    /// Where the answer has the access token.
    #[serde(default = "access_token")]
    pub access_token: String,
    /// Where the answer has the refresh token.
    #[serde(default = "refresh_token")]
    pub refresh_token: String,
    /// Where the answer has the lifetime in seconds.
    #[serde(default = "expires_in")]
    pub expires_in: String,
}

fn access_token() -> String {
    "access_token".into()
}
fn refresh_token() -> String {
    "refresh_token".into()
}
fn expires_in() -> String {
    "expires_in".into()
}

/// A read that tells who the credential belongs to.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Check {
    /// Path of the call (GET).
    pub path: String,
    /// Query parameters of the call.
    pub query: IndexMap<String, String>,
    /// Where the answer names the caller.
    pub identity: Option<String>,
    /// Every run makes this read before all others, and reads nothing else where it fails: for APIs that answer a bad
    /// credential with a part of their data.
    pub required: bool,
    /// Where the answer has what `lockout.caller` fields are compared with; `id` unless given.
    pub caller: Option<String>,
    /// Path of the read that has `caller`, where it is not `path`. A credential that is nobody's may be refused it.
    pub caller_path: Option<String>,
}

/// What bodies are wrapped in; paths are dotted member names, none means bare.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Envelope {
    /// Member that a request body is put under.
    pub request: Option<String>,
    /// Member of an answer that holds one object.
    pub one: Option<String>,
    /// Member of an answer that holds a list.
    pub many: Option<String>,
}

/// How lists are paged.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Paging {
    /// The style; `none` reads one answer.
    pub style: PagingStyle,
    /// Query parameter of the page number, offset (`$skip`) or cursor.
    pub page: Option<String>,
    /// Query parameter of the page size (`limit`, `$top`).
    pub size: Option<String>,
    /// The largest page size that the API allows; it is always asked for.
    pub max_size: Option<u32>,
    /// Number of the first page; 1 unless given.
    pub first: Option<u32>,
    /// Where answers say how many objects there are in all (the first path that is there counts).
    pub total: Vec<String>,
    /// Where answers say how many pages there are.
    pub total_pages: Vec<String>,
    /// Where answers have the next cursor, the next URL or the next page's number.
    pub next: Vec<String>,
    /// Query parameters that give lists a stable order.
    pub sort: IndexMap<String, String>,
    /// Servers may give fewer than they are asked for: a list ends with its total, or else with an empty page.
    pub short_pages: bool,
}

/// A style of paging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PagingStyle {
    /// The whole list in one answer.
    #[default]
    None,
    /// `page=N`, numbered.
    Page,
    /// `offset=N`, counted in objects.
    Offset,
    /// A cursor in the body, sent back as a query parameter.
    Cursor,
    /// `Link: <…>; rel="next"` (RFC 8288).
    Link,
    /// The next page's URL in the body (`next`, `@odata.nextLink`).
    NextUrl,
    /// OData: the rows whose id is greater than the last one's, in the order of ids; safe while rows go.
    AfterId,
}

/// How errors look and what status codes mean.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Errors {
    /// Where an error body has its message; all that are there are joined.
    pub message: Vec<String>,
    /// Where an error body has its code.
    pub code: Vec<String>,
    /// Statuses that mean "no such object"; 404 and 410 unless given.
    pub absent: Vec<u16>,
    /// Statuses that mean "exists already"; 409 unless given.
    pub conflict: Vec<u16>,
    /// Codes that mean "exists already", whatever the status.
    pub conflict_codes: Vec<String>,
    /// Statuses of faults that may be the request's own: a read is repeated once after them.
    pub once: Vec<u16>,
    /// Statuses, besides 401, that mean that the credential is not accepted, or not any more: a token is renewed after them.
    pub auth: Vec<u16>,
    /// Statuses of passing faults; 429, 502, 503 and 504 unless given.
    pub retry: Vec<u16>,
    /// Statuses of refusals that mean "no such object" where the message has one of these words, in any case; the read
    /// or deletion of one object, or a list below one, then finds nothing.
    pub absent_words: Option<Words>,
    /// Statuses of refusals that mean "exists already" where the message has one of these words, and else do not.
    pub conflict_words: Option<Words>,
    /// Status of a body that is refused, where it is not the dialect's; the simulated API answers with it.
    pub invalid: Option<u16>,
}

/// Refusals that say more in words than by their status.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Words {
    /// The statuses.
    pub statuses: Vec<u16>,
    /// The words, of which the message has one.
    pub words: Vec<String>,
}

/// Documented limits, and the headers that tell what is left of them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Requests allowed in a window.
    pub requests: Option<u32>,
    /// Length of the window in seconds; 60 unless given.
    pub window: Option<u32>,
    /// Requests at the same time; 8 unless given.
    pub concurrency: Option<u32>,
    /// Header with the limit.
    pub limit_header: Option<String>,
    /// Header with the requests left.
    pub remaining_header: Option<String>,
    /// Header with the time at which the window ends: epoch seconds or milliseconds, delta seconds, or an HTTP date.
    pub reset_header: Option<String>,
    /// Header in which a create carries an idempotency key, where the API honours one.
    pub idempotency_header: Option<String>,
}

/// One kind of object.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the format on its own")]
pub struct KindSpec {
    /// Name of the kind, in `UpperCamelCase`.
    pub kind: String,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// Section of the vendor's reference.
    pub docs: Option<String>,
    /// Plural for Kubernetes and prose; formed from `kind` unless given.
    pub plural: Option<String>,
    /// Short names for Kubernetes.
    pub short_names: Vec<String>,
    /// Path of the collection, such as `/organizations`. `{field}` stands for the id of what a reference field names,
    /// `{parent}` for the id of the object that this one is inside.
    pub path: String,
    /// Member of answers that holds one object of this kind, where it differs from the API's `envelope.one`.
    pub answer: Option<String>,
    /// JSON:API type, as written in requests; the last segment of `path` unless given.
    #[serde(rename = "type")]
    pub wire_type: Option<String>,
    /// Family of conventions, where it differs from the API's.
    pub dialect: Option<DialectName>,
    /// Where objects carry their id.
    pub id: IdSpec,
    /// Fields that together tell one object from another. One that is not `required` may be left out: the key then
    /// matches only objects that have nothing there either. The last one is the object's name.
    pub key: Vec<String>,
    /// Fields of `key` that may be left out: the key then matches only objects that have nothing there either.
    pub key_optional: Vec<String>,
    /// Keys to use instead, in order, where a field of `key` is not declared.
    pub key_fallbacks: Vec<Vec<String>>,
    /// Fields that tell objects with the same key apart, where they are declared.
    pub key_extra: Vec<String>,
    /// Whether the vendor lets two objects have the same key; such a kind is never adopted by guess.
    pub key_not_unique: bool,
    /// Which live objects that nothing owns yet a manifest takes over.
    pub adopt: Adoption,
    /// Field that takes `metadata.name` where the manifest leaves it out; the last field of `key` unless given, none
    /// where empty.
    pub name_field: Option<String>,
    /// Further fields that a reference may name an object by, such as `iso` of a country.
    pub aliases: Vec<String>,
    /// The kind can be referred to but not declared.
    pub lookup: bool,
    /// There is exactly one object, at `path`; it is adopted, updated and forgotten.
    pub singleton: bool,
    /// Objects contain others: never deleted without `plumb.dev/deletion-policy: delete`.
    pub contains: bool,
    /// The kind is written inline in manifests of other kinds.
    pub inside: Option<Inside>,
    /// The parent that lists are limited to.
    pub scope: Option<Scope>,
    /// Only the caller's own objects count.
    pub mine: Option<Mine>,
    /// What the API cannot do for this kind.
    pub lacks: Vec<Verb>,
    /// The list call.
    pub list: ListSpec,
    /// The read of one object.
    pub get: CallSpec,
    /// The create call.
    pub create: CallSpec,
    /// The update call.
    pub update: UpdateSpec,
    /// The delete call.
    pub delete: CallSpec,
    /// Calls that take many objects.
    pub bulk: Bulk,
    /// The fields that manifests may have.
    pub fields: IndexMap<String, FieldSpec>,
    /// Attributes of answers that are no fields, each with the reason.
    pub ignored: IndexMap<String, String>,
    /// Writable attributes of the vendor's tables that are no fields, each with the reason.
    pub excluded: IndexMap<String, String>,
    /// Rows of the list that are not objects of this kind: never matched, listed or deleted.
    pub not_ours: Vec<Condition>,
    /// Objects that are never deleted.
    pub never_delete: Vec<Condition>,
    /// Records that another system owns, of which only some fields can be changed.
    pub synced: Option<Synced>,
    /// Declarations that contradict each other.
    pub conflicts: Vec<Conflict>,
    /// What no two objects of a scope may be declared to be at once.
    pub at_most_one: Option<AtMostOne>,
    /// The API carries a deletion out later; the object stays listed meanwhile.
    pub deferred_delete: bool,
    /// What a deletion destroys besides the object, in words; such an object is retained unless its deletion policy says delete.
    pub delete_loses: Option<String>,
    /// The API refuses to delete an object that others use: one that is used by what stays is kept, whatever field the
    /// use is of. Without it, only uses by `required` fields count.
    pub kept_while_used: bool,
    /// Field and value that archive an object instead of deleting it.
    pub archive: Option<Archive>,
    /// Objects without which plumb could not go on: deleting or demoting one is refused.
    pub lockout: Option<Lockout>,
    /// Objects that wait for a person after they were made.
    pub pending: Option<Pending>,
    /// The API makes objects of this kind by itself, through another one.
    pub appears: Option<Appears>,
    /// Objects that are a part of one of another kind: an export or a survey does not show them besides.
    pub part_of: Option<PartOf>,
    /// Most objects are the vendor's own, and nothing tells them from others: an export has them only where they are named.
    pub exported_by_name: bool,
    /// Name of the hook that does what data cannot say.
    pub hook: Option<String>,
    /// What objects need of the server.
    pub needs: Vec<Need>,
    /// How a new version of an object gets to where it is used.
    pub rollout: Option<RolloutSpec>,
}

/// Something that an API may be unable to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// List the collection.
    List,
    /// Read one object.
    Get,
    /// Create.
    Create,
    /// Change in place; a change is then a delete and a create.
    Update,
    /// Delete.
    Delete,
}

/// Where objects carry their id.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IdSpec {
    /// Paths in an answer's object, the first that is there counts; `id` unless given.
    pub path: Vec<String>,
    /// How ids are written in request bodies.
    pub wire: IdWire,
    /// Field whose value the client chooses as the id (create by PUT).
    pub client: Option<String>,
    /// The id tells objects of one parent apart only: plumb puts the parent's id and a slash before it. The parent is
    /// that of `scope`, or the one that the object is inside; paths may name the parents above it by their own fields.
    pub local: bool,
    /// Path of what tells an object from another that had the same id before it, such as `metadata.id` where the id is
    /// a name.
    pub stamp: Option<String>,
    /// Paths of what moves with each change of an object, such as a version and a hash: where that is not as plumb left
    /// it, values that the API does not show may be others, and plans say so.
    pub revision: Vec<String>,
    /// Path of when an object was made, as RFC 3339 or in seconds since 1970: an object of another time than that of a
    /// create whose answer was lost is not taken for what that create made.
    pub made: Option<String>,
}

/// Which live objects that nothing owns yet a manifest takes over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Adoption {
    /// The one with its natural key, or that `plumb.dev/external-id` names.
    #[default]
    ByKey,
    /// Only one that `plumb.dev/external-id` names.
    ById,
    /// None: only `plumb import` takes objects over.
    Never,
}

/// How ids are written in request bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum IdWire {
    /// As a string.
    #[default]
    String,
    /// As a number.
    Number,
}

/// A kind that is written inline in manifests of other kinds.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Inside {
    /// The parents' kinds, each with the text that `{parentPath}` stands for in paths (empty where there is none).
    pub parents: IndexMap<String, String>,
    /// Field of the parents' manifests that lists the entries.
    pub field: String,
    /// How entries are written.
    pub form: InsideForm,
    /// Field of an entry that names the key which it had before.
    pub renamed_from: Option<String>,
    /// Value of the list call's include parameter that brings the entries along with their parents.
    pub include: Option<String>,
    /// The include works on the read of one parent only.
    pub include_on_get_only: bool,
    /// Not every server has them: a survey whose list fails with them reads the parents without them, and says so.
    pub on_demand: bool,
    /// Path of a parent's create body that entries can be sent along in.
    pub embed: Option<String>,
    /// JSON:API type of entries that are sent along, where it differs from the kind's.
    pub embed_type: Option<String>,
    /// A parent cannot be created without an entry.
    pub embed_required: bool,
    /// Fields of which no two entries of a parent may have the same value.
    pub unique: Vec<String>,
    /// At least one entry of every parent must fulfil this.
    pub at_least_one: Option<Condition>,
    /// Field that refers to the parent on the wire, where the flat route needs it.
    pub parent_wire: Option<String>,
    /// The entries hang on an object that joins the parent with something else.
    pub through: Option<Through>,
}

/// The object that entries hang on: it joins their parent with what one of their fields refers to, and is found or
/// made when it is needed.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Through {
    /// Its kind, a lookup.
    pub kind: String,
    /// Field of that kind that refers to the parent.
    pub parent: String,
    /// Field of that kind, and of the entries, that refers to the other side.
    pub field: String,
    /// Value of the parents' include parameter that brings such objects along; the entries' own `include` is theirs.
    pub include: String,
    /// Attribute of the entries that refers to it.
    pub wire: String,
    /// Path of its collection.
    #[serde(skip)]
    pub path: String,
}

/// How entries inside a parent are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InsideForm {
    /// A list of objects.
    #[default]
    List,
    /// A list of `{name, value}` or `{name, valueFrom}`.
    Variables,
    /// A map of strings.
    Map,
}

/// The parent that lists are limited to.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scope {
    /// The reference field that names the parent.
    pub field: String,
    /// Query parameter that limits the list to one parent's id; none where the path has `{field}`. In OData it is the
    /// attribute that refers to the parent, and one list is limited to as many parents as its URL has room for.
    pub filter: Option<String>,
    /// The API has no list over all parents.
    pub required: bool,
    /// Path of the list below one parent, where it is another collection than that of all.
    pub path: Option<String>,
    /// Query parameters of a list that is not limited to parents.
    pub unlimited: IndexMap<String, String>,
    /// A list that is not limited to parents shows what others made public, too: a survey limits it to the parents that
    /// are the account's own.
    pub public: bool,
}

/// Only the caller's own objects count: those that name the caller.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Mine {
    /// Attribute that names the caller.
    pub wire: String,
    /// Where the answer of the API's `check` has its value.
    pub caller: String,
    /// Creates send it.
    pub sent: bool,
}

/// The list call.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ListSpec {
    /// Path; the kind's `path` unless given.
    pub path: Option<String>,
    /// Query parameters.
    pub query: IndexMap<String, String>,
    /// Headers, besides those of the API.
    pub headers: IndexMap<String, String>,
    /// Items are summaries: a field that is not in one is read object by object where a manifest declares it.
    pub partial: bool,
    /// Values of the include parameter always asked for.
    pub include: Vec<String>,
    /// Member of the answer that holds the list, where it differs from the API's.
    pub items: Option<String>,
    /// Paging, where it differs from the API's.
    pub paging: Option<Paging>,
    /// A list over the parents below one that is further up; it is read in place of those of several parents. Where the
    /// kind `lacks` its own list, it is the only one.
    pub across: Option<Across>,
    /// Attributes that the answer has as lists beside one another in place of rows, each with the paths whose values
    /// follow one another: `{key: [default, others], name: [names]}`.
    pub columns: IndexMap<String, Vec<String>>,
}

/// A list of objects below many parents, whose rows say which parent is theirs.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Across {
    /// Path of the list, with the template of the parent further up.
    pub path: String,
    /// Where a row has what names the parents between, from the outermost to its own: the paths of each, of which the
    /// first that is there counts.
    pub parents: Vec<Vec<String>>,
}

/// One call.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CallSpec {
    /// HTTP method.
    pub method: Option<String>,
    /// Path; the usual one for the verb unless given. `{id}` stands for the object's id.
    pub path: Option<String>,
    /// Query parameters.
    pub query: IndexMap<String, String>,
    /// Headers, besides those of the API.
    pub headers: IndexMap<String, String>,
    /// Query parameters that take the place of those of `query` where no secret is asked for.
    pub without_secrets: IndexMap<String, String>,
    /// Member that the request body is put under, where it differs from the API's; empty for bare.
    pub envelope: Option<String>,
    /// Paths of objects that are made by another call, the first whose condition holds.
    pub instead: Vec<Instead>,
    /// Who has to act first: the action waits for that without a call, and instead of failing where it is refused.
    pub waits: Option<Waits>,
    /// The call answers with nothing; what it made is looked up.
    pub answers_nothing: bool,
    /// Statuses that mean success; any 2xx unless given.
    pub success: Vec<u16>,
    /// The answer is `202 Accepted` with a `Location` to poll.
    pub poll: bool,
    /// Of a create: what turns out to exist is looked up, and updated where it is not as declared.
    pub upsert: bool,
    /// Attributes that every create sends where the object has none of its own.
    pub body: IndexMap<String, Value>,
    /// Statuses of refusals that pass: what used the object went a moment ago, and the API has not noticed yet.
    pub busy: Vec<u16>,
}

/// Another path of a call.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Instead {
    /// For which objects.
    pub when: Condition,
    /// The path.
    pub path: String,
}

/// What a create waits for: an object of another kind of the same scope that is not ready yet.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Waits {
    /// The kind.
    #[serde(rename = "for")]
    pub kind: String,
    /// Fields of it by own field: one of the declared ones tells which object it is.
    pub by: IndexMap<String, String>,
    /// What it is like while it is waited for.
    #[serde(rename = "while")]
    pub condition: Condition,
    /// Who has to do what, in words.
    pub message: String,
}

/// The update call.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpdateSpec {
    /// HTTP method; PATCH unless given, PUT where `style` is `replace`.
    pub method: Option<String>,
    /// Path.
    pub path: Option<String>,
    /// Query parameters.
    pub query: IndexMap<String, String>,
    /// Headers, besides those of the API.
    pub headers: IndexMap<String, String>,
    /// Attributes that every update sends where the object has none of its own.
    pub body: IndexMap<String, Value>,
    /// Member that the request body is put under, where it differs from the API's; empty for bare.
    pub envelope: Option<String>,
    /// The call answers with nothing.
    pub answers_nothing: bool,
    /// Statuses that mean success; any 2xx unless given.
    pub success: Vec<u16>,
    /// What the body is.
    pub style: UpdateStyle,
    /// Attribute (or `etag`) that is sent back so that a change in between is refused.
    pub lock: Option<String>,
    /// A refused lock is tried once more with what is live then, where that does not contradict the plan.
    pub lock_again: bool,
    /// Fields that cannot be changed and are sent along all the same, in `style: replaceFields`.
    pub also: Vec<String>,
    /// Objects that the call does not take: a change of one is a delete and a create.
    pub unless: Vec<Condition>,
    /// Member of the body that names the object by its id, where the path does not.
    pub id_in_body: Option<String>,
}

/// What the body of an update is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UpdateStyle {
    /// The changed fields; nested objects whole.
    #[default]
    Fields,
    /// A JSON merge patch (RFC 7386): nested changes only, null deletes.
    MergePatch,
    /// A JSON patch (RFC 6902).
    JsonPatch,
    /// The whole object: what is live, with the declared fields laid over.
    Replace,
    /// The described fields, all of them: what is live, with the declared ones laid over. Nothing else of the answer is
    /// sent back.
    ReplaceFields,
}

/// Calls that take many objects.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Bulk {
    /// Create many.
    pub create: Option<BulkSpec>,
    /// Update many.
    pub update: Option<BulkSpec>,
    /// Delete many; used for one object too where `delete` is lacking.
    pub delete: Option<BulkSpec>,
}

/// A call that takes many objects.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BulkSpec {
    /// HTTP method; POST, PATCH or DELETE unless given.
    pub method: Option<String>,
    /// Path; the kind's `path` unless given. A `{field}` in it splits the objects by what that field refers to.
    pub path: Option<String>,
    /// Query parameters.
    pub query: IndexMap<String, String>,
    /// Objects a call at most; 100 unless given.
    pub max: Option<u32>,
    /// Fields that the bulk call does not take: an object that needs one goes alone.
    pub except: Vec<String>,
    /// This is the only call: one object goes by it too.
    pub only: bool,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FieldType {
    /// Text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// An instant, RFC 3339.
    Datetime,
    /// Named members of its own, under `fields`.
    Object,
    /// A map with keys of the user's own; `items` types the values, any JSON without it.
    Map,
    /// A list of `items`.
    List,
    /// A reference to an object; see `ref`.
    Ref,
    /// A file that is uploaded: `{file: PATH}`.
    File,
    /// Where a value goes that the answer to a create has once, such as a token: `{file: PATH}`.
    Sink,
    /// Any JSON.
    Any,
}

/// One field of a kind.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the format on its own")]
pub struct FieldSpec {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: FieldType,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// Attribute on the wire (a dotted path for nested ones); spelled by `naming` unless given. A reference adds `_id`.
    pub wire: Option<String>,
    /// Other places of an answer's object that have the value: paths such as `relationships.users.data[*].id`.
    pub read: Vec<String>,
    /// Attribute of creates, where it differs from `wire`; empty where creates do not take it. In JSON:API `relationships.NAME.TYPE` sends ids as a
    /// relationship, `{"NAME": {"data": [{"type": "TYPE", "attributes": {"id": 1}}]}}`.
    pub create_wire: Option<String>,
    /// File field whose file's name it takes where the manifest leaves it out.
    pub from_file: Option<String>,
    /// Where answers tell about an uploaded file.
    pub file: Option<FileSpec>,
    /// Needed to create.
    pub required: bool,
    /// Needed to create where this holds.
    pub required_when: Option<Condition>,
    /// Null clears it.
    pub nullable: bool,
    /// The values that are allowed.
    #[serde(rename = "enum")]
    pub allowed: Vec<Value>,
    /// Regular expression that the whole text must match.
    pub pattern: Option<String>,
    /// Regular expression that the keys of a map must match, each as a whole.
    pub key_pattern: Option<String>,
    /// Regular expression that the whole text must not match: names that are reserved.
    pub not_pattern: Option<String>,
    /// Characters at most.
    pub max_length: Option<u32>,
    /// Smallest number.
    pub minimum: Option<f64>,
    /// Largest number.
    pub maximum: Option<f64>,
    /// What the text must look like.
    pub format: Option<Format>,
    /// It cannot be changed once the object exists.
    pub immutable: Option<Immutable>,
    /// It cannot be changed once something makes use of the object.
    pub frozen_by: Option<FrozenBy>,
    /// Whether it takes sensitive values.
    pub sensitive: Option<Sensitivity>,
    /// It never comes back.
    pub write_only: bool,
    /// Most objects have none: what cannot be read is not taken for granted by an export.
    pub seldom: bool,
    /// The server owns it; manifests cannot have it, references may.
    pub read_only: bool,
    /// What the server fills in, and what absence reads as.
    pub default: Option<Value>,
    /// How the natural form is encoded on the wire.
    pub encode: Option<Encoding>,
    /// What counts as equal, besides equal values.
    pub equal: Vec<Equality>,
    /// The list call cuts the value to this many characters.
    pub list_cuts_at: Option<u32>,
    /// Only the read of one object has it.
    pub on_get_only: bool,
    /// Answers leave it out where it has no value; so it is with all fields that can be cleared or have a default where
    /// the API's `omitsEmpty` says so.
    pub omitted: bool,
    /// Order does not matter (of a list).
    pub set: bool,
    /// Field of the items that tells them apart: entries are then managed one by one.
    pub keyed_by: Option<String>,
    /// Type of a list's items or a map's values.
    pub items: Option<Box<FieldSpec>>,
    /// Members of an object.
    pub fields: IndexMap<String, FieldSpec>,
    /// The object may have members beside `fields`, spelled as on the wire.
    pub open: bool,
    /// What a reference refers to.
    #[serde(rename = "ref")]
    pub reference: Option<RefSpec>,
    /// The field exists only where this holds.
    pub when: Option<Condition>,
    /// Values that the server forces.
    pub forced: Vec<Forced>,
    /// Read only by hooks or by the key: never sent.
    pub not_sent: bool,
    /// Sent as a whole whenever any part of it changes, undeclared parts as they are live.
    pub whole: bool,
    /// Fields whose change makes the server move this one too: where it is declared, it is sent along with them.
    pub moved_by: Vec<String>,
    /// It is a part of the path alone: neither in bodies nor in answers.
    pub path_only: bool,
    /// Query parameter by which creates take it, in place of the body.
    pub query: Option<String>,
    /// Creates do not take it: where it is declared, an update follows.
    pub update_only: bool,
    /// Only a read of its own has it.
    pub read_by: Option<ReadBy>,
    /// What updates that send all described fields send where neither the manifest nor the API has a value.
    pub fill: Option<Value>,
    /// Blanks around the text are dropped before it is sent.
    pub trim: bool,
    /// Members that an object has by the value of another field.
    pub variants: Option<Variants>,
    /// A change of it moves more than the field: a manifest must allow it by `plumb.dev/allow: WORD`.
    pub consent: Option<Consent>,
    /// Asked for only where a manifest declares it, because not every server has it (OData's `$select`). A survey asks for
    /// it, and asks again without it where the list fails.
    pub on_demand: bool,
    /// In keys, the case of letters does not count: two objects cannot differ in that only.
    pub key_ignores_case: bool,
    /// What a change of it brings about besides.
    pub effect: Option<Effect>,
    /// One of the API's `shapes`, that this field has the type of; what stands beside it counts more.
    pub shape: Option<String>,
    /// Text that the API shows in place of a sensitive value that it has stored, and takes for "keep what is stored".
    /// It is sent only where something is stored; the value is compared by its keyed hash with what was applied.
    pub mask: Option<String>,
    /// Text before the value on the wire.
    pub prefix: Option<String>,
    /// The server fills it in where it is left out: in lists it is then not compared, and sent as it is live.
    pub filled: bool,
    /// Whether members of the live object that are not described are sent back where an update sends the object whole;
    /// they are unless this is `false`. `true` on a `readOnly` member sends that one back, too.
    pub carries: Option<bool>,
    /// The server keeps what it has where an update leaves the field out (of one that is never read back).
    pub kept_if_omitted: bool,
    /// Attribute of answers that lists the keys of this map where its values are not shown: an export writes a stub for
    /// each.
    pub keys_at: Option<String>,
    /// Members of a list's items that tell which of them is meant, in turn: such as `[[id], [type, displayName]]`. Items
    /// that are in the same order as the live ones are compared member by member, and keep what they do not declare.
    pub match_by: Vec<Vec<String>>,
    /// Members of an object of which exactly one is declared.
    pub one_of: Vec<String>,
    /// Where the entries of this keyed list are defined: entries whose definition says so are sensitive.
    pub defined_by: Option<Box<DefinedBy>>,
    /// It leads to items of the object's own lists, and the server makes it where it is left out.
    pub leads: Option<Box<Leads>>,
}

/// What leads to items of an object's lists, as texts `LIST/ID`; the id is the member `id` of the item. What is not
/// declared is not sent back where it leads to an item that goes, or where it led to all items of a list that gets more.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Leads {
    /// Name of the members, anywhere in it, that have these texts.
    pub by: String,
    /// The list whose items are all led to, unless somebody chose among them.
    pub all: String,
    /// Only objects that fulfil this have it; of kinds that have no such field, all do.
    pub when: Option<Condition>,
}

/// What a change of a field brings about besides.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Effect {
    /// In a sentence, for the plan.
    pub note: Option<String>,
    /// Fields that the server clears; one that is declared is sent along (`movedBy`).
    pub clears: Vec<String>,
    /// Fields with entries inside that the server deletes; those that are declared are made anew.
    pub destroys: Vec<String>,
}

/// A read of its own that a field is in.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReadBy {
    /// Path of the call (GET).
    pub path: String,
    /// Where the answer has the value; the whole of it unless given.
    pub value: Option<String>,
}

/// Members that an object has by the value of another field.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Variants {
    /// The field beside the object that decides.
    pub field: Option<String>,
    /// The member of the object that decides.
    pub member: Option<String>,
    /// What there is for each of its values.
    pub of: IndexMap<String, Variant>,
}

/// What an object has for one value of the deciding field.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Variant {
    /// Members that it needs.
    pub required: Vec<String>,
    /// Members that it may have besides.
    pub optional: Vec<String>,
    /// Groups of members of which at least one must be there whole.
    pub one_of: Vec<Vec<String>>,
}

/// What a change of a field does besides.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Consent {
    /// Word of the annotation.
    pub word: String,
    /// What the change does, in a sentence that ends `… would …`.
    pub message: String,
}

/// Where the entries of a keyed list are defined.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DefinedBy {
    /// Reference field beside the list that names the object with the definitions.
    pub source: String,
    /// Field of that object that lists them.
    pub field: String,
    /// Member of a definition with the key of the entry.
    pub key: String,
    /// Path in a definition that is true where the entry is sensitive.
    pub sensitive: String,
    /// Member of the entry that has its value, which is then sensitive.
    pub member: String,
    /// Path in a definition with the name of the value's type.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// What those names mean; values of others are not looked at.
    pub types: IndexMap<String, FieldType>,
    /// Path in a definition that is true where an object needs the entry.
    pub required: Option<String>,
    /// Paths in a definition: where one is there, the entry may be left out all the same.
    pub unless: Vec<String>,
}

/// Where answers tell about an uploaded file, whose content they do not have: paths such as `attachment-file-size`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FileSpec {
    /// Its name.
    pub name: Option<String>,
    /// Its size in bytes.
    pub size: Option<String>,
}

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// An e-mail address.
    Email,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A MAC address.
    Mac,
    /// An absolute URL.
    Url,
}

/// What a change of an immutable field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Immutable {
    /// The object is deleted and created anew.
    Replace,
    /// The change is refused.
    Refuse,
    /// Sent when creating, never compared after.
    CreateOnly,
}

/// What makes use of an object so that a field of it cannot be changed any more. It is looked for only where a change
/// of the field is planned.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FrozenBy {
    /// Kind whose objects make use of it: those that the kind's `scope` limits to the object, or, of an entry inside,
    /// to its parent.
    pub kind: String,
    /// Attribute of those objects on the wire that has a member for each use; any object counts without it.
    pub attribute: Option<String>,
    /// Field of the object that names the member.
    pub member: Option<String>,
}

/// Whether a field takes sensitive values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Sensitivity {
    /// It takes nothing else.
    Always,
    /// It may.
    Allowed,
}

/// How a natural form is encoded on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Encoding {
    /// A list of texts as lines of one text.
    Lines,
    /// A boolean as `"true"` or `"false"`.
    BoolString,
    /// A number as text.
    NumberString,
    /// An instant as seconds since 1970.
    EpochSeconds,
    /// Any JSON as text.
    JsonString,
}

/// What counts as equal, besides equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Equality {
    /// Upper and lower case.
    Case,
    /// Everything but digits and a leading `+` dropped.
    Digits,
    /// MAC addresses with other separators and case.
    Mac,
    /// IP addresses in another spelling.
    Ip,
    /// Surrounding blanks.
    Blanks,
    /// HTML whitespace between and around tags.
    Html,
    /// YAML or JSON texts that say the same.
    Document,
    /// Durations: `60s`, `1m`, `PT1M`, and a number of seconds.
    Duration,
    /// Numbers and booleans, and texts that say the same: `5` and `"5"`, `true` and `"true"`.
    Scalars,
}

/// What a reference refers to.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the format on its own")]
pub struct RefSpec {
    /// The kind, in the same API.
    pub kind: Option<String>,
    /// The kinds, where it may be one of several: written `Kind/NAME`, and on the wire as a type and an id. Keys are
    /// the type's words on the wire; an empty value is a type that has no kind here (`TYPE/id:7`).
    pub kinds: IndexMap<String, String>,
    /// Wire attribute of the type, for `kinds`.
    pub type_wire: Option<String>,
    /// How the target is named on the wire: its `id` (default), or one of its fields.
    pub by: Option<String>,
    /// How the id is written; as the target kind says unless given.
    pub wire: Option<IdWire>,
    /// Text before the id on the wire, for values such as `FlexibleAssetType: 33`; manifests then write `Kind/NAME`,
    /// and the field's `enum` stays allowed.
    pub wire_prefix: Option<String>,
    /// Fields of the target's key that are taken from sibling fields: target field to own field, to `^field` for one of
    /// the parent of an entry, or to `self` for the very object that has the reference.
    pub complete: IndexMap<String, String>,
    /// Fields of the target's key that are known, canonical; hooks set it.
    #[serde(skip)]
    pub fixed: IndexMap<String, Value>,
    /// The target need not exist before this object (cycles are broken by a later update).
    pub weak: bool,
    /// How many parents' ids those of the target have before them, which do not go over the wire.
    #[serde(skip)]
    pub depth: usize,
    /// The text of a manifest that names no declared object goes over the wire as it is: it is not looked up.
    pub as_written: bool,
    /// A text that names nothing, declared or live, goes over the wire as it is, for the API to judge.
    pub or_as_written: bool,
    /// Field of the target of which a change of the reference has to keep the value: the API refuses every other target.
    pub keeps: Option<String>,
    /// Who is named may have no such name yet, because a person has to act first: the field then waits, and nothing is sent
    /// for it.
    pub waits: Option<RefWaits>,
    /// Mark at which a version begins that is no part of the name, such as `:` in `host:3`.
    pub version_mark: Option<String>,
    /// The name is taken as it is where the API lists no object of the kind at all.
    pub lenient: bool,
}

/// Where objects of another kind name the objects that are a part of them.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PartOf {
    /// The other kind.
    pub kind: String,
    /// Path in its answers of the part's id.
    pub at: String,
}

/// Why a reference may have to wait for a person.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RefWaits {
    /// Kind whose objects bring about what is referred to: while one is to be made, a name that nobody has yet may be its.
    #[serde(rename = "for")]
    pub kind: String,
    /// Who has to do what, in words.
    pub message: String,
}

/// A condition on an object: `wire` looks into the answer, `field` at the declared or decoded value.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Condition {
    /// Path in the answer's object.
    pub wire: Option<String>,
    /// Field of the kind.
    pub field: Option<String>,
    /// It has one of these values.
    #[serde(rename = "in")]
    pub one_of: Vec<Value>,
    /// It has none of these values.
    pub not_in: Vec<Value>,
    /// It is there and neither null nor empty.
    pub present: bool,
    /// It is there and is not what this reference field of the object names; in `synced.detect` only.
    pub other_than: Option<String>,
}

/// A value that the server forces.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Forced {
    /// Where it does.
    pub when: Condition,
    /// To what.
    pub value: Value,
}

/// Records that another system owns.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Synced {
    /// Signs of such a record; one is enough.
    pub detect: Vec<Condition>,
    /// Fields that can be changed all the same.
    pub allow: Vec<String>,
    /// Fields that cannot be changed, where they are the fewer; all but those of `allow` unless given.
    pub refuse: Vec<String>,
    /// Entries inside bear the signs, and count only where the object that they are inside is another system's.
    pub with_parent: bool,
    /// The system, in words.
    pub by: Option<String>,
}

impl Synced {
    /// Whether the API refuses a change of a field.
    pub fn refuses(&self, field: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|name| name == field);
        if self.refuse.is_empty() { !has(&self.allow) } else { has(&self.refuse) }
    }
}

/// Declarations that contradict each other.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Conflict {
    /// Fields of which one is declared …
    pub fields: Vec<String>,
    /// … beside an entry of this field …
    pub with: String,
    /// … that fulfils this.
    #[serde(rename = "where")]
    pub condition: Condition,
    /// Why that is wrong and what to do.
    pub message: String,
}

/// What no two objects of a scope may be declared to be at once.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AtMostOne {
    /// Fields that objects of the same scope share.
    pub per: Vec<String>,
    /// What only one of them may fulfil.
    #[serde(rename = "where")]
    pub condition: Condition,
    /// The API takes it from the former one by itself: the new one is written first, and the former read again.
    pub moves: bool,
}

/// Objects without which plumb could not go on: deleting one, or changing it so that it is none any more, is refused.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Lockout {
    /// Field that says whose object it is; that of the caller (see the API's `check`) is kept.
    pub caller: Option<String>,
    /// The last object of a parent that fulfils this is kept.
    pub last: Option<Condition>,
    /// Field that shows the end of a key: that of the connection's own credential is kept.
    pub key_end: Option<String>,
    /// What may be lost with one of them, in words, where the API does not tell which of them plumb lives by: plans
    /// warn, and the last one is kept from being made anew, too.
    pub untold: Option<String>,
}

/// Objects that wait for a person: they are listed in every plan until that person acts.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Pending {
    /// What such an object is like.
    pub when: Condition,
    /// Who has to do what, in words.
    pub message: String,
}

/// Objects that the API makes by itself, through another one: they are looked for again when their turn comes.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Appears {
    /// The reference field that names what brings them.
    pub through: String,
}

/// Field and value that archive an object.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Archive {
    /// The field.
    pub field: String,
    /// The value.
    pub value: Value,
}
