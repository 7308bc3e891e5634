//! What the writer can be asked for beside records.

use crossbeam_channel::{Receiver, select};

use super::{Entry, Reply};
use crate::audit::record::Record;
use crate::audit::trail::TrailError;

/// What is asked for.
pub(in crate::audit) enum Control {
    /// To look whether the file was moved away.
    Reopen(Reply),
    /// To write a record of the trail's own.
    Write(Entry),
    /// To write what is queued and this record, then to end.
    Close(Box<Record>, Reply),
}

/// Answers all who come after the end, until the last handle is gone: what stands in a bounded channel when its receiver
/// goes is dropped with the channel, and whoever sent it would wait for as long as there are handles.
pub(super) fn refuse_all(records: &Receiver<Entry>, control: &Receiver<Control>) {
    loop {
        let reply = select! {
            recv(records) -> entry => match entry {
                Ok(entry) => entry.reply,
                Err(_) => return,
            },
            recv(control) -> asked => match asked {
                Ok(Control::Write(entry)) => entry.reply,
                Ok(Control::Reopen(reply) | Control::Close(_, reply)) => Some(reply),
                Err(_) => return,
            },
        };
        if let Some(reply) = reply {
            _ = reply.send(Err(TrailError::Closed));
        }
    }
}
