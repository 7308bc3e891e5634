//! A verdict on files that a guard may be writing.

use std::fs;
use std::path::PathBuf;

use super::files::{Inputs, ReadError};
use super::verify::Report;

/// So often files are read anew that were written meanwhile.
const TRIES: u32 = 5;

/// Lists files and checks them. A guard that rotates, compresses or prunes between listing and reading would have its own
/// trail look broken, so what is found wrong is believed once the files stand as they did, or were read often enough.
///
/// # Errors
/// Those of `list` and `check`.
pub fn settled(
    mut list: impl FnMut() -> Result<Inputs, ReadError>,
    mut check: impl FnMut(&Inputs) -> Result<Report, ReadError>,
) -> Result<Report, ReadError> {
    let mut tried = 1;
    loop {
        let listed = list();
        let before = listed.as_ref().ok().map(stamp);
        let found = listed.and_then(|inputs| check(&inputs));
        let is_good = found.as_ref().is_ok_and(|report| report.exit_code() == 0);
        if is_good || tried == TRIES || list().as_ref().ok().map(stamp) == before {
            return found;
        }
        tried += 1;
    }
}

/// What tells whether files were written: which they are, and how long.
fn stamp(inputs: &Inputs) -> Vec<(PathBuf, Option<u64>)> {
    let all = inputs
        .chains
        .iter()
        .flat_map(|chain| chain.files.iter().chain(&chain.checkpoints));
    all.map(|path| (path.clone(), fs::metadata(path).ok().map(|metadata| metadata.len())))
        .collect()
}
