//! Every report of one rich plan, and of hostile texts.

use std::{collections::HashSet, fmt::Write, sync::Arc, time::Instant};

use plumb::{
    diagnostic::{Diagnostic, Place, SourceText, Sources},
    diff::ChangeOp,
    plan::{
        Action, ActionKind, Change, DiagnosticDocument, Outcome, PlanDocument, PlanNotes, Reason, RequestCounts,
        RequestInfo, SourceInfo, Summary,
    },
    report::{
        self, Style,
        graph::{self, GraphNode, GraphView},
        html, json, markdown, text,
    },
};
use serde_json::{Value, json};

const PLAIN: Style = Style { color: false, width: 100, verbose: false };

fn action(kind: ActionKind, address: &str, reason: Reason) -> Action {
    let mut parts = address.split(['/', '#']);
    let mut next = || parts.next().unwrap_or_default().to_owned();
    Action {
        action: kind,
        api: next(),
        kind: next(),
        name: next(),
        address: address.into(),
        connection: "happyfrog".into(),
        id: None,
        reason,
        depends_on: Vec::new(),
        changes: Vec::new(),
        requests: Vec::new(),
        notes: Vec::new(),
        outcome: None,
        error: None,
        drifted: false,
    }
}

fn change(path: &str, before: Option<Value>, after: Option<Value>) -> Change {
    let op = match (&before, &after) {
        (None, _) => ChangeOp::Add,
        (_, None) => ChangeOp::Remove,
        _ => ChangeOp::Replace,
    };
    Change { path: path.into(), op, before, after, sensitive: false, drift: false }
}

fn call(method: &str, path: &str) -> RequestInfo {
    RequestInfo::Call { method: method.into(), path: path.into() }
}

const NOTES_BEFORE: &str = "Mail is hosted.\n\nAdmin: see the password list.\nBackups run at 22:00 every night.\n\
                            Restore takes an hour.\nCall Jane first.\nThen call Joe.\nThen the vendor.\n";
const NOTES_AFTER: &str = "Mail is hosted.\n\nAdmin: see the password list.\nBackups run at 23:30 every night.\n\
                           Restore takes an hour.\nCall Jane first.\nThen call Joe.\nThen the vendor.\nThen pray.\n";

/// One plan that shows everything.
fn sample() -> (PlanDocument, PlanNotes) {
    let mut organization = action(ActionKind::Create, "itglue/Organization/happy-frog", Reason::New);
    organization.changes = vec![
        change("/name", None, Some(json!("Happy Frog"))),
        change("/organizationType", None, Some(json!("Customer"))),
        change("/quickNotes", None, Some(json!("Main site in Tulsa.\nKeys are with the porter."))),
    ];
    organization.requests = vec![call("POST", "/organizations")];

    let mut types = action(ActionKind::Update, "itglue/FlexibleAssetType/email", Reason::Changed);
    types.id = Some("17".into());
    types.changes = vec![
        change("/icon", Some(json!("envelope")), Some(json!("inbox"))),
        change("/showInMenu", None, Some(json!(true))),
        change("/description", Some(json!("Old words")), None),
    ];
    types.requests = vec![call("PATCH", "/flexible_asset_types/17")];

    let mut field = action(ActionKind::Update, "itglue/FlexibleAssetType/email#fields/Type", Reason::Drift);
    field.id = Some("401".into());
    field.drifted = true;
    field.depends_on = vec![types.address.clone()];
    let options = |last: &str| json!(["Exchange 2016", "Exchange 2019", "Office 365", "Google Workspace", last]);
    field.changes = vec![
        Change { drift: true, ..change("/hint", Some(json!("a")), Some(json!("b"))) },
        change("/options", Some(options("Zimbra")), Some(options("Other"))),
    ];
    field.requests = vec![call("PATCH", "/flexible_asset_fields/401")];

    let mut password = action(ActionKind::Update, "itglue/Password/happy-frog-admin", Reason::Changed);
    password.id = Some("9001".into());
    password.changes = vec![
        Change { sensitive: true, ..change("/password", Some(json!("hunter2")), Some(json!("hunter3"))) },
        change("/notes", Some(json!(NOTES_BEFORE)), Some(json!(NOTES_AFTER))),
    ];
    password.requests = vec![call("PATCH", "/passwords/9001")];

    let mut first = action(ActionKind::Update, "itglue/Configuration/srv-1", Reason::Drift);
    first.changes = vec![Change { drift: true, ..change("/hostname", Some(json!("srv-x")), Some(json!("srv-1"))) }];
    first.requests = vec![call("PATCH", "/configurations")];
    first.drifted = true;
    let mut second = action(ActionKind::Adopt, "itglue/Configuration/srv-2", Reason::New);
    second.id = Some("32".into());
    second.changes = vec![change("/location", Some(json!("Main")), Some(json!({"$ref": "Location/id:5"})))];
    second.requests = vec![RequestInfo::Shared { shared_with: first.address.clone() }];

    let mut component = action(ActionKind::Replace, "cycloid/Component/web", Reason::Dependency);
    component.connection = "cloud".into();
    component.id = Some("web".into());
    component.changes = vec![change("/serviceCatalog", Some(json!("acme:stack-old")), Some(json!("acme:stack-new")))];
    component.notes = vec!["Replacing it destroys its pipelines and their history.".into()];
    component.requests = vec![
        call("DELETE", "/organizations/acme/projects/shop/environments/prod/components/web"),
        call("POST", "/organizations/acme/projects/shop/environments/prod/components"),
    ];

    let mut contact = action(ActionKind::Delete, "itglue/Contact/jane-doe", Reason::Removed);
    contact.id = Some("77".into());
    contact.notes = vec!["Its 2 phone numbers go with it.".into()];
    contact.requests = vec![call("DELETE", "/contacts/77")];
    let mut forgotten = action(ActionKind::Forget, "itglue/Organization/old-toad", Reason::Removed);
    forgotten.id = Some("12".into());

    let document = PlanDocument {
        format_version: "1".into(),
        stack: "default".into(),
        observed_at: "2026-11-22T10:00:00Z".into(),
        source: SourceInfo { revision: Some("1a2b3c4".into()) },
        digest: "sha256:5f0c".into(),
        summary: Summary {
            create: 1,
            adopt: 1,
            update: 4,
            replace: 1,
            delete: 1,
            forget: 1,
            unchanged: 97,
            drifted: 2,
        },
        actions: vec![organization, types, field, password, first, second, component, contact, forgotten],
        requests: RequestCounts { observe: 4, apply: 8 },
        diagnostics: vec![DiagnosticDocument {
            severity: "warning".into(),
            code: "PL0501".into(),
            message: "`/description` of `itglue/FlexibleAssetType/email` is no longer managed.".into(),
            hints: vec!["Write it as null to clear it.".into()],
            file: Some("stack.yaml".into()),
            line: Some(12),
            column: Some(3),
            address: Some("itglue/FlexibleAssetType/email".into()),
        }],
    };
    let notes = PlanNotes {
        seconds: 2.4,
        undeclared: vec![
            ("itglue/Location/annex".into(), "no manifest declares it".into()),
            ("itglue/FlexibleAssetType/email#fields/Old".into(), "adopted, so it would be forgotten".into()),
        ],
        calls: [("cloud".to_owned(), 2), ("happyfrog".to_owned(), 6)].into(),
    };
    (document, notes)
}

/// The sample after an apply in which things went wrong.
fn applied() -> (PlanDocument, PlanNotes) {
    let (mut document, notes) = sample();
    let outcomes = [
        (Outcome::Done, None),
        (Outcome::Failed, Some("The API answered 422: icon is not in the list.\nhint: `plumb explain` lists icons.")),
        (Outcome::Skipped, Some("`itglue/FlexibleAssetType/email` failed.")),
        (Outcome::Done, None),
        (Outcome::Done, None),
        (Outcome::Done, None),
        (Outcome::Done, None),
        (Outcome::Waiting, Some("Jane must accept the invitation.")),
        (Outcome::Done, None),
    ];
    for (action, (outcome, error)) in document.actions.iter_mut().zip(outcomes) {
        action.outcome = Some(outcome);
        action.error = error.map(str::to_owned);
    }
    if let Some(first) = document.actions.first_mut() {
        first.id = Some("33".into());
    }
    (document, notes)
}

#[test]
fn a_plan_reads_well_as_text() {
    let (document, notes) = sample();
    insta::assert_snapshot!("text", text::plan(&document, &notes, PLAIN));
    insta::assert_snapshot!("text_verbose", text::plan(&document, &notes, Style { verbose: true, ..PLAIN }));
    insta::assert_snapshot!("text_narrow", text::plan(&document, &notes, Style { width: 60, ..PLAIN }));
}

#[test]
fn colour_only_adds_to_the_text() {
    let (document, notes) = sample();
    let plain = text::plan(&document, &notes, PLAIN);
    let colored = text::plan(&document, &notes, Style { color: true, ..PLAIN });
    assert!(!plain.contains('\u{1b}'));
    assert!(colored.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
    let (document, notes) = applied();
    assert!(!text::outcome(&document, &notes, PLAIN).contains('\u{1b}'));
}

#[test]
fn a_plan_ends_with_its_two_lines() {
    let (document, notes) = sample();
    let shown = text::plan(&document, &notes, PLAIN);
    let last: Vec<&str> = shown.lines().rev().take(2).collect();
    assert_eq!(
        last,
        [
            "Calls: 4 to observe, 8 to apply (about 3 s within the limits of the connections).",
            "Plan: 1 to create, 1 to adopt, 4 to update, 1 to replace, 1 to delete, 1 to forget, 97 unchanged",
        ]
    );
}

#[test]
fn a_plan_without_actions_says_so_and_does_not_hide_errors() {
    let mut document = PlanDocument { stack: "default".into(), ..PlanDocument::default() };
    document.summary.unchanged = 3;
    document.requests.observe = 4;
    insta::assert_snapshot!(text::plan(&document, &PlanNotes::default(), PLAIN), @r"
    Stack `default`

    Nothing to do: everything live is as it is declared.

    Plan: 0 to create, 0 to adopt, 0 to update, 0 to replace, 0 to delete, 0 to forget, 3 unchanged
    Calls: 4 to observe, 0 to apply.
    ");
    document.diagnostics = vec![DiagnosticDocument { severity: "error".into(), ..DiagnosticDocument::default() }];
    for shown in [
        text::plan(&document, &PlanNotes::default(), PLAIN),
        markdown::plan(&document, &PlanNotes::default(), 9000),
        html::plan(&document, &PlanNotes::default()),
    ] {
        assert!(shown.contains("see the errors") && !shown.contains("everything live"), "{shown}");
    }
}

#[test]
fn an_apply_reports_what_became_of_every_action() {
    let (document, notes) = applied();
    let shown = text::outcome(&document, &notes, PLAIN);
    assert_eq!(
        shown.lines().last(),
        Some(
            "Apply: 1 created, 1 adopted, 2 updated, 1 replaced, 0 deleted, 1 forgotten, 1 waiting, 1 failed, 1 skipped"
        )
    );
    insta::assert_snapshot!("outcome", shown);
}

#[test]
fn drift_shows_drifted_actions_only() {
    let (mut document, _) = sample();
    insta::assert_snapshot!("drift", text::drift(&document, PLAIN));
    document.actions.clear();
    assert_eq!(text::drift(&document, PLAIN), "No drift: everything that plumb wrote is as plumb left it.\n");
    document.diagnostics = vec![DiagnosticDocument { code: "PL0527".into(), ..DiagnosticDocument::default() }];
    assert_eq!(text::drift(&document, PLAIN), "No drift in what the APIs show; see the notes for the rest.\n");
}

#[test]
fn a_plan_reads_well_as_markdown() {
    let (document, notes) = sample();
    insta::assert_snapshot!("markdown", markdown::plan(&document, &notes, markdown::GITHUB_LIMIT));
}

#[test]
fn markdown_keeps_to_its_limit_and_says_what_is_left_out() {
    let (mut document, notes) = sample();
    let pattern = document.actions.clone();
    for number in 0..2000 {
        let mut action = pattern[number % pattern.len()].clone();
        let _ = write!(action.address, "-{number}");
        document.actions.push(action);
    }
    for limit in [0, 10, 200, 1000, 5000, markdown::GITHUB_LIMIT] {
        let shown = markdown::plan(&document, &notes, limit);
        assert!(shown.chars().count() <= limit, "{limit}");
        assert_eq!(shown.matches("<details>").count(), shown.matches("</details>").count());
        if limit >= 1000 {
            assert!(shown.contains("Left out, because a comment may not be longer:** "), "{shown}");
            assert!(shown.contains("Plan: 1 to create"), "{shown}");
        }
        let (delete, create) = (shown.find("> delete <"), shown.find("> create <"));
        assert!(create.is_none() || delete < create);
    }
}

#[test]
fn a_plan_is_one_page_of_html() {
    let (document, notes) = sample();
    let page = html::plan(&document, &notes);
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains(" style="),
        "needs something else"
    );
    // The style and script are files of their own in the source.
    let cut = |page: &str, from: &str, to: &str| {
        let (head, rest) = page.split_once(from).unwrap();
        let (_, tail) = rest.split_once(to).unwrap();
        format!("{head}{from}…{to}{tail}")
    };
    let body = cut(&cut(&page, "<style>", "</style>"), "<script>", "</script>");
    let body = body.replace("sha256-", "\nsha256-").replace("><", ">\n<");
    insta::with_settings!({filters => vec![("sha256-[A-Za-z0-9+/=]+", "sha256-HASH")]}, {
        insta::assert_snapshot!("html", body);
    });
}

#[test]
fn the_policy_of_the_page_names_its_own_style_and_script() {
    let (document, notes) = sample();
    let page = html::plan(&document, &notes);
    for tag in ["style", "script"] {
        let (_, rest) = page.split_once(&format!("<{tag}>")).unwrap();
        let (content, _) = rest.split_once(&format!("</{tag}>")).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.as_bytes());
        let hash = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, digest);
        assert!(page.contains(&format!("{tag}-src 'sha256-{hash}'")), "{tag}");
    }
}

#[test]
fn json_reads_back_and_fits_its_schema() {
    let (mut document, _) = applied();
    for change in document.actions.iter_mut().flat_map(|action| &mut action.changes).filter(|change| change.sensitive) {
        (change.before, change.after) = (None, None);
    }
    let shown = json::plan(&document).unwrap();
    assert!(shown.ends_with("}\n"));
    assert_eq!(serde_json::from_str::<PlanDocument>(&shown).unwrap(), document);
    let schema = json::plan_schema();
    let properties = schema["properties"].as_object().unwrap();
    for name in serde_json::from_str::<Value>(&shown).unwrap().as_object().unwrap().keys() {
        assert!(properties.contains_key(name), "{name}");
    }
    assert_eq!(schema["$defs"]["Change"]["properties"]["op"]["$ref"], "#/$defs/ChangeOp");
}

/// Texts that try to steer a terminal, reorder a line, close a block, run a script or call somebody.
const HOSTILE: &str = "x\u{1b}[31m\u{9b}2J\u{0}\u{202e}\u{2066}```\n````\n</details></summary><script>alert(1)</script>\
                       <!-- @team \"';--> | \\ \u{e0041}\u{feff}";

fn hostile() -> (PlanDocument, PlanNotes) {
    let text = || HOSTILE.to_owned();
    let mut document = applied().0;
    let mut bad = action(ActionKind::Delete, HOSTILE, Reason::Removed);
    (bad.connection, bad.api, bad.kind, bad.name) = (text(), text(), text(), text());
    (bad.id, bad.notes, bad.error, bad.depends_on) = (Some(text()), vec![text()], Some(text()), vec![text()]);
    bad.outcome = Some(Outcome::Failed);
    bad.requests = vec![call(HOSTILE, HOSTILE), RequestInfo::Shared { shared_with: text() }];
    bad.changes = vec![
        change(HOSTILE, None, Some(json!(HOSTILE))),
        change("/text", Some(json!(format!("{HOSTILE}\na"))), Some(json!(format!("{HOSTILE}\nb")))),
        change("/map", Some(json!({HOSTILE: HOSTILE})), Some(json!([{HOSTILE: [HOSTILE]}]))),
        change("/ref", Some(json!({"$ref": HOSTILE})), Some(json!({"$file": {"path": HOSTILE}}))),
        change("/line", Some(json!(HOSTILE.replace('\n', " "))), Some(json!(HOSTILE.replace('\n', " ") + "z"))),
    ];
    document.actions.push(bad);
    (document.stack, document.observed_at, document.digest) = (text(), text(), text());
    document.source.revision = Some(text());
    document.diagnostics.push(DiagnosticDocument {
        severity: text(),
        code: text(),
        message: text(),
        hints: vec![text()],
        file: Some(text()),
        line: Some(1),
        column: None,
        address: Some(text()),
    });
    let notes = PlanNotes { seconds: f64::NAN, undeclared: vec![(text(), text())], calls: [(text(), 1)].into() };
    (document, notes)
}

fn assert_harmless(name: &str, shown: &str) {
    let raw = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let first = shown.find(raw).map(|at| &shown[at..]);
    assert_eq!(first, None, "{name}");
}

#[test]
fn hostile_texts_come_through_nowhere() {
    let (document, notes) = hostile();
    let verbose = Style { verbose: true, ..PLAIN };
    assert_harmless("text", &text::plan(&document, &notes, PLAIN));
    assert_harmless("verbose", &text::plan(&document, &notes, verbose));
    assert_harmless("outcome", &text::outcome(&document, &notes, verbose));
    assert_harmless("drift", &text::drift(&document, verbose));
    assert_harmless("json", &json::plan(&document).unwrap());
    let view = GraphView { nodes: vec![node(HOSTILE), node(&format!("a#{HOSTILE}"))], edges: vec![(0, 1)] };
    for (name, shown) in [("dot", graph::dot(&view)), ("mermaid", graph::mermaid(&view)), ("svg", graph::svg(&view))] {
        assert_harmless(name, &shown);
        assert!(!shown.contains("<script>") && !shown.contains("</details>") || name == "dot", "{name}: {shown}");
    }
    assert!(
        !graph::mermaid(&view).contains(['<', '`', '@'])
            || graph::mermaid(&view).replace("<br/>", "").find(['<', '`', '@']).is_none()
    );

    let page = html::plan(&document, &notes);
    assert_harmless("html", &page);
    assert_eq!(page.matches("<script>").count(), 1);
    assert_eq!(page.matches("<details").count(), page.matches("</details>").count());

    let comment = markdown::plan(&document, &notes, markdown::GITHUB_LIMIT);
    assert_harmless("markdown", &comment);
    assert_code_only(&comment);
}

/// Goes through Markdown as a forge would: outside code, nothing of [`HOSTILE`] is left.
fn assert_code_only(comment: &str) {
    let mut fence: Option<String> = None;
    for line in comment.lines() {
        let run: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) => {
                if run.len() >= open.len() && line.trim_end() == run {
                    fence = None;
                }
            }
            None if run.len() >= 3 && !line[run.len()..].contains('`') => fence = Some(run),
            None => {
                let mut prose = line.to_owned();
                for (open, close) in [("`````", "`````"), ("<code>", "</code>"), ("`", "`")] {
                    while let Some((head, rest)) = prose.split_once(open)
                        && let Some((_, tail)) = rest.split_once(close)
                    {
                        prose = format!("{head}{tail}");
                    }
                }
                assert!(!prose.contains('@') && !prose.contains("script") && !prose.contains("<!--"), "{line}");
            }
        }
    }
    assert_eq!(fence, None, "a block stays open");
}

#[test]
fn sensitive_values_are_shown_by_no_report_even_if_set_by_mistake() {
    let (document, notes) = sample();
    let verbose = Style { verbose: true, ..PLAIN };
    for shown in [
        text::plan(&document, &notes, verbose),
        text::outcome(&document, &notes, verbose),
        markdown::plan(&document, &notes, markdown::GITHUB_LIMIT),
        html::plan(&document, &notes),
        json::plan(&document).unwrap(),
    ] {
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

#[test]
fn thousands_of_actions_are_all_shown_in_time() {
    let (mut document, notes) = sample();
    let pattern = document.actions.clone();
    for number in 0..5000 {
        let mut action = pattern[number % pattern.len()].clone();
        action.address = format!("itglue/Configuration/srv-{number}#interfaces/eth{}", number % 5);
        document.actions.push(action);
    }
    let started = Instant::now();
    let shown = text::plan(&document, &notes, PLAIN);
    let headings: HashSet<&str> = shown.split_whitespace().filter(|word| word.contains("#interfaces/")).collect();
    assert_eq!(headings.len(), 5000);
    html::plan(&document, &notes);
    markdown::plan(&document, &notes, markdown::GITHUB_LIMIT);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

fn sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add(SourceText { path: "stacks/email.yaml".into(), folder: "stacks".into(), text: Arc::from(text) });
    sources
}

fn place(line: u32, column: u32, length: u32) -> Place {
    Place { source: plumb::diagnostic::SourceId(0), line, column, length }
}

#[test]
fn diagnostics_point_at_their_place_once_and_in_order() {
    let sources = sources(
        "kind: FlexibleAssetType\nspec:\n  name: Email\n  icno: envelope\n  fields:\n    - name: A\n    - name: A\n",
    );
    let unknown = Diagnostic::error("PL0102", "`icno` is not a field of `FlexibleAssetType`.")
        .at(Some(place(4, 3, 4)))
        .hint("Did you mean `icon`?")
        .about("itglue/FlexibleAssetType/email");
    let double = Diagnostic::error("PL0110", "Two fields are named `A`.")
        .at(Some(place(7, 13, 1)))
        .see(Some(place(6, 13, 1)), "The first one is here.");
    let remote = Diagnostic::refusal("PL0601", "Deleting 40 objects is refused: the limit is 10.")
        .hint("Pass `--max-deletes 40` if this is meant.\nIt lifts the limit for this run only.");
    let broken = Diagnostic::warning("PL0001", "The file cannot be read.").in_file("stacks/other.yaml");
    let list = [remote, double.clone(), unknown.clone(), broken, unknown, double];
    insta::assert_snapshot!("diagnostics", report::diagnostics(&list, &sources, PLAIN));
    assert_eq!(report::counts(&list).as_deref(), Some("1 refusal, 2 errors, 1 warning."));
    let documents = report::to_documents(&list, &sources);
    let codes: Vec<&str> = documents.iter().map(|document| document.code.as_str()).collect();
    assert_eq!(codes, ["PL0102", "PL0110", "PL0001", "PL0601"]);
    assert_eq!((documents[0].file.as_deref(), documents[0].line), (Some("stacks/email.yaml"), Some(4)));
    let colored = report::diagnostics(&list, &sources, Style { color: true, ..PLAIN });
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), report::diagnostics(&list, &sources, PLAIN));
}

#[test]
fn diagnostics_never_draw_a_line_that_may_hold_a_secret() {
    let sources = sources("spec:\n  password: hunter2\n  pin: hunter2\n  note: hunter2\n");
    let wrong =
        |code, line| Diagnostic::error(code, "Wrong.").at(Some(place(line, 3, 4))).see(Some(place(2, 3, 1)), "Here.");
    let shown = report::diagnostics(&[wrong("PL0102", 2), wrong("PL0130", 3)], &sources, PLAIN);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("stacks/email.yaml:3:3"));
    assert!(report::diagnostics(&[wrong("PL0102", 4)], &sources, PLAIN).contains("note: hunter2"));
}

#[test]
fn diagnostics_are_safe_to_print_whatever_the_file_holds() {
    let long = format!("key: {}{HOSTILE}{}", "a".repeat(100_000), "b".repeat(100_000)).replace('\n', " ");
    let sources = sources(&format!("{long}\r\n\t{HOSTILE}\n"));
    let columns = [0, 1, 50, 100_010, 200_000, u32::MAX];
    let list: Vec<Diagnostic> = columns
        .iter()
        .flat_map(|column| (0..5).map(|line| place(line, *column, u32::MAX - 5)))
        .map(|place| {
            Diagnostic::error("PL0102", HOSTILE).at(Some(place)).hint(HOSTILE).about(HOSTILE).see(Some(place), HOSTILE)
        })
        .collect();
    let shown = report::diagnostics(&list, &sources, PLAIN);
    assert_harmless("diagnostics", &shown);
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
}

fn node(address: &str) -> GraphNode {
    let (head, label) = address.rsplit_once('/').unwrap_or(("", address));
    GraphNode { address: address.into(), label: label.into(), group: head.into(), action: None }
}

fn small_graph() -> GraphView {
    let with = |address: &str, action| GraphNode { action: Some(action), ..node(address) };
    GraphView {
        nodes: vec![
            node("itglue/Organization/happy-frog"),
            with("itglue/FlexibleAssetType/email", ActionKind::Update),
            with("itglue/FlexibleAssetType/email#fields/Type", ActionKind::Create),
            node("itglue/FlexibleAssetType/email#fields/Admin \"x\" <y>"),
            with("itglue/FlexibleAsset/mail", ActionKind::Replace),
            with("itglue/Password/admin", ActionKind::Delete),
        ],
        edges: vec![(2, 1), (3, 1), (4, 0), (4, 1), (5, 0), (5, 4)],
    }
}

#[test]
fn the_graph_is_drawn_in_three_languages() {
    let view = small_graph();
    insta::assert_snapshot!("graph_dot", graph::dot(&view));
    insta::assert_snapshot!("graph_mermaid", graph::mermaid(&view));
    insta::assert_snapshot!("graph_svg", graph::svg(&view));
}

#[test]
fn a_graph_of_a_thousand_objects_is_drawn_at_once() {
    let mut view = GraphView::default();
    for number in 0..1000_usize {
        view.nodes.push(node(&format!("itglue/Configuration/srv-{number}")));
        if number > 0 {
            view.edges.push((number, number / 9));
            view.edges.push((number, number / 40));
            view.edges.push((number, (number * 7 + 1) % number));
        }
    }
    let started = Instant::now();
    let shown = graph::svg(&view);
    assert!(started.elapsed().as_millis() < 2000, "{:?}", started.elapsed());
    assert_eq!(shown.matches(">srv-").count(), 1000);
    assert_eq!(shown, graph::svg(&view));
}

#[test]
fn a_graph_with_cycles_and_edges_to_nowhere_is_drawn_too() {
    let view =
        GraphView { nodes: vec![node("a/K/a"), node("a/K/b")], edges: vec![(0, 1), (1, 0), (1, 1), (7, 0), (0, 9)] };
    for shown in [graph::dot(&view), graph::mermaid(&view), graph::svg(&view)] {
        assert!(!shown.is_empty() && !shown.contains("NaN") && !shown.contains("inf"), "{shown}");
    }
}
