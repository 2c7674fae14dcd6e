//! Records of older and newer versions: an older one is read, and brought up by the next writer; a newer one is refused.

use ::object_store::{
    ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, path,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use plumb::inventory::Run;
use serde_json::Value;

use super::*;
use crate::support::postgres;

on_all! { @one sqlite, Some(crate::inventory::local()), an_older_record_is_brought_up a_newer_record_is_refused_and_left_alone }
on_all! { @one bucket, crate::support::s3::location().map(|at| ((), at)), an_older_record_is_brought_up a_newer_record_is_refused_and_left_alone }
on_all! { @one azure, crate::support::azure::location().map(|at| ((), at)), an_older_record_is_brought_up a_newer_record_is_refused_and_left_alone }
on_all! { @one google_stand_in, Some(((), crate::support::google::location())), an_older_record_is_brought_up a_newer_record_is_refused_and_left_alone }
on_all! { @one postgres_server, crate::support::postgres::location().map(|at| ((), at)), an_older_record_is_brought_up a_newer_record_is_refused_and_left_alone }
on_all! { @one kubernetes, crate::inventory::cluster(plumb::inventory::Form::Secret), an_older_record_is_brought_up a_newer_record_is_refused_and_left_alone }

/// The tables of version 1 of a local inventory, with a row.
const SQLITE_1: &str = "
    CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
    INSERT INTO meta VALUES ('schema_version', '1');
    CREATE TABLE stacks (
        name TEXT NOT NULL PRIMARY KEY, serial INTEGER NOT NULL DEFAULT 0, roots TEXT NOT NULL DEFAULT '[]'
    );
    CREATE TABLE objects (
        stack TEXT NOT NULL, address TEXT NOT NULL, record TEXT NOT NULL,
        connection TEXT AS (json_extract(record, '$.connection')), id TEXT AS (json_extract(record, '$.id')),
        key TEXT AS (json_extract(record, '$.key')), at TEXT AS (json_extract(record, '$.at')),
        PRIMARY KEY (stack, address)
    ) WITHOUT ROWID;
    CREATE TABLE intents (
        stack TEXT NOT NULL, intent TEXT NOT NULL, begun TEXT NOT NULL,
        address TEXT AS (json_extract(begun, '$.address')), verb TEXT AS (json_extract(begun, '$.verb')),
        at TEXT AS (json_extract(begun, '$.at')),
        PRIMARY KEY (stack, intent)
    ) WITHOUT ROWID;
    CREATE TABLE tombstones (
        stack TEXT NOT NULL, address TEXT NOT NULL, tombstone TEXT NOT NULL, PRIMARY KEY (stack, address)
    ) WITHOUT ROWID;
    CREATE TABLE accounts (
        stack TEXT NOT NULL, connection TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (stack, connection)
    ) WITHOUT ROWID;
    INSERT INTO stacks VALUES ('default', 5, '[\"a\"]');
";

/// The same of PostgreSQL.
const POSTGRES_1: &str = "
    CREATE TABLE plumb_meta (name text PRIMARY KEY, value text NOT NULL);
    INSERT INTO plumb_meta VALUES ('schema_version', '1');
    CREATE TABLE plumb_stacks (
        stack text PRIMARY KEY, serial bigint NOT NULL DEFAULT 0, roots text NOT NULL DEFAULT '[]'
    );
    CREATE TABLE plumb_leases (
        stack text PRIMARY KEY, session text NOT NULL, holder text NOT NULL, expires timestamptz NOT NULL,
        released boolean NOT NULL
    );
    CREATE TABLE plumb_objects (
        stack text NOT NULL, name text NOT NULL, value text NOT NULL, connection text NOT NULL, id text NOT NULL,
        PRIMARY KEY (stack, name)
    );
    CREATE TABLE plumb_intents (stack text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (stack, name));
    CREATE TABLE plumb_tombstones (stack text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (stack, name));
    CREATE TABLE plumb_accounts (stack text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (stack, name));
    INSERT INTO plumb_stacks VALUES ('default', 5, '[\"a\"]');
";

async fn an_older_record_is_brought_up(location: Location) {
    let record = json!({"connection": "c", "id": "7", "applied": {"name": "A"}, "key": "A", "adopted": true,
        "dependsOn": [], "at": "2026-01-01T00:00:00Z"});
    match &location {
        Location::Sqlite(path) => {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let old = rusqlite::Connection::open(path).unwrap();
            old.execute_batch(SQLITE_1).unwrap();
            let sql = "INSERT INTO objects (stack, address, record) VALUES ('default', 'x/Org/a', ?1)";
            old.execute(sql, [record.to_string()]).unwrap();
        }
        Location::Postgres(url) => {
            let database = database(&url.to_string());
            let server = postgres::shared().unwrap();
            server.sql(&database, POSTGRES_1);
            let insert = format!("INSERT INTO plumb_objects VALUES ('default', 'x/Org/a', '{record}', 'c', '7')");
            server.sql(&database, &insert);
        }
        _ => {
            let state = json!({"serial": 5, "objects": {"x/Org/a": record}, "intents": {}, "tombstones": {},
                "roots": ["a"], "accounts": {}});
            let old = json!({"schemaVersion": 1, "stack": "default", "session": "0", "write": 3, "state": state});
            replace(&location, &old).await;
        }
    }
    let before = read(&location).await;
    assert_eq!((before.serial, before.objects["x/Org/a"].id.as_str()), (5, "7"), "it is read without a change");
    let mut inventory = locked(&location).await;
    assert_eq!(*inventory.state(), before, "nothing is lost");
    let run = Run { who: "me".into(), ..Run::default() };
    inventory.commit(vec![put(1), Edit::Run("r".into(), Box::new(run))]).await.unwrap();
    inventory.unlock().await;
    let after = read(&location).await;
    assert_eq!((after.serial, after.objects.len(), after.runs.len()), (6, 2, 1));
}

async fn a_newer_record_is_refused_and_left_alone(location: Location) {
    let mut inventory = locked(&location).await;
    inventory.commit(vec![put(1)]).await.unwrap();
    inventory.unlock().await;
    match &location {
        Location::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'", []).unwrap();
        }
        Location::Postgres(url) => {
            let sql = "UPDATE plumb_meta SET value = '99' WHERE name = 'schema_version'";
            postgres::shared().unwrap().sql(&database(&url.to_string()), sql);
        }
        _ => {
            let mut stored = document(&location).await;
            assert_eq!(stored["schemaVersion"], 2);
            stored["schemaVersion"] = json!(99);
            replace(&location, &stored).await;
        }
    }
    let error = Inventory::open(&location, "default").await.unwrap_err();
    assert!(matches!(error, InventoryError::TooNew { found: 99, .. }), "{error}");
    let told = error.diagnostic();
    assert_eq!(told.code, "PL0804");
    assert!(told.message.contains("schema version 99") && told.message.contains("up to 2"), "{told:?}");
    for _ in 0..2 {
        // The second refusal is for the same reason: the first gave back the lock.
        let error = inventory.lock("plumb apply").await.unwrap_err();
        assert!(matches!(error, InventoryError::TooNew { .. }), "{error}");
    }
}

fn database(url: &str) -> String {
    url.rsplit('/').next().unwrap().to_owned()
}

fn store(location: &Location) -> (Box<dyn ObjectStore>, path::Path) {
    match location {
        Location::S3 { bucket, prefix, settings } => {
            let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_allow_http(true);
            for (name, value) in &settings.0 {
                builder = builder.with_config(name.parse().unwrap(), value);
            }
            (Box::new(builder.build().unwrap()), path::Path::from(format!("{prefix}/default.json")))
        }
        Location::Gs { bucket, prefix, settings } => {
            let plain = ::object_store::ClientOptions::new().with_allow_http(true);
            let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_client_options(plain);
            for (name, value) in &settings.0 {
                builder = builder.with_config(name.parse().unwrap(), value);
            }
            (Box::new(builder.build().unwrap()), path::Path::from(format!("{prefix}/default.json")))
        }
        Location::Az { container, prefix, settings } => {
            let mut builder = MicrosoftAzureBuilder::new().with_container_name(container).with_allow_http(true);
            for (name, value) in &settings.0 {
                builder = builder.with_config(name.parse().unwrap(), value);
            }
            (Box::new(builder.build().unwrap()), path::Path::from(format!("{prefix}/default.json")))
        }
        _ => panic!("{location} is no object store"),
    }
}

/// The record of the stack `default`, as it lies in the store.
async fn document(location: &Location) -> Value {
    if let Location::Kubernetes(place) = location {
        let cluster = crate::support::cluster::Cluster::shared().unwrap();
        let secret = cluster.get(&place.namespace, "secret/plumb.default").unwrap();
        let packed = STANDARD.decode(secret["data"]["document"].as_str().unwrap()).unwrap();
        return serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).unwrap();
    }
    let (store, path) = store(location);
    serde_json::from_slice(&store.get(&path).await.unwrap().bytes().await.unwrap()).unwrap()
}

async fn replace(location: &Location, stored: &Value) {
    if let Location::Kubernetes(place) = location {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut packed, stored).unwrap();
        let data = STANDARD.encode(packed.finish().unwrap());
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "plumb.dev/inventory",
            "metadata": {"name": "plumb.default", "namespace": place.namespace,
                "labels": {"plumb.dev/inventory": "plumb"}, "annotations": {"plumb.dev/document": "default.json"}},
            "data": {"document": data}});
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.json");
        std::fs::write(&file, secret.to_string()).unwrap();
        let cluster = crate::support::cluster::Cluster::shared().unwrap();
        cluster.run(&["apply", "--server-side", "--force-conflicts", "-f", file.to_str().unwrap()]);
        return;
    }
    let (store, path) = store(location);
    store.put(&path, stored.to_string().into()).await.unwrap();
}
