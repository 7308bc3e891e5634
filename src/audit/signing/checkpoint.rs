//! One signed head of the chain, and the line it becomes. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::key::{PublicKeys, SigningKey};
use crate::audit::chain::{Head, LineHash};

/// A checkpoint as its line has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::audit) struct Checkpoint {
    /// The record's number.
    pub(in crate::audit) seq: u64,
    /// When it was signed.
    pub(in crate::audit) time: String,
    /// Who signed: the guard's host or pod.
    instance: String,
    /// The hash of the record's line.
    head: String,
    /// Which key signed.
    key: String,
    /// The signature of [`Checkpoint::message`], base64.
    signature: String,
}

impl Checkpoint {
    /// Signs a head.
    pub(super) fn sign(key: &SigningKey, head: Head, time: Timestamp, instance: &str) -> Self {
        let mut checkpoint = Checkpoint {
            seq: head.seq,
            time: format!("{time:.6}"),
            instance: instance.to_owned(),
            head: head.hash.to_string(),
            key: key.id().to_owned(),
            signature: String::new(),
        };
        checkpoint.signature = STANDARD.encode(key.sign(checkpoint.message().as_bytes()));
        checkpoint
    }

    /// What is signed. Its first line keeps it apart from all else that such a key may sign; each field has its line.
    fn message(&self) -> String {
        format!(
            "qstash-guard audit checkpoint v1\nseq {}\nhead {}\ntime {}\ninstance {}\n",
            self.seq, self.head, self.time, self.instance
        )
    }

    /// The line, with its newline.
    pub(super) fn line(&self) -> Vec<u8> {
        // Numbers and strings into a vector: neither the data nor the sink can fail.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// The number in a line, whoever signed it.
    pub(super) fn seq_of(line: &[u8]) -> Option<u64> {
        serde_json::from_slice::<Checkpoint>(line)
            .ok()
            .map(|checkpoint| checkpoint.seq)
    }

    /// Reads a line without its newline, and checks its signature.
    pub(in crate::audit) fn verify(line: &[u8], keys: &PublicKeys) -> Result<(Self, LineHash), String> {
        let checkpoint: Checkpoint =
            serde_json::from_slice(line).map_err(|error| format!("the line is no checkpoint: {error}"))?;
        let odd = |text: &str| text.chars().any(char::is_control);
        if odd(&checkpoint.time) || odd(&checkpoint.instance) {
            return Err("the line is no checkpoint: a control character is in it".to_owned());
        }
        let hash = LineHash::parse(&checkpoint.head)
            .ok_or_else(|| "the line is no checkpoint: `head` is no SHA-256 in hexadecimal".to_owned())?;
        let signature = STANDARD.decode(&checkpoint.signature).unwrap_or_default();
        match keys.verify(&checkpoint.key, checkpoint.message().as_bytes(), &signature) {
            Some(true) => Ok((checkpoint, hash)),
            Some(false) => Err(format!(
                "the signature of the checkpoint of record {} does not fit: it was changed, or not made with this key",
                checkpoint.seq
            )),
            None => Err(format!(
                "the checkpoint of record {} is signed by the key {}, not by {}; where the key was changed, put both public \
                 keys into one file",
                checkpoint.seq,
                crate::audit::read::plain(&checkpoint.key),
                keys.ids().collect::<Vec<_>>().join(" or ")
            )),
        }
    }
}
