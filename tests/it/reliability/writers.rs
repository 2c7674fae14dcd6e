//! Many applies of one stack at once, and one that is stopped in the middle: one works at a time.

use std::{
    process::{Child, Command},
    time::{Duration, Instant},
};

use plumb::sandbox::{LogEntry, SandboxOptions};

use super::{Ran, Scene, size, worlds::WORLDS};
use crate::support::s3;

const APPLY: [&str; 2] = ["apply", "--yes"];

/// Sends a signal to a process.
pub(super) fn signal(child: &Child, name: &str) {
    let done = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(done.success(), "no signal {name}");
}

/// Waits until something is so.
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !so() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(super) fn writes(log: &[LogEntry]) -> Vec<&LogEntry> {
    log.iter().filter(|entry| entry.method != "GET").collect()
}

/// The callers whose writes came while another's were not at their end.
fn interleaved(log: &[LogEntry]) -> Vec<String> {
    let mut spans: Vec<(jiff::Timestamp, jiff::Timestamp, String)> = Vec::new();
    for entry in writes(log) {
        match spans.iter_mut().find(|(_, _, caller)| *caller == entry.caller) {
            Some((from, to, _)) => (*from, *to) = ((*from).min(entry.at), (*to).max(entry.answered)),
            None => spans.push((entry.at, entry.answered, entry.caller.clone())),
        }
    }
    spans.sort();
    let overlaps = spans.windows(2).filter(|pair| pair[1].0 < pair[0].1);
    overlaps.map(|pair| format!("{} and {}", pair[0].2, pair[1].2)).collect()
}

async fn scene(objects: usize) -> Scene {
    let world = WORLDS.iter().find(|world| world.api == "rest").unwrap();
    let options = SandboxOptions { latency: Duration::from_millis(15), ..SandboxOptions::default() };
    let scene = Scene::start(world, options).await;
    // Each process has a credential of its own, so that the log tells one from another.
    scene.write("connection.yaml", &world.connection().replace("file: key", "env: KEY"));
    scene.declare(objects, false);
    scene
}

/// A writer with a credential of its own.
fn writer(scene: &Scene, number: usize, inventory: Option<&(String, Vec<(String, String)>)>) -> Child {
    let mut command = scene.command(&APPLY);
    command.env("KEY", format!("key-of-writer-{number:03}"));
    if let Some((url, variables)) = inventory {
        command.arg(format!("--inventory={url}")).env("PLUMB_INVENTORY_KEY", "00".repeat(32));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
    }
    command.spawn().unwrap()
}

/// Lets many write at once, and stops one that has begun for this long. What is refused is started anew, until all came
/// to their end.
fn contend(
    scene: &Scene,
    writers: usize,
    stop: Duration,
    inventory: Option<&(String, Vec<(String, String)>)>,
) -> (usize, usize) {
    let mut number = 0;
    let mut start = || {
        number += 1;
        writer(scene, number, inventory)
    };
    let first = start();
    until("a write", || !writes(&scene.sandbox.log()).is_empty());
    signal(&first, "STOP");
    let stopped = Instant::now();
    let mut others: Vec<Child> = (1..writers).map(|_| start()).collect();
    let (mut refused, mut done) = (0, 0);
    let mut first = Some(first);
    while !others.is_empty() || first.is_some() {
        if stopped.elapsed() >= stop
            && let Some(child) = first.take()
        {
            signal(&child, "CONT");
            others.push(child);
        }
        let mut running = Vec::new();
        for mut child in std::mem::take(&mut others) {
            if child.try_wait().unwrap().is_none() {
                running.push(child);
                continue;
            }
            let ran = Ran::of(child);
            match ran.code {
                Some(0) => done += 1,
                Some(1) => {
                    refused += 1;
                    let said = ["plumb apply", "Another run changed the inventory", "lease", "interrupted"];
                    let all = format!("{}\n{}", ran.err, ran.out);
                    assert!(said.iter().any(|word| all.contains(word)), "{all}");
                    running.push(start());
                }
                code => panic!("{code:?}: {}", ran.told()),
            }
        }
        others = running;
        std::thread::sleep(Duration::from_millis(50));
    }
    (refused, done)
}

/// `WRITERS` applies at once, one of them stopped while it holds the lock of the operating system: the others are refused
/// until it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_one_works_at_a_time() {
    let writers = size("WRITERS", 6);
    let scene = scene(40).await;
    let (refused, done) = contend(&scene, writers, Duration::from_secs(2), None);
    assert_eq!(done, writers);
    assert!(refused > 0, "nobody was in anybody's way");
    let log = scene.sandbox.log();
    assert_eq!(interleaved(&log), Vec::<String>::new());
    scene_is_whole(&scene);
    println!(
        "{writers} writers, {refused} times refused, {} writes, none between those of another",
        writes(&log).len()
    );
}

/// The same with an inventory in an object store, whose lease ends while its holder is stopped. The lease lasts a minute,
/// so that this takes longer than that: only where `WRITERS_LEASE` is set.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_was_stopped_past_its_lease_writes_no_more() {
    if size("WRITERS_LEASE", 0) == 0 {
        return;
    }
    let Some(location) = s3::location() else { return };
    let plumb::inventory::Location::S3 { bucket, prefix, settings } = &location else { panic!() };
    let variables = settings.0.iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
    let inventory = (format!("s3://{bucket}/{prefix}"), variables);
    let writers = size("WRITERS", 6);
    let scene = scene(40).await;
    let (refused, done) = contend(&scene, writers, Duration::from_secs(135), Some(&inventory));
    assert_eq!(done, writers);
    let log = scene.sandbox.log();
    assert_eq!(interleaved(&log), Vec::<String>::new());
    scene_is_whole(&scene);
    println!(
        "{writers} writers, {refused} times refused, {} writes, none between those of another",
        writes(&log).len()
    );
}

fn scene_is_whole(scene: &Scene) {
    let names = |kind: &str, field: &str| {
        let rows = scene.sandbox.objects("rest", kind);
        let mut names: Vec<String> = rows.iter().map(|row| row["attributes"][field].to_string()).collect();
        names.sort();
        names
    };
    for (kind, field) in [("Resource", "name"), ("Webhook", "url")] {
        let mut once = names(kind, field);
        once.dedup();
        assert_eq!(once, names(kind, field), "each {kind} is there once");
    }
}

/// Ctrl-C and SIGTERM: what is under way is finished and recorded, nothing more is started, and the exit code is 130.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_finishes_what_is_under_way_and_starts_nothing_new() {
    for name in ["INT", "TERM"] {
        let world = WORLDS.iter().find(|world| world.api == "rest").unwrap();
        let options = SandboxOptions { latency: Duration::from_millis(60), ..SandboxOptions::default() };
        let scene = Scene::start(world, options).await;
        scene.declare(60, false);
        let child = scene.command(&APPLY).spawn().unwrap();
        until("a write", || !writes(&scene.sandbox.log()).is_empty());
        signal(&child, name);
        // What was on its way when the signal came may arrive.
        let last = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(100);
        let ran = Ran::of(child);
        assert_eq!(ran.code, Some(130), "{name}: {}", ran.told());
        let log = scene.sandbox.log();
        let late: Vec<_> = writes(&log).into_iter().filter(|entry| entry.at > last).collect();
        assert!(late.is_empty(), "{name}: {} writes began after the signal: {late:?}", late.len());
        let state =
            plumb::inventory::Inventory::open(&plumb::inventory::Location::Sqlite(scene.database()), "default").await;
        let state = state.unwrap().state().clone();
        assert!(state.intents.is_empty(), "{name}: {:?}", state.intents);
        let made = writes(&log).iter().filter(|entry| entry.status == 201).count();
        assert_eq!(state.objects.len(), made, "{name}: every call that was made is recorded");
        assert!(made < 50, "{name}: {made} were made, so that the run was not interrupted");
        assert_eq!(scene.run(&APPLY).code, Some(0));
        scene_is_whole(&scene);
        scene.assert_quiet(name);
    }
}
