//! A way to a server that can be cut: what is under way breaks off, and what comes meets nobody for a while.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use plumb::inventory::{Location, Settings};

use super::{api_server, postgres};

/// The way; it serves as long as the test program.
#[derive(Clone)]
pub(crate) struct Way(Arc<Inner>);

struct Inner {
    to: SocketAddr,
    open: Mutex<Vec<TcpStream>>,
    closed: AtomicBool,
}

impl Way {
    /// A way to a server, and where it begins.
    fn to(server: &str) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let to = server.replace("localhost", "127.0.0.1").parse().unwrap();
        let way = Self(Arc::new(Inner { to, open: Mutex::default(), closed: AtomicBool::new(false) }));
        let accepting = way.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| accepting.pass(stream)));
        (way, here)
    }

    /// Breaks off all that is under way.
    pub(crate) fn sever(&self) {
        for stream in self.0.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on nobody is there, or somebody again.
    pub(crate) fn close(&self, closed: bool) {
        self.0.closed.store(closed, Ordering::SeqCst);
        if closed {
            self.sever();
        }
    }

    fn pass(&self, from: TcpStream) {
        if self.0.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(to) = TcpStream::connect(self.0.to) else { return };
        for stream in [&from, &to] {
            stream.set_nodelay(true).unwrap();
        }
        self.0.open.lock().unwrap().extend([from.try_clone().unwrap(), to.try_clone().unwrap()]);
        let back = (to.try_clone().unwrap(), from.try_clone().unwrap());
        for (mut source, mut target) in [(from, to), back] {
            thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(length @ 1..) = source.read(&mut buffer) {
                    if target.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
                let _ = target.shutdown(Shutdown::Both);
            });
        }
    }
}

/// The same place, or one of the same kind, reached by a way that can be cut; and without it.
pub(crate) fn through(location: &Location) -> (Way, Location, Location) {
    let direct = match location {
        Location::Postgres(_) => network_database(),
        other => other.clone(),
    };
    let mut location = direct.clone();
    let way = match &mut location {
        Location::S3 { settings, .. } => endpoint(settings, "aws_endpoint_url"),
        Location::Gs { settings, .. } => endpoint(settings, "google_base_url"),
        Location::Az { settings, .. } => endpoint(settings, "azure_storage_endpoint"),
        Location::Kubernetes(place) => {
            let config = fs::read_to_string(&place.settings.0[0].1).unwrap();
            let host = config.split_once("://").unwrap().1;
            let host = host.split(['"', '\'', '/']).next().unwrap().to_owned();
            let (way, here) = Way::to(&host);
            let path = tempfile::TempDir::new().unwrap().keep().join("kubeconfig");
            fs::write(&path, config.replace(&host, &here.to_string())).unwrap();
            location = api_server::place(&place.namespace.clone(), place.form, &path);
            way
        }
        Location::Postgres(_) => {
            let url = postgres_url(&direct);
            let host = url.split_once('@').unwrap().1.split('/').next().unwrap().to_owned();
            let (way, here) = Way::to(&host);
            location = parse(&url.replace(&host, &here.to_string()));
            way
        }
        Location::Sqlite(_) => panic!("{location} is reached by no network"),
    };
    (way, location, direct)
}

fn endpoint(settings: &mut Settings, name: &str) -> Way {
    let (_, value) = settings.0.iter_mut().find(|(known, _)| known == name).unwrap();
    let host = value.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let (way, here) = Way::to(&host);
    *value = value.replace(&host, &here.to_string());
    way
}

fn parse(url: &str) -> Location {
    Location::parse(Some(url), std::path::Path::new(".")).unwrap()
}

fn network_database() -> Location {
    parse(&postgres::shared().unwrap().network_url("127.0.0.1", ""))
}

/// The URL of a database with its password, which the location itself does not show.
fn postgres_url(location: &Location) -> String {
    location.to_string().replace("postgres://", &format!("postgres://plumb:{}@", postgres::PASSWORD))
}
