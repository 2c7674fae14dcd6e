//! Runs against a server that fails in every way that servers fail in.

use std::time::{Duration, Instant};

use plumb::{
    diagnostic::Severity,
    http::Pace,
    pipeline::{self, Applied, Options},
    plan::{Mode, Outcome},
    sandbox::{LogEntry, SandboxOptions},
};

use super::{Scene, size, worlds};
use crate::support::stack::lines;

/// What goes wrong: each with the share of the requests that it strikes.
const FAULTS: &str = "429/1s=2.5%,429/1sdate=2.5%,500=3%,reset=1%,lost=2%,truncate=1%,slow300ms=2%";
/// Requests that were on their way when the answer with a `Retry-After` left may still arrive for so long.
const ON_THEIR_WAY: Duration = Duration::from_millis(150);
/// Applies in a row that it may take until all is well.
const APPLIES: usize = 6;

fn options(scene: &Scene) -> Options {
    Options {
        inputs: vec![scene.folder.path().display().to_string()],
        connections: vec![("main".into(), scene.sandbox.url(scene.world.api))],
        prune: true,
        max_deletes: Some(plumb::manifest::MaxDeletes::Percent(100.0)),
        keep_key: true,
        pace: Pace {
            first_delay: Duration::from_millis(20),
            longest_delay: Duration::from_millis(500),
            ..Pace::default()
        },
        ..Options::default()
    }
}

async fn apply(options: &Options) -> Result<Applied, plumb::failure::Failure> {
    let planned = pipeline::plan(options, Mode::Plan).await?;
    pipeline::apply(planned, options).await
}

fn is_well(applied: &Applied) -> bool {
    let done = |outcome| matches!(outcome, Some(Outcome::Done | Outcome::Waiting));
    applied.document.actions.iter().all(|action| done(action.outcome))
        && applied.diagnostics.iter().all(|diagnostic| diagnostic.severity < Severity::Error)
}

/// Requests that came before the time that an earlier answer asked for.
fn too_early(log: &[LogEntry]) -> Vec<String> {
    let mut out = Vec::new();
    for asked in log.iter().filter(|entry| entry.not_before.is_some()) {
        let until = asked.not_before.unwrap();
        for entry in log {
            let after = entry.at.duration_since(asked.answered);
            if after > jiff::SignedDuration::try_from(ON_THEIR_WAY).unwrap() && entry.at < until {
                let early = until.duration_since(entry.at);
                out.push(format!("{} {} came {early:?} too early", entry.method, entry.path));
            }
        }
    }
    out
}

/// `FAULT_RUNS` runs for each API over `FAULT_OBJECTS` objects: made, changed and thinned out.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_in_every_way_ends_up_as_declared() {
    let (runs, objects, seed) = (size("FAULT_RUNS", 2), size("FAULT_OBJECTS", 24), size("FAULT_SEED", 1) as u64);
    println!("seed of the faults: {seed}");
    for world in worlds() {
        let start = Instant::now();
        let calm = Scene::start(world, SandboxOptions::default()).await;
        let (mut usual, mut counts) = (0, Vec::new());
        for changed in [false, true] {
            calm.declare(objects, changed);
            let applied = apply(&options(&calm)).await.unwrap();
            assert!(is_well(&applied), "{}: {:?}", world.api, lines(&applied.document));
            calm.sandbox.flush();
            counts.push(calm.counts());
        }
        usual += calm.sandbox.log().len();
        let (mut extra, mut faults, mut applies, mut waits) = (0, 0, 0, 0);
        for run in 0..runs {
            let order = SandboxOptions {
                faults: FAULTS.parse().unwrap(),
                rng_seed: seed + run as u64,
                ..SandboxOptions::default()
            };
            let scene = Scene::start(world, order).await;
            for (phase, changed) in [false, true].into_iter().enumerate() {
                scene.declare(objects, changed);
                let mut trouble = Vec::new();
                for _ in 0..APPLIES {
                    applies += 1;
                    let before = trouble.len();
                    match apply(&options(&scene)).await {
                        Ok(applied) if is_well(&applied) => {
                            trouble.clear();
                            break;
                        }
                        Ok(applied) => {
                            let errors = applied.document.actions.iter().filter_map(|action| action.error.clone());
                            trouble.push(errors.collect::<Vec<_>>().join("; "));
                            trouble.extend(applied.diagnostics.iter().map(|diagnostic| diagnostic.message.clone()));
                        }
                        Err(failure) => trouble.push(failure.message),
                    }
                    for told in trouble.iter().skip(before) {
                        println!("{}, run {run}, not at once: {told}", world.api);
                    }
                }
                assert!(trouble.is_empty(), "{}, run {run}: {trouble:#?}", world.api);
                scene.sandbox.flush();
                assert_eq!(scene.counts(), counts[phase], "{}, run {run}, phase {phase}", world.api);
            }
            let log = scene.sandbox.log();
            let early = too_early(&log);
            assert!(early.is_empty(), "{}, run {run}: {early:#?}", world.api);
            extra += log.len().saturating_sub(usual);
            faults += log.iter().filter(|entry| entry.fault.is_some()).count();
            waits += log.iter().filter(|entry| entry.not_before.is_some()).count();
            scene.sandbox.set_faults(plumb::sandbox::Faults::default());
            let planned = pipeline::plan(&options(&scene), Mode::Plan).await.unwrap();
            assert_eq!(lines(&planned.document), Vec::<String>::new(), "{}, run {run}", world.api);
        }
        println!(
            "{}: {runs} runs of {usual} requests each, {faults} faults, {waits} waits asked for and kept, {extra} extra \
             requests, {applies} applies for {} that were to be made, {:.0} s",
            world.api,
            runs * 2,
            start.elapsed().as_secs_f64()
        );
    }
}
