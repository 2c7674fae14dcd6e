//! Writers whose connection breaks, or who are overtaken, in the midst of many commits.

use super::*;
use crate::support::cut;

on_all! {
    remote:
    what_was_under_way_when_the_connection_broke_is_done_once
    an_outage_loses_nothing
    one_that_is_overtaken_amid_commits_has_lost_none
    whoever_lost_the_lock_stays_out_for_good
}

async fn what_was_under_way_when_the_connection_broke_is_done_once(location: Location) {
    let (way, through, direct) = cut::through(&location);
    let mut inventory = locked(&through).await;
    for id in 0..30 {
        let cutting = async {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..4000))).await;
            way.sever();
        };
        let edits = vec![long(id), begin(&id.to_string())];
        let (committed, ()) = tokio::join!(inventory.commit(edits), cutting);
        committed.unwrap();
    }
    let shown = inventory.state().clone();
    assert_eq!((shown.objects.len(), shown.serial), (30, 30));
    assert_eq!(read(&direct).await, shown);
    inventory.unlock().await;
    assert_eq!(read(&direct).await, shown);
}

async fn an_outage_loses_nothing(location: Location) {
    let (way, through, direct) = cut::through(&location);
    let mut inventory = locked(&through).await;
    inventory.commit(vec![put(1)]).await.unwrap();
    way.close(true);
    let (during, ()) = tokio::join!(inventory.commit(vec![put(2)]), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        way.close(false);
    });
    // A commit that waited is there; one that was given up is told, and the next one works.
    let shown = inventory.state().clone();
    assert_eq!(shown.objects.contains_key("x/Org/o2"), during.is_ok(), "{during:?}");
    inventory.commit(vec![put(3)]).await.unwrap();
    inventory.commit(vec![put(4)]).await.unwrap();
    let shown = inventory.state().clone();
    assert_eq!(read(&direct).await, shown);
    inventory.unlock().await;
    assert_eq!(read(&direct).await, shown);
    assert!(inventory.lock("plumb apply").await.is_ok(), "the lock was given back");
}

/// A holder that is too slow to renew works on while another takes the lock.
async fn one_that_is_overtaken_amid_commits_has_lost_none(location: Location) {
    let length = Duration::from_millis(1500);
    let mut slow = open(&location).await.with_lease(LeaseTimes { length, renewal: Duration::from_mins(10) });
    slow.lock("plumb apply").await.unwrap();
    let working = async {
        let mut durable = BTreeSet::new();
        for id in 0.. {
            match slow.commit(vec![long(id)]).await {
                Ok(()) => durable.insert(id),
                Err(error) => {
                    assert!(matches!(error, InventoryError::Lost { .. }), "{error}");
                    break;
                }
            };
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        durable
    };
    let taking = async {
        let mut next = open(&location).await;
        let deadline = Instant::now() + Duration::from_mins(1);
        while let Err(error) = next.lock("plumb destroy").await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        next.commit(vec![put(1_000_000)]).await.unwrap();
        next
    };
    let (durable, mut next) = tokio::join!(working, taking);
    assert!(!durable.is_empty());
    assert!(slow.commit(vec![put(2_000_000)]).await.is_err());
    let found = numbers(&read(&location).await);
    assert!(durable.is_subset(&found), "what was durable is there: {durable:?} of {found:?}");
    assert_eq!(found.len(), durable.len() + 1, "and nothing that was refused");
    next.unlock().await;
    assert_eq!(numbers(&read(&location).await), found);
}

/// Its lock was lifted by hand, and it does not know; others came and went.
async fn whoever_lost_the_lock_stays_out_for_good(location: Location) {
    let times = LeaseTimes { length: Duration::from_mins(10), renewal: Duration::from_mins(10) };
    let mut stale = open(&location).await.with_lease(times);
    stale.lock("plumb apply").await.unwrap();
    stale.commit(vec![put(1)]).await.unwrap();
    stale.commit(vec![put(2)]).await.unwrap();
    Inventory::break_lock(&location, "default").await.unwrap();
    for id in [3, 4] {
        let mut next = locked(&location).await;
        next.commit(vec![put(id)]).await.unwrap();
        next.commit(vec![long(id)]).await.unwrap();
        next.unlock().await;
    }
    for _ in 0..3 {
        let refused = stale.commit(vec![put(5)]).await.unwrap_err();
        assert!(matches!(refused, InventoryError::Lost { .. }), "{refused}");
    }
    stale.unlock().await;
    assert_eq!(numbers(&read(&location).await), [1, 2, 3, 4].into());
}
