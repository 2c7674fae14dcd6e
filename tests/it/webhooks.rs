//! Webhooks in the shape that each forge documents, and a flood of forged ones.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::http::HeaderMap;
use bytes::Bytes;
use plumb::{
    source::git::Location,
    webhook::{
        Answer, BadPayload, Change, Event, HookLimits, Provider, PullRequest, Push, Receiver, Secret, Sink, Webhooks,
        parse, router, verify,
    },
};

pub(crate) const SECRET: &str = "a secret of the webhook";

fn sign(body: &str) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, body.as_bytes());
    tag.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

pub(crate) fn headers(provider: Provider, event: &str, body: &str) -> HeaderMap {
    let pairs = match provider {
        Provider::GitHub => vec![
            ("x-github-event", event.to_owned()),
            ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()),
            ("x-hub-signature-256", format!("sha256={}", sign(body))),
        ],
        Provider::Gitea => vec![
            ("x-gitea-event", event.to_owned()),
            ("x-gitea-delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473".to_owned()),
            ("x-gitea-signature", sign(body)),
        ],
        Provider::GitLab => vec![("x-gitlab-event", event.to_owned()), ("x-gitlab-token", SECRET.to_owned())],
        Provider::Bitbucket => {
            vec![("x-event-key", event.to_owned()), ("x-hub-signature", format!("sha256={}", sign(body)))]
        }
        Provider::Generic => vec![("x-signature", format!("sha256={}", sign(body)))],
    };
    pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn try_read(provider: Provider, event: &str, body: &str) -> Result<Vec<Event>, BadPayload> {
    let secret = Secret::new(SECRET).unwrap();
    let body_bytes = Bytes::copy_from_slice(body.as_bytes());
    let verified = verify(provider, &[secret], &headers(provider, event, body), &body_bytes, 0).unwrap();
    parse(&verified)
}

fn read(provider: Provider, event: &str, body: &str) -> Event {
    try_read(provider, event, body).unwrap().remove(0)
}

fn push(event: Event) -> Push {
    let Event::Push(push) = event else { panic!("{event:?}") };
    push
}

fn request(event: Event) -> PullRequest {
    let Event::PullRequest(request) = event else { panic!("{event:?}") };
    request
}

const ZERO: &str = "0000000000000000000000000000000000000000";

#[test]
fn github_pushes_and_pull_requests() {
    let body = r#"{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246",
      "after":"0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c","created":false,"deleted":false,"forced":false,
      "repository":{"id":186853002,"name":"Hello-World","full_name":"Codertocat/Hello-World","private":false,
       "html_url":"https://github.com/Codertocat/Hello-World","url":"https://github.com/Codertocat/Hello-World",
       "git_url":"git://github.com/Codertocat/Hello-World.git","ssh_url":"git@github.com:Codertocat/Hello-World.git",
       "clone_url":"https://github.com/Codertocat/Hello-World.git","default_branch":"master"},
      "pusher":{"name":"Codertocat"},"commits":[],"head_commit":null}"#;
    let read_push = push(read(Provider::GitHub, "push", body));
    assert_eq!(read_push.reference, "refs/heads/main");
    assert_eq!(read_push.after.as_deref(), Some("0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"));
    for url in ["git@github.com:codertocat/hello-world.git", "https://github.com/Codertocat/Hello-World//stacks?ref=x"]
    {
        assert!(read_push.repository.is(&Location::parse(url).unwrap()), "{url}");
    }
    let gone =
        body.replace("0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", ZERO).replace("\"deleted\":false", "\"deleted\":true");
    assert_eq!(push(read(Provider::GitHub, "push", &gone)).after, None);
    let encoded: String = url::form_urlencoded::byte_serialize(body.as_bytes()).collect();
    assert_eq!(push(read(Provider::GitHub, "push", &format!("payload={encoded}"))), read_push);

    let body = r#"{"action":"synchronize","number":2,"pull_request":{"number":2,"state":"open","title":"Update the README",
      "user":{"login":"Codertocat"},"merged":false,
      "head":{"label":"Codertocat:changes","ref":"changes","sha":"ec26c3e57ca3a959ca5aad62de7213c562f8c821",
        "repo":{"full_name":"Codertocat/Hello-World","html_url":"https://github.com/Codertocat/Hello-World","fork":false}},
      "base":{"ref":"master","sha":"f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
        "repo":{"full_name":"Codertocat/Hello-World","html_url":"https://github.com/Codertocat/Hello-World"}}},
      "repository":{"full_name":"Codertocat/Hello-World","clone_url":"https://github.com/Codertocat/Hello-World.git"}}"#;
    let own = request(read(Provider::GitHub, "pull_request", body));
    assert_eq!((own.number, own.change, own.fork), (2, Change::Updated, false));
    assert_eq!((own.head.as_str(), own.head_branch.as_str()), ("ec26c3e57ca3a959ca5aad62de7213c562f8c821", "changes"));
    assert_eq!(
        (own.base_branch.as_str(), own.base.as_deref()),
        ("master", Some("f95f852bd8fca8fcc58a9a2d6c842781e32a215e"))
    );
    assert_eq!(own.head_reference.as_deref(), Some("refs/pull/2/head"));
    let fork = body.replacen("\"full_name\":\"Codertocat/Hello-World\"", "\"full_name\":\"Mallory/Hello-World\"", 1);
    assert!(request(read(Provider::GitHub, "pull_request", &fork)).fork);
    let merged = body.replace("synchronize", "closed").replace("\"merged\":false", "\"merged\":true");
    assert_eq!(request(read(Provider::GitHub, "pull_request", &merged)).change, Change::Merged);
    assert_eq!(read(Provider::GitHub, "ping", "{\"zen\":\"x\"}"), Event::Ping);
    assert_eq!(try_read(Provider::GitHub, "push", "{}"), Err(BadPayload::Missing("repository".into())));
    assert_eq!(try_read(Provider::GitHub, "push", "["), Err(BadPayload::NotJson));
}

#[test]
fn gitlab_pushes_and_merge_requests() {
    let body = r#"{"object_kind":"push","event_name":"push","before":"95790bf891e76fee5e1747ab589903a6a1f80f22",
      "after":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","ref":"refs/heads/master",
      "checkout_sha":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","user_username":"jsmith","project_id":15,
      "project":{"id":15,"name":"Diaspora","web_url":"http://example.com/mike/diaspora",
       "git_ssh_url":"git@example.com:mike/diaspora.git","git_http_url":"http://example.com/mike/diaspora.git",
       "namespace":"Mike","path_with_namespace":"mike/diaspora","default_branch":"master"},
      "commits":[],"total_commits_count":4}"#;
    let read_push = push(read(Provider::GitLab, "Push Hook", body));
    assert_eq!(read_push.after.as_deref(), Some("da1560886d4f094c3e6c9ef40349f7d38b5d27d7"));
    assert!(read_push.repository.is(&Location::parse("ssh://git@example.com:2222/mike/diaspora.git").unwrap()));
    let body = r#"{"object_kind":"merge_request","event_type":"merge_request","user":{"username":"root"},
      "project":{"id":1,"web_url":"http://example.com/gitlabhq/gitlab-test",
       "git_http_url":"http://example.com/gitlabhq/gitlab-test.git","path_with_namespace":"gitlabhq/gitlab-test"},
      "object_attributes":{"id":99,"iid":1,"target_branch":"master","source_branch":"ms-viewport",
       "source_project_id":14,"target_project_id":14,"title":"MS-Viewport","action":"open",
       "last_commit":{"id":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7"}}}"#;
    let own = request(read(Provider::GitLab, "Merge Request Hook", body));
    assert_eq!((own.number, own.change, own.fork), (1, Change::Opened, false));
    assert_eq!(own.head_reference.as_deref(), Some("refs/merge-requests/1/head"));
    let fork = body.replace("\"source_project_id\":14", "\"source_project_id\":15");
    assert!(request(read(Provider::GitLab, "Merge Request Hook", &fork)).fork);
    let tag = r#"{"object_kind":"tag_push","ref":"refs/tags/v1.0.0","before":"0000000000000000000000000000000000000000",
      "after":"82b3d5ae55f7080f1e6022629cdb57bfae7cccc7","project":{"git_http_url":"http://example.com/jsmith/example.git"}}"#;
    assert_eq!(push(read(Provider::GitLab, "Tag Push Hook", tag)).before, None);
    assert_eq!(read(Provider::GitLab, "Note Hook", r#"{"object_kind":"note"}"#), Event::Other("note".into()));
}

#[test]
fn gitea_pushes_and_pull_requests() {
    let body = r#"{"ref":"refs/heads/develop","before":"28e1879d029cb852e4844d9c718537df08844e03",
      "after":"bffeb74224043ba2feb48d137756c8a9331c449a","compare_url":"http://localhost:3000/gitea/webhooks/compare/a...b",
      "commits":[{"id":"bffeb74224043ba2feb48d137756c8a9331c449a","message":"Webhooks Yay!"}],
      "repository":{"id":140,"name":"webhooks","full_name":"gitea/webhooks","fork":false,
       "html_url":"http://localhost:3000/gitea/webhooks","ssh_url":"ssh://gitea@localhost:2222/gitea/webhooks.git",
       "clone_url":"http://localhost:3000/gitea/webhooks.git"},"pusher":{"login":"gitea"}}"#;
    let read_push = push(read(Provider::Gitea, "push", body));
    assert_eq!(read_push.reference, "refs/heads/develop");
    assert!(read_push.repository.is(&Location::parse("http://localhost:3000/gitea/webhooks.git").unwrap()));
    let body = r#"{"action":"synchronized","number":7,"pull_request":{"number":7,"title":"T","user":{"login":"jane"},"merged":false,
      "head":{"ref":"x","sha":"bffeb74224043ba2feb48d137756c8a9331c449a","repo":{"full_name":"gitea/webhooks"}},
      "base":{"ref":"main","sha":"28e1879d029cb852e4844d9c718537df08844e03","repo":{"full_name":"gitea/webhooks"}}},
      "repository":{"full_name":"gitea/webhooks","clone_url":"http://localhost:3000/gitea/webhooks.git"}}"#;
    let own = request(read(Provider::Gitea, "pull_request", body));
    assert_eq!((own.change, own.fork, own.number), (Change::Updated, false, 7));
}

#[test]
fn bitbucket_pushes_and_pull_requests() {
    let body = r#"{"actor":{"nickname":"jane"},"repository":{"type":"repository","full_name":"team_name/repo_name",
      "links":{"html":{"href":"https://bitbucket.org/team_name/repo_name"}},"name":"repo_name"},
      "push":{"changes":[{"new":{"type":"branch","name":"name-of-branch","target":{"type":"commit",
        "hash":"709d658dc5b6d6afcd46049c2f332ee3f515a67d"}},
       "old":{"type":"branch","name":"name-of-branch","target":{"hash":"1e65c05c1d5171631d92438a13901ca7dae9618c"}},
       "created":false,"forced":false,"closed":false},
       {"new":null,"old":{"type":"tag","name":"v1","target":{"hash":"1e65c05c1d5171631d92438a13901ca7dae9618c"}},"closed":true}]}}"#;
    let events = try_read(Provider::Bitbucket, "repo:push", body).unwrap();
    let [Event::Push(branch), Event::Push(tag)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((branch.reference.as_str(), tag.reference.as_str()), ("refs/heads/name-of-branch", "refs/tags/v1"));
    assert_eq!((branch.after.is_some(), tag.after.is_some()), (true, false));
    assert!(branch.repository.is(&Location::parse("git@bitbucket.org:team_name/repo_name.git").unwrap()));
    let body = r#"{"repository":{"full_name":"team_name/repo_name"},"pullrequest":{"id":3,"title":"T","author":{"nickname":"jane"},
      "source":{"branch":{"name":"branch2"},"commit":{"hash":"d3022fc0ca3d"},"repository":{"full_name":"team_name/repo_name"}},
      "destination":{"branch":{"name":"master"},"commit":{"hash":"ce5965ddd289"},"repository":{"full_name":"team_name/repo_name"}}}}"#;
    let own = request(read(Provider::Bitbucket, "pullrequest:created", body));
    assert_eq!((own.number, own.change, own.fork), (3, Change::Opened, false));
    assert_eq!(own.head_reference.as_deref(), Some("refs/heads/branch2"));
}

#[test]
fn anybody_may_sign_a_push() {
    let body = r#"{"repository":"https://git.example/a.git","branch":"main","commit":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7"}"#;
    let read = push(read(Provider::Generic, "", body));
    assert_eq!((read.reference.as_str(), read.after.is_some()), ("refs/heads/main", true));
    assert!(try_read(Provider::Generic, "", "{}").is_err());
}

/// Takes what is of one repository.
#[derive(Default)]
struct Log(Mutex<Vec<Event>>);

impl Sink for Log {
    fn deliver(&self, _receiver: &str, event: &Event) -> Answer {
        let own = Location::parse("https://git.example/a.git").unwrap();
        if !event.repository().is_some_and(|name| name.is(&own)) {
            return Answer::Unknown;
        }
        self.0.lock().unwrap().push(event.clone());
        Answer::Taken
    }
}

struct Served {
    url: String,
    webhooks: Arc<Webhooks>,
    log: Arc<Log>,
    client: reqwest::Client,
}

async fn serve(limits: HookLimits) -> Served {
    let log = Arc::new(Log::default());
    let receiver =
        Receiver { name: "ci".into(), provider: Provider::Generic, secrets: vec![Secret::new(SECRET).unwrap()] };
    let webhooks = Webhooks::new(vec![receiver], limits, log.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/ci", listener.local_addr().unwrap());
    let app = axum::Router::new().nest("/hooks", router(webhooks.clone()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Served { url, webhooks, log, client: reqwest::Client::builder().no_proxy().build().unwrap() }
}

impl Served {
    async fn send(&self, body: &str, signature: &str) -> u16 {
        let request = self.client.post(&self.url).header("x-signature", format!("sha256={signature}"));
        request.body(body.to_owned()).send().await.unwrap().status().as_u16()
    }

    /// Sends 6 MiB until the server has had enough of it.
    async fn pour(&self, length: &str) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let host = self.url.trim_start_matches("http://").split('/').next().unwrap();
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let head = format!("POST /hooks/ci HTTP/1.1\r\nHost: {host}\r\nX-Signature: 00\r\n{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut chunk = b"10000\r\n".to_vec();
        chunk.extend(vec![b'x'; 65536]);
        chunk.extend(b"\r\n");
        for _ in 0..96 {
            if stream.write_all(&chunk).await.is_err() {
                break;
            }
        }
        // The server answers before it has read all, and may cut the connection.
        let mut answer = [0; 64];
        if let Ok(length) = stream.read(&mut answer).await
            && length > 0
        {
            assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
        }
    }

    async fn push(&self, number: usize) -> u16 {
        let body =
            format!(r#"{{"repository":"https://git.example/a.git","ref":"refs/heads/main","commit":"{number:040x}"}}"#);
        self.send(&body, &sign(&body)).await
    }
}

#[tokio::test]
async fn statuses_tell_a_forge_enough_and_a_stranger_nothing() {
    let served = serve(HookLimits { per_minute: 4, ..HookLimits::default() }).await;
    assert_eq!(served.push(1).await, 202);
    assert_eq!(served.push(1).await, 200, "a replay is harmless");
    let elsewhere = r#"{"repository":"https://git.example/secret-name.git"}"#;
    let request = served.client.post(&served.url).header("x-signature", sign(elsewhere)).body(elsewhere);
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (404, ""));
    assert_eq!(served.send(elsewhere, &"0".repeat(64)).await, 401);
    assert_eq!(served.send("nonsense", &sign("nonsense")).await, 400);
    let nowhere = served.client.post(served.url.replace("/ci", "/other")).body("{}").send().await.unwrap();
    assert_eq!(nowhere.status().as_u16(), 404);
    assert_eq!(served.push(2).await, 202);
    assert_eq!(served.push(3).await, 429, "more than may come in a minute");
    let counts = served.webhooks.counts();
    assert_eq!((counts.refused, counts.replayed, counts.limited, counts.taken), (1, 1, 1, 2));
    assert_eq!(served.log.0.lock().unwrap().len(), 2);
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_forged_requests_reaches_no_parser_and_stops_no_push() {
    // In a process of its own: its memory is that of no other test.
    const ALONE: &str = "PLUMB_TEST_FLOOD_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "webhooks::a_flood_of_forged_requests_reaches_no_parser_and_stops_no_push";
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let ran = command.args([name, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.contains("1 passed"), "{said}");
        println!("{said}");
        return;
    }
    let forged: usize = std::env::var("FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let served = Arc::new(serve(HookLimits { per_minute: 100_000, ..HookLimits::default() }).await);
    let pushes = 100;
    let mut alone = Vec::new();
    for number in 0..pushes {
        let began = Instant::now();
        assert_eq!(served.push(number).await, 202);
        alone.push(began.elapsed());
    }
    let before = resident();
    let began = Instant::now();
    let attackers: Vec<_> = (0..16)
        .map(|attacker| {
            let served = served.clone();
            tokio::spawn(async move {
                let small = r#"{"repository":"https://git.example/a.git","ref":"refs/heads/main"}"#;
                for number in (attacker..forged).step_by(16) {
                    match number % 40 {
                        0 => served.pour("Content-Length: 6291456").await,
                        20 => served.pour("Transfer-Encoding: chunked").await,
                        _ => assert_eq!(served.send(small, &format!("{number:064x}")).await, 401),
                    }
                }
            })
        })
        .collect();
    let mut among = Vec::new();
    let mut most = 0;
    for number in pushes..2 * pushes {
        let began = Instant::now();
        assert_eq!(served.push(number).await, 202);
        among.push(began.elapsed());
        most = most.max(resident());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for attacker in attackers {
        attacker.await.unwrap();
    }
    let took = began.elapsed();
    let counts = served.webhooks.counts();
    assert_eq!(counts.parsed, 2 * pushes as u64, "a forged request was parsed: {counts:?}");
    assert_eq!(counts.refused + counts.oversized, forged as u64, "{counts:?}");
    assert_eq!(served.log.0.lock().unwrap().len(), 2 * pushes);
    // The attackers are in this process too.
    let grown = most.saturating_sub(before) / 1024 / 1024;
    assert!(grown < 64, "memory grew by {grown} MiB");
    alone.sort();
    among.sort();
    println!(
        "{forged} forged in {took:.1?}; a push alone {:.1?} (median), among them {:.1?}, at worst {:.1?}; {grown} MiB more",
        alone[pushes / 2],
        among[pushes / 2],
        among[pushes - 1],
    );
}
