//! A PostgreSQL server for the tests, on a private socket and, with TLS, on loopback: started once, as a user who may
//! nothing, ended with the test program; each test has a database of its own.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use plumb::inventory::Location;
use tempfile::TempDir;

use super::program::{Program, missing};

/// The password of whoever comes over the network.
pub(crate) const PASSWORD: &str = "a-password-of-the-tests";

pub(crate) struct Server {
    pub(crate) folder: TempDir,
    bin: PathBuf,
    port: u16,
    _program: Program,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A URL of an empty database, by the private socket.
pub(crate) fn url() -> Option<String> {
    let server = shared()?;
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    server.run("createdb", &["-U", "plumb", &name]);
    let socket = server.folder.path().display().to_string().replace('/', "%2F");
    Some(format!("postgres://plumb@{socket}:{}/{name}", server.port))
}

/// An empty database.
pub(crate) fn location() -> Option<Location> {
    Some(Location::parse(Some(&url()?), Path::new(".")).unwrap())
}

/// The server, where PostgreSQL is installed.
pub(crate) fn shared() -> Option<&'static Server> {
    SERVER.get_or_init(start).as_ref()
}

impl Server {
    /// A URL of an empty database over the network, with a password and more.
    pub(crate) fn network_url(&self, host: &str, query: &str) -> String {
        let url = url().unwrap();
        let name = url.rsplit('/').next().unwrap();
        format!("postgres://plumb:{PASSWORD}@{host}:{}/{name}?{query}", self.port)
    }

    /// What an administrator's statement says.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> String {
        self.run("psql", &["-U", "plumb", "-d", database, "-Atc", statement])
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(self.bin.join(program))
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn start() -> Option<Server> {
    let Some(bin) = programs() else { return missing("PostgreSQL") };
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).unwrap();
    fs::write(at.join("ca.pem"), root.pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(at.join("server.pem"), certificate.pem()).unwrap();
    fs::write(at.join("server.key"), key.serialize_pem()).unwrap();
    fs::set_permissions(at.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(at.join("password"), PASSWORD).unwrap();
    let root = is_root();
    if root {
        // The server refuses to run as root; whoever is nobody may do nothing else.
        for path in [at.to_owned(), at.join("server.key"), at.join("password")] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let as_nobody = |program: &str| {
        let mut command = Command::new(if root { "setpriv".into() } else { bin.join(program) });
        if root {
            let user = NOBODY.to_string();
            command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into()]);
            command.arg(bin.join(program));
        }
        command.current_dir(at);
        command
    };
    let made = as_nobody("initdb")
        .args(["-D", "data", "-U", "plumb", "-E", "UTF8", "--locale=C", "--no-sync", "--pwfile=password"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = as_nobody("postgres");
    server.args(["-D", "data", "-h", "127.0.0.1", "-p", &port.to_string()]).arg("-k").arg(at);
    for setting in ["ssl=on", "ssl_cert_file=../server.pem", "ssl_key_file=../server.key", "max_connections=200"] {
        server.args(["-c", setting]);
    }
    let server = Server { _program: Program::silent(&server), bin, port, folder };
    let began = Instant::now();
    while !Command::new(server.bin.join("pg_isready"))
        .arg("-q")
        .arg("-h")
        .arg(server.folder.path())
        .args(["-p", &port.to_string()])
        .status()
        .unwrap()
        .success()
    {
        assert!(began.elapsed() < Duration::from_mins(1), "PostgreSQL does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(server)
}

/// The user and group `nobody` of Debian.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The folder that has the newest server which is installed.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}
