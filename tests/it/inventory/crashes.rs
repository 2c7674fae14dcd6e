//! Writers that are killed in the midst of many commits: what was said to be durable is there, once, and of the rest each
//! commit is there whole or not at all.

use super::*;

on_all! {
    local and remote:
    a_writer_that_is_killed_amid_commits_has_lost_none
    a_run_that_is_killed_has_its_history
}

async fn a_writer_that_is_killed_amid_commits_has_lost_none(location: Location) {
    let commits = fastrand::usize(3..60);
    let (mut child, lines) = start(&location, "inventory::crashes::commits_until_killed");
    let told = told(lines, "durable ", commits);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = read(&location).await;
    assert!(told.is_subset(&numbers(&before)), "{told:?} of {:?}", numbers(&before));
    if location.is_remote() {
        tokio::time::sleep(CHILD_LEASE).await;
    }
    let mut inventory = locked(&location).await;
    let state = inventory.state().clone();
    let found = numbers(&state);
    assert!(told.is_subset(&found), "{told:?} of {found:?}");
    assert_eq!(found, (0..found.len()).collect(), "no commit without those before it");
    assert_eq!(state.intents.len(), found.len(), "each commit is whole");
    assert_eq!(state.serial, found.len() as u64);
    let edits = found.iter().flat_map(|id| [Edit::Remove(format!("x/Org/o{id}")), Edit::End(id.to_string())]);
    inventory.commit(edits.collect()).await.unwrap();
    inventory.unlock().await;
    let state = read(&location).await;
    assert!(state.objects.is_empty() && state.intents.is_empty());
}

/// The numbers that a child says after a word, of which it has to say some.
fn told(lines: impl Iterator<Item = std::io::Result<String>>, word: &str, count: usize) -> BTreeSet<usize> {
    let numbers = lines.map_while(Result::ok).filter_map(|line| line.rsplit_once(word)?.1.parse().ok());
    let told: BTreeSet<usize> = numbers.take(count).collect();
    assert_eq!(told.len(), count, "the child worked");
    told
}

#[tokio::test]
#[ignore = "the process that a test kills"]
async fn commits_until_killed() {
    let inventory = held_by_child().await;
    for number in 0..10_000 {
        inventory.commit(vec![long(number), begin(&number.to_string())]).await.unwrap();
        println!("durable {number}");
    }
    panic!("nobody killed this process");
}

async fn a_run_that_is_killed_has_its_history(location: Location) {
    let (mut child, lines) = start(&location, "inventory::crashes::keeps_until_killed");
    let told = told(lines, "kept ", 30);
    child.kill().unwrap();
    child.wait().unwrap();
    let found = open(&location).await.changes("20261125-000000-aaaa").await.unwrap();
    assert!(found.len() >= told.len(), "{} of {}", found.len(), told.len());
    if location.is_remote() {
        tokio::time::sleep(CHILD_LEASE).await;
    }
    let mut inventory = locked(&location).await;
    let after = inventory.changes("20261125-000000-aaaa").await.unwrap();
    assert!(after.len() >= found.len(), "whoever comes next loses nothing: {} of {}", after.len(), found.len());
    for (number, change) in after.iter().enumerate() {
        assert_eq!(change.address, format!("x/Org/o{number}"));
        assert!(change.end.is_some() || number + 1 == after.len(), "what came of {number} was durable before the next");
    }
    inventory.unlock().await;
    assert_eq!(inventory.changes("20261125-000000-aaaa").await.unwrap(), after);
}

#[tokio::test]
#[ignore = "the process that a test kills"]
async fn keeps_until_killed() {
    let (run, inventory) = ("20261125-000000-aaaa", held_by_child().await);
    let head = plumb::inventory::Run { at: "2026-11-25T00:00:00Z".into(), ..Default::default() };
    inventory.commit(vec![Edit::Run(run.into(), Box::new(head))]).await.unwrap();
    for number in 0..10_000_u32 {
        let Edit::Put(address, record) = long(number as usize) else { panic!() };
        let change = plumb::inventory::Change { address, before: Some(record.applied), ..Default::default() };
        inventory.commit(vec![Edit::Keep(run.into(), number, Box::new(change))]).await.unwrap();
        println!("kept {number}");
        let end = plumb::inventory::End { outcome: "done".into(), ..Default::default() };
        inventory.commit(vec![Edit::Kept(run.into(), number, Box::new(end))]).await.unwrap();
    }
    panic!("nobody killed this process");
}
