//! A new value of a secret re-applies exactly the objects that use it, by the calls that the plan announced.

use plumb::{
    plan::{PlanDocument, Reason},
    sandbox::SandboxOptions,
};

use crate::support::{everything::Everything, leaks, stack::lines};

fn document(text: &str) -> PlanDocument {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_value_goes_to_whom_it_concerns_and_nobody_else() {
    let stack = Everything::start(SandboxOptions::default()).await;
    let applied = document(&stack.expect(0, &["apply", "--yes", "-o", "json"]).out);
    let all = applied.actions.len();
    // Each secret, its kinds over several APIs (write-only or readable), and the paths of the calls that it takes.
    let rotations: [(&str, &[&str], usize); 4] = [
        (
            "secrets/log.token",
            &[
                "update balena/Application/pumps#environmentVariables/LOG_TOKEN (changed) /value",
                "update bindplane/Destination/collector (changed) /parameters/token",
                "update itglue/Password/log-token (changed) /password",
            ],
            3,
        ),
        ("secrets/webhook.secret", &["update rest/Webhook/desk (changed) /secret"], 1),
        ("secrets/deploy.key", &["update cycloid/Credential/deploy (changed) /raw/sshKey"], 1),
        // Who plumb is, is nobody's field.
        ("secrets/portal.password", &[], 0),
    ];
    for (round, (file, expected, calls)) in rotations.into_iter().enumerate() {
        stack.write(file, &format!("{}-rotated-{round}", leaks::MARK));
        let planned = document(&stack.expect(0, &["plan", "-o", "json"]).out);
        let mut found: Vec<String> = lines(&planned);
        // A new destination is rolled out to the agents.
        found.retain(|line| *line != "update bindplane/Configuration/gateways (rollout) /rollout");
        found.sort();
        assert_eq!(found, expected, "{file}");
        assert_eq!(planned.summary.unchanged + planned.actions.len(), all, "{file}");
        let actions = planned.actions.iter().filter(|action| action.reason != Reason::Rollout);
        for change in actions.flat_map(|action| &action.changes) {
            assert!(change.sensitive && change.before.is_none() && change.after.is_none(), "{file}: {change:?}");
        }
        stack.sandbox.clear_log();
        let applied = document(&stack.expect(0, &["apply", "--yes", "-o", "json"]).out);
        assert_eq!(lines(&applied), lines(&planned));
        let writes = stack.writes();
        let sent = stack.sandbox.log().iter().filter(|entry| !entry.path.contains("/auth/")).count();
        assert_eq!(sent as u64, applied.requests.observe + applied.requests.apply, "{file}: counted and seen");
        assert_eq!(applied.requests.apply, planned.requests.apply, "{file}");
        // Rolling out takes calls of its own.
        let own = writes.iter().filter(|entry| !entry.path.contains("rollout")).count();
        assert_eq!(own, calls, "{file}: {writes:#?}");
        stack.expect(0, &["plan", "--detailed-exitcode"]);
        // The same value from elsewhere is no change.
        stack.sandbox.clear_log();
        stack.expect(0, &["apply", "--yes"]);
        assert_eq!(stack.writes().len(), 0, "{file}");
    }
    assert!(stack.assert_no_file_has_a_secret() > 5);
}
