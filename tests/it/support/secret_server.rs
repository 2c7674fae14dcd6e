//! A server of Kubernetes Secrets behind TLS, and the kubeconfig that leads to it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
    serve::Listener,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
    server::TlsStream,
};

/// What the kubeconfig logs in by.
pub(crate) const TOKEN: &str = "correct-horse-cluster-token";

/// A Secret, `NAMESPACE/NAME`, with its keys and values.
type Given<'a> = (&'a str, &'a [(&'a str, &'a [u8])]);

/// The server.
pub(crate) struct Cluster {
    /// The kubeconfig.
    pub(crate) config: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Cluster {
    /// Starts a server that has these Secrets (`NAMESPACE/NAME`, keys and values), and writes the kubeconfig into a
    /// folder. `broken/…` is answered with what is no JSON, `forbidden/…` with 403.
    pub(crate) async fn start(folder: &Path, secrets: &[Given<'_>]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], der).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut known = BTreeMap::new();
        for (place, data) in secrets {
            let (namespace, name) = place.split_once('/').unwrap();
            let data: serde_json::Map<String, Value> =
                data.iter().map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into())).collect();
            known.insert(format!("/api/v1/namespaces/{namespace}/secrets/{name}"), json!({ "data": data }));
        }
        let seen = requests.clone();
        let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
            seen.lock().unwrap().push(uri.path().to_owned());
            let answer = answer(&known, uri.path(), &headers);
            async move { answer }
        });
        tokio::spawn(async move { axum::serve(tls, router).await.unwrap() });
        let path = folder.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters:\n- name: test\n  cluster:\n    server: https://{address}\n    certificate-authority-data: {}\n\
             users:\n- name: test\n  user: {{token: {TOKEN}}}\n\
             contexts:\n- name: test\n  context: {{cluster: test, user: test, namespace: shop}}\n",
            STANDARD.encode(authority.pem())
        );
        std::fs::write(&path, text).unwrap();
        Self { config: path, requests }
    }

    /// Paths that were asked for since the last time.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn answer(known: &BTreeMap<String, Value>, path: &str, headers: &HeaderMap) -> axum::response::Response {
    let status = |code: u16, reason: &str, message: &str| {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code,
        });
        (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
    };
    if headers.get("authorization").is_none_or(|given| given != &format!("Bearer {TOKEN}")) {
        return status(401, "Unauthorized", "Unauthorized");
    }
    if path.contains("/forbidden/") {
        return status(403, "Forbidden", "secrets \"any\" is forbidden");
    }
    match known.get(path) {
        Some(secret) if path.contains("/broken/") => format!("{{\"kind\": \"Secret\", {secret}").into_response(),
        Some(secret) => {
            let name = path.rsplit('/').next().unwrap();
            let mut body = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "type": "Opaque"});
            body["data"] = secret["data"].clone();
            Json(body).into_response()
        }
        None => status(404, "NotFound", &format!("secrets \"{path}\" not found")),
    }
}
