//! TLS as a connection asks for it, against real servers: another CA, client certificates, proxies, no check at all.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, http::Uri, serve::Listener};
use plumb::http::{Client, ClientSpec, HttpError, Transport};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

use super::{KEY, api, key, keyed, spec, things};

/// A CA, and what it signs.
struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority of our own");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key.
    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
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

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A server that speaks TLS, and gives its address; where `clients` is, with those whom that authority knows.
async fn serve(authority: &Authority, clients: Option<&Authority>) -> SocketAddr {
    let (certificate, key) = authority.sign("127.0.0.1");
    let builder = ServerConfig::builder();
    let builder = match clients {
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der.clone()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
    // A page of nothing for a list, the caller for all else.
    let router = Router::new().fallback(|uri: Uri| async move {
        if uri.path().ends_with("/users/me") {
            return Json(json!({"data": {"id": "usr_1", "email": "me@acme.example"}}));
        }
        Json(json!({"data": [], "meta": {"total": 0, "total_pages": 0}}))
    });
    tokio::spawn(async move { axum::serve(tls, router).await.unwrap() });
    address
}

async fn call(address: SocketAddr, transport: Transport) -> Result<u16, HttpError> {
    let spec = ClientSpec { transport, ..spec(api(keyed()), &format!("https://{address}"), key()) };
    Ok(Client::new(&spec).unwrap().send(&things()).await?.status)
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authority_that_the_connection_names() {
    let (ours, other) = (Authority::new(), Authority::new());
    let address = serve(&ours, None).await;
    let trusting = |ca: &str| Transport { ca: vec![ca.to_owned().into()], ..Transport::default() };
    assert_eq!(call(address, trusting(&ours.pem)).await.unwrap(), 200);
    assert_eq!(call(address, trusting(&format!("{}{}", other.pem, ours.pem))).await.unwrap(), 200);
    for transport in [Transport::default(), trusting(&other.pem)] {
        let error = call(address, transport).await.unwrap_err().to_string();
        assert!(error.contains("certificate is not accepted"), "{error}");
    }
    let unchecked = Transport { insecure_skip_verify: true, ..Transport::default() };
    assert_eq!(call(address, unchecked).await.unwrap(), 200);
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let (ours, other) = (Authority::new(), Authority::new());
    let address = serve(&ours, Some(&ours)).await;
    let with = |signer: Option<&Authority>| {
        let identity = signer.map(|signer| {
            let (certificate, key) = signer.sign("client.acme.example");
            (certificate.pem().into(), key.serialize_pem().into())
        });
        Transport { ca: vec![ours.pem.clone().into()], identity, ..Transport::default() }
    };
    assert_eq!(call(address, with(Some(&ours))).await.unwrap(), 200);
    call(address, with(None)).await.unwrap_err();
    call(address, with(Some(&other))).await.unwrap_err();
}

/// A proxy that only knows `CONNECT`: its address, and what it was asked for.
async fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let log = log.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap().to_owned();
                log.lock().unwrap().push(head);
                let mut upstream = TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                drop(copy_bidirectional(&mut stream, &mut upstream).await);
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_proxy_sees_no_credential_and_has_to_be_allowed() {
    let ours = Authority::new();
    let address = serve(&ours, None).await;
    let (proxy, asked) = proxy().await;
    let through =
        |proxy: String| Transport { ca: vec![ours.pem.clone().into()], proxy: Some(proxy), ..Transport::default() };
    assert_eq!(call(address, through(format!("http://{proxy}"))).await.unwrap(), 200);
    let heads = asked.lock().unwrap().join("");
    assert!(heads.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")), "{heads}");
    assert!(!heads.contains(KEY), "{heads}");
    let elsewhere = through("http://proxy.evil.example:3128".into());
    let spec = ClientSpec { transport: elsewhere, ..spec(api(keyed()), &format!("https://{address}"), key()) };
    assert_eq!(Client::new(&spec).unwrap_err().code, "PL0321");
}

/// Runs `plumb doctor` on a connection with these words more, and gives its exit code and all that it says.
fn doctor(folder: &Path, address: SocketAddr, words: &str) -> (Option<i32>, String) {
    let connection = format!(
        "apiVersion: plumb.dev/v1alpha1\nkind: Connection\nmetadata: {{name: main}}\nspec:\n  api: rest\n  \
         url: https://{address}\n  auth: {{bearer: {{valueFrom: {{env: TLS_TEST_TOKEN}}}}}}\n{words}"
    );
    std::fs::write(folder.join("connection.yaml"), connection).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_plumb"))
        .args(["doctor", "-f"])
        .arg(folder)
        .env("TLS_TEST_TOKEN", "token-0123456789")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_says_all_of_it() {
    let ours = Authority::new();
    let address = serve(&ours, Some(&ours)).await;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = ours.sign("client.acme.example");
    std::fs::write(folder.path().join("ca.pem"), &ours.pem).unwrap();
    std::fs::write(folder.path().join("client.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("client.key"), key.serialize_pem()).unwrap();
    let client = "clientCertificate: {valueFrom: {file: client.pem}}\n    clientKey: {valueFrom: {file: client.key}}";

    let all = format!("  timeouts: {{connect: 5, total: 30}}\n  tls:\n    caFile: ca.pem\n    {client}\n");
    let (code, said) = doctor(folder.path(), address, &all);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("PRIVATE KEY"), "{said}");

    let (code, said) = doctor(folder.path(), address, &format!("  tls:\n    {client}\n"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("certificate is not accepted"), "{said}");

    let (code, said) = doctor(folder.path(), address, &format!("  tls:\n    insecureSkipVerify: true\n    {client}\n"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("PL0326"), "every run warns: {said}");

    for (words, expected) in [
        ("  tls: {caFile: none.pem}\n", "PL0309"),
        ("  tls: {caFile: client.key}\n", "PL0325"),
        ("  tls: {clientCertificate: {valueFrom: {file: client.pem}}}\n", "PL0305"),
        ("  tls: {clientKey: secret}\n", "PL0112"),
        ("  proxy: proxy.example:3128\n", "PL0305"),
        ("  proxy: http://proxy.example:3128\n", "PL0321"),
        ("  timeouts: {total: 0}\n", "PL01"),
    ] {
        let (code, said) = doctor(folder.path(), address, words);
        assert_eq!(code, Some(1), "{words}: {said}");
        assert!(said.contains(expected), "{words}: {said}");
    }
}
