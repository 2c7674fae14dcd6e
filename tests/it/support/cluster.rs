//! A real control plane (etcd, API server, controller manager) for all tests of one run, and a namespace for each.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use serde_json::Value;
use tempfile::TempDir;

use super::example::{repository, tool};

/// The control plane.
pub(crate) struct Cluster {
    /// Certificates, logs and the kubeconfig.
    pub(crate) folder: TempDir,
    kubectl: PathBuf,
    etcd: u16,
    control: Mutex<ChildStdin>,
    _process: Mutex<Child>,
}

static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();

/// The folder with the programs; none where they were not built, which is a failure in CI.
fn assets() -> Option<PathBuf> {
    let script = repository("tests/kube/build.sh");
    let output = Command::new(script).arg("--where").output().unwrap();
    let folder = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    let there = ["etcd", "kube-apiserver", "kube-controller-manager"].iter().all(|name| folder.join(name).is_file());
    if there {
        return Some(folder);
    }
    let missing = format!("there is no Kubernetes API server in `{}`: run `tests/kube/build.sh`", folder.display());
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    std::array::from_fn(|index| listeners[index].local_addr().unwrap().port())
}

#[expect(clippy::needless_pass_by_value, reason = "each is made for one certificate")]
fn certificate(folder: &Path, name: &str, params: CertificateParams, issuer: &Issuer<'_, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let made = params.signed_by(&key, issuer).unwrap();
    fs::write(folder.join(format!("{name}.pem")), made.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn params(usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params.extended_key_usages = vec![usage];
    params
}

impl Cluster {
    /// The control plane of this run, started when it is first asked for.
    pub(crate) fn shared() -> Option<&'static Self> {
        SHARED.get_or_init(Self::defined).as_ref()
    }

    /// A control plane for a test that does to it what the others would not like.
    pub(crate) fn own() -> Option<&'static Self> {
        Some(Box::leak(Box::new(Self::defined()?)))
    }

    /// A control plane that knows none of plumb's resources yet.
    pub(crate) fn empty() -> Option<&'static Self> {
        Some(Box::leak(Box::new(Self::start()?)))
    }

    fn defined() -> Option<Self> {
        let cluster = Self::start()?;
        cluster.run(&["apply", "--server-side", "-f", "crds"]);
        cluster.run(&["wait", "--for=condition=Established", "--timeout=240s", "crd", "--all"]);
        Some(cluster)
    }

    fn start() -> Option<Self> {
        let assets = assets()?;
        let kubectl = tool("kubectl")?;
        let folder = TempDir::new().unwrap();
        let at = folder.path();
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "test");
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        fs::write(at.join("ca.pem"), ca_certificate.pem()).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let mut server = params(ExtendedKeyUsagePurpose::ServerAuth);
        server.subject_alt_names =
            vec![SanType::IpAddress("127.0.0.1".parse().unwrap()), SanType::DnsName("localhost".try_into().unwrap())];
        certificate(at, "server", server, &issuer);
        let mut admin = params(ExtendedKeyUsagePurpose::ClientAuth);
        admin.distinguished_name.push(DnType::CommonName, "admin");
        admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
        certificate(at, "admin", admin, &issuer);
        let accounts = KeyPair::generate().unwrap();
        fs::write(at.join("sa.key"), accounts.serialize_pem()).unwrap();
        fs::write(at.join("sa.pub"), accounts.public_key_pem()).unwrap();
        let [etcd, peer, port] = free_ports();
        let user = format!(
            "{{client-certificate-data: {}, client-key-data: {}}}",
            STANDARD.encode(fs::read(at.join("admin.pem")).unwrap()),
            STANDARD.encode(fs::read(at.join("admin.key")).unwrap())
        );
        let config = kubeconfig(at, port, &user);
        fs::write(at.join("kubeconfig"), config).unwrap();
        let mut process = Command::new("bash")
            .arg(repository("tests/kube/run.sh"))
            .arg(&assets)
            .arg(at)
            .args([etcd, peer, port].map(|port| port.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let control = process.stdin.take().unwrap();
        let cluster = Self { folder, kubectl, etcd, control: Mutex::new(control), _process: Mutex::new(process) };
        let began = Instant::now();
        while !cluster.kubectl(&["get", "--raw", "/readyz"]).0 {
            let log = fs::read_to_string(cluster.folder.path().join("api.log")).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(5).collect();
            assert!(began.elapsed() < Duration::from_mins(3), "the API server is not ready: {end:#?}");
            std::thread::sleep(Duration::from_millis(250));
        }
        cluster.control.lock().unwrap().write_all(b"manage\n").unwrap();
        Some(cluster)
    }

    /// Restarts the API server.
    pub(crate) fn restart(&self) {
        self.control.lock().unwrap().write_all(b"restart\n").unwrap();
    }

    /// Drops the history of everything that is stored, so that no watch can go on from before.
    pub(crate) fn compact(&self) {
        let ask = |path: &str, body: &str| -> Value {
            let mut stream = TcpStream::connect(("127.0.0.1", self.etcd)).unwrap();
            let length = body.len();
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let from = answer.find("\r\n\r\n").unwrap();
            let json = &answer[from..];
            serde_json::from_str(&json[json.find('{').unwrap()..=json.rfind('}').unwrap()]).unwrap()
        };
        let now = ask("/v3/kv/range", r#"{"key":"AA=="}"#);
        let revision = now["header"]["revision"].as_str().unwrap().to_owned();
        let done = ask("/v3/kv/compaction", &format!(r#"{{"revision":"{revision}","physical":true}}"#));
        assert!(done.get("error").is_none(), "{done}");
    }

    /// Path of the administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Writes the kubeconfig of a user who has a token.
    pub(crate) fn kubeconfig_of(&self, name: &str, token: &str) -> PathBuf {
        let own = fs::read_to_string(self.kubeconfig()).unwrap();
        let server = own.split("https://127.0.0.1:").nth(1).unwrap();
        let port: u16 = server.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
        let path = self.folder.path().join(name);
        fs::write(&path, kubeconfig(self.folder.path(), port, &format!("{{token: {token}}}"))).unwrap();
        path
    }

    /// Runs kubectl; whether it succeeded, and what it printed.
    pub(crate) fn kubectl(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new(&self.kubectl)
            .args(args)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.folder.path())
            .current_dir(repository(""))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    /// Runs kubectl, which must succeed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let (good, text) = self.kubectl(args);
        assert!(good, "kubectl {args:?}: {text}");
        text
    }

    /// Gives kubectl a text on standard input.
    pub(crate) fn feed(&self, args: &[&str], text: &str) -> (bool, String) {
        let mut child = Command::new(&self.kubectl)
            .args(args)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = text.to_owned();
        let writer = std::thread::spawn(move || {
            // kubectl may end before it has read all.
            let _ = input.write_all(text.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }

    /// A namespace with a name of its own.
    pub(crate) fn namespace(&self, name: &str) -> String {
        let namespace = format!("{name}-{:06x}", fastrand::u32(..) & 0x00ff_ffff);
        self.run(&["create", "namespace", &namespace]);
        namespace
    }

    /// An object, as JSON; nothing where it is not there.
    pub(crate) fn get(&self, namespace: &str, what: &str) -> Option<Value> {
        let (good, text) = self.kubectl(&["get", "-n", namespace, what, "-o", "json"]);
        if good { serde_json::from_str(&text).ok() } else { None }
    }

    /// Waits until something is there.
    #[expect(clippy::unused_self, reason = "it is the cluster that is waited for")]
    pub(crate) fn until<T>(&self, what: &str, most: Duration, mut check: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = check() {
                return found;
            }
            assert!(began.elapsed() < most, "{what}: not within {most:?}");
            std::thread::sleep(Duration::from_millis(150));
        }
    }
}

fn kubeconfig(folder: &Path, port: u16, user: &str) -> String {
    let ca = STANDARD.encode(fs::read(folder.join("ca.pem")).unwrap());
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority-data: {ca}}}}}]\n\
         users: [{{name: test, user: {user}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
    )
}
