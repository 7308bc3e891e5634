//! `qstash-guard key`: a new guard key, and the line that makes the guard know it.

use std::io::Write;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::fail;
use crate::policy::Callers;
use crate::qstash::credential::TokenHash;

/// Make a guard key for broker mode, and its line for `callers`
///
/// The key is shown this once and kept nowhere: give it to the caller, who sends it where a QStash token would stand. The
/// line with its hash goes under `callers` in the configuration.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Key {
    /// The caller's name
    #[arg(long, value_name = "NAME", default_value = "caller", value_parser = name)]
    name: String,
}

/// Random bytes of a key: nobody guesses 256 bits.
const BYTES: usize = 32;

impl Key {
    /// Runs the command: 0 once the key is written, 1 where there is no randomness or nobody to read it.
    pub(crate) fn run(&self) -> ExitCode {
        let written = fresh()
            .map_err(|error| format!("the system gives no random bytes: {error}"))
            .and_then(|key| {
                self.write(&key, &mut anstream::stdout().lock())
                    .map_err(|error| format!("the key could not be written: {error}"))
            });
        match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    }

    fn write(&self, key: &str, out: &mut impl Write) -> std::io::Result<()> {
        let (name, hash) = (&self.name, TokenHash::of(key.as_bytes()).to_hex());
        writeln!(out, "# For the caller, as its QSTASH_TOKEN. It is shown this once:")?;
        writeln!(out, "{key}")?;
        writeln!(out, "# For the guard, under callers:")?;
        // Quoted: a hash of digits alone would be a number.
        writeln!(out, "  - {{name: \"{name}\", key_sha256: \"{hash}\"}}")
    }
}

/// A new key: `qg_` and 256 random bits in base64url, a token68 that no QStash token looks like.
fn fresh() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(bytes.as_mut())?;
    // As long as it becomes: a string that grows leaves copies behind.
    let mut key = Zeroizing::new(String::with_capacity(Callers::KEY_PREFIX.len() + 2 * BYTES));
    key.push_str(Callers::KEY_PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut key);
    Ok(key)
}

fn name(text: &str) -> Result<String, String> {
    if Callers::RESERVED.contains(&text) {
        Err("this is what callers without a name are called; choose another".to_owned())
    } else if Callers::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a name has letters, digits and -_.@, at most {} of them",
            Callers::LONGEST_NAME
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_tokens_and_none_comes_twice() {
        let (one, two) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, two);
        for key in [one, two] {
            assert_eq!((key.len(), &key[..3]), (46, Callers::KEY_PREFIX), "256 bits");
            assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        }
    }
}
