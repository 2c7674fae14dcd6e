//! Real Git servers on loopback: git's own `http-backend` behind Apache over TLS, OpenSSH's server, and the git client.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// What Debian's packages are called that these tests need.
const NEEDED: [(&str, &str); 3] =
    [("/usr/sbin/apache2", "apache2"), ("/usr/sbin/sshd", "openssh-server"), ("/usr/bin/git", "git")];

/// Whether the servers are installed; where they are not, that is said in one line, and a failure in CI.
pub(crate) fn ready() -> bool {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(path, _)| !Path::new(path).exists()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return true;
    }
    let missing = format!("the tests of Git sources need {}: run `tests/run`", missing.join(", "));
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    false
}

/// A folder with repositories and whatever serves them.
pub(crate) struct Forge {
    /// Everything is below it.
    pub(crate) folder: TempDir,
}

/// A program that ends with the test.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // Apache ends its workers on TERM, and leaves them on KILL.
        let _ = Command::new("kill").arg(pid.to_string()).status();
        for _ in 0..100 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for(port: u16, child: &mut Child, log: &Path) {
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = child.try_wait().unwrap();
        assert!(
            ended.is_none() && Instant::now() < until,
            "no server: {ended:?} {}",
            fs::read_to_string(log).unwrap_or_default()
        );
        thread::sleep(Duration::from_millis(30));
    }
}

impl Forge {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs git in a folder below the forge's, with no configuration but this.
    pub(crate) fn git(&self, within: &str, arguments: &[&str]) -> String {
        let output = self.try_git(within, arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn try_git(&self, within: &str, arguments: &[&str]) -> Output {
        Command::new("git")
            .current_dir(self.path(within))
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Jane Doe")
            .env("GIT_AUTHOR_EMAIL", "jane@example.com")
            .env("GIT_COMMITTER_NAME", "Jane Doe")
            .env("GIT_COMMITTER_EMAIL", "jane@example.com")
            .output()
            .unwrap()
    }

    /// Makes a bare repository `NAME.git` and a clone `NAME` of it with one commit of these files on `main`.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) {
        let bare = format!("{name}.git");
        self.git(".", &["init", "--quiet", "--bare", "--initial-branch=main", &bare]);
        self.git(".", &["clone", "--quiet", &bare, name]);
        self.git(name, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        self.git(name, &["config", "commit.gpgsign", "false"]);
        if !files.is_empty() {
            self.push(name, files);
        }
    }

    /// Commits files in a clone and pushes them; gives the commit.
    pub(crate) fn push(&self, name: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.path(name).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.commit(name, "Change something")
    }

    /// Commits what is there in a clone and pushes it; gives the commit.
    pub(crate) fn commit(&self, name: &str, message: &str) -> String {
        self.git(name, &["add", "--all"]);
        self.git(name, &["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(name, &["push", "--quiet", "--force", "origin", "HEAD:main"]);
        self.git(name, &["rev-parse", "HEAD"])
    }

    /// The `file://` URL of a repository.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("file://{}", self.path(&format!("{name}.git")).display())
    }

    /// Starts Apache with TLS and a password (`jane`, `hunter2-hunter2`) over all repositories, and without TLS and
    /// password on the port after it. Gives the server, the other port, and the certificate.
    pub(crate) fn https(&self) -> (Server, u16, Vec<u8>) {
        let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let folder = self.path("apache");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cert.pem"), certificate.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        // `{SHA}` and the hash of `hunter2-hunter2`.
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, b"hunter2-hunter2");
        let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
        fs::write(folder.join("users"), format!("jane:{{SHA}}{hash}\n")).unwrap();
        let (port, plain) = (free_port(), free_port());
        let modules = [
            "mpm_prefork",
            "ssl",
            "cgi",
            "auth_basic",
            "authn_core",
            "authn_file",
            "authz_core",
            "authz_user",
            "env",
            "alias",
        ];
        let load: String = modules
            .iter()
            .filter(|name| Path::new(&format!("/usr/lib/apache2/modules/mod_{name}.so")).exists())
            .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
            .collect();
        let root = fs::canonicalize(self.folder.path()).unwrap();
        let root = root.display();
        let user = if is_root() { "User www-data\nGroup www-data\n" } else { "" };
        let text = format!(
            "ServerRoot {root}/apache\nServerName 127.0.0.1\nPidFile {root}/apache/pid\nErrorLog {root}/apache/log\n\
             DefaultRuntimeDir {root}/apache\nMutex file:{root}/apache\n{load}{user}StartServers 2\n\
             Listen 127.0.0.1:{port}\nListen 127.0.0.1:{plain}\n\
             SetEnv GIT_PROJECT_ROOT {root}\nSetEnv GIT_HTTP_EXPORT_ALL 1\nSetEnv GIT_CONFIG_COUNT 1\n\
             SetEnv GIT_CONFIG_KEY_0 safe.directory\nSetEnv GIT_CONFIG_VALUE_0 *\n\
             ScriptAlias / /usr/lib/git-core/git-http-backend/\n\
             <VirtualHost 127.0.0.1:{port}>\nSSLEngine on\nSSLCertificateFile {root}/apache/cert.pem\n\
             SSLCertificateKeyFile {root}/apache/key.pem\n<Location />\nAuthType Basic\nAuthName git\n\
             AuthUserFile {root}/apache/users\nRequire valid-user\n</Location>\n</VirtualHost>\n\
             <VirtualHost 127.0.0.1:{plain}>\n<Location />\nRequire all granted\n</Location>\n</VirtualHost>\n"
        );
        fs::write(folder.join("conf"), text).unwrap();
        let mut child = Command::new("/usr/sbin/apache2")
            .args(["-DFOREGROUND", "-f"])
            .arg(folder.join("conf"))
            // Apache ends its whole group when it ends.
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        wait_for(port, &mut child, &folder.join("stderr"));
        (Server { child, port }, plain, certificate.cert.pem().into_bytes())
    }

    /// Starts OpenSSH's server as whoever runs the test; `ssh/client` is a key that it lets in, `ssh/host.pub` its own.
    pub(crate) fn ssh(&self) -> Server {
        let folder = self.path("ssh");
        fs::create_dir_all(&folder).unwrap();
        for (name, passphrase) in [("host", ""), ("client", ""), ("locked", "a long passphrase")] {
            if !folder.join(name).exists() {
                self.keygen(&["-q", "-t", "ed25519", "-N", passphrase, "-f", name]);
            }
        }
        let keys = ["client.pub", "locked.pub"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
        fs::write(folder.join("authorized"), keys.concat()).unwrap();
        let port = free_port();
        let root = fs::canonicalize(&folder).unwrap();
        let root = root.display();
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {root}/host\nAuthorizedKeysFile {root}/authorized\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        );
        fs::write(folder.join("conf"), text).unwrap();
        if is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.join("conf"))
            // Apache ends its whole group when it ends.
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        wait_for(port, &mut child, &folder.join("stderr"));
        Server { child, port }
    }

    pub(crate) fn keygen(&self, arguments: &[&str]) {
        let made = Command::new("ssh-keygen").current_dir(self.path("ssh")).args(arguments).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// A line of `known_hosts` for the server's key.
    pub(crate) fn known_host(&self, port: u16) -> String {
        let key = fs::read_to_string(self.path("ssh/host.pub")).unwrap();
        format!("[127.0.0.1]:{port} {key}")
    }
}

/// Who runs the test.
pub(crate) fn user() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

fn is_root() -> bool {
    user() == "root"
}

/// A port that leads to another one, until so many bytes have come back: then it says nothing more. Gives the port and
/// how many bytes came.
pub(crate) fn stalling(to: u16, after: u64) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicU64::new(0));
    let count = seen.clone();
    thread::spawn(move || {
        for near in listener.incoming() {
            let Ok(mut near) = near else { return };
            let mut far = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut near_in, &mut far_out));
            let count = count.clone();
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(length) = far.read(&mut buffer) {
                    if length == 0 {
                        return;
                    }
                    if count.fetch_add(length as u64, Ordering::SeqCst) + length as u64 > after {
                        thread::sleep(Duration::from_mins(1));
                        return;
                    }
                    if near.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, seen)
}

/// A port that leads to another one, and how many connections came.
pub(crate) fn counting(to: u16) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicU64::new(0));
    let count = seen.clone();
    thread::spawn(move || {
        for near in listener.incoming() {
            let Ok(near) = near else { return };
            count.fetch_add(1, Ordering::SeqCst);
            let far = TcpStream::connect(("127.0.0.1", to)).unwrap();
            for (mut from, mut to) in
                [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far.try_clone().unwrap(), near)]
            {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (port, seen)
}
