//! What an inventory costs: calls of a first apply, of one that changes everything, and of an idle one.

use std::process::{Command, Stdio};

use super::*;
use crate::support::{api_server::ApiServer, postgres};

/// Enough that an inventory whose every commit writes all that there is would be seen.
fn objects() -> usize {
    std::env::var("INVENTORY_OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000)
}

fn text(word: &str) -> String {
    let one = |number| {
        format!(
            "apiVersion: rest.plumb.dev/v1alpha1\nkind: Resource\nmetadata: {{name: r{number}}}\nspec: {{name: R{number}, \
             description: {word}, type: standard}}\n---\n"
        )
    };
    (0..objects()).map(one).collect()
}

/// Counts before and after each of three applies.
async fn measured(inventory: &str, kubeconfig: Option<&str>, count: impl Fn() -> u64) -> [u64; 3] {
    let stack = Stack::start(&["rest"]).await;
    // The budget of the API is not what is measured.
    let connection = std::fs::read_to_string(stack.path("connections.yaml")).unwrap();
    stack.write("connections.yaml", &connection.replace("\n---", "\n  limits: {requests: 1000000, window: 60}\n---"));
    let mut figures = [0; 3];
    for (figure, word) in figures.iter_mut().zip(["one", "two", "two"]) {
        stack.write("stack.yaml", &text(word));
        let before = count();
        let mut command = Command::new(env!("CARGO_BIN_EXE_plumb"));
        command.args(["apply", "--yes", "-q", &format!("--connection=rest={}", stack.sandbox.url("rest"))]);
        command.arg(format!("--inventory={inventory}")).current_dir(stack.folder.path()).stdin(Stdio::null());
        command.env("PLUMB_INVENTORY_KEY", "a key for the tests, long enough").env("HOME", stack.folder.path());
        command.envs(kubeconfig.map(|path| ("KUBECONFIG", path)));
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        *figure = count() - before;
    }
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_makes_few_calls_to_its_inventory() {
    let objects = objects() as u64;
    let (server, location) = ApiServer::serve(plumb::inventory::Form::Secret);
    let Location::Kubernetes(place) = &location else { panic!() };
    let config = place.settings.0[0].1.clone();
    let calls = measured(&location.to_string(), Some(&config), || server.calls()).await;
    let bytes = server.bytes();
    println!(
        "{objects} objects, calls to an inventory of documents: created {}, updated {}, idle {}; {bytes} bytes written",
        calls[0], calls[1], calls[2]
    );
    assert!(calls[0] < 60 + objects && calls[1] < 60 + objects && calls[2] < 20, "{calls:?}");
    assert!(bytes < 2 * objects * 8000, "what is written is in proportion to the objects: {bytes}");
    let left = server.names();
    assert!(left.len() < 40, "{} documents stay: {left:?}", left.len());

    let Some(url) = postgres::url() else { return };
    let database = url.rsplit('/').next().unwrap().to_owned();
    let server = postgres::shared().unwrap();
    let sql = format!(
        "SELECT pg_stat_clear_snapshot(); SELECT xact_commit FROM pg_stat_database WHERE datname = '{database}'"
    );
    let commits = || {
        // The server's counts come a moment later.
        std::thread::sleep(std::time::Duration::from_millis(1200));
        server.sql("postgres", &sql).trim().parse().unwrap()
    };
    let rows = measured(&url, None, commits).await;
    println!(
        "{objects} objects, transactions of a PostgreSQL inventory: created {}, updated {}, idle {}",
        rows[0], rows[1], rows[2]
    );
    assert!(rows[0] < 60 + objects && rows[1] < 60 + objects && rows[2] < 40, "{rows:?}");
}
