//! `qstash-guard health`: asks a running guard whether it is ready; for container health checks.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::HOST;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::block_on;

/// Ask a running guard whether it is ready
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Health {
    /// The admin address of the guard
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9089")]
    admin: SocketAddr,
}

impl Health {
    /// 0 if it is ready, 1 if not.
    pub(crate) fn run(&self) -> ExitCode {
        let admin = self.admin;
        block_on(async move {
            let asked = tokio::time::timeout(TIMEOUT, ask(admin)).await;
            asked.unwrap_or_else(|_| {
                Err(std::io::Error::other(format!(
                    "{admin} did not answer within {TIMEOUT:?}"
                )))
            })
        })
    }
}

async fn ask(admin: SocketAddr) -> std::io::Result<()> {
    let stream = TcpStream::connect(admin)
        .await
        .map_err(|error| std::io::Error::other(format!("no guard answers on {admin}: {error}")))?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let request = Request::get("/readyz")
        .header(HOST, admin.to_string())
        .body(Empty::new())
        .map_err(std::io::Error::other)?;
    let status = sender
        .send_request(request)
        .await
        .map_err(std::io::Error::other)?
        .status();
    if status.is_success() {
        Ok(())
    } else {
        Err(std::io::Error::other(format!("not ready: readyz answers {status}")))
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
