//! Each forge from end to end: Git served by a real web server or by OpenSSH, pushes by the git client, webhooks in the
//! shape that the forge documents and signed as it signs them, and what it is told back.

use std::{
    fs,
    time::{Duration, Instant},
};

use plumb::webhook::Provider;
use serde_json::{Value, json};

use super::{
    forge::{Comment, Face, Recorder},
    host::{CONNECTION, Host, TOKEN, resource},
};
use crate::{
    support::git::{Forge, Server, ready, user},
    webhooks::{SECRET, headers},
};

const STACKS: [&str; 3] = ["one", "two", "three"];

fn provider(face: Face) -> Provider {
    match face {
        Face::GitHub => Provider::GitHub,
        Face::GitLab => Provider::GitLab,
        Face::Gitea => Provider::Gitea,
        Face::Bitbucket => Provider::Bitbucket,
    }
}

/// What the forge posts after a push.
fn pushed(face: Face, url: &str, commit: &str) -> (&'static str, Value) {
    let name = "acme/infra";
    match face {
        Face::GitHub | Face::Gitea => (
            "push",
            json!({"ref": "refs/heads/main", "before": "1".repeat(40), "after": commit, "deleted": false,
                "repository": {"id": 1, "full_name": name, "clone_url": url, "html_url": url}}),
        ),
        Face::GitLab => (
            "Push Hook",
            json!({"object_kind": "push", "ref": "refs/heads/main", "before": "1".repeat(40), "after": commit,
                "checkout_sha": commit, "project_id": 15,
                "project": {"id": 15, "path_with_namespace": name, "git_http_url": url, "git_ssh_url": url}}),
        ),
        Face::Bitbucket => (
            "repo:push",
            json!({"repository": {"full_name": name, "links": {"html": {"href": url}}}, "push": {"changes": [
                {"new": {"type": "branch", "name": "main", "target": {"hash": commit}},
                 "old": {"type": "branch", "name": "main", "target": {"hash": "1".repeat(40)}}, "closed": false}]}}),
        ),
    }
}

/// What the forge posts when a pull request is opened or moved.
fn opened(face: Face, url: &str, number: u64, head: &str) -> (&'static str, Value) {
    let repository = json!({"full_name": "acme/infra", "clone_url": url});
    if face == Face::GitLab {
        return (
            "Merge Request Hook",
            json!({"object_kind": "merge_request",
                "project": {"id": 15, "path_with_namespace": "acme/infra", "git_http_url": url},
                "object_attributes": {"iid": number, "action": "update", "title": "Change it", "source_branch": "change",
                    "target_branch": "main", "source_project_id": 15, "target_project_id": 15,
                    "last_commit": {"id": head}}}),
        );
    }
    (
        "pull_request",
        json!({"action": if face == Face::Gitea { "synchronized" } else { "synchronize" }, "number": number,
            "pull_request": {"number": number, "title": "Change it", "state": "open", "merged": false,
                "user": {"login": "jane"},
                "head": {"ref": "change", "sha": head, "repo": repository},
                "base": {"ref": "main", "sha": "1".repeat(40), "repo": repository}},
            "repository": repository}),
    )
}

struct World {
    host: Host,
    git: Forge,
    recorder: Recorder,
    face: Face,
    /// How the agent reaches the repository.
    url: String,
    _server: Server,
}

/// A repository behind a real server, an agent that asks it once an hour unless a webhook tells of news.
async fn world(face: Face, ssh: bool) -> World {
    let (mut host, git, recorder) = (Host::new().await, Forge::new(), Recorder::with(face).await);
    let files =
        STACKS.map(|name| (format!("stacks/{name}/all.yaml"), format!("{CONNECTION}---\n{}", resource(name, "web"))));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    git.repository("infra", &files);
    let (server, url, credential) = if ssh {
        let server = git.ssh();
        fs::write(git.path("known"), git.known_host(server.port)).unwrap();
        let url = format!("ssh://{}@127.0.0.1:{}{}", user(), server.port, git.path("infra.git").display());
        let (key, known) = (git.path("ssh/client"), git.path("known"));
        let credential =
            format!("sshKey: {{valueFrom: {{file: '{}'}}}}, knownHosts: '{}'", key.display(), known.display());
        (server, url, credential)
    } else {
        let (server, _, certificate) = git.https();
        fs::write(git.path("ca.pem"), certificate).unwrap();
        let url = format!("https://127.0.0.1:{}/infra.git", server.port);
        host.variables.push(("GIT_PASSWORD".to_owned(), "hunter2-hunter2".to_owned()));
        let credential = format!(
            "username: jane, password: {{valueFrom: {{env: GIT_PASSWORD}}}}, caFile: '{}'",
            git.path("ca.pem").display()
        );
        (server, url, credential)
    };
    host.variables.push(("HOOK_SECRET".to_owned(), SECRET.to_owned()));
    let kind = format!("{face:?}").to_lowercase();
    let mut text = format!(
        "    forge: forge\n    repository: acme/infra\n  credentials:\n    - {{name: deploy, {credential}}}\n  forges:\n    - {{name: \
         forge, type: {kind}, url: '{api}', token: {{valueFrom: {{env: AGENT_TOKEN}}}}}}\n  webhooks:\n    - {{name: forge, type: \
         {kind}, secret: {{valueFrom: {{env: HOOK_SECRET}}}}}}\n  stacks:\n",
        api = recorder.url,
    );
    for name in STACKS {
        text.push_str(&format!(
            "    - {{name: {name}, source: {{git: '{url}?ref=main', paths: [stacks/{name}], credential: deploy}}}}\n"
        ));
    }
    host.configure(&text);
    host.edit("interval: 300ms", "interval: 1h");
    host.edit("driftInterval: 1s", "driftInterval: 10h");
    World { host, git, recorder, face, url, _server: server }
}

impl World {
    async fn deliver(&self, (event, body): (&str, Value)) -> u16 {
        let body = body.to_string();
        let client = reqwest::Client::new();
        let request = client
            .post(format!("http://127.0.0.1:{}/webhooks/forge", self.host.port))
            .header("content-type", "application/json")
            .headers(headers(provider(self.face), event, &body));
        request.body(body).send().await.unwrap().status().as_u16()
    }

    async fn until_told(&self, commit: &str, context: &str) -> Vec<(String, String)> {
        let why = format!("`{context}` of {commit} is never told");
        self.host.eventually(&why, || self.recorder.states(commit, context).len() >= 2).await;
        self.recorder.states(commit, context)
    }

    /// Commits what is there to a branch that is to be merged.
    fn push_change(&self, message: &str) -> String {
        self.git.git("infra", &["add", "--all"]);
        self.git.git("infra", &["commit", "--quiet", "-m", message]);
        let heads = [7, 8].map(|number| format!("HEAD:{}", self.recorder.head(number)));
        self.git.git("infra", &["push", "--quiet", "--force", "origin", "HEAD:change", &heads[0], &heads[1]]);
        self.git.git("infra", &["rev-parse", "HEAD"])
    }
}

async fn from_end_to_end(face: Face, ssh: bool) {
    if !ready() {
        return;
    }
    let mut world = world(face, ssh).await;
    world.host.start().await;
    for name in STACKS {
        world.host.until_state(name, "synced").await;
    }
    let World { host, git, recorder, url, .. } = &world;
    let first = git.git("infra", &["rev-parse", "HEAD"]);
    let told = world.until_told(&first, "plumb/one").await;
    assert_eq!(told[1], ("success".into(), "1 created, 0 unchanged.".into()), "{told:?}");
    assert_eq!(told[0].0, "pending");

    // A push reconciles the stack that it touches, and at once.
    let second =
        git.push("infra", &[("stacks/two/all.yaml", &format!("{CONNECTION}---\n{}", resource("two", "team")))]);
    host.sandbox.clear_log();
    let began = Instant::now();
    assert_eq!(world.deliver(pushed(face, url, &second)).await, 202);
    host.eventually("no call follows", || host.sandbox.requests() > 0).await;
    let took = began.elapsed();
    println!("{face:?}, {}: push to first API call in {took:?}", if ssh { "ssh" } else { "https" });
    assert!(took < Duration::from_secs(2), "{took:?}");
    host.eventually("the push is never applied", || host.owner("two").as_deref() == Some("team")).await;
    let told = world.until_told(&second, "plumb/two").await;
    assert_eq!(told[1], ("success".into(), "1 updated, 0 unchanged.".into()), "{told:?}");
    assert_eq!(recorder.states(&second, "plumb/one"), [], "the push did not touch it");
    let elsewhere = pushed(face, "https://127.0.0.1/somebody/else.git", &second);
    assert_eq!(world.deliver(elsewhere).await, 404);

    if face != Face::Bitbucket {
        pull_requests(&world).await;
    }
    assert_eq!(recorder.wrong(), Vec::<String>::new());
    assert!(recorder.record.lock().unwrap().tokens.iter().all(|token| token == TOKEN));
    let log = host.log();
    assert!(!log.contains(SECRET) && !log.contains("hunter2") && !log.contains("PRIVATE KEY"), "{log}");
}

async fn pull_requests(world: &World) {
    let World { host, git, recorder, face, url, .. } = world;
    // Somebody copied the mark of plumb's comment into one of their own, and there is much talk.
    let foreign = |body: &str| Comment { body: body.to_owned(), foreign: true };
    recorder.record.lock().unwrap().comments.extend(
        std::iter::once(foreign("<!-- plumb plan one -->\nmine")).chain((0..130).map(|_| foreign("I think that …"))),
    );
    git.git("infra", &["checkout", "--quiet", "-b", "change"]);
    let changed = format!("{CONNECTION}---\n{}", resource("one", "another-team"));
    fs::write(git.path("infra/stacks/one/all.yaml"), changed).unwrap();
    fs::write(git.path("infra/stacks/one/b.yaml"), resource("beta", "web")).unwrap();
    let head = world.push_change("Change it");
    recorder.pull(7, &head, "acme/infra");
    recorder.pull(8, &head, "mallory/infra");
    let before = recorder.record.lock().unwrap().lists;
    assert_eq!(world.deliver(opened(*face, url, 7, &head)).await, 202);
    host.eventually("there is no comment", || recorder.comments().len() == 1).await;
    let comment = recorder.comments().remove(0);
    assert!(comment.starts_with("<!-- plumb plan one -->\n## plumb plan for `one`\n"), "{comment}");
    assert!(comment.contains("rest/Resource/beta") && !comment.contains("another-team"), "{comment}");
    let told = world.until_told(&head, "plumb/one/plan").await;
    assert_eq!(told[1], ("success".into(), "1 to create, 1 to update, 0 unchanged.".into()));
    assert_eq!(recorder.record.lock().unwrap().lists, before + 1, "the stacks of a repository ask once");
    assert_eq!(recorder.states(&head, "plumb/two/plan"), []);

    // Its next commit changes the comment in its place.
    fs::remove_file(git.path("infra/stacks/one/b.yaml")).unwrap();
    let head = world.push_change("Less");
    recorder.pull(7, &head, "acme/infra");
    recorder.pull(8, &head, "mallory/infra");
    assert_eq!(world.deliver(opened(*face, url, 7, &head)).await, 202);
    world.until_told(&head, "plumb/one/plan").await;
    assert_eq!(recorder.record.lock().unwrap().edits, 1);
    let comments = recorder.comments();
    assert!(comments.len() == 1 && !comments[0].contains("rest/Resource/beta"), "{comments:?}");
    // Nobody planned what comes from a fork.
    assert_eq!(host.stack("one").await["pulls"].as_array().unwrap().len(), 1);
    assert_eq!(host.live().len(), STACKS.len(), "nothing is applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn github_over_https() {
    from_end_to_end(Face::GitHub, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_over_ssh() {
    from_end_to_end(Face::GitLab, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gitea_and_forgejo_over_https() {
    from_end_to_end(Face::Gitea, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bitbucket_over_ssh() {
    from_end_to_end(Face::Bitbucket, true).await;
}
