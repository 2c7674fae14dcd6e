//! Git sources against real servers: git's `http-backend` behind Apache over TLS, OpenSSH, and files.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use plumb::source::{
    Snapshot,
    git::{
        Access, AllowedSigners, GitError, KnownHosts, LastGood, Limits, Location, Login, Reference, Repositories,
        Repository, Revision, SshKey, Trouble,
    },
};
use tempfile::TempDir;

use crate::support::git::{Forge, ready, stalling, user};

struct World {
    forge: Forge,
    repositories: Repositories,
    cache: TempDir,
}

impl World {
    fn new() -> Option<Self> {
        if !ready() {
            return None;
        }
        let cache = TempDir::new().unwrap();
        Some(Self { forge: Forge::new(), repositories: Repositories::new(cache.path()).unwrap(), cache })
    }

    fn open(&self, url: &str, access: &Access) -> Arc<Repository> {
        self.repositories.open(&Location::parse(url).unwrap(), access)
    }

    fn file(&self, name: &str) -> Arc<Repository> {
        self.open(&self.forge.file(name), &Access::default())
    }
}

fn now(repository: &Repository, reference: &str) -> Result<Revision, GitError> {
    let location = Location::parse(&format!("https://x.example/x{reference}")).unwrap();
    repository.revision(&location.reference, Instant::now())
}

fn texts(snapshot: &Snapshot) -> Vec<(String, String)> {
    snapshot.sources.texts.iter().map(|text| (text.path.clone(), text.text.to_string())).collect()
}

fn paths(snapshot: &Snapshot) -> Vec<String> {
    texts(snapshot).into_iter().map(|(path, _)| path).collect()
}

fn codes(snapshot: &Snapshot) -> Vec<String> {
    snapshot.diagnostics.iter().map(|diagnostic| diagnostic.code.to_string()).collect()
}

fn basic(ca: &[u8]) -> Access {
    let login = Login::Basic { username: "jane".into(), password: "hunter2-hunter2".into() };
    Access { login, ca: Some(ca.to_vec()), ..Access::default() }
}

#[test]
fn https_gives_branches_tags_commits_and_versions() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    forge.repository("r", &[("stacks/a/one.yaml", "v: 1"), ("other.yaml", "o: 1"), ("README.md", "#")]);
    let first = forge.git("r", &["rev-parse", "HEAD"]);
    forge.git("r", &["tag", "-a", "v1.0.0", "-m", "First"]);
    let second = forge.push("r", &[("stacks/a/one.yaml", "v: 2")]);
    forge.git("r", &["tag", "v1.2.0"]);
    let third = forge.push("r", &[("stacks/a/one.yaml", "v: 3")]);
    forge.git("r", &["push", "--quiet", "--tags", "origin", "HEAD:refs/heads/feature/x"]);
    let (server, _, ca) = forge.https();
    let url = format!("https://127.0.0.1:{}/r.git", server.port);
    let repository = world.open(&url, &basic(&ca));

    let revision = now(&repository, "?ref=main").unwrap();
    assert_eq!((revision.commit.as_str(), revision.called.as_str()), (third.as_str(), "main"));
    assert_eq!((revision.author.as_str(), revision.email.as_str()), ("Jane Doe", "jane@example.com"));
    assert_eq!(revision.title, "Change something");
    let snapshot = repository.snapshot(&revision, &["stacks".into()]).unwrap();
    assert_eq!(texts(&snapshot), [("stacks/a/one.yaml".to_owned(), "v: 3".to_owned())]);
    assert_eq!(snapshot.revision.as_deref(), Some(third.as_str()));
    assert_eq!(snapshot.roots, [format!("{url}//stacks")]);
    let all = repository.snapshot(&revision, &[]).unwrap();
    assert_eq!(paths(&all), ["other.yaml", "stacks/a/one.yaml"]);
    let two = repository.snapshot(&revision, &["other.yaml".into(), "stacks/a".into()]).unwrap();
    assert_eq!(paths(&two), ["other.yaml", "stacks/a/one.yaml"]);

    for (reference, commit) in [
        ("", &third),
        ("?branch=feature/x", &third),
        ("?tag=v1.0.0", &first),
        ("?ref=v1.2.0", &second),
        ("?semver=%5E1.0", &second),
        ("?semver=%3C1.1", &first),
        (&format!("?commit={first}"), &first),
    ] {
        assert_eq!(&now(&repository, reference).unwrap().commit, commit, "{reference}");
    }
    // Not a tip of anything: a server may refuse to give it alone, and it comes all the same.
    let fresh = Repositories::new(world.cache.path().join("fresh")).unwrap();
    let fresh = fresh.open(&Location::parse(&url).unwrap(), &basic(&ca));
    forge.git("r", &["push", "--quiet", "origin", ":refs/tags/v1.2.0"]);
    assert_eq!(now(&fresh, &format!("?commit={second}")).unwrap().commit, second);
    let missing = now(&fresh, &format!("?commit={}", "1".repeat(40))).unwrap_err();
    assert_eq!(missing.trouble, Trouble::NoReference, "{missing:?}");
    // What one reference lacks, another has all the same.
    assert_eq!(now(&fresh, "?ref=main").unwrap().commit, third);
}

#[test]
fn a_fetch_is_shallow_and_leaves_no_work_tree_behind() {
    let Some(world) = World::new() else { return };
    world.forge.repository("r", &[("a.yaml", "a: 1")]);
    for number in 0..5 {
        world.forge.push("r", &[("a.yaml", &format!("a: {number}"))]);
    }
    // What a repository brings is never run.
    fs::create_dir_all(world.forge.path("r.git/hooks")).unwrap();
    world
        .forge
        .push("r", &[(".gitattributes", "*.yaml filter=x\n"), (".gitmodules", "[submodule \"x\"]\npath=x\nurl=u\n")]);
    let (server, _, ca) = world.forge.https();
    let repository = world.open(&format!("https://127.0.0.1:{}/r.git", server.port), &basic(&ca));
    let revision = now(&repository, "?ref=main").unwrap();
    assert_eq!(paths(&repository.snapshot(&revision, &[]).unwrap()), ["a.yaml"]);
    let cache = fs::read_dir(world.cache.path()).unwrap().next().unwrap().unwrap().path();
    let folder = cache.join("repository.git");
    assert!(folder.join("shallow").exists());
    assert!(!folder.join("hooks").exists() || fs::read_dir(folder.join("hooks")).unwrap().count() == 0);
    let count = world.forge.git(folder.to_str().unwrap(), &["rev-list", "--count", &revision.commit]);
    assert_eq!(count, "1");
    let mut files = Vec::new();
    walk(&cache, &mut files);
    assert!(files.iter().all(|file| file.extension().is_none_or(|ending| ending != "yaml")), "{files:?}");
    // The next commits come too, on top of a shallow one.
    for number in 0..4 {
        let commit = world.forge.push("r", &[("a.yaml", &format!("b: {number}"))]);
        let revision = now(&repository, "?ref=main").unwrap();
        assert_eq!(revision.commit, commit);
        let text = texts(&repository.snapshot(&revision, &[]).unwrap()).remove(0).1;
        assert_eq!(text, format!("b: {number}"));
    }
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() { walk(&entry.path(), out) } else { out.push(entry.path()) }
    }
}

#[test]
fn who_is_not_let_in_is_told_why_and_not_what_they_said() {
    let Some(world) = World::new() else { return };
    world.forge.repository("r", &[("a.yaml", "a: 1")]);
    let (server, _, ca) = world.forge.https();
    let url = format!("https://127.0.0.1:{}/r.git", server.port);
    let wrong = Login::Basic { username: "jane".into(), password: "swordfish-swordfish".into() };
    for (access, trouble) in [
        (Access { ca: Some(ca.clone()), ..Access::default() }, Trouble::Denied),
        (Access { login: wrong, ..basic(&ca) }, Trouble::Denied),
        (Access { ca: None, ..basic(&ca) }, Trouble::Identity),
        (Access { ca: Some(b"nonsense".to_vec()), ..basic(&ca) }, Trouble::Setting),
    ] {
        let error = now(&world.open(&url, &access), "").unwrap_err();
        assert_eq!(error.trouble, trouble, "{error:?}");
        assert!(!format!("{error:?}").contains("swordfish"), "{error:?}");
    }
    let token = Access { login: Login::Token("hunter2-hunter2".into()), ..basic(&ca) };
    let named = format!("https://jane@127.0.0.1:{}/r.git", server.port);
    assert!(now(&world.open(&named, &token), "").is_ok());
    let gone = now(&world.open(&format!("https://127.0.0.1:{}/gone.git", server.port), &basic(&ca)), "").unwrap_err();
    assert_eq!(gone.trouble, Trouble::NoRepository, "{gone:?}");
    drop(server);
    let down = now(&world.open(&url, &basic(&ca)), "").unwrap_err();
    assert_eq!(down.trouble, Trouble::Unreachable, "{down:?}");
    assert!(down.trouble.passes());
}

#[test]
fn ssh_checks_the_host_and_takes_keys() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    forge.repository("r", &[("a.yaml", "a: 1")]);
    let server = forge.ssh();
    let url = format!("ssh://{}@127.0.0.1:{}{}", user(), server.port, forge.path("r.git").display());
    let line = forge.known_host(server.port);
    let access = |known: &str, key: &str| Access {
        keys: vec![SshKey::File(forge.path(key))],
        known_hosts: KnownHosts::Text(known.to_owned()),
        ..Access::default()
    };
    let good = world.open(&url, &access(&line, "ssh/client"));
    let revision = now(&good, "?ref=main").unwrap();
    assert_eq!(paths(&good.snapshot(&revision, &[]).unwrap()), ["a.yaml"]);
    let pushed = forge.push("r", &[("a.yaml", "a: 2")]);
    assert_eq!(now(&good, "?ref=main").unwrap().commit, pushed);

    // Hashed entries, as `ssh-keygen -H` writes them.
    fs::write(forge.path("ssh/hashed"), &line).unwrap();
    forge.keygen(&["-q", "-H", "-f", "hashed"]);
    let hashed = KnownHosts::Files(vec![forge.path("ssh/hashed")]);
    assert!(!fs::read_to_string(forge.path("ssh/hashed")).unwrap().contains("127.0.0.1"));
    assert!(now(&world.open(&url, &Access { known_hosts: hashed, ..access("", "ssh/client") }), "").is_ok());

    // A key in memory, and one with a passphrase.
    let text = fs::read_to_string(forge.path("ssh/client")).unwrap();
    let memory = Access { keys: vec![SshKey::Text(text.into())], ..access(&line, "") };
    assert!(now(&world.open(&url, &memory), "").is_ok());
    let locked = Access { passphrase: Some("a long passphrase".into()), ..access(&line, "ssh/locked") };
    assert!(now(&world.open(&url, &locked), "").is_ok());
    let shut = now(&world.open(&url, &access(&line, "ssh/locked")), "").unwrap_err();
    assert_eq!(shut.trouble, Trouble::Denied, "{shut:?}");

    forge.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "stranger"]);
    let denied = now(&world.open(&url, &access(&line, "ssh/stranger")), "").unwrap_err();
    assert_eq!(denied.trouble, Trouble::Denied, "{denied:?}");
    let unknown = now(&world.open(&url, &access("", "ssh/client")), "").unwrap_err();
    assert_eq!(unknown.trouble, Trouble::Identity, "{unknown:?}");
    assert!(unknown.message.contains("not known"), "{unknown:?}");
    let key = fs::read_to_string(forge.path("ssh/stranger.pub")).unwrap();
    let changed = format!("[127.0.0.1]:{} {key}", server.port);
    let changed = now(&world.open(&url, &access(&changed, "ssh/client")), "").unwrap_err();
    assert_eq!(changed.trouble, Trouble::Identity, "{changed:?}");
    assert!(changed.message.contains("has changed"), "{changed:?}");
    let gone = world.open(&format!("{url}-gone"), &access(&line, "ssh/client"));
    let gone = now(&gone, "").unwrap_err();
    assert_eq!(gone.trouble, Trouble::NoRepository, "{gone:?}");
}

#[test]
fn a_server_that_hangs_in_the_middle_of_a_pack_is_given_up() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    forge.repository("r", &[("a.yaml", "a: 1")]);
    let good = now(&world.file("r"), "").unwrap();
    let noise: String = (0..60_000).map(|_| char::from(b'a' + fastrand::u8(..26))).collect();
    forge.push("r", &[("noise.txt", &noise)]);
    let limits = Limits { idle: Duration::from_millis(700), ..Limits::default() };
    let (apache, plain, _) = forge.https();
    let ssh = forge.ssh();
    let (http_port, http_seen) = stalling(plain, 8_000);
    let (ssh_port, ssh_seen) = stalling(ssh.port, 14_000);
    let http = world.open(&format!("http://127.0.0.1:{http_port}/r.git"), &Access { limits, ..Access::default() });
    let url = format!("ssh://{}@127.0.0.1:{ssh_port}{}", user(), forge.path("r.git").display());
    let known_hosts = KnownHosts::Text(forge.known_host(ssh_port));
    let keys = vec![SshKey::File(forge.path("ssh/client"))];
    let ssh = world.open(&url, &Access { keys, known_hosts, limits, ..Access::default() });
    for (repository, seen) in [(http, http_seen), (ssh, ssh_seen)] {
        let mut state = LastGood::from_good(Some(good.clone()));
        let began = Instant::now();
        state.take(now(&repository, "?ref=main"));
        let error = state.wrong().unwrap();
        assert_eq!(error.trouble, Trouble::TimedOut, "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        assert!(seen.load(std::sync::atomic::Ordering::SeqCst) > 7_000, "it hung before the pack");
        assert_eq!(state.good(), Some(&good));
        // Nobody who asked after the same moment waits again.
        let again = Instant::now();
        assert!(repository.revision(&Reference::Name("main".into()), began).is_err());
        assert!(again.elapsed() < Duration::from_millis(300));
    }
    drop(apache);
}

#[test]
fn a_credential_goes_to_no_other_host() {
    let Some(world) = World::new() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (elsewhere, log) = (runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap(), seen.clone());
    let target =
        format!("http://localhost:{}/r.git/info/refs?service=git-upload-pack", elsewhere.local_addr().unwrap().port());
    let other = axum::Router::new().fallback(move |headers: axum::http::HeaderMap| {
        log.lock().unwrap().push(format!("{headers:?}"));
        async { "" }
    });
    runtime.spawn(async move { axum::serve(elsewhere, other).await });
    let door = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = door.local_addr().unwrap().port();
    let redirect = axum::Router::new().fallback(move || {
        let target = target.clone();
        async move { axum::response::Redirect::temporary(&target) }
    });
    runtime.spawn(async move { axum::serve(door, redirect).await });
    let access = Access { login: Login::Token("swordfish-swordfish".into()), ..Access::default() };
    let error = now(&world.open(&format!("http://127.0.0.1:{port}/r.git"), &access), "").unwrap_err();
    assert_eq!(error.trouble, Trouble::Redirected, "{error:?}");
    assert!(error.message.contains("localhost") && !format!("{error:?}").contains("swordfish"), "{error:?}");
    assert!(seen.lock().unwrap().is_empty(), "somebody else was asked");
    let plain = now(&world.open("http://git.example/r.git", &access), "").unwrap_err();
    assert!(plain.message.contains("unencrypted"), "{plain:?}");
}

#[test]
fn a_repository_within_the_host_may_have_moved() {
    let Some(world) = World::new() else { return };
    world.forge.repository("r", &[("a.yaml", "a: 1")]);
    let (apache, plain, _) = world.forge.https();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let door = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = door.local_addr().unwrap().port();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // `/old` is renamed to `/r.git`, which Apache serves behind this door.
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let client = client.clone();
        async move {
            let (parts, body) = request.into_parts();
            let target = parts.uri.path_and_query().unwrap().to_string();
            if let Some(rest) = target.strip_prefix("/old/") {
                return axum::response::IntoResponse::into_response(axum::response::Redirect::permanent(&format!(
                    "/r.git/{rest}"
                )));
            }
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let mut call = client.request(parts.method, format!("http://127.0.0.1:{plain}{target}")).body(body);
            if let Some(kind) = parts.headers.get("content-type") {
                call = call.header("content-type", kind);
            }
            let answer = call.send().await.unwrap();
            let kind = answer.headers()["content-type"].clone();
            axum::response::IntoResponse::into_response(([("content-type", kind)], answer.bytes().await.unwrap()))
        }
    });
    runtime.spawn(async move { axum::serve(door, router).await });
    let repository = world.open(&format!("http://127.0.0.1:{port}/old"), &Access::default());
    let revision = now(&repository, "").unwrap();
    assert_eq!(paths(&repository.snapshot(&revision, &[]).unwrap()), ["a.yaml"]);
    drop(apache);
}

#[test]
fn broken_repositories_say_what_is_wrong_and_recover() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    forge.repository("r", &[]);
    let repository = world.file("r");
    let mut state: LastGood<Revision, GitError> = LastGood::default();
    state.take(now(&repository, ""));
    assert_eq!(state.wrong().unwrap().trouble, Trouble::Empty, "{state:?}");
    let first = forge.push("r", &[("a.yaml", "a: 1")]);
    state.take(now(&repository, "?ref=main"));
    assert_eq!(state.good().unwrap().commit, first);

    // A force-push to another history.
    forge.git("r", &["checkout", "--quiet", "--orphan", "other"]);
    fs::write(forge.path("r/a.yaml"), "a: forced").unwrap();
    let forced = forge.commit("r", "Another history");
    state.take(now(&repository, "?ref=main"));
    assert_eq!(state.good().unwrap().commit, forced);
    let text = texts(&repository.snapshot(state.good().unwrap(), &[]).unwrap()).remove(0).1;
    assert_eq!(text, "a: forced");

    // The branch is deleted, and what was good stays readable.
    forge.git("r.git", &["config", "receive.denyDeleteCurrent", "ignore"]);
    forge.git("r", &["push", "--quiet", "origin", "HEAD:refs/heads/spare", ":refs/heads/main"]);
    state.take(now(&repository, "?ref=main"));
    let wrong = state.wrong().unwrap();
    assert_eq!(wrong.trouble, Trouble::NoReference, "{wrong:?}");
    assert!(wrong.hints[0].contains("`spare`"), "{wrong:?}");
    assert_eq!(state.good().unwrap().commit, forced);
    assert!(repository.snapshot(state.good().unwrap(), &[]).is_ok());
    assert_eq!(repository.recall(&forced).unwrap().commit, forced);

    // The repository itself is away, and back.
    fs::rename(forge.path("r.git"), forge.path("away.git")).unwrap();
    state.take(now(&repository, "?ref=main"));
    assert_eq!(state.wrong().unwrap().trouble, Trouble::NoRepository, "{state:?}");
    fs::rename(forge.path("away.git"), forge.path("r.git")).unwrap();
    let back = forge.push("r", &[("a.yaml", "a: back")]);
    state.take(now(&repository, "?ref=main"));
    assert_eq!((state.good().unwrap().commit.as_str(), state.wrong()), (back.as_str(), None));

    // The cache is broken, and made anew.
    let cache = fs::read_dir(world.cache.path()).unwrap().next().unwrap().unwrap().path().join("repository.git");
    fs::write(cache.join("HEAD"), "nonsense").unwrap();
    assert_eq!(now(&repository, "?ref=main").unwrap().commit, back);
    let lost = repository.snapshot(state.good().unwrap(), &["nowhere".into()]).unwrap_err();
    assert_eq!(lost.trouble, Trouble::NoPath, "{lost:?}");
}

#[test]
fn what_a_tree_should_not_hold_is_an_error_each() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    forge.repository("r", &[("stack/good.yaml", "g: 1"), ("shared/common.yaml", "c: 1"), ("stack/notes.txt", "-")]);
    let stack = forge.path("r/stack");
    fs::write(stack.join("pointer.yaml"), "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        .unwrap();
    fs::write(stack.join("binary.yaml"), b"\xff\xfe\0").unwrap();
    symlink("../shared/common.yaml", stack.join("inner.yaml")).unwrap();
    symlink("../../outside.yaml", stack.join("outer.yaml")).unwrap();
    symlink("/etc/passwd", stack.join("absolute.yaml")).unwrap();
    symlink("nowhere.yaml", stack.join("dangling.yaml")).unwrap();
    symlink("round.yaml", stack.join("round.yaml")).unwrap();
    symlink("..", stack.join("up")).unwrap();
    fs::write(stack.join(std::ffi::OsStr::from_bytes(b"caf\xe9.yaml")), "x: 1").unwrap();
    forge.git("r", &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &forge.file("r"), "stack/sub"]);
    forge.commit("r", "All kinds of things");
    let repository = world.file("r");
    let revision = now(&repository, "?ref=main").unwrap();
    let snapshot = repository.snapshot(&revision, &["stack".into()]).unwrap();
    let mut found = paths(&snapshot);
    found.sort();
    assert_eq!(found, ["stack/good.yaml", "stack/inner.yaml"]);
    let mut said = codes(&snapshot);
    said.sort();
    assert_eq!(
        said,
        ["PL0001", "PL0001", "PL0002", "PL0024", "PL0024", "PL0025", "PL0026", "PL0027"],
        "{:#?}",
        snapshot.diagnostics
    );
    assert!(!snapshot.is_complete());
    let tree = snapshot.sources.tree(&snapshot.sources.texts[0].folder).unwrap();
    assert!(tree.read(&tree.root().join("stack/notes.txt"), 10).is_ok());

    // Names that no Git client makes.
    let blob = forge.git("r", &["hash-object", "-w", "stack/good.yaml"]);
    let evil = forge.path("evil");
    fs::write(&evil, format!("100644 blob {blob}\t..\n100644 blob {blob}\tok.yaml\n")).unwrap();
    let made = std::process::Command::new("git")
        .current_dir(forge.path("r"))
        .arg("mktree")
        .stdin(fs::File::open(&evil).unwrap())
        .output()
        .unwrap();
    let tree = String::from_utf8(made.stdout).unwrap();
    let commit = forge.git("r", &["commit-tree", tree.trim(), "-m", "Evil"]);
    forge.git("r", &["push", "--quiet", "origin", &format!("{commit}:refs/heads/evil")]);
    let revision = now(&repository, "?ref=evil").unwrap();
    let snapshot = repository.snapshot(&revision, &[]).unwrap();
    assert_eq!((paths(&snapshot), codes(&snapshot)), (vec!["ok.yaml".to_owned()], vec!["PL0025".to_owned()]));
}

#[test]
fn a_file_of_100_mb_is_refused_without_being_read() {
    let Some(world) = World::new() else { return };
    world.forge.repository("r", &[("a.yaml", "a: 1")]);
    let mut big = String::from("a: ");
    while big.len() < 100_000_000 {
        big.push_str(
            "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmn",
        );
    }
    fs::write(world.forge.path("r/big.yaml"), &big).unwrap();
    drop(big);
    world.forge.commit("r", "Big");
    let repository = world.file("r");
    let revision = now(&repository, "?ref=main").unwrap();
    let began = Instant::now();
    let snapshot = repository.snapshot(&revision, &[]).unwrap();
    assert_eq!((paths(&snapshot), codes(&snapshot)), (vec!["a.yaml".to_owned()], vec!["PL0003".to_owned()]));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(!snapshot.is_complete());
}

#[test]
fn fifty_stacks_cost_one_fetch_and_a_push_touches_one() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    let names: Vec<String> = (0..50).map(|number| format!("stacks/s{number:02}/all.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "a: 1")).collect();
    forge.repository("r", &files);
    let (server, _, ca) = forge.https();
    let repository = world.open(&format!("https://127.0.0.1:{}/r.git", server.port), &basic(&ca));
    let reference = Reference::Branch("main".into());
    let paths: Vec<Vec<String>> = (0..50).map(|number| vec![format!("stacks/s{number:02}")]).collect();
    let poll = || {
        let asked = Instant::now();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = paths
                .iter()
                .map(|paths| {
                    scope.spawn(|| {
                        let revision = repository.revision(&reference, asked).unwrap();
                        repository.tree_hash(&revision, paths).unwrap()
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        answers
    };
    let first = poll();
    assert_eq!((repository.counters().connections, repository.counters().fetches), (1, 1));
    assert_eq!(poll(), first);
    assert_eq!((repository.counters().connections, repository.counters().fetches), (2, 1));
    forge.push("r", &[("stacks/s17/all.yaml", "a: 2"), ("README.md", "#")]);
    let second = poll();
    assert_eq!((repository.counters().connections, repository.counters().fetches), (3, 2));
    let changed: Vec<usize> = (0..50).filter(|number| first[*number] != second[*number]).collect();
    assert_eq!(changed, [17]);
}

#[test]
fn a_link_or_a_file_elsewhere_is_a_dependency() {
    let Some(world) = World::new() else { return };
    world.forge.repository("r", &[("shared/common.yaml", "c: 1"), ("shared/key.txt", "k"), ("stack/a.yaml", "a: 1")]);
    symlink("../shared/common.yaml", world.forge.path("r/stack/common.yaml")).unwrap();
    world.forge.commit("r", "Share");
    let repository = world.file("r");
    let revision = now(&repository, "?ref=main").unwrap();
    let own = vec!["stack".to_owned()];
    let read = |revision: &Revision| {
        let snapshot = repository.snapshot(revision, &own).unwrap();
        let folder = snapshot.sources.texts[0].folder.clone();
        let tree = snapshot.sources.tree(&folder).unwrap().clone();
        assert_eq!(tree.read(&folder.join("../shared/key.txt"), 10).unwrap(), b"k");
        assert!(tree.read(&folder.join("../../key.txt"), 10).is_err());
        tree.dependencies()
    };
    let beside = read(&revision);
    assert_eq!(beside, ["shared/common.yaml", "shared/key.txt"]);
    world.forge.push("r", &[("shared/common.yaml", "c: 2")]);
    let later = now(&repository, "?ref=main").unwrap();
    assert_eq!(repository.tree_hash(&revision, &own).unwrap(), repository.tree_hash(&later, &own).unwrap());
    let all: Vec<String> = own.iter().cloned().chain(beside).collect();
    assert_ne!(repository.tree_hash(&revision, &all).unwrap(), repository.tree_hash(&later, &all).unwrap());
}

#[test]
fn commits_are_accepted_from_those_who_may_sign() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    forge.repository("r", &[("a.yaml", "a: 1")]);
    fs::create_dir_all(forge.path("ssh")).unwrap();
    forge.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "signer"]);
    forge.keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa"]);
    let repository = world.file("r");
    let key = |name: &str| fs::read_to_string(forge.path(&format!("ssh/{name}.pub"))).unwrap();
    let allow = |text: &str| AllowedSigners::parse(text).unwrap();
    let plain = now(&repository, "?ref=main").unwrap();
    let error = repository.verify(&plain, &allow(&format!("jane@example.com {}", key("signer")))).unwrap_err();
    assert!(error.trouble == Trouble::Signature && error.message.contains("not signed"), "{error:?}");
    for name in ["signer", "rsa"] {
        let file = forge.path(&format!("ssh/{name}"));
        let config = format!("user.signingkey={}", file.display());
        forge.git(
            "r",
            &["-c", "gpg.format=ssh", "-c", &config, "commit", "--quiet", "--allow-empty", "-S", "-m", "Signed"],
        );
        forge.git("r", &["push", "--quiet", "origin", "HEAD:main"]);
        let signed = now(&repository, "?ref=main").unwrap();
        let line = format!("jane@example.com namespaces=\"git\",valid-after=\"20200101Z\" {}", key(name));
        let signature = repository.verify(&signed, &allow(&line)).unwrap();
        assert_eq!(signature.principals, "jane@example.com");
        for (line, why) in [
            (format!("jane namespaces=\"file\" {}", key(name)), "may not sign for Git"),
            (format!("jane valid-before=\"20200101Z\" {}", key(name)), "not valid any more"),
            (format!("jane valid-after=\"20990101Z\" {}", key(name)), "not valid yet"),
            (format!("jane {}", key(if name == "rsa" { "signer" } else { "rsa" })), "not among"),
        ] {
            let error = repository.verify(&signed, &allow(&line)).unwrap_err();
            assert!(error.message.contains(why), "{error:?}");
        }
    }
}

const STACK: &str = "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {name: itglue}\nspec:\n  api: itglue\n  \
                     auth: {apiKey: {valueFrom: {file: ../secrets/key}}}\n---\n\
                     apiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: happy-frog}\n\
                     spec: {name: Happy Frog}\n";

/// Runs plumb in a folder below the forge's; gives the exit code and both outputs.
fn plumb(forge: &Forge, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_plumb"));
    command.current_dir(forge.path("work")).args(arguments).env("PLUMB_GIT_CACHE", forge.path("cache"));
    command.env_remove("SSH_AUTH_SOCK").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_takes_a_git_url() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    fs::create_dir(forge.path("work")).unwrap();
    forge.repository("r", &[("stack/all.yaml", STACK), ("secrets/key", "sandbox-credential\n")]);
    let commit = forge.git("r", &["rev-parse", "HEAD"]);
    let stack = crate::support::stack::Stack::start(&[]).await;
    let connection = format!("itglue={}", stack.sandbox.url("itglue"));
    let (server, _, ca) = forge.https();
    let ssh = forge.ssh();
    fs::write(forge.path("ca.pem"), &ca).unwrap();
    fs::write(forge.path("known"), forge.known_host(ssh.port)).unwrap();
    let known = forge.path("known").display().to_string();
    let (key, ca) = (forge.path("ssh/client").display().to_string(), forge.path("ca.pem").display().to_string());
    let https =
        [("PLUMB_GIT_USERNAME", "jane"), ("PLUMB_GIT_PASSWORD", "hunter2-hunter2"), ("PLUMB_GIT_CA_FILE", ca.as_str())];
    let keys = [("PLUMB_GIT_SSH_KEY", key.as_str()), ("PLUMB_GIT_KNOWN_HOSTS", known.as_str())];
    let bare = forge.path("r.git").display().to_string();
    let sources: [(String, &[(&str, &str)]); 3] = [
        (format!("{}//stack?ref=main", forge.file("r")), &[]),
        (format!("https://127.0.0.1:{}/r.git//stack?ref=main", server.port), &https),
        (format!("git::ssh://{}@127.0.0.1:{}{bare}//stack?commit={commit}", user(), ssh.port), &keys),
    ];
    for (url, variables) in &sources {
        let (code, out, err) = plumb(forge, &["plan", "-f", url, "--connection", &connection, "-o", "json"], variables);
        assert_eq!(code, 0, "{url}: {out} {err}");
        let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(plan["source"]["revision"], commit.as_str(), "{out}");
        assert_eq!(plan["summary"]["create"], 1, "{out}");
    }
    let url = &sources[0].0;
    let (code, out, err) = plumb(forge, &["apply", "--yes", "-f", url, "--connection", &connection], &[]);
    assert_eq!(code, 0, "{out} {err}");
    assert!(forge.path("work/.plumb/inventory.db").exists(), "the inventory is in the current folder");
    for verb in ["validate", "plan", "drift", "graph", "doctor", "unmanaged", "export", "inventory"] {
        let mut arguments = vec![verb];
        if verb == "inventory" {
            arguments.push("list");
        }
        arguments.extend(["-f", url, "--connection", &connection]);
        let (code, out, err) = plumb(forge, &arguments, &[]);
        assert_eq!(code, 0, "{verb}: {out} {err}");
    }

    // The stack stays the same when its reference moves on: what is gone from it is pruned.
    let empty = STACK.split("---").next().unwrap();
    forge.git("r", &["checkout", "--quiet", "-b", "next"]);
    fs::write(forge.path("r/stack/all.yaml"), format!("{empty}---\napiVersion: itglue.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {{name: other}}\nspec: {{name: Other}}\n")).unwrap();
    forge.git("r", &["commit", "--quiet", "-am", "Next"]);
    forge.git("r", &["push", "--quiet", "origin", "HEAD:next"]);
    let next = url.replace("ref=main", "branch=next");
    let (code, out, err) =
        plumb(forge, &["plan", "--prune", "-f", &next, "--connection", &connection, "-o", "json"], &[]);
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &plan["summary"]["forget"]), (0, &1.into()), "{out} {err}");
}

#[test]
fn a_manifest_of_a_commit_reads_nothing_of_the_machine() {
    let Some(world) = World::new() else { return };
    let forge = &world.forge;
    fs::create_dir(forge.path("work")).unwrap();
    fs::write(forge.path("outside"), "outside-secret").unwrap();
    forge.repository("r", &[("secrets/key", "sandbox-credential")]);
    let outside = forge.path("outside").display().to_string();
    symlink(&outside, forge.path("r/secrets/link")).unwrap();
    for (source, said) in [
        (format!("{{file: {outside}}}"), "outside of the repository"),
        ("{file: ../../../outside}".to_owned(), "outside of the repository"),
        ("{file: ../secrets/link}".to_owned(), "leads out of the repository"),
        ("{file: ../secrets/gone}".to_owned(), "there is no such file"),
        ("{exec: [cat, /etc/hostname]}".to_owned(), "not run for a Git source"),
    ] {
        forge.push("r", &[("stack/all.yaml", &STACK.replace("{file: ../secrets/key}", &source))]);
        let url = format!("{}//stack", forge.file("r"));
        let (code, out, err) =
            plumb(forge, &["plan", "--allow-exec", "-f", &url, "--connection", "itglue=http://127.0.0.1:9"], &[]);
        assert_eq!(code, 1, "{source}: {out} {err}");
        assert!(format!("{out}{err}").contains(said), "{source}: {out} {err}");
        assert!(!format!("{out}{err}").contains("outside-secret"), "{source}");
    }
}
