//! Failures: what is repeated, what is given up, what is no answer.

use std::time::{Duration, Instant};

use plumb::{
    diagnostic::Diagnostic,
    http::{Call, Class, Client, ClientSpec, HttpError, Leave, Method, Pace, Processed, Repeat},
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::{KEY, Server, api, client, create, fast, key, keyed, raw_server, read_request, reply, spec, things};

#[tokio::test]
async fn a_create_is_not_repeated_after_a_reset_and_a_read_is() {
    let (url, connections) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
    })
    .await;
    let client = client(&url);
    let error = client.send(&create()).await.unwrap_err();
    assert_eq!((error.class(), error.processed()), (Class::Transient, Processed::Maybe));
    assert_eq!(*connections.lock().unwrap(), 1);
    assert!(client.send(&things()).await.is_err());
    assert_eq!(*connections.lock().unwrap(), 1 + 6);
    client.send(&create().repeat(Repeat::Always)).await.unwrap_err();
    assert_eq!(*connections.lock().unwrap(), 1 + 6 + 6);
    assert_eq!(client.sent(), 13);
}

#[tokio::test]
async fn a_read_survives_a_few_resets() {
    let (url, _) = raw_server(|mut stream, before| async move {
        read_request(&mut stream).await;
        if before >= 2 {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        }
    })
    .await;
    assert_eq!(client(&url).send(&things()).await.unwrap().attempts, 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_has_processed_nothing() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let client = client(&url);
    let error = client.send(&create()).await.unwrap_err();
    assert!(matches!(error, HttpError::NotSent { .. }), "{error}");
    assert_eq!((error.processed(), client.sent()), (Processed::No, 0));
    assert!(error.to_string().contains("refused"), "{error}");
    let diagnostic = Diagnostic::from(error);
    assert_eq!(diagnostic.code, "PL0420");
    assert!(diagnostic.message.contains("`POST /v1/things` of connection `prod`"), "{}", diagnostic.message);
    assert_eq!(diagnostic.hints.len(), 1);
}

#[tokio::test]
async fn a_server_that_always_fails_is_asked_a_bounded_number_of_times() {
    let server = Server::start(|_, _| reply(503, &[], format!("<html><title>Down</title>{KEY}"))).await;
    let client = client(&server.url());
    let error = client.send(&things()).await.unwrap_err();
    assert_eq!(server.seen().len(), 6);
    assert_eq!(
        error.to_string(),
        "`GET /v1/things` of connection `prod` failed with status 503 on each of 6 attempts: Down"
    );
    let error = client.send(&create()).await.unwrap_err();
    assert_eq!((error.processed(), error.class(), server.seen().len()), (Processed::Maybe, Class::Transient, 7));
}

#[tokio::test]
async fn what_the_server_surely_did_not_do_is_repeated_and_what_it_refuses_is_not() {
    let server = Server::start(|seen, before| match (seen.method.as_str(), before) {
        ("POST", 0) => reply(503, &[("retry-after", "0")], ""),
        ("GET", 2) | ("DELETE", _) => reply(500, &[], ""),
        ("PATCH", _) => reply(422, &[], json!({"errors": ["bad"]})),
        _ => reply(200, &[], "{}"),
    })
    .await;
    let client = client(&server.url());
    assert_eq!(client.send(&create()).await.unwrap().attempts, 2);
    assert_eq!(client.send(&things()).await.unwrap().attempts, 2);
    assert!(client.send(&Call::new(Method::DELETE, "/things/1")).await.is_err());
    assert_eq!(server.seen().len(), 7, "a delete that meets 500 is tried three times");
    let answer = client.send(&Call::new(Method::PATCH, "/things/1")).await.unwrap();
    assert_eq!((answer.status, answer.attempts), (422, 1));
    let error = answer.refused("bad");
    assert_eq!((error.class(), error.processed(), error.status()), (Class::Remote, Processed::No, Some(422)));
}

#[tokio::test]
async fn a_page_of_html_is_no_answer() {
    let page = "<!doctype html><html><head><title>Corporate sign-in</title></head></html>";
    let server = Server::start(move |_, _| reply(200, &[("content-type", "text/html")], page)).await;
    let error = client(&server.url()).send(&things()).await.unwrap().json().unwrap_err();
    assert_eq!(error.class(), Class::Remote);
    assert_eq!(
        error.to_string(),
        "`GET /v1/things` of connection `prod` was answered with a page of HTML titled `Corporate sign-in` where JSON \
         was expected"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_answer() {
    let (url, connections) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\": [").await.unwrap();
    })
    .await;
    let client = client(&url);
    let error = client.send(&things()).await.unwrap_err();
    assert!(error.to_string().contains("broke off after 10 bytes"), "{error}");
    assert_eq!(*connections.lock().unwrap(), 6);
    let error = client.send(&create()).await.unwrap_err();
    assert_eq!((error.processed(), *connections.lock().unwrap()), (Processed::Maybe, 7));
}

#[tokio::test]
async fn an_answer_that_drips_or_floods_is_given_up() {
    let (url, connections) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let pace = Pace { total: Duration::from_millis(150), attempts: 2, largest_body: 1 << 20, ..fast() };
    let client_at = |url: &str| Client::new(&ClientSpec { pace, ..spec(api(keyed()), url, key()) }).unwrap();
    let start = Instant::now();
    let error = client_at(&url).send(&things()).await.unwrap_err();
    assert!(matches!(error, HttpError::Unanswered { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(*connections.lock().unwrap(), 2);

    let server = Server::start(|_, _| reply(200, &[], "x".repeat((1 << 20) + 1))).await;
    let error = client_at(&server.url()).send(&things()).await.unwrap_err();
    assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_interruption_lets_calls_under_way_finish_and_none_begin() {
    let (url, _) = raw_server(|mut stream, _| async move {
        read_request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    })
    .await;
    let client = client(&url);
    let call = create();
    let (under_way, ()) = tokio::join!(client.send(&call), async {
        tokio::time::sleep(Duration::from_millis(40)).await;
        client.clone().stop();
    });
    assert!(under_way.is_ok());
    let error = client.send(&things()).await.unwrap_err();
    assert!(matches!(error, HttpError::Interrupted { processed: Processed::No, .. }), "{error}");
    assert_eq!(client.sent(), 1);
}

#[tokio::test]
async fn no_attempt_outlives_the_deadline() {
    let server = Server::start(|_, _| reply(429, &[("retry-after", "5")], "")).await;
    let client = client(&server.url());
    let start = Instant::now();
    let call = Call { leave: Some(Leave::until(start + Duration::from_millis(150))), ..create() };
    let error = client.send(&call).await.unwrap_err();
    assert!(matches!(error, HttpError::Late { processed: Processed::No, .. }), "{error}");
    assert!(start.elapsed() < Duration::from_millis(400));
    assert_eq!(server.seen().len(), 1);
}
