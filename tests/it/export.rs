//! `plumb export` and `plumb unmanaged` as people type them, against accounts that are odd in the ways accounts are.

use std::{collections::BTreeSet, fs, path::Path};

use plumb::{
    pipeline::Options,
    sandbox::{Sandbox, SandboxOptions, parse_seed},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::example::plumb;

/// An account of an API, a folder, and the program.
struct Account {
    sandbox: Sandbox,
    folder: TempDir,
    api: &'static str,
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Account {
    async fn of(api: &'static str, seed: &str) -> Self {
        let seed = Some(parse_seed(seed).unwrap());
        let options = SandboxOptions { seed, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(plumb::apis::builtin(), options).await.unwrap();
        Self { sandbox, folder: TempDir::new().unwrap(), api }
    }

    /// Runs the program with no variable set but the credential's.
    fn run(&self, args: &[&str]) -> Ran {
        let mut command = plumb();
        command.args(args).current_dir(self.folder.path());
        command.env("ITGLUE_API_KEY", "practice-key").env("REST_TOKEN", "practice-key");
        command.env("PLUMB_CONNECTION", format!("{}={}", self.api, self.sandbox.url(self.api)));
        if let Ok(variables) = fs::read_to_string(self.folder.path().join(".env.example")) {
            let names = variables.lines().filter_map(|line| line.strip_suffix('=').filter(|name| !name.contains(' ')));
            command.envs(names.map(|name| (name, "correct-horse-battery")));
        }
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "plumb {args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Exports, imports and plans; nothing may be left to do, and nothing may have been written.
    fn law(&self) {
        self.expect(0, &["export", "--api", self.api, "--to", "."]);
        self.expect(0, &["import"]);
        let planned = self.expect(0, &["plan", "--detailed-exitcode"]);
        assert!(planned.err.is_empty(), "{}", planned.err);
        let writes: Vec<_> = self.sandbox.log().into_iter().filter(|entry| entry.method != "GET").collect();
        assert!(writes.is_empty(), "{writes:#?}");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }
}

fn documents(text: &str) -> Vec<Value> {
    text.split("---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

fn names(text: &str) -> Vec<String> {
    documents(text).iter().map(|one| one["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

const ODD: &str = r#"
rest:
  Resource:
    - {id: res_1, name: "1.10", description: "true", type: "0012"}
    - {id: res_2, name: "true", description: " leading", type: "no"}
    - {id: res_3, name: "Müller & Söhne", description: "one\n  two\n\nthree\n", metadata: {"a: b": "x #y", "on": [1.5, null, "2026-01-01"]}}
    - {id: res_4, name: "muller-sohne ", description: "tab\tand \u202e turned"}
    - {id: res_5, name: "日本", description: "- not a list"}
    - {id: res_6, name: "Same", description: "|"}
    - {id: res_7, name: "Same", description: "quote \" and ' and \\"}
    - {id: res_8, name: "same", metadata: {empty: "", deep: {file: x}, value: 1}}
    - {id: res_9, name: "{{ template }}", description: "a: b", metadata: {ref: "id:3"}}
  Organization:
    - {id: org_1, name: Acme, slug: acme, members: [{user: jane, role: owner}]}
  Webhook:
    - {id: whk_1, url: "https://chat.example.com/in?a=b&c=d", events: [b, a], secret: correct-horse-battery}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn odd_texts_and_names_go_out_and_come_back() {
    let account = Account::of("rest", ODD).await;
    account.law();
    let resources = account.read("resources.yaml");
    let names = names(&resources);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    for name in
        ["1-10", "true", "mueller-and-soehne", "muller-sohne", "resource-res-5", "same", "same-res-7", "same-res-8"]
    {
        assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
    }
    // Only those that share a key need their ids.
    let with_id: Vec<Value> =
        documents(&resources).into_iter().filter(|one| one["metadata"].get("annotations").is_some()).collect();
    assert_eq!(with_id.len(), 2, "{resources}");
    assert!(!resources.contains('\u{202e}') && resources.contains("\\u202e"), "{resources}");
    assert!(account.read("webhooks.yaml").contains("events: [a, b]"), "{}", account.read("webhooks.yaml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_overwritten_and_a_second_export_is_the_same() {
    let account = Account::of("rest", ODD).await;
    let first = account.expect(0, &["export", "--api", "rest", "--to", "out"]);
    assert!(first.out.contains("wrote out/resources.yaml"), "{}", first.out);
    let again = account.expect(0, &["export", "--api", "rest", "--to", "out"]);
    assert_eq!(again.out, "", "nothing is written twice");
    let path = account.folder.path().join("out/resources.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, "mine\n").unwrap();
    fs::remove_file(account.folder.path().join("out/webhooks.yaml")).unwrap();
    let refused = account.expect(1, &["export", "--api", "rest", "--to", "out"]);
    assert!(refused.err.contains("`out/resources.yaml`") && refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
    assert!(!account.folder.path().join("out/webhooks.yaml").exists(), "all or nothing is written");
    account.expect(0, &["export", "--api", "rest", "--to", "out", "--force"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    for kind in ["Resource", "resources", "restres"] {
        let streamed = account.expect(0, &["export", kind, "--api", "rest"]).out;
        assert!(streamed.ends_with(&text), "{streamed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_it_says_what_to_write() {
    let account = Account::of("rest", ODD).await;
    let output = plumb().args(["export"]).current_dir(account.folder.path()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("--api NAME") && err.contains("kind: Connection"), "{err}");
    let hinted = plumb().args(["export"]).env("REST_TOKEN", "x").current_dir(account.folder.path()).output().unwrap();
    let err = String::from_utf8(hinted.stderr).unwrap();
    assert!(err.contains("plumb export --api rest"), "{err}");
    for (args, hint) in [
        (["Resouce"], "Did you mean `Resource`?"),
        (["usr"], "no kind `usr`"),
        (["User"], "only referred to"),
        (["OrganizationMember"], "`Organization`"),
        (["--omit=Resource.descripton"], "`Resource.description`"),
        (["--from=rst"], "`rest`"),
        (["--omit=x"], "KIND.FIELD"),
        (["--omit=Organization.slug"], "tells one object from another"),
    ] {
        let ran = account.expect(1, &[&["export", "--api", "rest"][..], &args[..]].concat());
        assert!(ran.err.contains(hint), "{args:?}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_and_patterns_choose_and_the_rest_is_named_as_it_is_live() {
    let account = Account::of(
        "itglue",
        &fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/accounts/itglue.seed")).unwrap(),
    )
    .await;
    let ran = account.expect(0, &["export", "--api", "itglue", "Configuration/*EXCH*", "Contact/quiet-heron*"]);
    let all = documents(&ran.out);
    let exported: Vec<(&str, &str)> =
        all[1..].iter().map(|one| (one["kind"].as_str().unwrap(), one["metadata"]["name"].as_str().unwrap())).collect();
    assert_eq!(
        exported,
        [
            ("Contact", "quiet-heron-hotels-ann-lee"),
            ("Contact", "quiet-heron-hotels-ann-lee-3006"),
            ("Configuration", "happy-frog-hf-exch01"),
        ]
    );
    let configuration = &all[3]["spec"];
    assert_eq!(configuration["organization"], "Happy Frog");
    assert_eq!(configuration["configurationType"], "Managed Server");
    // What refers to live objects by their names plans clean too.
    account.expect(0, &["export", "--api", "itglue", "Configuration", "Contact", "Password", "--to", "."]);
    account.expect(0, &["import"]);
    account.expect(0, &["plan", "--detailed-exitcode"]);
    let omitted = account.expect(0, &["export", "--api", "itglue", "Configuration", "--omit", "*.relatedItems"]);
    let items = account.sandbox.log().iter().filter(|entry| entry.query.contains("related_items")).count();
    account.sandbox.clear_log();
    account.expect(0, &["export", "--api", "itglue", "Configuration", "--omit", "*.relatedItems"]);
    let after = account.sandbox.log().iter().filter(|entry| entry.query.contains("related_items")).count();
    assert!(items > 0 && after == 0 && !omitted.out.contains("relatedItems"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_asked_for_or_written() {
    let account = Account::of(
        "itglue",
        &fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/accounts/itglue.seed")).unwrap(),
    )
    .await;
    let ran = account.expect(0, &["export", "--api", "itglue", "--to", "out"]);
    let asked: Vec<_> =
        account.sandbox.log().into_iter().filter(|entry| entry.query.contains("show_password=true")).collect();
    assert!(asked.is_empty(), "{asked:#?}");
    let variable = "PLUMB_PASSWORD_HAPPY_FROG_OFFICE_365_ADMIN_PASSWORD";
    assert!(ran.err.contains(variable), "{}", ran.err);
    assert!(account.read("out/.env.example").contains(&format!("{variable}=\n")));
    for entry in fs::read_dir(account.folder.path().join("out")).unwrap().map(Result::unwrap) {
        assert!(!fs::read_to_string(entry.path()).unwrap().contains("correct-horse"), "{:?}", entry.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_leaves_its_kind_out_and_says_so() {
    let account = Account::of("rest", ODD).await;
    account.sandbox.set_faults("403@GET:/v1/webhooks=100%".parse().unwrap());
    let ran = account.expect(1, &["export", "--api", "rest", "--to", "."]);
    assert!(ran.err.contains("PL0423") && ran.err.contains("Webhook"), "{}", ran.err);
    assert!(!account.folder.path().join("webhooks.yaml").exists());
    assert_eq!(names(&account.read("organizations.yaml")), ["acme"]);
}

const CIRCLE: &str = r#"
itglue:
  Organization:
    - {id: 1001, name: Happy Frog}
  FlexibleAssetType:
    - id: 5001
      name: Site
      fields:
        - {name: Title, kind: Text, order: 1, required: true, useForTitle: true, showInList: true}
        - {name: Backup of, kind: Tag, order: 2, tagType: "FlexibleAssetType: 5001"}
        - {name: Door code, kind: Password, order: 3}
  FlexibleAsset:
    - {id: 6001, organization: Happy Frog, flexibleAssetType: Site, traits: {title: North, backup-of: [6002]}}
    - {id: 6002, organization: Happy Frog, flexibleAssetType: Site, traits: {title: South, backup-of: [6001]}}
    - {id: 6003, organization: Happy Frog, flexibleAssetType: Site, traits: {title: West, backup-of: [6003]}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn circles_of_references_are_cut_by_an_id() {
    let account = Account::of("itglue", CIRCLE).await;
    account.law();
    let assets = account.read("flexible-assets.yaml");
    assert_eq!(assets.matches("id:600").count(), 2, "{assets}");
    assert!(assets.contains("happy-frog-site-south") && assets.contains("id:6003"), "{assets}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_manifest_declares_is_listed_and_exported_beside_the_rest() {
    let account = Account::of("rest", ODD).await;
    account.law();
    let nothing = account.expect(0, &["unmanaged"]);
    assert!(
        nothing.out.is_empty() && nothing.err.contains("0 objects in no manifest"),
        "{}{}",
        nothing.out,
        nothing.err
    );
    let made = serde_json::json!({"name": "By hand", "type": "standard"});
    account.sandbox.add("rest", "Resource", &made).unwrap();
    let twin =
        serde_json::json!({"name": "Acme Two", "slug": "acme-2", "members": [{"user": "jane", "role": "owner"}]});
    account.sandbox.add("rest", "Organization", &twin).unwrap();
    let listed: Value = serde_json::from_str(&account.expect(0, &["unmanaged", "-o", "json"]).out).unwrap();
    let keys: Vec<&str> =
        listed["objects"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["acme-2", "By hand"]);
    let some = account.expect(0, &["unmanaged", "Resource/by*"]);
    assert!(some.out.contains("By hand") && !some.out.contains("acme"), "{}", some.out);
    account.expect(0, &["export", "--unmanaged", "--to", "new"]);
    assert_eq!(names(&account.read("new/resources.yaml")), ["by-hand"]);
    assert_eq!(names(&account.read("new/organizations.yaml")), ["acme-2"]);
    assert!(!account.folder.path().join("new/webhooks.yaml").exists());
    account.expect(0, &["import"]);
    account.expect(0, &["plan", "--detailed-exitcode"]);
    // Entries of an object whose entries are managed count too.
    let member = serde_json::json!({"user": "ops", "role": "member", "parent": "Organization/org_1"});
    account.sandbox.add("rest", "OrganizationMember", &member).unwrap();
    let inside: Value = serde_json::from_str(&account.expect(0, &["unmanaged", "-o", "json"]).out).unwrap();
    assert_eq!(inside["objects"][0]["inside"], "rest/Organization/acme", "{inside}");
    // An object whose manifest goes is in no manifest again, and still owned.
    fs::remove_file(account.folder.path().join("new/resources.yaml")).unwrap();
    let gone = account.expect(0, &["unmanaged"]);
    assert!(gone.out.contains("owned as rest/Resource/by-hand"), "{}", gone.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_takes_what_matches_and_names_what_it_cannot() {
    let account = Account::of("rest", ODD).await;
    account.expect(0, &["export", "--api", "rest", "--to", "."]);
    let variables = account.read(".env.example");
    fs::remove_file(account.folder.path().join(".env.example")).unwrap();
    let without = account.expect(1, &["import"]);
    assert!(without.err.contains("Not imported") && without.err.contains("rest/Webhook/"), "{}", without.err);
    assert!(without.out.contains("imported `rest/Organization/acme`"), "{}", without.out);
    assert!(without.out.contains("imported `rest/Organization/acme#members/jane@example.com`"), "{}", without.out);
    fs::write(account.folder.path().join(".env.example"), variables).unwrap();
    fs::remove_dir_all(account.folder.path().join(".plumb")).unwrap();
    let some = account.expect(0, &["import", "rest/Organization/*"]);
    assert!(some.out.contains("rest/Organization/acme#members/") && !some.out.contains("Resource"), "{}", some.out);
    let one = account.expect(0, &["import", "rest/Resource/true"]);
    assert!(one.out.contains("imported `rest/Resource/true`"), "{}", one.out);
    let none = account.expect(0, &["import", "rest/Resource/true"]);
    assert!(none.err.contains("Nothing of `rest/Resource/true`"), "{}", none.err);
    account.expect(1, &["import", "nonsense"]);
    let rest = account.expect(0, &["inventory", "rebuild", "-o", "json"]);
    assert!(rest.err.contains("The plan is empty"), "{}", rest.err);
}

const BOXES: &str = r"
apiVersion: plumb.dev/v1alpha1
kind: Api
metadata: {name: boxes}
spec:
  url: https://boxes.example
  auth: [{bearer: {}}]
  kinds:
    - kind: Box
      path: /boxes
      key: [name]
      fields:
        name: {required: true}
        token: {sensitive: allowed}
        vars: {type: map, sensitive: allowed, whole: true}
        env: {type: list, keyedBy: name, whole: true, items: {type: object, fields: {name: {required: true}, value: {sensitive: allowed}}}}
        lines: {type: list, items: {type: string}, encode: lines}
        ticks: {type: datetime, encode: epochSeconds}
        flag: {type: boolean, encode: boolString, default: true}
        port: {type: integer, pattern: '[0-9]+', maximum: 65535}
        shelf: {type: ref, ref: {kind: Shelf, by: code}, wire: shelf}
        pin: {sensitive: always, writeOnly: true, seldom: true}
    - kind: Shelf
      path: /shelves
      key: [code]
      contains: true
      lacks: [delete]
      fields:
        code: {required: true, maxLength: 4}
        above: {type: ref, ref: {kind: Shelf}, nullable: true}
";

#[tokio::test(flavor = "multi_thread")]
async fn natural_forms_are_written_and_what_may_be_sensitive_is_hidden_on_request() {
    let document: Value = serde_saphyr::from_str(BOXES).unwrap();
    let spec = serde_json::from_value(document["spec"].clone()).unwrap();
    let mut catalog = plumb::description::Catalog::default();
    catalog.insert(std::sync::Arc::new(plumb::description::Api::compile("boxes", spec).unwrap()));
    let seed = parse_seed(
        r#"
boxes:
  Shelf:
    - {id: s1, code: A-1}
    - {id: s2, code: "too long", above: id:s1}
  Box:
    - {id: b1, name: One, token: plain-token-text, shelf: A-1, port: 70000, lines: [a, b], env: [{name: LOG, value: verbose-log-text}], ticks: "2026-01-01T00:00:00Z",
       flag: true, vars: {url: "https://x.example", sandbox: sandbox-credential, depth: 3, "on": true}}
    - {id: b2, name: Two, flag: false, shelf: s9}
"#
        .replace("shelf: s9", "shelf: id:s2")
        .as_str(),
    );
    let options = SandboxOptions { seed: Some(seed.unwrap()), ..SandboxOptions::default() };
    let stack = crate::support::stack::Stack::of(&catalog, &["boxes"], options).await;
    stack.write("api.yaml", BOXES);
    stack.write("key", "sandbox-credential");
    let export = |redact: bool| {
        let asked = plumb::pipeline::ExportOptions { redact, ..Default::default() };
        let options = stack.options.clone();
        async move { plumb::pipeline::export(&options, &asked).await.unwrap() }
    };
    let plain = export(false).await;
    let told: Vec<&str> = plain.diagnostics.iter().map(|told| &*told.code).collect();
    assert_eq!(told, ["PL0713"], "the shelf whose code is too long, and nothing else");
    insta::assert_snapshot!("natural", plumb::export::stream(&plain.exported.documents));
    assert_eq!(plain.exported.stubs.iter().filter(|stub| !stub.optional).count(), 0);
    let redacted = export(true).await;
    let text = plumb::export::stream(&redacted.exported.documents);
    assert!(!text.contains("plain-token-text") && !text.contains("x.example"), "{text}");
    let variables: Vec<&str> =
        redacted.exported.stubs.iter().filter(|stub| !stub.optional).map(|stub| stub.variable.as_str()).collect();
    let names =
        ["PLUMB_BOX_ONE_TOKEN", "PLUMB_BOX_ONE_VARS_SANDBOX", "PLUMB_BOX_ONE_VARS_URL", "PLUMB_BOX_ONE_ENV_LOG"];
    assert_eq!(variables, names);
    assert!(text.contains("- {name: LOG, valueFrom: {env: PLUMB_BOX_ONE_ENV_LOG}}"), "{text}");
    // Filled in and imported, they are owned; what the API shows in plain text is no text of the record.
    let mut filled = text;
    for (variable, secret) in
        variables.iter().zip(["plain-token-text", "sandbox-credential", "https://x.example", "verbose-log-text"])
    {
        stack.write(variable, secret);
        filled = filled.replace(&format!("{{env: {variable}}}"), &format!("{{file: {variable}}}"));
    }
    stack.write("boxes.yaml", &filled);
    let options = Options { keep_key: true, ..stack.options.clone() };
    let imported = plumb::pipeline::rebuild(
        &options,
        &plumb::pipeline::Rebuilding { wanted: &|_| true, as_created: &|_| false, without_secrets: false },
    )
    .await
    .unwrap();
    assert_eq!((imported.recorded.len(), &imported.absent[..], &imported.unknown[..]), (3, &[][..], &[][..]));
    stack.assert_empty().await;
    for entry in fs::read_dir(stack.path(".plumb")).unwrap().map(Result::unwrap) {
        let bytes = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
        assert!(!bytes.contains("plain-token-text") && !bytes.contains("x.example"), "{:?}", entry.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_of_one_api_are_told_apart() {
    let (one, other) = (Account::of("rest", ODD).await, Account::of("rest", ODD).await);
    let connection = |name: &str, account: &Account| {
        format!(
            "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: {name}}}\nspec: {{api: rest, url: \"{}\", auth: \
             {{bearer: {{valueFrom: {{env: REST_TOKEN}}}}}}}}\n---\n",
            account.sandbox.url("rest")
        )
    };
    let text = connection("first", &one) + &connection("second", &other);
    fs::write(one.folder.path().join("connections.yaml"), text).unwrap();
    let run = |args: &[&str]| {
        let mut command = plumb();
        command.args(args).current_dir(one.folder.path()).env("REST_TOKEN", "practice-key");
        if let Ok(variables) = fs::read_to_string(one.folder.path().join(".env.example")) {
            let names = variables.lines().filter_map(|line| line.strip_suffix('='));
            command.envs(names.map(|name| (name, "correct-horse-battery")));
        }
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "plumb {args:?}\n{told}");
        (String::from_utf8(output.stdout).unwrap(), told)
    };
    run(&["export", "--to", "."]);
    let (first, second) = (one.read("first/organizations.yaml"), one.read("second/organizations.yaml"));
    assert!(first.contains("connection: first") && names(&first) == ["acme"], "{first}");
    assert!(second.contains("connection: second") && names(&second) == ["acme-org-1"], "{second}");
    run(&["import"]);
    let (_, told) = run(&["plan", "--detailed-exitcode"]);
    assert!(told.is_empty(), "{told}");
    let (out, _) = run(&["export", "--from", "second", "Organization"]);
    assert!(names(&out) == ["acme"] && out.contains("connection: second"), "{out}");
}
