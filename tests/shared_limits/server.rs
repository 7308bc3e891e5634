//! A real `redis-server` of a test's own.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::support::{Folder, wait};

/// A server on a free loopback port, without persistence; killed by its id when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: Folder,
    options: Vec<String>,
    /// The option that takes the port.
    port_option: &'static str,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Server::with(&[])
    }

    /// With further options, as the command line takes them.
    pub(crate) fn with(options: &[&str]) -> Self {
        Server::spawn("--port", Folder::new(), options)
    }

    /// Over TLS alone, with this certificate and its key.
    pub(crate) fn over_tls(certificate: &str, key: &str) -> Self {
        let folder = Folder::new();
        let certificate = folder.write("certificate.pem", certificate);
        let key = folder.write("key.pem", key);
        let options = [
            "--port",
            "0",
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            certificate.to_str().unwrap(),
            "--tls-ca-cert-file",
            certificate.to_str().unwrap(),
            "--tls-key-file",
            key.to_str().unwrap(),
        ];
        Server::spawn("--tls-port", folder, &options)
    }

    fn spawn(port_option: &'static str, folder: Folder, options: &[&str]) -> Self {
        let mut server = Server {
            port: 0,
            folder,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            port_option,
            child: None,
        };
        // Another process may take the port in between: then another one is tried.
        for _ in 0..10 {
            server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if server.try_start() {
                return server;
            }
        }
        panic!("no redis-server came up");
    }

    /// Starts it on its port, as it was configured; false where it ends at once.
    fn try_start(&mut self) -> bool {
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", self.port_option, &port])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server; Debian's package has that name");
        let child = self.child.insert(child);
        let up = wait::until(
            || match child.try_wait().unwrap() {
                Some(_) => Some(false),
                None => TcpStream::connect(("127.0.0.1", self.port)).ok().map(|_| true),
            },
            Option::is_some,
        );
        up.unwrap()
    }

    /// Ends it; what it held is gone.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it anew on the same port.
    pub(crate) fn bring_back(&mut self) {
        wait::until(|| self.try_start(), |up| *up);
    }

    /// Lets it hang: connections are taken, nothing is answered.
    pub(crate) fn hang(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn wake(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command and gives its answer.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let mut packed = redis::cmd(command[0]);
        packed.arg(&command[1..]);
        packed.query(&mut connection).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.stop();
        }
    }
}

/// Something on a loopback port that answers whatever it is sent with this.
pub(crate) fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while std::io::Read::read(&mut stream, &mut buffer).is_ok_and(|length| length > 0) {
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
