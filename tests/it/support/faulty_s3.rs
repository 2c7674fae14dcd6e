//! An object store in memory that can do wrong what a real one may do wrong.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use plumb::inventory::{Location, Settings};

/// What to do wrong.
#[derive(Default)]
pub(crate) struct Faults {
    /// Carry out every write, whatever its condition.
    pub(crate) ignore_conditions: bool,
    /// How many writes of documents to carry out and answer with an error.
    pub(crate) lose_answers: u32,
    /// How many writes of documents to refuse with an error.
    pub(crate) refuse: u32,
}

#[derive(Default)]
struct Store {
    objects: HashMap<String, (u64, Bytes)>,
    writes: u64,
    faults: Faults,
}

/// The store; it serves as long as the test's runtime.
#[derive(Clone, Default)]
pub(crate) struct FaultyS3(Arc<Mutex<Store>>);

impl FaultyS3 {
    /// Serves on loopback.
    pub(crate) async fn serve(faults: Faults) -> (Self, Location) {
        let store = Self::default();
        store.now(faults);
        let app = Router::new().route("/{*path}", get(read).put(write)).layer(DefaultBodyLimit::disable());
        let app = app.with_state(store.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let settings =
            [("aws_endpoint_url", endpoint.as_str()), ("aws_access_key_id", "a"), ("aws_secret_access_key", "b")];
        let settings = Settings(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
        (store, Location::S3 { bucket: "bucket".into(), prefix: String::new(), settings })
    }

    /// From now on does this wrong.
    pub(crate) fn now(&self, faults: Faults) {
        self.0.lock().unwrap().faults = faults;
    }
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

async fn read(State(store): State<FaultyS3>, Path(path): Path<String>) -> Response {
    let store = store.0.lock().unwrap();
    match store.objects.get(&path) {
        Some((version, bytes)) => {
            let headers =
                [(header::ETAG, tag(*version)), (header::LAST_MODIFIED, "Wed, 25 Nov 2026 00:00:00 GMT".to_owned())];
            (headers, bytes.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn write(State(store): State<FaultyS3>, Path(path): Path<String>, headers: HeaderMap, bytes: Bytes) -> Response {
    let mut store = store.0.lock().unwrap();
    let found = store.objects.get(&path).map(|(version, _)| tag(*version));
    let wanted = headers.get(header::IF_MATCH).map(|tag| tag.to_str().unwrap().to_owned());
    let holds = if headers.contains_key(header::IF_NONE_MATCH) { found.is_none() } else { found == wanted };
    let document = !path.ends_with("lock");
    if !holds && !store.faults.ignore_conditions {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    if document && store.faults.refuse > 0 {
        store.faults.refuse -= 1;
        return StatusCode::FORBIDDEN.into_response();
    }
    store.writes += 1;
    let version = store.writes;
    store.objects.insert(path, (version, bytes));
    if document && store.faults.lose_answers > 0 {
        store.faults.lose_answers -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    [(header::ETAG, tag(version))].into_response()
}
