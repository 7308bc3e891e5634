//! A gate that a test opens when it is time.

use std::sync::{Arc, Condvar, Mutex};

use super::upstream::PATIENCE;

/// Closed at first; whoever comes waits until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody through from now on.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let (_open, timed_out) = self.0.1.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap();
        assert!(!timed_out.timed_out(), "the gate was never opened");
    }
}
