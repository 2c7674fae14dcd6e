//! PostgreSQL: what only a database can do wrong.

use super::*;
use crate::support::postgres::{self, PASSWORD};

fn at(url: &str) -> Location {
    Location::parse(Some(url), Path::new(".")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_network_the_servers_certificate_is_verified() {
    let Some(server) = postgres::shared() else { return };
    let root = server.folder.path().join("ca.pem").display().to_string();
    let trusted = at(&server.network_url("localhost", &format!("sslmode=verify-full&sslrootcert={root}")));
    let mut inventory = locked(&trusted).await;
    inventory.commit(vec![put(1)]).await.unwrap();
    inventory.unlock().await;
    assert!(!format!("{trusted:?} {trusted}").contains(PASSWORD));
    let sql = "SELECT count(*) FROM pg_stat_ssl WHERE ssl";
    let _open = locked(&trusted).await;
    assert!(server.sql("postgres", sql).parse::<u32>().unwrap() > 0, "the connections are encrypted");

    for (host, query, why) in [
        ("localhost", "sslmode=require".to_owned(), "certificate"),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), "certificate"),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}.none"), "cannot be read"),
    ] {
        let refused = Inventory::open(&at(&server.network_url(host, &query)), "default").await.unwrap_err();
        let told = refused.diagnostic();
        assert_eq!(told.code, "PL0805");
        assert!(told.message.to_lowercase().contains(why), "{told:?}");
        assert!(!format!("{told:?}").contains(PASSWORD));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_without_it() {
    let Some(server) = postgres::shared() else { return };
    let url = server.network_url("127.0.0.1", "").replace(PASSWORD, "hunter2-hunter2");
    let refused = Inventory::open(&at(&url), "default").await.unwrap_err();
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
    assert!(!format!("{refused:?}").contains("hunter2"));
}

/// The server ends connections under a writer; what was under way is done once.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_outlives_its_connection() {
    let Some(url) = postgres::url() else { return };
    let location = at(&url);
    let database = url.rsplit('/').next().unwrap().to_owned();
    let mut inventory = locked(&location).await;
    let kill = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    );
    for id in 0..20 {
        let server = postgres::shared().unwrap();
        let (database, kill) = (database.clone(), kill.clone());
        let killer = tokio::task::spawn_blocking(move || server.sql(&database, &kill));
        inventory.commit(vec![put(id)]).await.unwrap();
        killer.await.unwrap();
        inventory.commit(vec![put(100 + id)]).await.unwrap();
    }
    let shown = inventory.state().clone();
    inventory.unlock().await;
    assert_eq!((shown.serial, shown.objects.len()), (40, 40));
    assert_eq!(read(&location).await, shown);
}

/// The lease is the server's: no clock of a machine has to be right, and nobody who lost it writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_lasts_by_the_servers_clock() {
    let Some(url) = postgres::url() else { return };
    let location = at(&url);
    let database = url.rsplit('/').next().unwrap().to_owned();
    let holder = locked(&location).await;
    let server = postgres::shared().unwrap();
    let end = server.sql(&database, "SELECT expires - clock_timestamp() BETWEEN '50 s' AND '60 s' FROM plumb_leases");
    assert_eq!(end, "t");
    server.sql(&database, "UPDATE plumb_leases SET expires = clock_timestamp() - interval '1 ms'");
    let next = locked(&location).await;
    let refused = holder.commit(vec![put(1)]).await.unwrap_err();
    assert!(matches!(refused, InventoryError::Lost { .. }), "{refused}");
    next.commit(vec![put(2)]).await.unwrap();
    assert_eq!(read(&location).await.objects.keys().collect::<Vec<_>>(), ["x/Org/o2"]);
}
