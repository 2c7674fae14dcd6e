//! The status page in a real browser: no outside resource, no accessibility violation, usable by keyboard and on a
//! phone, quick with ten thousand objects; its pictures are those of the documentation.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use plumb::{
    agent::{
        metrics::Metrics,
        server::{Guard, Served, common},
        view::{Board, BudgetView, ObjectView, PullView, RevisionView, RunView, StackState, StackView},
    },
    diff::ChangeOp,
    plan::{Action, ActionKind, Change, PlanDocument, Reason, RequestInfo, Summary},
};
use secrecy::SecretString;
use serde_json::{Value, json};

fn action(kind: ActionKind, address: &str, reason: Reason, changes: Vec<Change>) -> Action {
    let name = address.rsplit('/').next().unwrap().to_owned();
    let object = address.split('/').nth(1).unwrap().to_owned();
    Action {
        action: kind,
        address: address.to_owned(),
        connection: "happyfrog".into(),
        api: "itglue".into(),
        kind: object,
        name,
        id: Some("401".into()),
        reason,
        depends_on: Vec::new(),
        changes,
        requests: vec![RequestInfo::Call { method: "PATCH".into(), path: "/configurations/401".into() }],
        notes: Vec::new(),
        outcome: None,
        error: None,
        drifted: reason == Reason::Drift,
    }
}

fn change(path: &str, before: Value, after: Value) -> Change {
    Change {
        path: path.to_owned(),
        op: ChangeOp::Replace,
        before: Some(before),
        after: Some(after),
        sensitive: false,
        drift: false,
    }
}

fn plan() -> PlanDocument {
    PlanDocument {
        format_version: "1".into(),
        stack: "production".into(),
        observed_at: "2026-03-31T12:00:00Z".into(),
        digest: "0f1e2d3c4b5a".into(),
        summary: Summary { create: 1, update: 2, delete: 1, unchanged: 36, drifted: 1, ..Summary::default() },
        actions: vec![
            action(
                ActionKind::Create,
                "itglue/Location/happy-frog-berlin",
                Reason::New,
                vec![Change { op: ChangeOp::Add, before: None, ..change("/city", Value::Null, json!("Berlin")) }],
            ),
            action(
                ActionKind::Update,
                "itglue/Configuration/firewall-01",
                Reason::Drift,
                vec![Change {
                    drift: true,
                    ..change(
                        "/notes",
                        json!("Replaced by Jane on Monday.\nAsk her."),
                        json!("Main firewall.\nAsk the network team."),
                    )
                }],
            ),
            action(
                ActionKind::Update,
                "itglue/Organization/happy-frog",
                Reason::Changed,
                vec![change("/alert", json!("none"), json!("Call before you reboot anything."))],
            ),
            action(ActionKind::Delete, "itglue/Contact/former-admin", Reason::Removed, Vec::new()),
        ],
        ..PlanDocument::default()
    }
}

fn objects(count: usize, name: impl Fn(usize) -> (String, &'static str)) -> Vec<ObjectView> {
    (0..count)
        .map(|number| {
            let (address, kind) = name(number);
            ObjectView {
                address,
                connection: "happyfrog".into(),
                kind: kind.into(),
                state: StackState::Synced,
                action: None,
                id: Some(format!("{}", 4000 + number)),
                since: None,
                why: None,
            }
        })
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a board as it may be, stack after stack")]
fn board() -> Arc<Board> {
    let board = Arc::new(Board::default());
    let now = jiff::Timestamp::now().as_second();
    let revision = |commit: &str, title: &str| {
        Some(RevisionView {
            commit: commit.into(),
            called: "main".into(),
            author: "Jane Doe".into(),
            title: title.into(),
        })
    };
    board.change("production", |stack| {
        let kinds = ["Organization", "Location", "Configuration", "Contact"];
        let names = ["happy-frog", "happy-frog-berlin", "firewall-01", "former-admin"];
        let mut list = objects(40, |number| {
            let kind = ["itglue/Organization", "itglue/Location", "itglue/Configuration", "itglue/Contact"][number % 4];
            let name = if number < 4 {
                names[number].to_owned()
            } else {
                format!("{}-{number:02}", kinds[number % 4].to_lowercase())
            };
            (format!("itglue/{}/{name}", kinds[number % 4]), kind)
        });
        for (index, action, state) in [
            (0, "update", StackState::Pending),
            (1, "create", StackState::Pending),
            (2, "update", StackState::Drifted),
            (3, "delete", StackState::Pending),
        ] {
            list[index].action = Some(action.to_owned());
            list[index].state = state;
        }
        list[2].since = Some(now - 5400);
        *stack = StackView {
            name: "production".into(),
            mode: "plan".into(),
            source: "https://git.example/msp/infrastructure.git//production".into(),
            state: StackState::Drifted,
            message: "1 to create, 2 to update, 1 to delete, 36 unchanged.".into(),
            revision: revision("5f2c1e9a7b3d4c60518297a6b5c4d3e2f1a09b8c", "Open the office in Berlin"),
            last_success: Some(now - 86_400),
            last_run: Some(now - 95),
            next_run: Some(now + 1700),
            drift_since: Some(now - 5400),
            summary: plan().summary,
            edges: Arc::new((0..40).filter(|index| index % 4 != 0).map(|index| (index, (index / 4) * 4)).collect()),
            objects: Arc::new(list),
            plan: Some(Arc::new(plan())),
            budgets: [(
                "happyfrog".to_owned(),
                BudgetView { api: "itglue".into(), limit: Some(3000), remaining: Some(2411), reset: Some(now + 190) },
            )]
            .into(),
            runs: (0..12)
                .map(|number| RunView {
                    run: format!("r{number}"),
                    began: now - 95 - number * 1800,
                    seconds: 1.4,
                    cause: if number % 5 == 0 { "push" } else { "drift" }.into(),
                    state: if number == 3 { StackState::Failed } else { StackState::Synced },
                    applied: number % 5 == 0,
                    commit: "5f2c1e9a7b3d4c60518297a6b5c4d3e2f1a09b8c".into(),
                    summary: Summary::default(),
                    message: if number == 3 { "The API did not answer." } else { "2 updated, 38 unchanged." }.into(),
                })
                .collect(),
            pulls: vec![PullView { number: 7, head: "a".repeat(40), plan: Arc::new(plan()) }],
            ..StackView::default()
        };
    });
    for (name, state, message) in [
        ("customers", StackState::Synced, "Everything is as declared."),
        (
            "edge-fleet",
            StackState::Failed,
            "`balena/Device/lab-3`: the API refused it with status 422: the device type is not known.",
        ),
        ("pipelines", StackState::Waiting, "1 created, 12 unchanged. A person must act."),
        (
            "telemetry",
            StackState::Pending,
            "2 to update, 58 unchanged. It may be applied from 2026-04-01T20:00:00Z on.",
        ),
    ] {
        board.change(name, |stack| {
            stack.mode = "enforce".into();
            stack.source = format!("https://git.example/msp/infrastructure.git//{name}");
            stack.state = state;
            stack.message = message.into();
            stack.last_run = Some(now - 300);
            stack.revision = revision("5f2c1e9a7b3d4c60518297a6b5c4d3e2f1a09b8c", "Open the office in Berlin");
            stack.objects = Arc::new(objects(60, |number| {
                (format!("itglue/Configuration/{name}-{number:02}"), "itglue/Configuration")
            }));
        });
    }
    board.change("large", |stack| {
        stack.mode = "enforce".into();
        stack.state = StackState::Synced;
        stack.last_run = Some(now - 10);
        stack.objects = Arc::new(objects(10_000, |number| {
            (format!("itglue/Configuration/object-{number:05}"), "itglue/Configuration")
        }));
    });
    board.change("moving", |stack| {
        stack.mode = "observe".into();
        stack.state = StackState::Synced;
        stack.message = "Run 0.".into();
    });
    board
}

/// Whether browser and tools are there; where they are not, that is said in one line, and a failure in CI.
pub(crate) fn ready() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let tools = target.join("tools/browser");
    let missing: Vec<&str> = [
        ("chromium", Path::new("/usr/bin/chromium").exists()),
        ("node", Path::new("/usr/bin/node").exists()),
        ("axe-core and puppeteer-core", tools.join("node_modules/axe-core").exists()),
    ]
    .into_iter()
    .filter(|(_, there)| !there)
    .map(|(name, _)| name)
    .collect();
    if missing.is_empty() {
        return Some(tools);
    }
    let missing = format!("the test of the status page needs {}: run `tests/run`", missing.join(", "));
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// Serves a board, to whoever has the token where there is one, and gives where.
async fn serve(board: Arc<Board>, token: Option<&str>) -> String {
    let served = Served {
        board,
        metrics: Arc::new(Metrics::new()),
        ready: Arc::new(|| true),
        guard: Arc::new(Guard::new(token.map(SecretString::from).as_ref(), true, false)),
        more: None,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, common(&served, true)).await });
    url
}

/// Fifty stacks of a hundred objects, one in each state by turns.
fn fifty() -> Arc<Board> {
    let board = Arc::new(Board::default());
    for number in 0..50_usize {
        let name = format!("stack-{number:02}");
        board.change(&name, |stack| {
            stack.mode = "enforce".into();
            stack.source = format!("https://git.example/msp/infrastructure.git//{name}");
            stack.state = StackState::ALL[number % StackState::ALL.len()];
            stack.message = "1 to create, 2 to update, 97 unchanged.".into();
            stack.last_run = Some(jiff::Timestamp::now().as_second() - 60);
            stack.objects = Arc::new(objects(100, |object| {
                (format!("itglue/Configuration/{name}-{object:03}"), "itglue/Configuration")
            }));
        });
    }
    board
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_holds_in_a_real_browser() {
    let Some(tools) = ready() else { return };
    let board = board();
    let (url, fifty) = (serve(board.clone(), None).await, serve(fifty(), None).await);
    let locked = serve(board.clone(), Some("the-right-token")).await;
    let moving = tokio::spawn(async move {
        for number in 1.. {
            tokio::time::sleep(Duration::from_secs(2)).await;
            board.change("moving", |stack| stack.message = format!("Run {number}."));
        }
    });
    let pictures = tempfile::tempdir().unwrap();
    let folder = pictures.path().to_path_buf();
    let output = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/page.mjs"))
            .args([&url, &folder.display().to_string(), &fifty, &locked])
            .env("BROWSER_TOOLS", tools)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    moving.abort();
    let text = String::from_utf8_lossy(&output.stdout);
    let found: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(found["errors"], json!([]));
    assert_eq!(found["foreign"], json!([]));
    assert_eq!(found["violations"], json!([]), "{:#}", found["violations"]);
    assert_eq!(
        found["walk"],
        json!(["a skip", "main main", "button tab-graph", "graph zooms", "plumb", "That is not the token.", "/",])
    );
    assert_eq!(found["events"], true);
    let script = &found["script"];
    println!("script time with 10,000 objects: {script}");
    assert_eq!((&script["rows"], &script["shown"]), (&json!(200), &json!("1–200 of 1000 (10000 in all)")));
    assert!(script["list"].as_f64().unwrap() < 200.0 && script["filter"].as_f64().unwrap() < 200.0, "{script}");
    let fifty = &found["fifty"];
    println!("fifty stacks: {fifty}");
    assert_eq!((&fifty["phone"], &fifty["wide"]), (&json!(50), &json!(50)));
    assert!(["phone filter", "wide filter"].iter().all(|name| fifty[name].as_f64().unwrap() < 200.0), "{fifty}");
    // The pictures differ from run to run in times alone: they are taken over on request.
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    for name in ["status-light", "status-dark", "status-phone", "status-plan", "status-graph"] {
        let picture = fs::read(pictures.path().join(format!("{name}.png"))).unwrap();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5000, "{name}");
        let kept = images.join(format!("{name}.png"));
        if std::env::var_os("UPDATE_PICTURES").is_some() {
            fs::create_dir_all(&images).unwrap();
            fs::write(&kept, picture).unwrap();
        }
        assert!(kept.exists(), "`UPDATE_PICTURES=1 cargo test --test it page` writes `{}`", kept.display());
    }
}
