//! A stand-in for Google Cloud Storage, written from its documentation: objects have generations, a write may name the
//! one that it replaces, and 0 means that there is none. No real server can be had without an account, and the emulators
//! that there are know generations in the JSON API only, not in the XML API that clients of object stores speak.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use plumb::inventory::{Location, Settings};

#[derive(Clone, Default)]
struct Store(Arc<Mutex<(u64, Objects)>>);

/// Objects by name, each with its generation.
type Objects = BTreeMap<String, (u64, Bytes)>;

/// An empty folder in a bucket of its own server, which serves as long as the test program.
pub(crate) fn location() -> Location {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let app = Router::new()
                .route("/{bucket}", get(list))
                .route("/{bucket}/{*object}", get(read).put(write).delete(remove))
                .layer(DefaultBodyLimit::disable())
                .with_state(Store::default());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    let endpoint = format!("http://{}", told.recv().unwrap());
    let settings = [("google_base_url", endpoint.as_str()), ("google_bearer_token", "a-token-of-the-tests")];
    let settings = Settings(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    Location::Gs { bucket: "bucket".into(), prefix: "team/a".into(), settings }
}

async fn read(State(store): State<Store>, Path((_, object)): Path<(String, String)>) -> Response {
    let store = store.0.lock().unwrap();
    let Some((generation, bytes)) = store.1.get(&object) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        ("x-goog-generation", generation.to_string()),
        ("etag", format!("\"{generation}\"")),
        ("last-modified", "Wed, 25 Nov 2026 00:00:00 GMT".to_owned()),
    ];
    (headers, bytes.clone()).into_response()
}

async fn write(
    State(store): State<Store>,
    Path((_, object)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let mut store = store.0.lock().unwrap();
    let there = store.1.get(&object).map_or(0, |(generation, _)| *generation);
    let wanted = headers.get("x-goog-if-generation-match").map(|wanted| wanted.to_str().unwrap().parse::<u64>());
    if wanted.is_some_and(|wanted| wanted != Ok(there)) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    store.0 += 1;
    let generation = store.0 + 1_000_000;
    store.1.insert(object, (generation, bytes));
    [("x-goog-generation", generation.to_string()), ("etag", format!("\"{generation}\""))].into_response()
}

async fn remove(State(store): State<Store>, Path((_, object)): Path<(String, String)>) -> StatusCode {
    match store.0.lock().unwrap().1.remove(&object) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

async fn list(State(store): State<Store>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let store = store.0.lock().unwrap();
    let here = store.1.iter().filter(|(name, _)| {
        name.strip_prefix(&prefix).is_some_and(|rest| !query.contains_key("delimiter") || !rest.contains('/'))
    });
    let mut out = String::from("<?xml version=\"1.0\"?><ListBucketResult>");
    for (name, (generation, bytes)) in here {
        out += &format!(
            "<Contents><Key>{name}</Key><Size>{}</Size><ETag>\"{generation}\"</ETag>\
             <LastModified>2026-11-25T00:00:00.000Z</LastModified></Contents>",
            bytes.len()
        );
    }
    out += "</ListBucketResult>";
    ([("content-type", "application/xml")], out).into_response()
}
