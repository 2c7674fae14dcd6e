//! What an agent does with stacks in folders: it applies, mends drift or only tells of it, waits for windows, takes
//! commands, and knows all of it again after a restart.

use std::{
    fs,
    process::Command,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use plumb::sandbox::SandboxOptions;
use serde_json::json;

use super::host::{CONNECTION, Host, KEY, TOKEN, resource};
use crate::support::git::{Forge, counting, ready};

#[tokio::test]
async fn what_is_declared_is_made_kept_and_known_after_a_restart() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("stacks/one/connection.yaml", CONNECTION);
    host.write("stacks/one/a.yaml", &resource("alpha", "web"));
    host.start().await;
    let stack = host.until_state("one", "synced").await;
    assert_eq!(host.live(), ["alpha"]);
    assert_eq!(stack["runs"][0]["applied"], true);
    assert_eq!(stack["runs"][0]["message"], "1 created, 0 unchanged.");

    // Drift is mended, and told of in the history.
    host.meddle("alpha", "someone");
    host.until("one", "mended", |stack| stack["runs"][0]["message"] == "1 updated, 0 unchanged.").await;
    assert_eq!(host.owner("alpha").as_deref(), Some("web"));

    // A change of the source is applied without anybody asking.
    host.write("stacks/one/b.yaml", &resource("beta", "web"));
    host.eventually("the second resource is never made", || host.live() == ["alpha", "beta"]).await;
    host.until_state("one", "synced").await;

    let changes = host.changes();
    let lines: Vec<_> =
        changes.iter().map(|line| (line["object"].as_str().unwrap(), line["action"].as_str().unwrap())).collect();
    assert_eq!(
        lines,
        [("rest/Resource/alpha", "create"), ("rest/Resource/alpha", "update"), ("rest/Resource/beta", "create")]
    );
    assert_eq!(changes[1]["reason"], "drift");
    assert_eq!(changes[1]["fields"], json!(["/metadata/owner"]));
    assert_eq!(changes[0]["outcome"], "done");
    assert_eq!(changes[0]["status"], 201);
    assert_eq!(changes[0]["who"]["agent"], "plumb");
    assert!(changes[0]["commit"].as_str().is_some_and(|commit| !commit.is_empty()));
    assert_eq!(changes[0]["requests"][0]["method"], "POST");

    assert_eq!(host.stop().await, Some(0));
    let writes = |host: &Host| host.sandbox.log().iter().filter(|entry| entry.method != "GET").count();
    let before = writes(&host);
    host.start().await;
    let stack = host.stack("one").await;
    assert_eq!(stack["state"], "synced", "what was known before is shown at once");
    assert_eq!(stack["runs"].as_array().unwrap().len(), 3);
    host.until("one", "looked at again", |now| now["lastRun"] != stack["lastRun"]).await;
    assert_eq!(writes(&host), before);
    let everything = host.log() + &fs::read_to_string(host.path("state/stacks/one/agent.json")).unwrap();
    assert!(!everything.contains(KEY) && !everything.contains(TOKEN));
}

#[tokio::test]
async fn stacks_that_observe_tell_of_drift_alone_and_change_nothing() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    let text = fs::read_to_string(host.path("agent.yaml")).unwrap();
    host.write("agent.yaml", &text.replace("mode: enforce", "mode: observe"));
    host.signal("-HUP");
    host.until("one", "observed", |stack| stack["mode"] == "observe").await;
    host.write("stacks/one/b.yaml", &resource("beta", "web"));
    host.meddle("alpha", "someone");
    let stack = host.until_state("one", "drifted").await;
    assert_eq!(stack["message"], "1 object was changed behind plumb's back.");
    let drifted = stack["rows"].as_array().unwrap().iter().find(|row| row[0] == "rest/Resource/alpha").unwrap();
    assert_eq!((&drifted[3], drifted[6].is_i64()), (&json!("drifted"), true));
    // What is declared and not there is no drift, and not in step either.
    let row = |stack: &serde_json::Value| {
        let found = stack["rows"].as_array().and_then(|rows| rows.iter().find(|row| row[0] == "rest/Resource/beta"));
        found.map(|row| [row[3].clone(), row[4].clone()])
    };
    let stack = host.until("one", "told of what is declared", |stack| row(stack).is_some()).await;
    assert_eq!(row(&stack), Some([json!("pending"), json!(null)]));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(host.owner("alpha").as_deref(), Some("someone"));
    assert_eq!(host.live(), ["alpha"]);
    let metrics = host.get("/metrics").await.unwrap();
    let age = metrics.lines().find(|line| line.starts_with("plumb_drift_age_seconds{stack=\"one\"}")).unwrap();
    assert!(age.rsplit(' ').next().unwrap().parse::<f64>().unwrap() >= 1.0, "{age}");
}

#[tokio::test]
async fn metrics_have_their_names_and_few_labels() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    assert_eq!(host.get("/readyz").await.as_deref(), Some("ready\n"));
    let metrics = host.get("/metrics").await.unwrap();
    for wanted in [
        "plumb_reconcile_duration_seconds_bucket{",
        "plumb_objects{kind=\"rest/Resource\",connection=\"rest\",state=\"synced\"} 1",
        "plumb_drift_age_seconds{stack=\"one\"} 0",
        "plumb_api_requests_total{connection=\"rest\",api=\"rest\",method=\"POST\",status=\"201\"} 1",
        "plumb_plan_changes{stack=\"one\",action=\"create\"} 0",
        "plumb_last_success_timestamp_seconds{stack=\"one\"}",
        "plumb_build_info{version=",
        "# TYPE plumb_api_throttle_wait_seconds_total counter",
        "plumb_api_throttle_wait_seconds_total{connection=\"rest\"} 0",
        "plumb_prune_blocked_total{stack=\"one\"} 0",
    ] {
        assert!(metrics.contains(wanted), "{wanted}\n{metrics}");
    }
    assert!(!metrics.contains("alpha"), "objects are no labels\n{metrics}");
}

#[tokio::test]
async fn only_who_has_the_token_commands_and_looks() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    let post = reqwest::Method::POST;
    for (token, status) in [(None, 401), (Some("wrong"), 401), (Some(TOKEN), 202)] {
        assert_eq!(host.answer(post.clone(), "/api/v1/stacks/one/reconcile", token).await.status(), status);
    }
    assert_eq!(host.post("/api/v1/stacks/two/reconcile").await, 404);
    assert_eq!(host.post("/api/v1/stacks/one/explode").await, 404);
    assert_eq!(host.answer(reqwest::Method::GET, "/api/v1/stacks", None).await.status(), 401);
    let page = host.answer(reqwest::Method::GET, "/", None).await;
    assert_eq!((page.status().as_u16(), page.headers()["location"].to_str().unwrap()), (303, "/login"));
    let page = host.answer(reqwest::Method::GET, "/", Some(TOKEN)).await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; ") && !policy.contains("unsafe"), "{policy}");

    // Suspended, it does nothing, also after a restart; resumed, it does what it missed.
    let command = |word: &str| {
        let output = host.command(&["agent", word, "one", "--config", "agent.yaml"]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(command("suspend"), (Some(0), "Suspended `one`.\n".to_owned()));
    host.until("one", "suspended", |stack| stack["suspended"] == true).await;
    let (code, why) = command("reconcile");
    assert!(code == Some(1) && why.contains("The stack is suspended; resume it first."), "{why}");
    host.stop().await;
    host.write("stacks/one/b.yaml", &resource("beta", "web"));
    host.start().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(host.live(), ["alpha"]);
    let output = host.command(&["agent", "status", "--config", "agent.yaml"]).output().unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    assert!(status.starts_with("one  synced    enforce (suspended)  "), "{status}");
    let output = host.command(&["agent", "resume", "one", "--config", "agent.yaml"]).output().unwrap();
    assert!(output.status.success());
    host.eventually("a resumed stack is never reconciled", || host.live() == ["alpha", "beta"]).await;
}

#[tokio::test]
async fn outside_of_its_window_a_stack_is_planned_and_not_applied() {
    let mut host = Host::new().await;
    // A window of two hours that begins in twelve.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let hour = |ahead: i8| (now.hour() + ahead).rem_euclid(24);
    let closed = format!("    windows: [{{from: '{:02}:00', to: '{:02}:00'}}]\n", hour(12), hour(14));
    host.configure(&format!("{closed}{}", Host::stacks(&["one"])));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    let stack = host.until_state("one", "pending").await;
    assert!(stack["closed"].as_str().unwrap().starts_with("It may be applied from "), "{stack:#}");
    assert_eq!(host.live(), Vec::<String>::new());
    let open = format!("    windows: [{{from: '{:02}:00', to: '{:02}:00'}}]\n", hour(-1), hour(3));
    host.configure(&format!("{open}{}", Host::stacks(&["one"])));
    host.until_state("one", "synced").await;
    assert_eq!(host.live(), ["alpha"]);
}

#[tokio::test]
async fn a_broken_manifest_stops_nothing_else_and_deletes_nothing() {
    let mut host = Host::new().await;
    host.configure(&format!("    prune: true\n{}", Host::stacks(&["one", "two"])));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.write("stacks/two/all.yaml", &format!("{CONNECTION}---\n{}", resource("beta", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    host.until_state("two", "synced").await;
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}\nspec: {{", resource("gamma", "web")));
    let stack = host.until_state("one", "failed").await;
    let (message, lines) = (stack["message"].as_str().unwrap(), resource("gamma", "web").lines().count());
    let place = format!("one/all.yaml:{}: ", CONNECTION.lines().count() + 1 + lines + 2);
    assert!(message.contains(&place), "the reason has its place, {place}: {message}");
    assert_eq!(host.live(), ["alpha", "beta"]);
    assert_eq!(host.stack("two").await["state"], "synced");
    // An empty folder never prunes either.
    fs::remove_file(host.path("stacks/one/all.yaml")).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(host.live(), ["alpha", "beta"]);
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.until_state("one", "synced").await;
}

#[tokio::test]
async fn manifests_reach_for_nothing_that_the_configuration_does_not_list() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("secret", "a-secret-of-the-machine");
    for source in ["{env: HOME}", "{file: ../../secret}", "{exec: [cat, /etc/hostname]}"] {
        host.write(
            "stacks/one/all.yaml",
            &format!(
                "{CONNECTION}---\napiVersion: rest.plumb.dev/v1alpha1\nkind: Webhook\nmetadata: {{name: hook}}\nspec:\n  \
                 url: https://hook.example\n  events: [a]\n  secret: {{valueFrom: {source}}}\n"
            ),
        );
        if host.log().is_empty() {
            host.start().await;
        }
        let word = source.trim_start_matches('{').split(':').next().unwrap();
        let refused = |stack: &serde_json::Value| {
            let message = stack["message"].as_str().unwrap_or_default();
            stack["state"] == "failed"
                && match word {
                    "env" => message.contains("The variable `HOME` may not be read here"),
                    "file" => message.contains("may not be read here"),
                    _ => message.contains("The program `cat` may not be run"),
                }
        };
        host.until("one", "refused", refused).await;
    }
    assert!(host.sandbox.log().iter().all(|entry| entry.method == "GET"));
}

#[tokio::test]
async fn a_configuration_with_errors_changes_nothing_and_a_right_one_everything() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.write("stacks/two/all.yaml", &format!("{CONNECTION}---\n{}", resource("beta", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    let good = fs::read_to_string(host.path("agent.yaml")).unwrap();
    host.write("agent.yaml", &good.replace("mode: enforce", "mode: enforced"));
    host.eventually("the error is never told", || host.log().contains("the configuration has errors")).await;
    assert!(host.log().contains("did you mean") || host.log().contains("enforced"));
    assert!(host.get("/metrics").await.unwrap().contains("plumb_config_errors 1"));
    // A change of the file is enough.
    host.configure(&Host::stacks(&["two"]));
    host.until_state("two", "synced").await;
    assert_eq!(host.live(), ["alpha", "beta"], "a stack that is no longer configured keeps its objects");
    host.until("one", "gone", serde_json::Value::is_null).await;
}

#[tokio::test]
async fn another_token_and_other_webhooks_hold_at_once() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.edit("token: {valueFrom: {env: AGENT_TOKEN}}", "token: {valueFrom: {file: token}}");
    host.write("token", TOKEN);
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    host.until_state("one", "synced").await;
    let post =
        async |path: &str, token: Option<&str>| host.answer(reqwest::Method::POST, path, token).await.status().as_u16();
    assert_eq!(post("/api/v1/stacks/one/reconcile", Some(TOKEN)).await, 202);
    assert_eq!(post("/webhooks/forge", None).await, 404);
    host.write("token", "another-token-of-this-agent");
    host.edit(
        "  stacks:",
        "  webhooks:\n    - {name: forge, type: generic, secret: {valueFrom: {env: AGENT_TOKEN}}}\n  stacks:",
    );
    host.signal("-HUP");
    host.eventually("the configuration is never read anew", || host.log().contains("was read anew")).await;
    assert_eq!(post("/api/v1/stacks/one/reconcile", Some(TOKEN)).await, 401);
    assert_eq!(post("/api/v1/stacks/one/reconcile", Some("another-token-of-this-agent")).await, 202);
    assert_eq!(post("/webhooks/forge", None).await, 401, "there is one now, which asks for a signature");
    assert!(!host.log().contains("another-token-of-this-agent"));
}

#[tokio::test]
async fn what_the_configuration_lets_in_is_tried_at_once() {
    let mut host = Host::new().await;
    host.configure(&Host::stacks(&["one"]));
    host.edit("driftInterval: 1s", "driftInterval: 10h");
    host.edit("variables: [AGENT_KEY]", "variables: [OTHER]");
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    host.start().await;
    host.until_state("one", "failed").await;
    host.edit("variables: [OTHER]", "variables: [OTHER, AGENT_KEY]");
    host.until_state("one", "synced").await;
    assert_eq!(host.live(), ["alpha"]);
}

#[tokio::test]
async fn a_git_server_that_says_nothing_keeps_nobody_from_ending() {
    let mut host = Host::new().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let stack = format!("  stacks:\n    - {{name: one, source: {{git: 'https://127.0.0.1:{port}/infra.git'}}}}\n");
    host.configure(&stack);
    host.start().await;
    let _asked = silent.accept().await.unwrap();
    let began = Instant::now();
    assert_eq!(host.stop().await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_is_ended_in_the_middle_of_an_apply_goes_on_where_it_was() {
    let mut host = Host::with(SandboxOptions { latency: Duration::from_millis(60), ..SandboxOptions::default() }).await;
    host.configure(&Host::stacks(&["one"]));
    host.edit("driftInterval: 1s", "driftInterval: 10h");
    let names: Vec<String> = (0..200).map(|number| format!("object-{number:03}")).collect();
    let resources: Vec<String> = names.iter().map(|name| resource(name, "web")).collect();
    host.write("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resources.join("---\n")));
    host.start().await;
    host.eventually("nothing is made", || host.live().len() >= 20).await;
    let began = Instant::now();
    assert_eq!(host.stop().await, Some(0), "{}", host.log());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let made = host.live().len();
    assert!(made < names.len(), "it ended too late for this test to mean anything");
    let done = host.changes().iter().filter(|line| line["outcome"] == "done").count();
    assert_eq!(done, made, "every call that was made is in the change log");
    host.start().await;
    host.until_state("one", "synced").await;
    assert_eq!(host.live(), names, "each is made once");
}

/// Fifty stacks of a hundred objects in one repository: an agent with the usual intervals does next to nothing, asks
/// for all of them at once, and plans one where one is pushed.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_stacks_of_one_repository_cost_next_to_nothing() {
    if !ready() {
        return;
    }
    let (mut host, git) = (Host::new().await, Forge::new());
    let names: Vec<String> = (0..50).map(|number| format!("stack-{number:02}")).collect();
    let text = |name: &str, owner: &str| {
        let mut text = format!("{CONNECTION}  limits: {{requests: 100000, window: 60}}\n");
        for number in 0..100 {
            text.push_str(&format!("---\n{}", resource(&format!("{name}-{number:03}"), owner)));
        }
        text
    };
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("stacks/{name}/all.yaml"), text(name, "web"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    git.repository("infra", &files);
    let (_apache, plain, _) = git.https();
    let (port, asked) = counting(plain);
    let mut stacks = String::from(
        "  webhooks:\n    - {name: forge, type: generic, secret: {valueFrom: {env: AGENT_TOKEN}}}\n  stacks:\n",
    );
    let url = format!("http://127.0.0.1:{port}/infra.git");
    for name in &names {
        stacks.push_str(&format!("    - {{name: {name}, source: {{git: '{url}//stacks/{name}?ref=main'}}}}\n"));
    }
    host.configure(&stacks);
    host.edit("interval: 300ms", "interval: 1m");
    host.edit("driftInterval: 1s", "driftInterval: 30m");
    // As the unit starts it.
    let unit = fs::read_to_string(crate::support::example::repository("examples/agent/plumb-agent.service")).unwrap();
    let environment = unit.lines().find_map(|line| line.strip_prefix("Environment=")).unwrap();
    let variables = environment.split(' ').map(|pair| pair.split_once('=').unwrap());
    host.variables.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    host.start().await;
    host.eventually("not everything is made", || host.live().len() == 5000).await;
    for name in &names {
        host.until_state(name, "synced").await;
    }
    let idle = Usage::of(&host);
    let (began, polls) = (Instant::now(), asked.load(Ordering::SeqCst));
    // A whole interval, so that every stack is looked at.
    tokio::time::sleep(Duration::from_secs(65)).await;
    let (share, polls) = (Usage::of(&host).share(&idle, began), asked.load(Ordering::SeqCst) - polls);
    let Usage { memory, own, .. } = idle;
    println!(
        "idle, 50 stacks of 100 objects: {own} MiB and {} of its program, {share:.2} % of a CPU, {polls} requests to Git in 65 s",
        memory - own
    );
    assert!((1..=3).contains(&polls), "fifty stacks asked {polls} times");

    let runs = async |host: &Host| {
        let text = host.get("/metrics").await.unwrap();
        let counts = text.lines().filter(|line| line.starts_with("plumb_reconcile_duration_seconds_count"));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = runs(&host).await;
    git.push("infra", &[("stacks/stack-17/all.yaml", &text("stack-17", "team"))]);
    host.sandbox.clear_log();
    let body = serde_json::json!({"repository": url, "ref": "refs/heads/main"}).to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, TOKEN.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, body.as_bytes());
    let hex = tag.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let (began, polls) = (Instant::now(), asked.load(Ordering::SeqCst));
    let sent = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{}/webhooks/forge", host.port))
        .header("x-signature", format!("sha256={hex}"))
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 202);
    host.eventually("no call follows", || host.sandbox.requests() > 0).await;
    let took = began.elapsed();
    println!("push to first API call, 50 stacks: {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    host.eventually("the push is never applied", || host.owner("stack-17-099").as_deref() == Some("team")).await;
    host.until("stack-17", "synced", |stack| stack["busy"] == false && stack["runs"][0]["applied"] == true).await;
    assert_eq!(runs(&host).await, before + 1, "a push to one stack plans one");
    let polls = asked.load(Ordering::SeqCst) - polls;
    assert!(polls <= 3, "a push is fetched once, and took {polls} connections");
    // A debug build, whose program is large, on a busy machine.
    assert!(own <= 64, "{own} MiB");
    assert!(share <= 5.0, "{share:.2} %");
}

/// What a process has used.
struct Usage {
    /// MiB that it holds.
    memory: u64,
    /// MiB of them that are not its program.
    own: u64,
    ticks: u64,
}

impl Usage {
    fn of(host: &Host) -> Self {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", host.pid())).unwrap();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let status = read("status");
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
        };
        let (memory, own) = (mebibytes("VmRSS:"), mebibytes("RssAnon:"));
        let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Self { memory, own, ticks }
    }

    /// The share of a CPU since then, in percent.
    fn share(&self, before: &Self, began: Instant) -> f64 {
        let output = Command::new("getconf").arg("CLK_TCK").output().unwrap();
        let per_second: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a share in percent bears it")]
        let ticks = (self.ticks - before.ticks) as f64;
        100.0 * ticks / per_second / began.elapsed().as_secs_f64()
    }
}
