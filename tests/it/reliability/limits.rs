//! Limits that processes and machines share: no window of the server's sees more calls than all may make together.

use std::{
    process::Child,
    sync::{Arc, Mutex},
    time::Duration,
};

use plumb::{
    pipeline::{self, Options},
    plan::Mode,
    progress::{Progress, ProgressEvent},
    sandbox::{LogEntry, SandboxOptions},
};

use super::{Ran, Scene, size, worlds::WORLDS};
use crate::support::s3;

/// A window of two seconds, less what the way of a call to the server may vary on a busy machine.
const WINDOW: Duration = Duration::from_millis(1700);

/// The most calls in any stretch of this length.
fn most_within(log: &[LogEntry], stretch: Duration) -> usize {
    let mut at: Vec<jiff::Timestamp> = log.iter().map(|entry| entry.at).collect();
    at.sort();
    let stretch = jiff::SignedDuration::try_from(stretch).unwrap();
    let within = |first: usize| at[first..].iter().take_while(|time| time.duration_since(at[first]) < stretch).count();
    (0..at.len()).map(within).max().unwrap_or(0)
}

/// A stack of its own in the account of another scene.
async fn scene(limits: &str, objects: usize) -> Scene {
    let world = WORLDS.iter().find(|world| world.api == "rest").unwrap();
    let options = SandboxOptions { latency: Duration::from_millis(10), ..SandboxOptions::default() };
    let scene = Scene::start(world, options).await;
    scene.write("connection.yaml", &format!("{}  limits: {limits}\n", world.within_limits()));
    scene.declare(objects, false);
    scene
}

/// Runs that plan the same stack at the same time, each as a process of its own.
fn together(scene: &Scene, count: usize, extra: impl Fn(usize, &mut std::process::Command)) -> Vec<Ran> {
    let children: Vec<Child> = (0..count)
        .map(|number| {
            let mut command = scene.command(&["plan"]);
            extra(number, &mut command);
            command.spawn().unwrap()
        })
        .collect();
    children.into_iter().map(Ran::of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_credential_keep_to_its_budget_together() {
    let scene = scene("{requests: 12, window: 2, reserve: 25}", 20).await;
    let ran = together(&scene, 6, |_, _| ());
    assert!(ran.iter().all(|ran| ran.code == Some(0)), "{}", ran.iter().map(Ran::told).collect::<String>());
    let log = scene.sandbox.log();
    assert!(log.len() > 18, "{} calls are too few to tell", log.len());
    let most = most_within(&log, WINDOW);
    assert!(most <= 9, "{most} calls within a window, and a quarter of 12 is left for people");
    println!("{} calls of 6 processes, at most {most} in any window of 9", log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_credential_share_its_concurrency() {
    let scene = scene("{concurrency: 2}", 20).await;
    let ran = together(&scene, 5, |_, _| ());
    assert!(ran.iter().all(|ran| ran.code == Some(0)), "{}", ran.iter().map(Ran::told).collect::<String>());
    assert!(scene.sandbox.most_at_once() <= 2, "{} at once", scene.sandbox.most_at_once());
}

/// Two machines, which share nothing but an inventory in an object store. Where `LIMITS_MACHINES` is set, since the second
/// machine gets its share only when the first renews its lease.
#[tokio::test(flavor = "multi_thread")]
async fn machines_of_one_credential_lease_shares_of_its_budget() {
    let machines = size("LIMITS_MACHINES", 0);
    if machines == 0 {
        return;
    }
    let Some(location) = s3::location() else { return };
    let plumb::inventory::Location::S3 { bucket, prefix, settings } = &location else { panic!() };
    let scene = scene("{requests: 4, window: 2, reserve: 0}", 20).await;
    let ran = together(&scene, machines, |number, command| {
        let own = scene.folder.path().join(format!(".machine-{number}"));
        std::fs::create_dir_all(&own).unwrap();
        command.env("XDG_RUNTIME_DIR", own).env("PLUMB_INVENTORY_KEY", "00".repeat(32));
        command.arg(format!("--inventory=s3://{bucket}/{prefix}"));
        command.envs(settings.0.iter().map(|(name, value)| (name.to_uppercase(), value.clone())));
    });
    assert!(ran.iter().all(|ran| ran.code == Some(0)), "{}", ran.iter().map(Ran::told).collect::<String>());
    let log = scene.sandbox.log();
    let most = most_within(&log, WINDOW);
    assert!(most <= 4, "{most} calls within a window of 4");
    println!("{} calls of {machines} machines, at most {most} in any window of 4", log.len());
}

/// What the server says of its limit is obeyed by all: none of them is refused.
#[tokio::test(flavor = "multi_thread")]
async fn no_process_sends_what_would_be_refused() {
    let world = WORLDS.iter().find(|world| world.api == "rest").unwrap();
    let options = SandboxOptions {
        latency: Duration::from_millis(10),
        rate: Some((10, Duration::from_secs(2))),
        retry_after: true,
        ..SandboxOptions::default()
    };
    let scene = Scene::start(world, options).await;
    scene.write("connection.yaml", &world.within_limits());
    scene.declare(20, false);
    // The first call tells all of the limit.
    let first = scene.run(&["plan"]);
    assert_eq!(first.code, Some(0), "{}", first.told());
    let ran = together(&scene, 4, |_, _| ());
    assert!(ran.iter().all(|ran| ran.code == Some(0)), "{}", ran.iter().map(Ran::told).collect::<String>());
    let refused = scene.sandbox.log().iter().filter(|entry| entry.status == 429).count();
    assert_eq!(refused, 0);
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn event(&self, event: &ProgressEvent<'_>) {
        let text = match *event {
            ProgressEvent::Observed { connection, kind, objects } => format!("{connection} has {objects} {kind}"),
            ProgressEvent::Throttled { connection, seconds } => format!("{connection} waits {}", seconds > 0.9),
            _ => return,
        };
        self.0.lock().unwrap().push(text);
    }
}

/// Whoever watches a run learns what was found, and what it waits for.
#[tokio::test(flavor = "multi_thread")]
async fn waits_and_findings_are_told() {
    let scene = scene("{requests: 2, window: 2, reserve: 0}", 20).await;
    let told = Arc::new(Told::default());
    let options = Options {
        inputs: vec![scene.folder.path().display().to_string()],
        connections: vec![("main".into(), scene.sandbox.url("rest"))],
        progress: told.clone(),
        ..Options::default()
    };
    let planned = pipeline::plan(&options, Mode::Plan).await.unwrap();
    assert!(planned.notes.seconds > 20.0, "{} calls in {} s", planned.document.requests.apply, planned.notes.seconds);
    let told = told.0.lock().unwrap().clone();
    for line in ["main has 0 Webhook", "main has 3 User", "main waits true"] {
        assert!(told.iter().any(|known| known == line), "{line}: {told:?}");
    }
}
