//! The handle that a program or a test holds.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::net::TcpListener;

use super::{message::Message, options::Options, serve, store::Store};

/// An in-memory QStash. Clones are cheap and share all state.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

impl Simulator {
    /// A simulator that holds `options.messages` seeded messages and nothing else.
    pub fn new(options: Options) -> Self {
        let simulator = Self {
            shared: Arc::new(Shared {
                store: Mutex::new(Store::default()),
                requests: AtomicU64::new(0),
                options,
            }),
        };
        simulator.seed(simulator.shared.options.messages);
        simulator
    }

    /// Serves HTTP/1.1 on `listener` until `shutdown` resolves. Connections then get a second to finish what they are
    /// answering.
    ///
    /// # Errors
    /// None today: a failed accept is tried again.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        serve::serve(self.shared, listener, shutdown).await;
        Ok(())
    }

    /// Messages that are neither cancelled nor in the DLQ.
    pub fn pending(&self) -> usize {
        self.shared.store().pending()
    }

    /// Requests ever received, refused ones included.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Adds `count` pending messages. The n-th message ever seeded (from 0) has
    ///
    /// * the URL `https://host-{n % 4}.example/hook/{n % 10}` and the label `label-{n % 5}`;
    /// * when n is even, the queue `queue-{n / 2 % 3}`;
    /// * when n is a multiple of 3, the flow control key `flow-{n / 3 % 2}`;
    /// * when n % 10 is 9, the schedule id `scd_{n / 10 % 2}`, and when it is 7, the URL group `group-{n / 10 % 2}`;
    /// * the caller IP 127.0.0.1 and the body `{"n": n}`.
    pub fn seed(&self, count: usize) {
        let mut store = self.shared.store();
        for _ in 0..count {
            let n = store.next_seed();
            let message = Message {
                url: format!("https://host-{}.example/hook/{}", n % 4, n % 10),
                labels: vec![format!("label-{}", n % 5)],
                queue: n.is_multiple_of(2).then(|| format!("queue-{}", n / 2 % 3)),
                flow_control_key: n.is_multiple_of(3).then(|| format!("flow-{}", n / 3 % 2)),
                schedule_id: (n % 10 == 9).then(|| format!("scd_{}", n / 10 % 2)),
                topic: (n % 10 == 7).then(|| format!("group-{}", n / 10 % 2)),
                body: format!("{{\"n\": {n}}}").into_bytes().into(),
                ..Message::new(IpAddr::V4(Ipv4Addr::LOCALHOST))
            };
            store.add(message);
        }
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) requests: AtomicU64,
    store: Mutex<Store>,
}

impl Shared {
    /// The state, with every bulk action that is due brought to its end.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        // A panic under the lock would be a defect of the simulator; its other users are still better served than not.
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.settle();
        store
    }
}
