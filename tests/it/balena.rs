//! balena: what its server answers otherwise than others, and what plumb must not take it for. Some tests use a small
//! server of their own, written after the observations and not after the descriptions.

mod fleets;
mod server;
mod survey;

use plumb::{
    diagnostic::Severity,
    http::{Call, Client, ClientSpec, HttpError, Method},
    live::{ListQuery, Remote},
    pipeline::{self, Applied, Options, Planned},
    plan::Mode,
};
use serde_json::json;

use self::server::Balena;
use crate::support::stack::lines;

const FLEET: &str = "apiVersion: balena.plumb.dev/v1alpha1
kind: Application
metadata: {name: pumps}
spec:
  organization: acme
  deviceType: nuc
  environmentVariables:
    - {name: LOG, value: debug}
    - {name: TOKEN, valueFrom: {file: token}}
  tags: {owner: it's me}
";

/// What there is to tell, but for notes.
fn problems(planned: &Planned) -> String {
    let told = planned.diagnostics.iter().filter(|told| told.severity > Severity::Note);
    let lines: Vec<String> =
        told.map(|told| format!("{} {} {}", told.code, told.message, told.hints.join(" "))).collect();
    lines.join("\n")
}

async fn plan(options: &Options) -> Planned {
    pipeline::plan(&Options { keep_key: true, ..options.clone() }, Mode::Plan).await.unwrap()
}

async fn apply(options: &Options) -> Applied {
    let planned = plan(options).await;
    pipeline::apply(planned, options).await.unwrap()
}

async fn converge(options: &Options) {
    let applied = apply(options).await;
    for action in &applied.document.actions {
        assert_eq!(action.error, None, "{}", action.address);
    }
    let planned = plan(options).await;
    assert_eq!((lines(&planned.document), problems(&planned)), (Vec::new(), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_made_and_kept_on_a_server_that_is_not_ours() {
    let balena = Balena::start().await;
    balena.write("fleet.yaml", FLEET);
    converge(&balena.options).await;
    let mut writes = balena.writes();
    writes.sort();
    assert_eq!(
        writes,
        [
            "POST /v7/application",
            "POST /v7/application_environment_variable",
            "POST /v7/application_environment_variable",
            "POST /v7/application_tag"
        ]
    );
    // References are written bare.
    let made = balena.asked("POST /v7/application");
    assert_eq!(made["organization"], json!(1));
    assert_eq!(made["is_for__device_type"], json!(10));

    // A change is one PATCH by id, and its answer is a bare word.
    balena.write("fleet.yaml", &FLEET.replace("debug", "info"));
    balena.clear();
    converge(&balena.options).await;
    let id = balena.id_of("application_environment_variable", "name", "LOG");
    assert_eq!(balena.writes(), [format!("PATCH /v7/application_environment_variable({id})")]);
    balena.clear();
    assert_eq!(apply(&balena.options).await.document.requests.apply, 0);
    assert_eq!(balena.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_an_error_and_no_empty_account() {
    let balena = Balena::start().await;
    balena.write("fleet.yaml", FLEET);
    converge(&balena.options).await;
    balena.shelf(|shelf| shelf.token_is_good = false);
    balena.clear();
    for (prune, mode) in [(false, Mode::Plan), (true, Mode::Plan), (true, Mode::Drift), (true, Mode::Destroy)] {
        let options = Options { prune, ..balena.options.clone() };
        let planned = pipeline::plan(&options, mode).await.unwrap();
        assert_eq!(lines(&planned.document), Vec::<String>::new(), "{mode:?}");
        assert!(problems(&planned).contains("PL0422 `GET /actor/v1/whoami`"), "{}", problems(&planned));
        assert!(problems(&planned).contains("look like an account whose objects are gone"));
    }
    // The manifest is gone too: still nothing is forgotten.
    balena.remove("fleet.yaml");
    balena.write("other.yaml", &FLEET.replace("pumps", "other"));
    let planned = pipeline::plan(&Options { prune: true, ..balena.options.clone() }, Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    assert!(balena.reads().iter().all(|path| path == "/actor/v1/whoami"), "{:?}", balena.reads());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_valid_credential_may_not_do_is_said() {
    let balena = Balena::start().await;
    balena.write("fleet.yaml", FLEET);
    balena.shelf(|shelf| shelf.is_read_only = true);
    let applied = apply(&balena.options).await;
    let error = applied.document.actions[0].error.clone().unwrap();
    assert!(error.contains("(401): the credential is valid, so either it may not write `application`"), "{error}");

    // A set that the server does not have: what depends on it is not planned, the rest is.
    balena.shelf(|shelf| shelf.is_read_only = false);
    let team =
        "---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Team\nmetadata: {name: ops}\nspec: {organization: acme}\n";
    balena.write("fleet.yaml", &format!("{FLEET}{team}"));
    let planned = plan(&balena.options).await;
    assert!(problems(&planned).contains("the server has no `team`"), "{}", problems(&planned));
    assert!(!lines(&planned.document).iter().any(|line| line.contains("Team")));
    assert!(lines(&planned.document).iter().any(|line| line.contains("create balena/Application/pumps")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_is_an_error_and_no_empty_account() {
    let balena = Balena::start().await;
    balena.write("fleet.yaml", FLEET);
    converge(&balena.options).await;
    // It knows whose the token is, and has no `v7`.
    balena.shelf(|shelf| shelf.has_v7 = false);
    balena.clear();
    let options = Options { prune: true, ..balena.options.clone() };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    assert!(problems(&planned).contains("was refused (404)"), "{}", problems(&planned));
    assert_eq!(balena.writes(), Vec::<String>::new());

    // One that does not tell whose it is, either.
    balena.shelf(|shelf| shelf.has_whoami = false);
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert_eq!(lines(&planned.document), Vec::<String>::new());
    assert!(problems(&planned).contains("The server has no `/actor/v1/whoami`"), "{}", problems(&planned));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_not_every_server_has_is_asked_for_only_where_it_is_declared() {
    let balena = Balena::start().await;
    let device = "---\napiVersion: balena.plumb.dev/v1alpha1\nkind: Device\nmetadata: {name: d}\nspec: {uuid: \
                  0123456789abcdef0123456789abcdef, application: pumps, deviceType: nuc}\n";
    balena.write("fleet.yaml", &format!("{FLEET}{device}"));
    converge(&balena.options).await;
    let queries = balena.queries("/v7/device");
    assert!(!queries.is_empty() && queries.iter().all(|query| !query.contains("custom_latitude")), "{queries:?}");
    // Declared, and not there: an error, no default that is taken for the device's.
    balena.write("fleet.yaml", &format!("{FLEET}{}", device.replace("uuid:", "customLatitude: \"1.5\", uuid:")));
    let planned = plan(&balena.options).await;
    assert!(problems(&planned).contains("PL0424 `GET /v7/device`"), "{}", problems(&planned));
    assert!(problems(&planned).contains("lack something of what is asked for: `id,uuid,"), "{}", problems(&planned));
    assert!(problems(&planned).contains("each of 2 attempts"), "{}", problems(&planned));
    assert!(!lines(&planned.document).iter().any(|line| line.contains("Device")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_turns_out_to_exist_is_brought_in_line() {
    let balena = Balena::start().await;
    balena.write("fleet.yaml", &FLEET.replace("  tags: {owner: it's me}\n", ""));
    converge(&balena.options).await;
    balena.write("fleet.yaml", FLEET);
    // Somebody makes the tag between plan and apply.
    let planned = plan(&balena.options).await;
    let fleet = balena.id_of("application", "app_name", "pumps");
    balena.shelf(|shelf| {
        let row = json!({"application": fleet, "tag_key": "owner", "value": "somebody"});
        shelf.add("application_tag", &row);
    });
    balena.clear();
    let applied = pipeline::apply(planned, &balena.options).await.unwrap();
    assert_eq!(applied.document.actions[0].error, None);
    let tag = balena.id_of("application_tag", "tag_key", "owner");
    assert_eq!(balena.writes(), ["POST /v7/application_tag".to_owned(), format!("PATCH /v7/application_tag({tag})")]);
    assert_eq!(plan(&balena.options).await.document.summary.unchanged, 4);

    // As declared, it is left alone.
    balena.shelf(|shelf| shelf.sets.get_mut("application_tag").unwrap().clear());
    let planned = plan(&balena.options).await;
    balena.shelf(|shelf| {
        shelf.add("application_tag", &json!({"application": fleet, "tag_key": "owner", "value": "it's me"}));
    });
    balena.clear();
    pipeline::apply(planned, &balena.options).await.unwrap();
    assert_eq!(balena.writes(), ["POST /v7/application_tag"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_nowhere_but_in_the_body_that_sets_it() {
    let balena = Balena::start().await;
    balena.write("fleet.yaml", FLEET);
    // The server repeats what it was sent in its refusal.
    balena.shelf(|shelf| shelf.repeats_bodies = true);
    let applied = apply(&balena.options).await;
    let seen = format!("{:?} {:?}", applied.document, applied.diagnostics);
    assert!(seen.contains("It is necessary that"), "{seen}");
    assert!(!seen.contains(server::SECRET), "{seen}");
    balena.shelf(|shelf| shelf.repeats_bodies = false);
    converge(&balena.options).await;
    // Another value is a change whose sides nobody sees.
    balena.write("token", "another-secret-of-its-own");
    let planned = plan(&balena.options).await;
    let change = &planned.document.actions[0].changes[0];
    assert!(change.sensitive && change.before.is_none() && change.after.is_none());
    let urls = balena.urls().join("\n");
    assert!(!urls.contains(server::SECRET) && !urls.contains("another-secret"));
    for file in std::fs::read_dir(balena.folder.path().join(".plumb")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(server::SECRET.len()).any(|part| part == server::SECRET.as_bytes()));
    }
}

fn remote(balena: &Balena) -> Remote {
    let api = plumb::apis::builtin().api("balena").unwrap().clone();
    let client = Client::new(&ClientSpec::new("main", api.clone(), balena.server.url.clone())).unwrap();
    Remote::new(client, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_a_whole_set_is_not_sent() {
    let balena = Balena::start().await;
    let remote = remote(&balena);
    for path in ["/application_tag", "/application_tag()", "/application_tag({id})", "/application_tag('')"] {
        for method in [Method::PATCH, Method::DELETE, Method::PUT] {
            let call = Call::new(method.clone(), path).body(json!({"value": "x"}));
            let error = remote.send(&call).await.unwrap_err();
            assert!(matches!(error, HttpError::Malformed { .. }), "{method} {path}: {error}");
        }
    }
    // An empty filter is none.
    let call = Call::new(Method::DELETE, "/application_tag").query("$filter", " ");
    assert!(matches!(remote.send(&call).await, Err(HttpError::Malformed { .. })));
    assert_eq!(balena.writes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_quoted_and_lists_go_on_after_the_last_id() {
    let balena = Balena::start().await;
    balena.shelf(|shelf| {
        for number in 0..5003 {
            shelf.add("release_tag", &json!({"release": 7, "tag_key": format!("k{number}"), "value": "it's"}));
        }
    });
    let remote = remote(&balena);
    let kind = remote.api.kind("ReleaseTag").unwrap().clone();
    let asked = |query: Vec<(&str, &str)>| ListQuery {
        query: query.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ..ListQuery::default()
    };
    let listing = remote.list(&kind, &asked(vec![("value", "it's"), ("release", "7")])).await.unwrap();
    assert_eq!(listing.rows.len(), 5003);
    let queries = balena.queries("/v7/release_tag");
    assert_eq!(queries.len(), 2);
    for query in &queries {
        assert!(query.contains("value eq 'it''s'") && query.contains("$orderby=id asc"), "{query}");
    }
    assert!(queries[1].contains("id gt "), "{}", queries[1]);
}
