//! A repository, a forge and notifications: pushes become statuses, pull requests comments, changes of state messages.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    forge::{Mirror, Recorder},
    host::{CONNECTION, Host, KEY, resource},
};
use crate::support::git::{Forge, ready};

struct World {
    host: Host,
    git: Forge,
    recorder: Recorder,
}

/// A repository with stacks below `stacks/`, an agent that follows it, and a forge that records.
async fn world(stacks: &[&str], more: &str) -> Option<World> {
    if !ready() {
        return None;
    }
    let (host, git, recorder) = (Host::new().await, Forge::new(), Recorder::start().await);
    let files: Vec<(String, String)> = stacks
        .iter()
        .map(|name| (format!("stacks/{name}/all.yaml"), format!("{CONNECTION}---\n{}", resource(name, "web"))))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    git.repository("infra", &files);
    let mut text = format!(
        "    forge: forge\n    repository: acme/infra\n{more}  forges:\n    - {{name: forge, type: github, url: '{url}', token: \
         {{valueFrom: {{env: AGENT_TOKEN}}}}}}\n  webhooks:\n    - {{name: forge, type: generic, secret: {{valueFrom: {{env: \
         AGENT_TOKEN}}}}}}\n  notifications:\n    - {{name: hook, type: generic, url: '{messages}', secret: {{valueFrom: \
         {{env: AGENT_TOKEN}}}}}}\n  stacks:\n",
        url = recorder.url,
        messages = recorder.messages(),
    );
    for name in stacks {
        text.push_str(&format!(
            "    - {{name: {name}, source: {{git: '{}//stacks/{name}?ref=main'}}}}\n",
            git.file("infra")
        ));
    }
    host.configure(&text);
    Some(World { host, git, recorder })
}

#[tokio::test]
async fn a_push_to_one_stack_reconciles_one_and_its_commit_is_told() {
    let Some(World { mut host, git, recorder }) = world(&["one", "two", "three"], "").await else { return };
    host.start().await;
    for name in ["one", "two", "three"] {
        host.until_state(name, "synced").await;
    }
    let first = git.git("infra", &["rev-parse", "HEAD"]);
    host.eventually("the first commit is never told", || recorder.states(&first, "plumb/one").len() == 2).await;
    assert_eq!(
        recorder.states(&first, "plumb/one"),
        [("pending".into(), "Comparing with the APIs.".into()), ("success".into(), "1 created, 0 unchanged.".into())]
    );
    // Looks for drift go on meanwhile.
    let runs = |stack: &serde_json::Value| {
        let all = stack["runs"].as_array().unwrap();
        all.iter().filter(|run| run["cause"] != "drift").count()
    };
    let before = [runs(&host.stack("one").await), runs(&host.stack("three").await)];
    let second =
        git.push("infra", &[("stacks/two/all.yaml", &format!("{CONNECTION}---\n{}", resource("two", "team")))]);
    host.eventually("the push is never applied", || host.owner("two").as_deref() == Some("team")).await;
    host.eventually("the second commit is never told", || recorder.states(&second, "plumb/two").len() == 2).await;
    assert_eq!(recorder.states(&second, "plumb/two")[1], ("success".into(), "1 updated, 0 unchanged.".into()));
    assert_eq!(recorder.states(&second, "plumb/one"), []);
    assert_eq!(before, [runs(&host.stack("one").await), runs(&host.stack("three").await)]);

    // What is broken is told with its reason, and what was good stays.
    let third = git.push("infra", &[("stacks/two/more.yaml", "apiVersion: rest.plumb.dev/v1alpha1\nkind: Nothing\n")]);
    host.eventually("the broken commit is never told", || recorder.states(&third, "plumb/two").len() == 2).await;
    let (state, why) = recorder.states(&third, "plumb/two").remove(1);
    assert!(state == "failure" && !why.is_empty(), "{state} {why}");
    assert_eq!(host.live(), ["one", "three", "two"]);
    assert!(host.changes().iter().all(|line| line["who"]["author"] == "Jane Doe"));
    host.eventually("nobody is told", || recorder.events("two") == ["failed"]).await;
    git.git("infra", &["rm", "--quiet", "stacks/two/more.yaml"]);
    git.commit("infra", "Mend it");
    host.eventually("nobody is told again", || recorder.events("two") == ["failed", "recovered"]).await;
    let record = recorder.record.lock().unwrap();
    assert!(record.messages.iter().all(|(signature, _)| signature.starts_with("sha256=")));
    assert!(
        record
            .statuses
            .iter()
            .all(|(_, body)| body["target_url"].as_str().unwrap().starts_with("https://plumb.example/stacks/"))
    );
}

#[tokio::test]
async fn a_webhook_leads_to_a_call_within_two_seconds() {
    let Some(World { mut host, git, .. }) = world(&["one"], "").await else { return };
    let text = fs::read_to_string(host.path("agent.yaml")).unwrap();
    let slow = text.replace("interval: 300ms", "interval: 1h").replace("driftInterval: 1s", "driftInterval: 10h");
    host.write("agent.yaml", &slow);
    host.start().await;
    host.until_state("one", "synced").await;
    git.push("infra", &[("stacks/one/b.yaml", &resource("beta", "web"))]);
    host.sandbox.clear_log();
    let body = json!({"repository": git.file("infra"), "ref": "refs/heads/main"}).to_string();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, super::host::TOKEN.as_bytes());
    let signed = aws_lc_rs::hmac::sign(&key, body.as_bytes());
    let hex = signed.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let post = |signature: String| {
        let client = reqwest::Client::new();
        client
            .post(format!("http://127.0.0.1:{}/webhooks/forge", host.port))
            .header("content-type", "application/json")
            .header("x-hub-signature-256", format!("sha256={signature}"))
            .body(body.clone())
            .send()
    };
    assert_eq!(post(hex.replace('0', "1")).await.unwrap().status(), 401);
    let began = Instant::now();
    let answer = post(hex).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    host.eventually("no call follows", || host.sandbox.requests() > 0).await;
    let took = began.elapsed();
    println!("push to first API call: {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    host.eventually("it is never made", || host.live() == ["beta", "one"]).await;
}

#[tokio::test]
async fn a_pull_request_shows_its_plan_and_can_send_no_credential_anywhere() {
    let Some(World { mut host, git, recorder }) = world(&["one", "two"], "").await else { return };
    host.start().await;
    host.until_state("one", "synced").await;
    host.until_state("two", "synced").await;
    // The head changes an object, and leads the connection and its API to a server of its own.
    let trap = Recorder::start().await;
    git.git("infra", &["checkout", "--quiet", "-b", "change"]);
    let evil = CONNECTION.replace("http://127.0.0.1:9/nowhere", &trap.url);
    let other = evil.replace("name: rest}", "name: other}");
    fs::write(
        git.path("infra/stacks/one/all.yaml"),
        format!("{evil}---\n{other}---\n{}", resource("one", "secret-team")),
    )
    .unwrap();
    fs::write(git.path("infra/stacks/one/b.yaml"), resource("beta", "web")).unwrap();
    git.git("infra", &["add", "--all"]);
    git.git("infra", &["commit", "--quiet", "-m", "Change it"]);
    git.git(
        "infra",
        &["push", "--quiet", "origin", "HEAD:refs/heads/change", "HEAD:refs/pull/7/head", "HEAD:refs/pull/8/head"],
    );
    let head = git.git("infra", &["rev-parse", "HEAD"]);
    recorder.pull(7, &head, "acme/infra");
    recorder.pull(8, &head, "mallory/infra");
    host.signal("-HUP");
    for name in ["one", "two"] {
        host.post(&format!("/api/v1/stacks/{name}/reconcile")).await;
    }
    host.eventually("there is no comment", || recorder.comments().len() == 1).await;
    let comment = recorder.comments().remove(0);
    assert!(comment.starts_with("<!-- plumb plan one -->\n## plumb plan for `one`\n"), "{comment}");
    assert!(comment.contains("rest/Resource/beta") && comment.contains("! metadata/owner\n"), "{comment}");
    assert!(!comment.contains("secret-team"), "values are not told: {comment}");
    host.eventually("the head is never told", || recorder.states(&head, "plumb/one/plan").len() == 2).await;
    assert_eq!(
        recorder.states(&head, "plumb/one/plan")[1],
        ("success".into(), "1 to create, 1 to update, 0 unchanged.".into())
    );
    assert_eq!(recorder.states(&head, "plumb/two/plan"), [], "what a pull request does not touch is not planned");
    assert!(trap.record.lock().unwrap().tokens.is_empty(), "a credential went to a server of the pull request's own");
    let stack =
        host.until("one", "planned", |stack| stack["pulls"].as_array().is_some_and(|pulls| !pulls.is_empty())).await;
    assert_eq!(stack["pulls"][0]["number"], 7);
    assert!(host.get("/api/v1/stacks/one/pulls/7").await.unwrap().contains("secret-team"));
    assert_eq!(host.live(), ["one", "two"], "nothing is applied");

    // The next commit changes the comment in its place.
    fs::remove_file(git.path("infra/stacks/one/b.yaml")).unwrap();
    git.git("infra", &["commit", "--quiet", "--all", "-m", "Less"]);
    git.git("infra", &["push", "--quiet", "origin", "HEAD:refs/pull/7/head"]);
    let head = git.git("infra", &["rev-parse", "HEAD"]);
    recorder.pull(7, &head, "acme/infra");
    host.stop().await;
    host.start().await;
    host.eventually("the comment is never changed", || recorder.record.lock().unwrap().edits == 1).await;
    let comments = recorder.comments();
    assert!(comments.len() == 1 && !comments[0].contains("rest/Resource/beta"), "{comments:?}");
    assert!(!host.log().contains(KEY));
    let tokens = recorder.record.lock().unwrap().tokens.clone();
    assert!(tokens.iter().all(|token| token == super::host::TOKEN));
    assert_eq!(recorder.wrong(), Vec::<String>::new());
}

#[tokio::test]
async fn a_source_that_goes_away_leaves_everything_as_it_was() {
    let Some(World { mut host, git, recorder }) = world(&["one"], "    prune: true\n").await else { return };
    host.start().await;
    host.until_state("one", "synced").await;
    fs::rename(git.path("infra.git"), git.path("gone.git")).unwrap();
    let stack = host.until("one", "without a source", |stack| stack["sourceTrouble"].is_string()).await;
    assert_eq!(stack["state"], "synced");
    // What was good last is kept true.
    host.meddle("one", "someone");
    host.eventually("drift is never mended", || host.owner("one").as_deref() == Some("web")).await;
    host.eventually("nobody is told", || recorder.events("one") == ["failed"]).await;
    // That what is kept true is as it was good is no recovery.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(recorder.events("one"), ["failed"]);
    // It is in force after a restart too.
    assert_eq!(host.stop().await, Some(0));
    host.start().await;
    host.meddle("one", "someone else");
    host.eventually("drift is never mended", || host.owner("one").as_deref() == Some("web")).await;
    assert_eq!(recorder.events("one"), ["failed"]);
    fs::rename(git.path("gone.git"), git.path("infra.git")).unwrap();
    host.until("one", "well again", |stack| stack["sourceTrouble"].is_null()).await;
    host.eventually("nobody is told of the recovery", || recorder.events("one") == ["failed", "recovered"]).await;
    assert_eq!(host.live(), ["one"]);
}

#[tokio::test]
async fn a_pull_request_is_planned_by_the_connection_that_may_only_read() {
    let more = "    pullRequests: {planDetail: values}\n";
    let Some(World { mut host, git, recorder }) = world(&["one"], more).await else { return };
    let mirror = Mirror::start(&host.sandbox.url("rest")).await;
    host.variables.push(("READ_KEY".to_owned(), "a-credential-that-may-only-read".to_owned()));
    host.edit("[AGENT_KEY]", "[AGENT_KEY, READ_KEY]");
    host.edit("driftInterval: 1s", "driftInterval: 10h");
    let own = format!("rest: {{url: '{}'}}", host.sandbox.url("rest"));
    let both = own.replace("'}", &format!("', planConnection: rest-read}}, rest-read: {{url: '{}'}}", mirror.url));
    host.edit(&own, &both);
    let reads = CONNECTION.replace("name: rest}", "name: rest-read}").replace("AGENT_KEY", "READ_KEY");
    // Where an API has two connections, manifests name theirs.
    let named = |name: &str| format!("{}  connection: rest\n", resource(name, "web"));
    let own = format!("{CONNECTION}---\n{reads}---\n{}", named("one"));
    git.push("infra", &[("stacks/one/all.yaml", &own)]);
    host.start().await;
    host.until_state("one", "synced").await;
    assert_eq!(mirror.seen(), Vec::<String>::new());
    host.sandbox.clear_log();

    git.git("infra", &["checkout", "--quiet", "-b", "change"]);
    fs::write(git.path("infra/stacks/one/all.yaml"), own.replace("owner: web", "owner: another-team")).unwrap();
    // A secret of the agent's that somebody copied into a manifest.
    let copied = named("beta").replace("name: beta\n", &format!("name: {KEY}\n"));
    fs::write(git.path("infra/stacks/one/b.yaml"), copied).unwrap();
    git.git("infra", &["add", "--all"]);
    git.git("infra", &["commit", "--quiet", "-m", "Change it"]);
    git.git("infra", &["push", "--quiet", "origin", &format!("HEAD:{}", recorder.head(7))]);
    recorder.pull(7, &git.git("infra", &["rev-parse", "HEAD"]), "acme/infra");
    assert_eq!(host.post("/api/v1/stacks/one/reconcile").await, 202);
    host.eventually("there is no comment", || recorder.comments().len() == 1).await;
    let comment = recorder.comments().remove(0);
    assert!(comment.contains("another-team"), "values are asked for: {comment}");
    let stack = host.until("one", "planned", |stack| stack["pulls"][0]["number"] == 7).await;
    let page = host.get("/api/v1/stacks/one/pulls/7").await.unwrap();
    for told in [&comment, &page, &stack.to_string(), &host.log()] {
        assert!(!told.contains(KEY) && !told.contains("a-credential-that-may-only-read"), "{told}");
    }
    assert!(comment.contains("***") && page.contains("***"), "{comment}\n{page}");
    let seen = mirror.seen();
    assert!(!seen.is_empty() && seen.iter().all(|token| token == "Bearer a-credential-that-may-only-read"), "{seen:?}");
}

#[tokio::test]
async fn a_forge_that_refuses_keeps_nothing_from_being_reconciled() {
    let Some(World { mut host, git: _git, recorder }) = world(&["one"], "").await else { return };
    recorder.record.lock().unwrap().locked = true;
    host.edit("driftInterval: 1s", "driftInterval: 10h");
    host.start().await;
    host.until_state("one", "synced").await;
    host.eventually("that is never told", || host.log().contains("a commit status could not be written")).await;
    assert!(!host.log().contains(super::host::TOKEN), "the forge's answer repeats the token");
    let metrics = host.get("/metrics").await.unwrap();
    let failures = metrics.lines().find(|line| line.starts_with("plumb_feedback_failures_total ")).unwrap();
    assert!(failures.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 1, "{failures}");
    // Once it takes them again, it is told, though nothing happened since.
    recorder.record.lock().unwrap().locked = false;
    host.eventually("it is never told again", || !recorder.record.lock().unwrap().statuses.is_empty()).await;
    assert_eq!(recorder.wrong(), Vec::<String>::new());
}

#[tokio::test]
async fn a_forge_that_says_nothing_holds_up_no_push_for_long() {
    let Some(World { mut host, git, recorder }) = world(&["one"], "").await else { return };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    host.edit(
        &format!("url: '{}', token", recorder.url),
        &format!("url: 'http://{}', token", silent.local_addr().unwrap()),
    );
    host.start().await;
    host.eventually("nothing is made", || host.live() == ["one"]).await;
    git.push("infra", &[("stacks/one/b.yaml", &resource("beta", "web"))]);
    let began = Instant::now();
    host.eventually("the push is never applied", || host.live() == ["beta", "one"]).await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let began = Instant::now();
    git.push("infra", &[("stacks/one/c.yaml", &resource("gamma", "web"))]);
    host.eventually("the next push is never applied", || host.live() == ["beta", "gamma", "one"]).await;
    assert!(began.elapsed() < Duration::from_secs(5), "it is asked again too soon: {:?}", began.elapsed());
    assert_eq!(host.stop().await, Some(0));
}

#[tokio::test]
async fn a_file_that_a_secret_is_read_from_concerns_its_stack_and_others_do_not() {
    let Some(World { mut host, git, .. }) = world(&["one"], "").await else { return };
    host.edit("driftInterval: 1s", "driftInterval: 10h");
    let own = CONNECTION.replace("{env: AGENT_KEY}", "{file: ../../shared/key}");
    git.push(
        "infra",
        &[
            ("stacks/one/all.yaml", &format!("{own}---\n{}", resource("one", "web"))),
            ("shared/key", "a-credential-in-the-repository\n"),
            ("shared/other", "nothing to do with it"),
        ],
    );
    host.start().await;
    host.until_state("one", "synced").await;
    git.push("infra", &[("shared/other", "nor has this")]);
    // Several polls see that.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let runs = |stack: &serde_json::Value| stack["runs"].as_array().unwrap().len();
    let stack = host.stack("one").await;
    assert_eq!(runs(&stack), 1, "{stack:#}");
    let pushed = git.push("infra", &[("shared/key", "another-credential-in-it\n")]);
    let stack = host.until("one", "planned again", |stack| runs(stack) == 2).await;
    assert_eq!((&stack["runs"][0]["cause"], &stack["runs"][0]["commit"]), (&json!("push"), &json!(pushed)));
    assert!(!host.log().contains("credential-in"));
}

#[tokio::test]
async fn broken_repositories_leave_all_as_it_was_and_recover_without_a_restart() {
    let Some(World { mut host, git, .. }) = world(&["one"], "    prune: true\n").await else { return };
    git.git(".", &["init", "--quiet", "--bare", "--initial-branch=main", "empty.git"]);
    fs::rename(git.path("infra.git"), git.path("full.git")).unwrap();
    fs::rename(git.path("empty.git"), git.path("infra.git")).unwrap();
    host.start().await;
    let stack = host.until("one", "without a source", |stack| stack["sourceTrouble"].is_string()).await;
    assert_eq!(host.live(), Vec::<String>::new(), "{stack:#}");
    fs::rename(git.path("infra.git"), git.path("empty.git")).unwrap();
    fs::rename(git.path("full.git"), git.path("infra.git")).unwrap();
    host.until_state("one", "synced").await;
    assert_eq!(host.live(), ["one"]);

    // Another history, pushed by force.
    git.git("infra", &["checkout", "--quiet", "--orphan", "other"]);
    let forced =
        git.push("infra", &[("stacks/one/all.yaml", &format!("{CONNECTION}---\n{}", resource("one", "forced")))]);
    host.eventually("another history is never applied", || host.owner("one").as_deref() == Some("forced")).await;
    host.until("one", "at the forced commit", |stack| stack["revision"]["commit"] == forced.as_str()).await;

    // The branch is gone.
    git.git("infra", &["push", "--quiet", "origin", "HEAD:refs/heads/spare"]);
    git.git("infra.git", &["update-ref", "-d", "refs/heads/main"]);
    let stack = host.until("one", "without its branch", |stack| stack["sourceTrouble"].is_string()).await;
    assert!(stack["sourceTrouble"].as_str().unwrap().contains("main"), "{stack:#}");
    // What is wrong with it now is told, also where that is another thing, and by the command too.
    fs::rename(git.path("infra.git"), git.path("gone.git")).unwrap();
    let first = stack["sourceTrouble"].clone();
    let stack = host.until("one", "without its repository", |stack| stack["sourceTrouble"] != first).await;
    let told = host.command(&["agent", "status", "--config", "agent.yaml"]).output().unwrap().stdout;
    let (told, why) = (String::from_utf8(told).unwrap(), stack["sourceTrouble"].as_str().unwrap());
    assert!(told.contains(why) && told.starts_with("one  synced"), "{told}");
    fs::rename(git.path("gone.git"), git.path("infra.git")).unwrap();
    git.git("infra", &["push", "--quiet", "origin", "HEAD:main"]);
    host.until("one", "well again", |stack| stack["sourceTrouble"].is_null()).await;

    // What a tree should not hold: a link out of it, and a manifest that is no text.
    std::os::unix::fs::symlink("/etc/passwd", git.path("infra/stacks/one/link.yaml")).unwrap();
    fs::write(git.path("infra/stacks/one/bad.yaml"), b"a: \xff\xfe").unwrap();
    git.commit("infra", "Break it");
    let stack = host.until_state("one", "failed").await;
    assert!(!stack["message"].as_str().unwrap().contains("root:"), "{stack:#}");
    assert_eq!(host.live(), ["one"]);
    host.meddle("one", "someone");
    host.eventually("what was good is never kept true", || host.owner("one").as_deref() == Some("forced")).await;
    git.git("infra", &["rm", "--quiet", "stacks/one/link.yaml", "stacks/one/bad.yaml"]);
    git.commit("infra", "Mend it");
    host.until_state("one", "synced").await;
    assert_eq!(host.live(), ["one"]);
}
