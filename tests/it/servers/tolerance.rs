//! What the vendors' references leave open, an account may do either way: the stack converges all the same.

use serde_json::json;

use super::{
    Bed, Manner,
    account::{Included, Totals},
};
use crate::support::stack::lines;

const STACK: &str = r"
apiVersion: itglue.plumb.dev/v1alpha1
kind: Organization
metadata: {name: acme}
spec: {name: Acme, description: A customer}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Manufacturer
metadata: {name: dell}
spec: {name: Dell}
---
apiVersion: itglue.plumb.dev/v1alpha1
kind: Configuration
metadata: {name: web}
spec:
  organization: acme
  name: WEB
  configurationType: Server
  hostname: null
  archived: true
  interfaces:
    - {name: eth0, ipAddress: 10.0.0.1, primary: true}
    - {name: eth1, macAddress: 00:00:5e:00:53:01, notes: null, primary: false}
";

/// Applies, changes things behind plumb's back, and repairs them, with answers that look so.
async fn converges(manner: Manner) -> Bed {
    let bed = Bed::start(manner).await;
    {
        let mut account = bed.account.lock().unwrap();
        account.add("configuration_types", &json!({"name": "Server"}));
        for number in 0..25 {
            account.add("organizations", &json!({ "name": format!("Customer {number}") }));
        }
    }
    bed.write("stack.yaml", STACK);
    bed.converge().await;
    assert_eq!(bed.names("configuration_interfaces"), ["eth0", "eth1"]);
    {
        let mut account = bed.account.lock().unwrap();
        account.change_all("organizations", "Acme", &json!({"description": "By hand"}));
        account.change_all("configurations", "WEB", &json!({"archived": false}));
        account.change_all("configuration_interfaces", "eth1", &json!({"primary": true}));
    }
    let planned = bed.plan().await;
    assert_eq!(
        lines(&planned.document),
        [
            "update itglue/Organization/acme (drift) /description",
            "update itglue/Configuration/web (drift) /archived",
            "update itglue/Configuration/web#interfaces/eth1 (drift) /primary",
        ]
    );
    bed.converge().await;
    assert_eq!(bed.names("organizations").len(), 26);
    assert_eq!(bed.names("configurations"), ["WEB"]);
    assert_eq!(bed.names("configuration_interfaces"), ["eth0", "eth1"]);
    assert_eq!(bed.names("manufacturers"), ["Dell"]);
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_may_tell_their_length() {
    converges(Manner::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_may_tell_nothing_of_their_length() {
    converges(Manner { totals: Totals::No, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_page_may_be_null() {
    let bed = converges(Manner { totals: Totals::Next, clamp: 10, ..Manner::default() }).await;
    bed.server.clear_log();
    bed.plan().await;
    assert_eq!(bed.server.count("GET /organizations"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_may_be_smaller_than_asked() {
    let bed = converges(Manner { clamp: 10, ..Manner::default() }).await;
    bed.server.clear_log();
    bed.plan().await;
    assert_eq!(bed.server.count("GET /organizations"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_may_be_numbers() {
    converges(Manner { numeric_ids: true, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn types_may_have_underscores() {
    converges(Manner { snake_types: true, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_may_have_underscores() {
    converges(Manner { snake_attributes: true, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_included_may_be_inside_data() {
    let bed = converges(Manner { included: Included::InData, ..Manner::default() }).await;
    bed.server.clear_log();
    bed.plan().await;
    assert!(bed.server.log().iter().all(|asked| asked.method != "GET" || !asked.path.contains("relationships")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_included_is_listed_below_its_parent() {
    let bed = converges(Manner { included: Included::No, ..Manner::default() }).await;
    assert!(bed.server.log().iter().any(|asked| asked.path.ends_with("/relationships/configuration_interfaces")));
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_may_be_answered_with_200() {
    converges(Manner { created: 200, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_may_be_answered_with_nothing() {
    converges(Manner { created: 204, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_may_have_attributes_that_nobody_knows() {
    converges(Manner { extra: true, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_without_a_value_may_be_left_out() {
    converges(Manner { nulls: false, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn booleans_may_be_digits() {
    converges(Manner { digits: true, ..Manner::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_may_come_together() {
    let manner = Manner {
        totals: Totals::Next,
        numeric_ids: true,
        snake_types: true,
        snake_attributes: true,
        included: Included::InData,
        clamp: 7,
        created: 200,
        extra: true,
        nulls: false,
        digits: true,
    };
    converges(manner).await;
}
