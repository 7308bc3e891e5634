//! The keys that checkpoints are signed and checked with. What a private key holds is in no message.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// The most bytes that a file may have.
const MOST: u64 = 64 * 1024;

/// What stands before the 32 bytes of an ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const MAKE: &str = "make one with `openssl genpkey -algorithm ed25519 -out FILE`";

/// What is wrong with the file of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", file.display())]
pub struct KeyFault {
    file: PathBuf,
    message: String,
}

/// A private key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    id: String,
    exposed: Option<String>,
}

/// Public keys; a checkpoint is good if one of them made it.
#[derive(Clone, Debug)]
pub struct PublicKeys(Vec<PublicKey>);

#[derive(Clone, Debug)]
struct PublicKey {
    id: String,
    bytes: [u8; 32],
}

impl SigningKey {
    /// Reads a key in PKCS#8 PEM. Blocks.
    ///
    /// # Errors
    /// Why the file holds no key that can be used.
    pub fn read(path: &Path) -> Result<Self, KeyFault> {
        let fault = |message: String| KeyFault {
            file: path.to_owned(),
            message,
        };
        let (pem, mode) = read(path)?;
        let mut der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|error| fault(no_private_key(&pem, &error)))?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
        der.zeroize();
        let pair = pair.map_err(|_| fault(format!("its key is not an ed25519 key in PKCS#8; {MAKE}")))?;
        let id = id(pair.public_key().as_ref());
        // A group may read it: that is how a container gets a secret that root owns.
        let exposed = (mode & 0o027 != 0).then(|| {
            format!(
                "{} has the mode {:04o}: others than its owner and group may read it, or its group change it, and sign \
                 what they like; chmod 600 it",
                path.display(),
                mode & 0o7777
            )
        });
        Ok(SigningKey { pair, id, exposed })
    }

    /// What is unsafe about the file, as it is.
    pub fn exposed(&self) -> Option<&str> {
        self.exposed.as_deref()
    }

    /// 12 hex digits of the SHA-256 of the public key (`SubjectPublicKeyInfo`, DER).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Says in a detail that the trail is signed, and by which key.
    pub(in crate::audit) fn introduce(&self, detail: &mut String) {
        if !detail.is_empty() {
            detail.push_str("; ");
        }
        detail.push_str("checkpoints signed by key ");
        detail.push_str(&self.id);
    }

    /// The signature of some bytes.
    pub(super) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.pair.sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl PublicKeys {
    /// Reads one public key or more in PEM. Blocks.
    ///
    /// # Errors
    /// Why the file holds none that can be used.
    pub fn read(path: &Path) -> Result<Self, KeyFault> {
        let fault = |message: String| KeyFault {
            file: path.to_owned(),
            message,
        };
        let (pem, _) = read(path)?;
        let mut keys = Vec::new();
        for der in SubjectPublicKeyInfoDer::pem_slice_iter(&pem) {
            let der = der.map_err(|_| fault("it is no PEM".to_owned()))?;
            let bytes = der
                .strip_prefix(&SPKI)
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let bytes = bytes.ok_or_else(|| fault("a public key in it is not an ed25519 key".to_owned()))?;
            keys.push(PublicKey { id: id(&bytes), bytes });
        }
        if !keys.is_empty() {
            return Ok(PublicKeys(keys));
        }
        let what = if contains(&pem, "PRIVATE KEY-----") {
            "it holds a private key, which should stay with the guard"
        } else {
            "it holds no public key in PEM (-----BEGIN PUBLIC KEY-----)"
        };
        Err(fault(format!(
            "{what}; take the public one out with `openssl pkey -in KEY -pubout -out FILE`"
        )))
    }

    /// Their ids.
    pub(in crate::audit) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Whether the key of this id signed a message; `None` without such a key.
    pub(super) fn verify(&self, id: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let key = self.0.iter().find(|key| key.id == id)?;
        let public = UnparsedPublicKey::new(&ED25519, key.bytes);
        Some(public.verify(message, signature).is_ok())
    }
}

/// The bytes of a file, and its mode.
fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), KeyFault> {
    let fault = |message: String| KeyFault {
        file: path.to_owned(),
        message,
    };
    // As long as it may become: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MOST).unwrap_or_default() + 1));
    let mut read = || -> io::Result<u32> {
        let file = File::open(path)?;
        let mode = file.metadata()?.mode();
        file.take(MOST + 1).read_to_end(&mut bytes)?;
        Ok(mode)
    };
    match read() {
        Ok(_) if bytes.len() as u64 > MOST => Err(fault("it is larger than 64KiB, and so no key".to_owned())),
        Ok(mode) => Ok((bytes, mode)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(fault(format!("there is no such file; {MAKE}"))),
        Err(error) => Err(fault(format!("it cannot be read: {error}"))),
    }
}

/// Why there is no private key; what the parser says of a broken file may quote it.
fn no_private_key(pem: &[u8], error: &Error) -> String {
    let found = |label: &str| contains(pem, &format!("-----BEGIN {label}-----"));
    if !matches!(error, Error::NoItemsFound) {
        "it is no PEM".to_owned()
    } else if found("ENCRYPTED PRIVATE KEY") {
        "its key is encrypted; write it without a passphrase, readable by the guard alone".to_owned()
    } else if found("RSA PRIVATE KEY") || found("EC PRIVATE KEY") || found("OPENSSH PRIVATE KEY") {
        format!("its key is not an ed25519 key in PKCS#8; {MAKE}")
    } else if found("PUBLIC KEY") {
        "it holds a public key; it takes the private one, and `audit verify --public-key` takes this".to_owned()
    } else {
        format!("it holds no private key in PEM (-----BEGIN PRIVATE KEY-----); {MAKE}")
    }
}

fn contains(bytes: &[u8], wanted: &str) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

fn id(public: &[u8]) -> String {
    let digest = Sha256::new().chain_update(SPKI).chain_update(public).finalize();
    digest[..6].iter().fold(String::new(), |mut hex, byte| {
        _ = write!(hex, "{byte:02x}");
        hex
    })
}
