//! Runs that are killed at any instant, and databases as they were after any commit: no object twice, none lost.

use std::time::{Duration, Instant};

use plumb::{
    inventory::{Inventory, Location},
    sandbox::SandboxOptions,
};

use super::{Ran, Scene, ends_before, ends_within, size, wal, worlds, worlds::World};

const APPLY: [&str; 4] = ["apply", "--yes", "--prune", "--max-deletes=100%"];
/// What a run waits at the longest for what an earlier one began.
const SETTLED: Duration = Duration::from_millis(1600);
/// Runs that may come in a row to nothing but their kills.
const PATIENCE: usize = 400;

fn options() -> SandboxOptions {
    // Every call takes a while, so that kills meet calls under way.
    SandboxOptions { latency: Duration::from_millis(4), ..SandboxOptions::default() }
}

/// What an undisturbed run comes to, how many calls it makes, and how long it takes.
struct Model {
    calls: [usize; 2],
    counts: [std::collections::BTreeMap<String, usize>; 2],
    times: [Duration; 2],
}

async fn model(world: &'static World, objects: usize) -> Model {
    let scene = Scene::start(world, options()).await;
    let run = |changed: bool| {
        scene.declare(objects, changed);
        let start = Instant::now();
        let ran = scene.run(&APPLY);
        assert_eq!(ran.code, Some(0), "{}: {}", world.api, ran.told());
        let time = start.elapsed();
        let calls = scene.sandbox.requests();
        scene.sandbox.flush();
        scene.assert_quiet("undisturbed");
        scene.sandbox.clear_log();
        (scene.counts(), calls, time)
    };
    let ((made, creates, making), (changed, changes, changing)) = (run(false), run(true));
    Model { calls: [creates, changes], counts: [made, changed], times: [making, changing] }
}

/// `KILLS` kills in all (a few for each API unless given), of runs over `KILL_OBJECTS` objects, at instants that follow from
/// `KILL_SEED`: each run is killed at a random instant and started again, until one comes to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_at_any_instant_neither_repeats_nor_forgets() {
    let worlds = worlds();
    let (objects, seed) = (size("KILL_OBJECTS", 40), size("KILL_SEED", 20_261_125) as u64);
    let share = size("KILLS", 5 * 3).div_ceil(worlds.len());
    println!("seed of the instants: {seed}");
    for world in worlds {
        let model = model(world, objects).await;
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut kills, mut rounds, mut runs) = (0, 0, 0);
        let start = Instant::now();
        while kills < share {
            rounds += 1;
            let scene = Scene::start(world, options()).await;
            for (phase, changed) in [false, true].into_iter().enumerate() {
                scene.declare(objects, changed);
                let mut last = None;
                for _ in 0..PATIENCE {
                    runs += 1;
                    let mut child = scene.command(&APPLY).spawn().unwrap();
                    // A fifth at any time, the wait for what an earlier run began included; else a moment after any call.
                    let ended = if kills >= share {
                        true
                    } else if rng.u32(0..5) == 0 {
                        ends_within(&mut child, (model.times[phase] + SETTLED).mul_f64(rng.f64()))
                    } else {
                        let calls = scene.sandbox.requests() + rng.usize(1..=model.calls[phase]);
                        let moment = Duration::from_micros(rng.u64(0..8000));
                        ends_before(&mut child, || scene.sandbox.requests() >= calls) || ends_within(&mut child, moment)
                    };
                    if !ended {
                        child.kill().unwrap();
                        kills += 1;
                    }
                    let ran = Ran::of(child);
                    match ran.code {
                        None => {}
                        Some(0) => {
                            last = Some(ran);
                            break;
                        }
                        code => panic!("{}, run {runs}: {code:?} {}", world.api, ran.told()),
                    }
                }
                assert!(last.is_some(), "{}: no run came to its end", world.api);
                scene.sandbox.flush();
                assert_eq!(scene.counts(), model.counts[phase], "{}, phase {phase}, after {kills} kills", world.api);
                scene.assert_quiet(&format!("after {kills} kills"));
            }
        }
        println!(
            "{}: {kills} kills in {rounds} rounds of {objects} objects, {runs} runs, {:.0} s: nothing twice, nothing lost",
            world.api,
            start.elapsed().as_secs_f64()
        );
    }
}

/// The database as it was after each of `COMMITS` commits (of all, evenly chosen), while the server kept its state.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_any_earlier_commit_finds_what_the_server_has() {
    let (objects, most) = (size("KILL_OBJECTS", 40), size("COMMITS", 5));
    for world in worlds() {
        let scene = Scene::start(world, options()).await;
        scene.declare(objects, false);
        // Makes the database, so that the log of what follows can be kept from being folded into it.
        let mut inventory = Inventory::open(&Location::Sqlite(scene.database()), "default").await.unwrap();
        inventory.lock("the test").await.unwrap();
        inventory.unlock().await;
        let log = wal::Log::hold(&scene.database());
        let ran = scene.run(&APPLY);
        assert_eq!(ran.code, Some(0), "{}: {}", world.api, ran.told());
        scene.sandbox.flush();
        let counts = scene.counts();
        let commits = log.commits();
        drop(log);
        assert!(commits.len() > 3, "{}: {} commits", world.api, commits.len());
        let step = commits.len().div_ceil(most).max(1);
        let mut tried = 0;
        for (number, commit) in commits.iter().enumerate().step_by(step) {
            commit.restore(&scene.database());
            let ran = scene.run(&APPLY);
            assert_eq!(ran.code, Some(0), "{}, commit {number}: {}", world.api, ran.told());
            assert_eq!(scene.counts(), counts, "{}, commit {number} of {}", world.api, commits.len());
            scene.assert_quiet(&format!("from commit {number}"));
            tried += 1;
        }
        println!("{}: from {tried} of {} commits, nothing twice, nothing lost", world.api, commits.len());
    }
}
