//! What goes, what stays, and that nothing ever hangs: one object, a whole namespace, without a credential, protected.

use crate::support::operator::{Operated, PATIENCE};

fn objects(operated: &Operated, kind: &str) -> usize {
    operated.sandbox.objects("rest", kind).len()
}

const RESOURCES: &str = "apiVersion: rest.plumb.dev/v1alpha1\nkind: Organization\nmetadata: {name: acme}\nspec: {name: Acme, slug: acme}\n---\n\
apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {name: one}\nspec: {name: One, type: standard}\n---\n\
apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {name: two}\nspec: {name: Two, type: standard}\n";

async fn made(name: &str) -> Option<Operated> {
    let mut operated = Operated::prepare(name).await?;
    operated.start();
    operated.connection("platform", "rest", "bearer");
    operated.apply(RESOURCES);
    for resource in ["restorg/acme", "restres/one", "restres/two"] {
        operated.wait(resource, "Ready", "True");
    }
    Some(operated)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_policy_is_honoured_and_nothing_else_goes() {
    let Some(operated) = made("policy").await else { return };
    let (resources, organizations) = (objects(&operated, "Resource"), objects(&operated, "Organization"));
    operated.kubectl(&["annotate", "restres/two", "plumb.dev/deletion-policy=retain"]);
    operated.kubectl(&["delete", "restres/one", "restres/two", "--timeout=240s"]);
    assert_eq!(objects(&operated, "Resource"), resources - 1);
    operated.event("Deleted", "one");
    operated.event("Retained", "two");
    // What contains others is forgotten, unless it says otherwise.
    operated.kubectl(&["delete", "restorg/acme", "--timeout=240s"]);
    assert_eq!(objects(&operated, "Organization"), organizations);
    operated.event("Forgotten", "acme");
    operated.kubectl(&["delete", "connection/platform", "--timeout=240s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_object_stays_and_its_resource_goes() {
    let Some(operated) = made("protect").await else { return };
    let before = objects(&operated, "Resource");
    operated.kubectl(&["annotate", "restres/one", "plumb.dev/protect=true"]);
    operated.kubectl(&["delete", "restres/one", "--timeout=240s"]);
    assert_eq!(objects(&operated, "Resource"), before);
    let event = operated.event("Retained", "one");
    assert_eq!(event["type"], "Warning");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_with_everything_in_it() {
    let Some(operated) = made("namespace").await else { return };
    let before = objects(&operated, "Resource");
    operated.cluster.run(&["delete", "namespace", &operated.namespace, "--timeout=90s"]);
    assert_eq!(objects(&operated, "Resource"), before - 2, "{}", operated.log(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_credential_an_object_stays_and_its_namespace_goes_all_the_same() {
    let Some(mut operated) = made("lost").await else { return };
    let before = objects(&operated, "Resource");
    // The operator that knew the credential is gone, and so is the Secret.
    operated.kill(0);
    operated.kubectl(&["delete", "secret/platform"]);
    operated.start();
    operated.cluster.until("the operator works", PATIENCE, || operated.log(1).contains("requests").then_some(()));
    operated.kubectl(&["delete", "restres/one", "--timeout=240s"]);
    assert_eq!(operated.event("Retained", "one")["type"], "Warning");
    operated.cluster.run(&["delete", "namespace", &operated.namespace, "--timeout=90s"]);
    assert_eq!(objects(&operated, "Resource"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_inventory_lost_is_deleted_by_the_id_in_its_status() {
    let Some(mut operated) = made("forgotten").await else { return };
    let before = objects(&operated, "Resource");
    operated.kill(0);
    for file in std::fs::read_dir(operated.folder.path()).unwrap().map(|file| file.unwrap().path()) {
        if !file.to_string_lossy().ends_with(".log") {
            std::fs::remove_file(file).unwrap();
        }
    }
    // One goes before the operator is back, and one after: both were made by plumb, and are known by their ids alone.
    operated.kubectl(&["delete", "restres/one", "--wait=false"]);
    operated.start();
    operated.cluster.until("the object goes", PATIENCE, || operated.get("restres/one").is_none().then_some(()));
    assert_eq!(objects(&operated, "Resource"), before - 1, "{}", operated.log(1));
    let two = operated.wait("restres/two", "Ready", "True");
    assert_eq!(two["status"]["origin"], "created");
    operated.kubectl(&["delete", "restres/two", "--timeout=240s"]);
    assert_eq!(objects(&operated, "Resource"), before - 2, "{}", operated.log(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_object_that_cannot_be_looked_for_stays_and_that_is_said() {
    let Some(mut operated) = made("adrift").await else { return };
    let before = objects(&operated, "Resource");
    operated.kill(0);
    for file in std::fs::read_dir(operated.folder.path()).unwrap().map(|file| file.unwrap().path()) {
        if !file.to_string_lossy().ends_with(".log") {
            std::fs::remove_file(file).unwrap();
        }
    }
    operated.kubectl(&["delete", "secret/platform"]);
    operated.kubectl(&["delete", "restres/one", "--wait=false"]);
    operated.start();
    operated.cluster.until("the resource goes", PATIENCE, || operated.get("restres/one").is_none().then_some(()));
    assert_eq!(operated.event("Retained", "one")["type"], "Warning");
    assert_eq!(objects(&operated, "Resource"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_until_the_last_object_is_gone() {
    let Some(operated) = made("connection").await else { return };
    operated.kubectl(&["delete", "connection/platform", "--wait=false"]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(operated.get("connection/platform").is_some());
    let before = objects(&operated, "Resource");
    operated.kubectl(&["delete", "restres/one", "restres/two", "restorg/acme", "--timeout=240s"]);
    assert_eq!(objects(&operated, "Resource"), before - 2);
    operated
        .cluster
        .until("the connection goes", PATIENCE, || operated.get("connection/platform").is_none().then_some(()));
}
