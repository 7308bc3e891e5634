//! Compressing one rotated file with gzip, such that at every moment one whole copy stands under a name that is read.
//!
//! The compressed copy is written under a temporary name, synced, read back and compared, renamed, and the folder synced;
//! only then the plain file goes. It is the bytes of the plain file that are chained: unpacked, a copy is that file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::names;
use super::rotated::{Rotated, Rotations, file_name};
use super::text::Text;

/// What of a disk is left to the trail itself: compressing stops before it takes more. A quarter of a small file.
const SPARED: u64 = 16 * 1024 * 1024;

/// Compresses a file. After an error it is there as it was.
pub(super) fn compress(rotations: &Rotations, file: &Rotated) -> io::Result<()> {
    let unique = Uuid::now_v7().simple().to_string();
    let temporary = names::compressing(&file.plain, &unique);
    let copied = write(&file.plain, &temporary).and_then(|()| {
        fs::rename(&temporary, names::compressed(&file.plain))?;
        rotations.sync()
    });
    if let Err(error) = copied {
        _ = fs::remove_file(&temporary);
        return Err(error);
    }
    fs::remove_file(&file.plain)?;
    rotations.sync()
}

/// Leaves one of two forms of a file that a crash left both of: the compressed one, if it is whole; else that one is set
/// aside, and the plain one compressed again. Whether the compressed one was whole.
pub(super) fn settle(rotations: &Rotations, file: &Rotated) -> io::Result<bool> {
    let compressed = names::compressed(&file.plain);
    let plain = digest(&mut File::open(&file.plain)?)?;
    let mut text = Text::open(&compressed)?;
    let same = match digest(&mut text) {
        Err(error) if text.damage(&error).is_none() => return Err(error),
        read => read.is_ok_and(|copy| copy == plain),
    };
    if same {
        // What was renamed may not be on disk yet.
        rotations.sync()?;
        fs::remove_file(&file.plain)?;
    } else {
        fs::rename(&compressed, names::set_aside(&compressed, Timestamp::now()))?;
    }
    rotations.sync()?;
    Ok(same)
}

fn write(plain: &Path, temporary: &Path) -> io::Result<()> {
    let mut from = File::open(plain)?;
    let metadata = from.metadata()?;
    let to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(metadata.mode() & 0o777)
        .open(temporary)?;
    let sparing = Sparing {
        file: &to,
        spared: SPARED.min(metadata.len() / 4),
    };
    let mut packed = GzEncoder::new(sparing, Compression::default());
    let written = {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break <[u8; 32]>::from(hash.finalize());
            }
            hash.update(&buffer[..read]);
            packed.write_all(&buffer[..read])?;
        }
    };
    packed.finish()?;
    // For those who ship or expire files by their age.
    to.set_modified(metadata.modified()?)?;
    to.sync_all()?;
    if digest(&mut Text::open(temporary)?)? != written {
        let what = format!("{} does not unpack to what was packed", file_name(temporary));
        return Err(io::Error::other(what));
    }
    Ok(())
}

fn digest(from: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Writes for as long as the disk has room for the trail itself.
struct Sparing<'f> {
    file: &'f File,
    spared: u64,
}

impl Write for Sparing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let disk = rustix::fs::fstatvfs(self.file)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < self.spared {
            let what = format!("less than {} bytes are free, which are left to the trail", self.spared);
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
