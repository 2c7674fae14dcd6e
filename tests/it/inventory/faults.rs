//! Stores that do wrong what a real one may do wrong.

use super::*;
use crate::support::{
    api_server::ApiServer,
    faulty_s3::{Faults, FaultyS3},
};

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused() {
    let (_store, location) = FaultyS3::serve(Faults { ignore_conditions: true, ..Faults::default() }).await;
    let refused = open(&location).await.lock("plumb apply").await.unwrap_err();
    assert!(matches!(refused, InventoryError::Unconditional(_)), "{refused}");
    assert_eq!(refused.diagnostic().code, "PL0808");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_counts_once() {
    let (store, location) = FaultyS3::serve(Faults::default()).await;
    let mut inventory = locked(&location).await;
    for id in 0..3 {
        store.now(Faults { lose_answers: 1, ..Faults::default() });
        inventory.commit(vec![put(id)]).await.unwrap();
    }
    inventory.unlock().await;
    let state = read(&location).await;
    assert_eq!((state.objects.len(), state.serial), (3, 3));
}

#[tokio::test]
async fn a_refused_write_leaves_the_record_as_it_was_and_the_next_one_works() {
    let (store, location) = FaultyS3::serve(Faults::default()).await;
    let inventory = locked(&location).await;
    inventory.commit(vec![put(1)]).await.unwrap();
    store.now(Faults { refuse: 100, ..Faults::default() });
    let refused = inventory.commit(vec![put(2)]).await.unwrap_err();
    assert_eq!(refused.diagnostic().code, "PL0806", "{refused}");
    assert!(!inventory.state().objects.contains_key("x/Org/o2"));
    store.now(Faults::default());
    inventory.commit(vec![put(3)]).await.unwrap();
    assert_eq!(read(&location).await.objects.keys().collect::<Vec<_>>(), ["x/Org/o1", "x/Org/o3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_kubernetes_that_was_lost_counts_once() {
    for form in [plumb::inventory::Form::Secret, plumb::inventory::Form::ConfigMap] {
        let (server, location) = ApiServer::serve(form);
        let mut inventory = locked(&location).await;
        for id in 0..3 {
            server.lose_answers(1);
            inventory.commit(vec![put(id)]).await.unwrap();
        }
        inventory.unlock().await;
        let state = read(&location).await;
        assert_eq!((state.objects.len(), state.serial), (3, 3));
    }
}

/// What does not fit into one object of Kubernetes goes into several, and those of earlier writes go.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_record_goes_into_several_objects() {
    let (server, location) = ApiServer::serve(plumb::inventory::Form::Secret);
    let mut inventory = locked(&location).await;
    let mut random = fastrand::Rng::with_seed(7);
    let long = |random: &mut fastrand::Rng, id: usize| {
        let noise: String = (0..4000).map(|_| random.alphanumeric()).collect();
        let mut record = record(id);
        record.applied.insert("noise".into(), json!(noise));
        Edit::Put(format!("x/Org/o{id}"), Box::new(record))
    };
    for wave in 0..3 {
        let edits = (0..700).map(|id| long(&mut random, wave * 700 + id)).collect();
        inventory.commit(edits).await.unwrap();
        assert_eq!(read(&location).await, *inventory.state());
    }
    let calls = server.calls();
    inventory.commit(vec![put(1)]).await.unwrap();
    assert_eq!(server.calls() - calls, 1, "a small commit is one call, however long the record is");
    inventory.unlock().await;
    let names = server.names();
    let parts = names.iter().filter(|name| name.starts_with("plumb.default.") && !name.ends_with("lock")).count();
    assert!((5..12).contains(&parts), "only the parts of the last write are left, of 8 MB: {parts}");
    assert!(!names.iter().any(|name| name.contains("journal")), "what is in the record is in no journal: {names:?}");
    inventory.lock("plumb apply").await.unwrap();
    let edits = (0..2100).map(|id| Edit::Remove(format!("x/Org/o{id}"))).collect();
    inventory.commit(edits).await.unwrap();
    inventory.unlock().await;
    assert!(read(&location).await.objects.is_empty());
}
