//! Keeps the store connected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Link, Question, Shared, told};

/// Makes the connection, watches it, and makes it anew.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// What was logged since the store last answered: each reason once.
    said: Vec<String>,
}

impl Keeper {
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Keeper {
            shared,
            said: Vec::new(),
        }
    }

    /// Goes on for as long as its runtime.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let since = Instant::now();
            self.watch().await;
            // A store that comes and goes is not asked more often than one that is gone.
            if since.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.connect().await;
        }
    }

    /// Tries to connect.
    pub(super) async fn connect(&mut self) {
        let shared = &self.shared;
        match shared.connected().await {
            Ok(link) => {
                shared.link.store(Some(Arc::new(link)));
                shared.observe.store_answers(true);
                tracing::info!(store = %shared.address, "the store of limits answers");
                self.said.clear();
            }
            Err(why) if self.said.len() < MOST_SAID && !self.said.contains(&why) => {
                let on_error = shared.on_error;
                tracing::warn!(store = %shared.address, %on_error, "the store of limits cannot be reached: {why}");
                self.said.push(why);
            }
            Err(_) => {}
        }
    }

    /// Returns once the store does not answer. It is asked now and then also where no request does, so that readyz and
    /// metrics tell of it before a request has to wait.
    async fn watch(&self) {
        loop {
            let Some(link) = self.shared.link.load_full() else {
                return;
            };
            tokio::select! {
                () = self.shared.lost.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let mut connection = link.connection.clone();
                    let ping = redis::cmd("PING");
                    let asked = ping.query_async::<()>(&mut connection);
                    let failed = match tokio::time::timeout(self.shared.timeout, asked).await {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => told(&error),
                        Err(_) => format!("no answer within {:?}", self.shared.timeout),
                    };
                    self.shared.lose(&link, &failed);
                }
            }
        }
    }
}

impl Shared {
    /// A connection over which the store has answered a question in time.
    async fn connected(&self) -> Result<Link, String> {
        let connecting = tokio::time::timeout(LONGEST_CONNECT, self.connect());
        let link = connecting
            .await
            .map_err(|_| format!("no connection within {LONGEST_CONNECT:?}"))??;
        // Like a request's: a server that is too slow, is read-only or has no memory left is not there for them either.
        self.asked_in_time(&link, &probe()).await?;
        Ok(link)
    }

    async fn connect(&self) -> Result<Link, String> {
        let host = self.address.host.as_str();
        let tcp = TcpStream::connect((host, self.address.port))
            .await
            .map_err(|error| error.to_string())?;
        // One that cannot be set costs time alone.
        let _ = tcp.set_nodelay(true);
        let link = if self.address.tls {
            let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let tls = connector.connect(name, tcp).await.map_err(|error| error.to_string())?;
            self.linked(tls).await
        } else {
            self.linked(tcp).await
        };
        link.map_err(|error| told(&error))
    }

    async fn linked<S>(&self, stream: S) -> Result<Link, RedisError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&self.address.login(), stream, config).await?;
        let driver = tokio::spawn(driver).abort_handle();
        let mut link = Link { connection, driver };
        self.script.load_async(&mut link.connection).await?;
        Ok(link)
    }
}

/// Asks a bucket that nobody else has, and that is gone a moment later.
fn probe() -> Question {
    Question {
        key: "qstash-guard:probe".to_owned(),
        interval: Duration::from_millis(1),
        burst: 1,
        cost: 1,
        at_most: true,
    }
}

/// How long a connection, TLS and login included, may take.
const LONGEST_CONNECT: Duration = Duration::from_secs(2);
/// How often a store that answers is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause before the first new connection; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// So many reasons are logged until the store answers again.
const MOST_SAID: usize = 8;
