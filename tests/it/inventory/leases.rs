//! The lease of a remote inventory: who holds it, who lost it, and what they may write.

use super::*;

on_all! {
    remote:
    a_holder_that_does_not_renew_is_followed_and_then_refused
    a_holder_that_renews_keeps_it
    one_that_was_lifted_is_lost_to_its_holder_and_free_for_others
}

const SHORT: Duration = Duration::from_secs(1);

fn times(length: Duration, renewal: Duration) -> LeaseTimes {
    LeaseTimes { length, renewal }
}

async fn held(location: &Location, times: LeaseTimes) -> Inventory {
    let mut inventory = open(location).await.with_lease(times);
    inventory.lock("plumb apply").await.unwrap();
    inventory
}

async fn a_holder_that_does_not_renew_is_followed_and_then_refused(location: Location) {
    let late = held(&location, times(SHORT, Duration::from_mins(10))).await;
    late.commit(vec![begin("1")]).await.unwrap();
    let until = late.safe_until().unwrap();
    assert!(until > Instant::now() && until <= Instant::now() + SHORT);

    tokio::time::sleep(SHORT + Duration::from_millis(10)).await;
    let next = held(&location, LeaseTimes::default()).await;
    assert!(next.state().intents.contains_key("1"));
    assert!(late.safe_until().unwrap() <= Instant::now());

    let refused = late.commit(vec![put(1), Edit::End("1".into())]).await.unwrap_err();
    assert!(matches!(refused, InventoryError::Lost { .. }), "{refused}");
    assert_eq!(refused.diagnostic().code, "PL0807");
    next.commit(vec![put(2)]).await.unwrap();
    let state = read(&location).await;
    assert_eq!(state.objects.keys().collect::<Vec<_>>(), ["x/Org/o2"]);
    assert!(state.intents.contains_key("1"), "what the stale holder began is still to be looked up");
}

async fn a_holder_that_renews_keeps_it(location: Location) {
    let holder = held(&location, times(SHORT * 3, SHORT / 4)).await;
    let first = holder.safe_until().unwrap();
    tokio::time::sleep(SHORT * 4).await;
    assert!(holder.safe_until().unwrap() > first);
    let refused = open(&location).await.lock("plumb apply").await;
    assert!(matches!(refused, Err(InventoryError::Locked { .. })), "{refused:?}");
    holder.commit(vec![put(1)]).await.unwrap();
}

async fn one_that_was_lifted_is_lost_to_its_holder_and_free_for_others(location: Location) {
    let holder = held(&location, times(SHORT * 10, SHORT / 10)).await;
    let lifted = Inventory::break_lock(&location, "default").await.unwrap().unwrap();
    assert_eq!(lifted.pid, std::process::id());
    let deadline = Instant::now() + SHORT * 10;
    while holder.safe_until().unwrap() > Instant::now() {
        assert!(Instant::now() < deadline, "the holder learns of it when it renews");
        tokio::time::sleep(SHORT / 20).await;
    }
    let refused = holder.commit(vec![put(1)]).await.unwrap_err();
    assert!(matches!(refused, InventoryError::Lost { .. }), "{refused}");
    held(&location, LeaseTimes::default()).await;
    assert!(read(&location).await.objects.is_empty());
}

#[tokio::test]
async fn a_local_inventory_has_none() {
    let (_folder, location) = local();
    assert_eq!(locked(&location).await.safe_until(), None);
}
