//! A stand-in for the Kubernetes API server, for faults that a real one has seldom: Secrets and `ConfigMaps` with
//! versions, conflicts, and answers that are lost.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plumb::inventory::{ClusterPlace, Form, Location, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Default)]
struct Store {
    version: u64,
    objects: BTreeMap<(String, String, String), Value>,
    lose_answers: u32,
    calls: u64,
    bytes: u64,
}

/// The server; it serves as long as the test program.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<Store>>);

impl ApiServer {
    /// Serves on loopback; the place is in a namespace of its own.
    pub(crate) fn serve(form: Form) -> (Self, Location) {
        let server = Self::default();
        let (tell, told) = std::sync::mpsc::channel();
        let store = server.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let app = Router::new()
                    .route("/api/v1/namespaces/{namespace}/{kind}", get(list).post(create))
                    .route("/api/v1/namespaces/{namespace}/{kind}/{name}", get(read).put(replace).delete(remove))
                    .with_state(store);
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        // The file is needed as long as the place is, which is as long as the test program.
        let folder = TempDir::new().unwrap().keep();
        let config = folder.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{server: 'http://{}'}}}}]\n\
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\nusers: [{{name: a, user: {{}}}}]\n",
            told.recv().unwrap()
        );
        std::fs::write(&config, text).unwrap();
        (server, place("team", form, &config))
    }

    /// Carries out the next writes and breaks off instead of answering.
    pub(crate) fn lose_answers(&self, count: u32) {
        self.0.lock().unwrap().lose_answers = count;
    }

    /// Names of all objects.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().map(|(_, _, name)| name.clone()).collect()
    }

    /// How many bytes were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().unwrap().bytes
    }

    /// What all objects have, decompressed.
    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        let store = self.0.lock().unwrap();
        let pieces = store.objects.values().filter_map(|object| object["data"]["document"].as_str());
        let unpacked = pieces.map(|piece| {
            let packed = STANDARD.decode(piece).unwrap();
            let mut out = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut out).unwrap();
            out
        });
        unpacked.collect()
    }

    /// How many calls came.
    pub(crate) fn calls(&self) -> u64 {
        self.0.lock().unwrap().calls
    }
}

/// A place in a cluster.
pub(crate) fn place(namespace: &str, form: Form, kubeconfig: &std::path::Path) -> Location {
    let settings = Settings(vec![("kubeconfig".to_owned(), kubeconfig.display().to_string())]);
    Location::Kubernetes(ClusterPlace { namespace: namespace.into(), name: "plumb".into(), form, settings })
}

fn refusal(code: StatusCode, reason: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code.as_u16()});
    (code, Json(body)).into_response()
}

async fn list(
    State(server): State<ApiServer>,
    Path((namespace, kind)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let mut store = server.0.lock().unwrap();
    store.calls += 1;
    let selector = query.get("labelSelector").map(String::as_str).unwrap_or_default();
    let selected = |object: &Value| {
        let labels = &object["metadata"]["labels"];
        selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
            Some((label, value)) => labels[label] == value,
            None => !labels[part].is_null(),
        })
    };
    let items: Vec<Value> = store
        .objects
        .iter()
        .filter(|((in_namespace, of_kind, _), object)| {
            *in_namespace == namespace && *of_kind == kind && selected(object)
        })
        .map(|(_, object)| json!({"metadata": object["metadata"]}))
        .collect();
    let metadata = json!({"resourceVersion": store.version.to_string()});
    Json(json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items}))
        .into_response()
}

async fn read(State(server): State<ApiServer>, Path(key): Path<(String, String, String)>) -> Response {
    let mut store = server.0.lock().unwrap();
    store.calls += 1;
    match store.objects.get(&key) {
        Some(object) => Json(object.clone()).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn create(
    State(server): State<ApiServer>,
    Path((namespace, kind)): Path<(String, String)>,
    Json(object): Json<Value>,
) -> Response {
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let mut store = server.0.lock().unwrap();
    if store.objects.contains_key(&(namespace.clone(), kind.clone(), name.clone())) {
        store.calls += 1;
        return refusal(StatusCode::CONFLICT, "AlreadyExists");
    }
    put(&mut store, (namespace, kind, name), object, StatusCode::CREATED)
}

async fn replace(
    State(server): State<ApiServer>,
    Path(key): Path<(String, String, String)>,
    Json(object): Json<Value>,
) -> Response {
    let mut store = server.0.lock().unwrap();
    let Some(there) = store.objects.get(&key) else {
        store.calls += 1;
        return refusal(StatusCode::NOT_FOUND, "NotFound");
    };
    if there["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
        store.calls += 1;
        return refusal(StatusCode::CONFLICT, "Conflict");
    }
    put(&mut store, key, object, StatusCode::OK)
}

fn put(store: &mut Store, key: (String, String, String), mut object: Value, code: StatusCode) -> Response {
    let size = object["data"]["document"].as_str().or(object["binaryData"]["document"].as_str()).map_or(0, str::len);
    if size / 4 * 3 > 1024 * 1024 {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
    }
    store.calls += 1;
    store.bytes += size as u64;
    store.version += 1;
    object["metadata"]["resourceVersion"] = json!(store.version.to_string());
    object["metadata"]["namespace"] = json!(key.0);
    store.objects.insert(key, object.clone());
    if store.lose_answers > 0 {
        store.lose_answers -= 1;
        return refusal(StatusCode::GATEWAY_TIMEOUT, "Timeout");
    }
    (code, Json(object)).into_response()
}

async fn remove(State(server): State<ApiServer>, Path(key): Path<(String, String, String)>) -> Response {
    let mut store = server.0.lock().unwrap();
    store.calls += 1;
    match store.objects.remove(&key) {
        Some(_) => {
            Json(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})).into_response()
        }
        None => refusal(StatusCode::NOT_FOUND, "NotFound"),
    }
}
