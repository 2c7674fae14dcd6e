//! Traces: a collector that speaks OTLP gets a span for each request, named by its route and not by its object.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};

use super::host::{CONNECTION, Host, KEY, resource};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_a_span_named_by_its_route() {
    let received: Arc<Mutex<Vec<u8>>> = Arc::default();
    let take = |State(received): State<Arc<Mutex<Vec<u8>>>>, body: Bytes| async move {
        received.lock().unwrap().extend_from_slice(&body);
    };
    let router = Router::new().route("/v1/traces", post(take)).with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let host = Host::new().await;
    host.write("stack/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", "web")));
    let connection = format!("rest={}", host.sandbox.url("rest"));
    let apply = |owner: &str| {
        host.write("stack/all.yaml", &format!("{CONNECTION}---\n{}", resource("alpha", owner)));
        let mut command = host.command(&["apply", "--yes", "-f", "stack", "--connection", &connection]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector).env("OTEL_SERVICE_NAME", "plumb-in-a-test");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    apply("web");
    apply("team");
    let object = host.sandbox.objects("rest", "Resource").remove(0);
    let id = object["id"].as_str().unwrap();
    let bytes = received.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&bytes);
    for wanted in [
        "plumb-in-a-test",
        "GET /v1/resources",
        "POST /v1/resources",
        "PATCH /v1/resources/{id}",
        "url.template",
        "http.request.method",
        "http.response.status_code",
        "plumb.connection",
    ] {
        assert!(text.contains(wanted), "no `{wanted}` in the traces");
    }
    assert!(!text.contains(&format!("PATCH /v1/resources/{id}")) && !text.contains(KEY));
}
