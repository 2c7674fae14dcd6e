//! One live object has one owner, also when two stacks want it at the same instant.

use plumb::inventory::Claim;

use super::*;

on_all! {
    remote:
    of_two_claims_one_is_refused
    only_one_of_many_at_once_gets_it
    claims_of_the_dead_go_with_their_lock
}

mod begun {
    use super::what_another_stack_began_to_create_is_known;
    use crate::inventory::on_all;

    on_all! { local and remote: what_another_stack_began_to_create_is_known }
}

async fn of(location: &Location, stack: &str) -> Inventory {
    let mut inventory = Inventory::open(location, stack).await.unwrap();
    inventory.lock("plumb apply").await.unwrap();
    inventory
}

fn claim(id: usize) -> Claim {
    Claim::new("https://api.example.com/", &format!("x/Org/o{id}"), &id.to_string())
}

async fn of_two_claims_one_is_refused(location: Location) {
    let (one, two) = (of(&location, "one").await, of(&location, "two").await);
    assert!(one.claim(&[claim(1), claim(2)]).await.unwrap().is_empty());
    assert!(one.claim(&[claim(2), claim(3)]).await.unwrap().is_empty(), "what is one's own may be claimed again");
    let taken = two.claim(&[claim(4), claim(3)]).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((&taken[0].0, taken[0].1.stack.as_str()), (&claim(3), "one"));
    assert!(one.claim(&[claim(4)]).await.unwrap().is_empty(), "a refused stack claims nothing");
    one.unclaim().await.unwrap();
    assert!(two.claim(&[claim(1), claim(2), claim(3), claim(4)]).await.unwrap().is_empty());
}

async fn only_one_of_many_at_once_gets_it(location: Location) {
    let mut stacks = Vec::new();
    for number in 0..6 {
        stacks.push(of(&location, &format!("stack-{number}")).await);
    }
    let claims: Vec<Vec<Claim>> =
        (0..6).map(|number| vec![claim(100 + number), claim(7), claim(200 + number)]).collect();
    let results = join_all(stacks.iter().zip(&claims).map(|(stack, claims)| stack.claim(claims))).await;
    let won = results.iter().filter(|result| result.as_ref().unwrap().is_empty()).count();
    assert_eq!(won, 1, "{results:?}");
}

/// Whoever takes the lock after a holder that died has fenced it, so that what it claimed is free.
async fn claims_of_the_dead_go_with_their_lock(location: Location) {
    let dead = {
        let mut inventory = Inventory::open(&location, "one").await.unwrap();
        let length = Duration::from_secs(1);
        inventory = inventory.with_lease(LeaseTimes { length, renewal: Duration::from_mins(10) });
        inventory.lock("plumb apply").await.unwrap();
        inventory
    };
    assert!(dead.claim(&[claim(1)]).await.unwrap().is_empty());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let two = of(&location, "two").await;
    assert_eq!(two.claim(&[claim(1)]).await.unwrap().len(), 1, "it may still write: nobody has fenced it");
    Inventory::break_lock(&location, "one").await.unwrap();
    assert!(two.claim(&[claim(1)]).await.unwrap().is_empty());
    assert!(dead.commit(vec![put(1)]).await.is_err(), "it cannot come to own what it claimed");
}

async fn what_another_stack_began_to_create_is_known(location: Location) {
    let mut one = of(&location, "one").await;
    let account = Account { url: "https://api.example.com".into(), identity: None };
    one.commit(vec![Edit::Account("happyfrog".into(), account), begin("1")]).await.unwrap();
    let owners = Inventory::owners(&location).await.unwrap();
    let url = "https://api.example.com/";
    let begun: Vec<_> = owners.begun_by_others("two", "x/Org/b", url).collect();
    assert_eq!((begun.len(), begun[0].owner.address.as_str()), (1, "x/Org/a"));
    assert_eq!(begun[0].sent, *json!({"name": "A"}).as_object().unwrap());
    assert_eq!(owners.begun_by_others("one", "x/Org/b", url).count(), 0);
    assert_eq!(owners.begun_by_others("two", "x/Other/b", url).count(), 0);
    one.commit(vec![Edit::End("1".into())]).await.unwrap();
    one.unlock().await;
    let owners = Inventory::owners(&location).await.unwrap();
    assert_eq!(owners.begun_by_others("two", "x/Org/b", url).count(), 0);
}
