//! Signed heads of the chain: checkpoints.
//!
//! A chain alone does not show that its end was cut off, nor that all of it was written anew. A checkpoint says, signed with
//! ed25519, that a record had this number and this hash; whoever holds the public key can tell. Checkpoints stand in a file
//! beside the trail, so that the trail is read as ever by who knows nothing of them.

mod checkpoint;
mod key;
mod sidecar;
mod signer;

pub(super) use checkpoint::Checkpoint;
pub use key::{KeyFault, PublicKeys, SigningKey};
pub(super) use signer::Signer;
