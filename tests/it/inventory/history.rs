//! What runs did is kept as long as the retention says, on every kind of inventory.

use plumb::inventory::{Change, End, FieldChange, Run, Sent};

use super::*;

on_all! {
    local and remote:
    what_a_run_did_is_there_again_in_order
    a_run_that_was_cut_off_has_what_it_began
    dropped_runs_leave_nothing
}

fn change(id: usize) -> Change {
    Change {
        address: format!("x/Org/o{id}"),
        action: "update".into(),
        reason: "changed".into(),
        connection: "happyfrog".into(),
        kind: "Org".into(),
        id: Some(id.to_string()),
        before: json!({"z": 1, "a": {"$secret": "5f"}}).as_object().cloned(),
        withheld: vec!["/a".into()],
        fields: vec![FieldChange {
            path: "/z".into(),
            op: "replace".into(),
            before: Some(json!(1)),
            after: Some(json!(2)),
            sensitive: false,
        }],
        record: Some(record(id)),
        ..Change::default()
    }
}

fn end(id: usize) -> End {
    let sent =
        Sent { method: "PATCH".into(), path: format!("/orgs/{id}"), status: Some(200), request_id: Some("r".into()) };
    End { outcome: "done".into(), id: Some(id.to_string()), requests: vec![sent], ..End::default() }
}

fn run(ended: bool) -> Run {
    Run {
        at: "2026-11-25T00:00:00Z".into(),
        ended: ended.then(|| "2026-11-25T00:01:00Z".into()),
        who: "jane@laptop".into(),
        command: "apply".into(),
        revision: Some("abc".into()),
        ..Run::default()
    }
}

fn keep(run: &str, number: u32) -> Edit {
    Edit::Keep(run.into(), number, Box::new(change(number as usize)))
}

fn kept(run: &str, number: u32) -> Edit {
    Edit::Kept(run.into(), number, Box::new(end(number as usize)))
}

/// A run of two waves; its answers come in another order than its calls.
async fn two_waves(inventory: &Inventory, id: &str) {
    inventory.commit(vec![Edit::Run(id.into(), Box::new(run(false)))]).await.unwrap();
    inventory.commit(vec![begin("1"), keep(id, 2), keep(id, 1)]).await.unwrap();
    inventory.commit(vec![Edit::End("1".into()), kept(id, 2)]).await.unwrap();
    inventory.commit(vec![kept(id, 1), keep(id, 3)]).await.unwrap();
}

async fn what_a_run_did_is_there_again_in_order(location: Location) {
    let mut inventory = locked(&location).await;
    two_waves(&inventory, "20261125-000000-aaaa").await;
    let last = Edit::Run("20261125-000000-aaaa".into(), Box::new(run(true)));
    inventory.commit(vec![kept("20261125-000000-aaaa", 3), last]).await.unwrap();
    two_waves(&inventory, "20261125-000000-bbbb").await;
    inventory.unlock().await;
    let inventory = open(&location).await;
    assert_eq!(inventory.state().runs["20261125-000000-aaaa"], run(true));
    let expected: Vec<Change> = (1..=3).map(|id| Change { end: Some(end(id)), ..change(id) }).collect();
    assert_eq!(inventory.changes("20261125-000000-aaaa").await.unwrap(), expected);
    assert_eq!(inventory.changes("20261125-000000-bbbb").await.unwrap().len(), 3, "runs are apart");
    assert!(inventory.changes("20261125-000000-cccc").await.unwrap().is_empty());
    let other = Inventory::open(&location, "other").await.unwrap();
    assert!(other.changes("20261125-000000-aaaa").await.unwrap().is_empty(), "stacks are apart");
}

async fn a_run_that_was_cut_off_has_what_it_began(location: Location) {
    let mut inventory = locked(&location).await;
    two_waves(&inventory, "20261125-000000-aaaa").await;
    inventory.unlock().await;
    let inventory = open(&location).await;
    assert_eq!(inventory.state().runs["20261125-000000-aaaa"].ended, None);
    let found = inventory.changes("20261125-000000-aaaa").await.unwrap();
    let addresses: Vec<&str> = found.iter().map(|change| change.address.as_str()).collect();
    assert_eq!(addresses, ["x/Org/o1", "x/Org/o2", "x/Org/o3"]);
    assert_eq!(found[0].before, change(1).before);
    assert_eq!(found[2].end, None);
}

async fn dropped_runs_leave_nothing(location: Location) {
    let mut inventory = locked(&location).await;
    for id in ["20261125-000000-aaaa", "20261125-000000-bbbb"] {
        two_waves(&inventory, id).await;
    }
    inventory.unlock().await;
    inventory.lock("plumb apply").await.unwrap();
    inventory.commit(vec![Edit::DropRun("20261125-000000-aaaa".into())]).await.unwrap();
    inventory.unlock().await;
    let inventory = open(&location).await;
    assert_eq!(inventory.state().runs.keys().collect::<Vec<_>>(), ["20261125-000000-bbbb"]);
    assert!(inventory.changes("20261125-000000-aaaa").await.unwrap().is_empty());
    assert_eq!(inventory.changes("20261125-000000-bbbb").await.unwrap().len(), 3);
}
