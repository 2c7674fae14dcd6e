//! Cycloid's tables of bodies ↔ fields, its samples ↔ what is read and sent. Its reference prints neither methods nor
//! paths, so that a table here says which operations a kind has.

use std::collections::{BTreeMap, BTreeSet};

use plumb::{
    description::{
        Kind,
        format::{FieldSpec, FieldType},
    },
    dialect::{self, Encoder, decode, encode_fields},
    value::Fields,
};
use serde::Deserialize;
use serde_json::Value;

use super::{api, assert_known, read};

#[derive(Deserialize)]
struct Row {
    operation: String,
    place: String,
    name: Option<String>,
    required: bool,
    #[serde(rename = "type")]
    ty: String,
    #[serde(rename = "enum", default)]
    allowed: Vec<String>,
}

#[derive(Deserialize)]
struct Endpoint {
    operation: String,
    path: Vec<String>,
}

#[derive(Deserialize)]
struct Sample {
    operation: String,
    word: String,
    body: Value,
}

/// Operations of each kind: create, update, read of one, list.
const OPERATIONS: &[(&str, &str, &str, &str, &str)] = &[
    ("Organization", "createOrg", "updateOrg", "getOrg", "getOrgs"),
    ("Role", "createRole", "updateRole", "getRole", "getRoles"),
    ("Team", "createTeam", "updateTeam", "getTeam", "getTeams"),
    ("TeamMember", "assignMemberToTeam", "", "getTeamMember", "getTeamMembers"),
    ("Member", "inviteUserToOrgMember", "updateOrgMember", "getOrgMember", "getOrgMembers"),
    ("Credential", "createCredential", "updateCredential", "getCredential", "listCredentials"),
    (
        "ConfigRepository",
        "createConfigRepository",
        "updateConfigRepository",
        "getConfigRepository",
        "listConfigRepositories",
    ),
    (
        "ServiceCatalogSource",
        "createServiceCatalogSource",
        "updateServiceCatalogSource",
        "getServiceCatalogSource",
        "getServiceCatalogSources",
    ),
    ("ServiceCatalog", "", "updateServiceCatalog", "getServiceCatalog", "listServiceCatalogs"),
    ("Project", "createProject", "updateProject", "getProject", "getProjects"),
    ("Environment", "createEnvironment", "updateEnvironment", "getEnvironment", "getProjectEnvironments"),
    ("Component", "createComponent", "updateComponent", "getComponent", "getComponents"),
    ("Pipeline", "createPipeline", "updatePipeline", "getPipeline", ""),
    ("Kpi", "createKpi", "updateKpi", "getKpi", "getKpis"),
    ("ExternalBackend", "createExternalBackend", "updateExternalBackend", "getExternalBackend", "getExternalBackends"),
    ("ResourcePool", "createResourcePool", "updateResourcePool", "getResourcePool", "listResourcePools"),
    ("Quota", "createQuota", "updateQuota", "getQuota", "listQuotas"),
    ("InfraPolicy", "createInfraPolicy", "updateInfraPolicy", "getInfraPolicy", "getInfraPolicies"),
    ("Appearance", "createAppearance", "updateAppearance", "getAppearance", "listAppearances"),
    ("ApiKey", "createAPIKey", "updateAPIkey", "getAPIKey", "getAPIKeys"),
    (
        "CloudCostManagementAccount",
        "createCloudCostManagementAccount",
        "updateCloudCostManagementAccount",
        "getCloudCostManagementAccount",
        "getCloudCostManagementAccounts",
    ),
    ("CloudCostManagementTagMapping", "", "putCloudCostManagementTagMapping", "getCloudCostManagementTagMapping", ""),
    (
        "InventoryResource",
        "createInventoryResource",
        "updateInventoryResource",
        "getInventoryResource",
        "listInventoryResources",
    ),
];

/// Where a description says otherwise than a table, with the line of the reference and the reason.
const OTHERWISE: &[(&str, u32, &str)] = &[
    ("createCloudCostManagementAccount external_backend: is required", 8319, "accounts below another one have none"),
    ("createCloudCostManagementAccount has no credential_canonical", 8319, "of accounts below another one: line 8398"),
    ("createCloudCostManagementAccount has no parent_account_id", 8319, "of accounts below another one: line 8398"),
    ("updateAppearance has created_at", 7596, "the server's own"),
    ("updateAppearance has updated_at", 7596, "the server's own"),
    ("updateCloudCostManagementAccount external_backend: is required", 8595, "what is live is sent back"),
    (
        "updateCredential type: is one of [\"ssh\", \"aws\", \"custom\", \"azure\", \"azure_storage\", \"gcp\", \
         \"basic_auth\", \"elasticsearch\", \"vmware\"]",
        9245,
        "one of type swift is made anew",
    ),
    ("updateExternalBackend has id", 9528, "it is in the path"),
    ("updatePipeline passed_config: is required", 4781, "what is live is sent back"),
];

fn table() -> BTreeMap<String, Vec<Row>> {
    let mut out: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in read::<Row>("cycloid", "params.json") {
        out.entry(row.operation.clone()).or_default().push(row);
    }
    out
}

/// Fields that the body of a create or an update has, by their attribute.
fn sent(kind: &Kind, creates: bool) -> BTreeMap<String, &FieldSpec> {
    let update = &kind.spec.update;
    let fields = kind.spec.fields.iter().filter(|(name, field)| {
        let out = field.read_only || field.not_sent || field.path_only || field.query.is_some();
        let of_call = if creates {
            !field.update_only && field.create_wire.as_deref() != Some("")
        } else {
            field.immutable.is_none() || update.also.contains(name)
        };
        !out && of_call
    });
    fields
        .map(|(_, field)| {
            let create_wire = field.create_wire.as_deref().filter(|_| creates);
            (create_wire.unwrap_or(field.wire_name()).to_owned(), field)
        })
        .collect()
}

#[test]
fn bodies_have_the_attributes_of_the_tables() {
    let (api, tables) = (api("cycloid"), table());
    let mut found = BTreeSet::new();
    for (kind, create, update, ..) in OPERATIONS {
        let kind = api.kind(kind).unwrap();
        for (operation, creates) in [(create, true), (update, false)].into_iter().filter(|(name, _)| !name.is_empty()) {
            let rows: Vec<&Row> = tables[*operation].iter().filter(|row| row.place == "body").collect();
            let fields = sent(kind, creates);
            let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.name.as_deref()).collect();
            let own: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
            let known = |name: &str| {
                kind.spec.excluded.contains_key(name) || (!creates && kind.spec.update.lock.as_deref() == Some(name))
            };
            for name in names.difference(&own).filter(|name| !known(name)) {
                found.insert(format!("{operation} has {name}"));
            }
            for name in own.difference(&names) {
                found.insert(format!("{operation} has no {name}"));
            }
            for row in &rows {
                let Some(field) = row.name.as_ref().and_then(|name| fields.get(name)) else { continue };
                compare(operation, row, field, creates, &mut found);
            }
        }
    }
    assert_known(&found, OTHERWISE);
}

/// What a row says about an attribute, and what the field says.
fn compare(operation: &str, row: &Row, field: &FieldSpec, creates: bool, found: &mut BTreeSet<String>) {
    let name = row.name.clone().unwrap_or_default();
    let mut differ = |what: &str| found.insert(format!("{operation} {name}: {what}"));
    // A canonical is always sent: the server's rule for making one is not documented.
    let needed = field.required || (!creates && field.fill.is_some()) || field.immutable.is_some();
    if row.required && !needed {
        differ("is required");
    }
    if creates && field.required && !row.required && name != "canonical" {
        differ("is not required");
    }
    let allowed: Vec<String> = field.allowed.iter().filter_map(plumb::value::text).collect();
    if !row.allowed.is_empty() && allowed != row.allowed {
        differ(&format!("is one of {:?}", row.allowed));
    }
    let ty = match row.ty.split([' ', '[', '^', '(']).next().unwrap_or_default() {
        "Array" => matches!(field.ty, FieldType::List),
        "object" => matches!(field.ty, FieldType::Object | FieldType::Map),
        "boolean" => field.ty == FieldType::Boolean,
        "integer" => field.ty == FieldType::Integer,
        _ => matches!(field.ty, FieldType::String | FieldType::Ref) || row.ty.starts_with("string["),
    };
    if !ty {
        differ(&format!("is {}", row.ty));
    }
    let most = row.ty.split("characters").next().unwrap_or_default();
    let most = most.rsplit([' ', '.', '<', '=']).find_map(|word| word.trim_matches([']', ' ']).parse::<u32>().ok());
    let most = most.filter(|_| (row.ty.contains("..") || row.ty.contains("<=")) && row.ty.starts_with("string ["));
    if field.ty == FieldType::String && most.is_some() && most != field.max_length {
        differ(&format!("has {most:?} characters at most"));
    }
    let pattern = row.ty.split_once('^').map(|(_, pattern)| pattern.trim_end_matches(['$', ')']).to_owned());
    if let (Some(pattern), FieldType::String, false) = (pattern, field.ty, row.ty.contains("...")) {
        let own = field.pattern.clone().unwrap_or_default();
        let plain = |text: &str| text.replace("(?:", "(").replace(['^', '$', ' '], "");
        let own = plain(&own);
        if !own.starts_with(plain(&pattern).trim_end_matches(')')) {
            differ(&format!("matches {pattern}"));
        }
    }
}

#[test]
fn paths_name_what_the_operations_take() {
    let api = api("cycloid");
    let endpoints: BTreeMap<String, usize> =
        read::<Endpoint>("cycloid", "endpoints.json").into_iter().map(|one| (one.operation, one.path.len())).collect();
    for (kind, create, update, get, list) in OPERATIONS {
        let kind = api.kind(kind).unwrap();
        let count = |path: &str| path.matches('{').count();
        let item = if kind.spec.singleton { count(&kind.spec.path) } else { count(&kind.spec.path) + 1 };
        let create_path = kind.spec.create.path.as_deref().unwrap_or(&kind.spec.path);
        let list_path = kind.spec.list.path.as_deref().unwrap_or(&kind.spec.path);
        let calls = [(*create, count(create_path)), (*update, item), (*get, item), (*list, count(list_path))];
        for (operation, wanted) in calls.into_iter().filter(|(operation, _)| !operation.is_empty()) {
            let there = endpoints.get(operation).unwrap_or_else(|| panic!("there is no operation {operation}"));
            assert_eq!(*there, wanted, "{operation}");
        }
    }
}

#[test]
fn lists_are_paged_where_the_reference_pages_them() {
    let (api, tables) = (api("cycloid"), table());
    let mut found = BTreeSet::new();
    for (kind, .., list) in OPERATIONS.iter().filter(|(.., list)| !list.is_empty()) {
        let kind = api.kind(kind).unwrap();
        let rows = tables.get(*list).map(Vec::as_slice).unwrap_or_default();
        let takes = |name: &str| rows.iter().any(|row| row.place == "query" && row.name.as_deref() == Some(name));
        let paged = kind.spec.list.paging.as_ref().unwrap_or(&api.spec.paging).page.is_some();
        if paged != (takes("page_index") && takes("page_size")) {
            found.insert(format!("{list}: {paged}"));
        }
    }
    let known = [("getProjectEnvironments: true", 966, "its answer has a `pagination`, so that it may have pages")];
    assert_known(&found, &known);
}

#[test]
fn samples_of_requests_are_what_manifests_that_mean_them_send() {
    let api = api("cycloid");
    let samples = read::<Sample>("cycloid", "examples.json");
    let seal = |_: &str| plumb::value::secret("h");
    let encoder = Encoder { id: &|_| None, open: &|_| Some("string".into()), read: &|_, _| Err("no file".into()) };
    for (kind, create, update, ..) in OPERATIONS {
        let kind = api.kind(kind).unwrap();
        for (operation, creates) in [(create, true), (update, false)].into_iter().filter(|(name, _)| !name.is_empty()) {
            let sample = samples.iter().find(|sample| sample.operation == **operation && sample.word == "request");
            let sample = sample.unwrap_or_else(|| panic!("{operation} has no sample"));
            let fields = sent(kind, creates);
            let mut declared = Fields::new();
            let mut wanted = sample.body.as_object().unwrap().clone();
            for (wire, field) in &fields {
                let name = kind.spec.fields.iter().find(|(_, other)| std::ptr::eq(*other, *field)).unwrap().0;
                // Closed objects and lists of the page say nothing.
                let Some(value) = sample.body.get(wire).filter(|value| !(value.is_object() || value.is_array())) else {
                    continue;
                };
                declared.insert(name.clone(), decode(field, value, &seal));
            }
            wanted.retain(|wire, value| fields.contains_key(wire) && !(value.is_object() || value.is_array()));
            let body = encode_fields(&kind.spec.fields, &declared, creates, &encoder).unwrap();
            assert_eq!(Value::Object(body), Value::Object(wanted), "{operation}");
        }
    }
}

#[test]
fn samples_of_answers_are_read() {
    let api = api("cycloid");
    let samples = read::<Sample>("cycloid", "examples.json");
    let seal = |_: &str| plumb::value::secret("h");
    let mut read_whole = 0;
    for (kind, _, _, get, list) in OPERATIONS {
        let kind = api.kind(kind).unwrap();
        let body = |operation: &str| {
            samples
                .iter()
                .find(|sample| sample.operation == operation && sample.word == "response")
                .map(|sample| sample.body.clone())
        };
        let one = body(get).unwrap_or_else(|| panic!("{get} has no sample"));
        let row = dialect::one(&api, kind, &one).unwrap_or_else(|wrong| panic!("{get}: {wrong:?}"));
        if row.as_object().is_some_and(|row| !row.is_empty()) {
            read_whole += 1;
            let known = |wire: &str| {
                kind.spec.ignored.contains_key(wire)
                    || kind.spec.fields.values().any(|field| {
                        field.wire_name() == wire
                            || field.read.iter().any(|path| path.split(['.', '[']).next() == Some(wire))
                    })
            };
            for wire in row.as_object().unwrap().keys() {
                assert!(known(wire), "{get} shows `{wire}`, which is neither a field nor ignored");
            }
            assert!(dialect::decode_row(kind, &row, &seal).is_some(), "{get}: {row}");
        }
        // One sample is closed as a whole.
        if let Some(many) = body(list).filter(|many| many.as_object().is_some_and(|many| !many.is_empty())) {
            let paging = kind.spec.list.paging.as_ref().unwrap_or(&api.spec.paging);
            assert!(dialect::page(&api, kind, paging, many).is_ok(), "{list}");
        }
    }
    assert_eq!(read_whole, 2, "the samples of getComponent and getInventoryResource are whole");
}
