//! The guard's own token for broker mode: read at the start, and from a file again when that changes.
//!
//! A file that cannot be used changes nothing: the token that is in force stays, and the log says why. What a file holds
//! is in no message.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::{Look, Looks};
use crate::layers::TokenSource;
use crate::layers::broker::Broker;
use crate::qstash::credential::Token;

/// The most bytes that a file may have.
const MOST: u64 = 16 * 1024;

/// Why a file holds no token that can be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// It cannot be read.
    #[error("credentials.token_file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is nothing in it.
    #[error("credentials.token_file {} is empty; write the QStash token into it", .0.display())]
    Empty(PathBuf),
    /// It is no token.
    #[error(
        "credentials.token_file {} holds no token: that is one line of letters, digits and -._~+/, with = at its end alone",
        .0.display()
    )]
    Malformed(PathBuf),
}

/// A token and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct TokenHolder {
    source: TokenSource,
    /// What requests take it from.
    pub(super) broker: Arc<Broker>,
    /// What of the file was seen.
    looks: Looks,
}

impl TokenHolder {
    /// Takes the token from its source. Blocks while a file is read.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn open(source: TokenSource) -> Result<Self, TokenFault> {
        let mut looks = Looks::default();
        let token = match &source {
            TokenSource::Value(token) => token.clone(),
            TokenSource::File(path) => {
                let read = read(path);
                looks.take(look(&read));
                token(path, read)?
            }
        };
        Ok(TokenHolder {
            source,
            broker: Arc::new(Broker::new(token)),
            looks,
        })
    }

    /// Whether the token comes from there.
    pub(super) fn comes_from(&self, source: &TokenSource) -> bool {
        self.source == *source
    }

    /// Looks at the file, and puts its token in force where it is not what was taken last. A change is taken at the second
    /// look that finds it, so that a file is not read while it is being written; `at_once` takes it at the first. Blocks
    /// while the file is read.
    pub(super) fn look(&mut self, at_once: bool) {
        let TokenSource::File(path) = &self.source else { return };
        let read = read_again(path);
        let now = look(&read);
        if at_once {
            self.looks.take(now);
        } else if !self.looks.find_change(now) {
            return;
        }
        match token(path, read) {
            Ok(token) if self.broker.held().token() != Some(&token) => {
                tracing::info!(file = %path.display(), token = %token.fingerprint(), "another token is in force");
                self.broker.replace(token);
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the token cannot be read again; the one in force stays"),
        }
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // As long as it may become: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MOST).unwrap_or_default() + 1));
    File::open(path)?.take(MOST + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// Reads a file that may have become something else: to open a pipe waits for a writer, and might wait for ever.
fn read_again(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if std::fs::metadata(path)?.is_file() {
        read(path)
    } else {
        Err(io::Error::other("it is no file any more"))
    }
}

fn look(read: &io::Result<Zeroizing<Vec<u8>>>) -> Look {
    let error = read.as_ref().err().map(ToString::to_string).unwrap_or_default();
    Look::at([read.as_ref().map(|text| text.as_slice()).map_err(|_| error.as_str())])
}

/// The token of a file's text, whose last line may have an end.
fn token(path: &Path, read: io::Result<Zeroizing<Vec<u8>>>) -> Result<Token, TokenFault> {
    let path = || path.to_owned();
    let text = read.map_err(|error| TokenFault::Unreadable { path: path(), error })?;
    let line = text.strip_suffix(b"\n").unwrap_or(&text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(TokenFault::Empty(path()));
    }
    if text.len() as u64 > MOST {
        return Err(TokenFault::Malformed(path()));
    }
    Token::new(line).ok_or_else(|| TokenFault::Malformed(path()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A file of this test process.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, text: &str) -> Self {
            let file = Scratch(std::env::temp_dir().join(format!("qstash-guard-{}-{name}.token", std::process::id())));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            fs::write(&self.0, text).unwrap();
        }

        fn open(&self) -> Result<TokenHolder, TokenFault> {
            TokenHolder::open(TokenSource::File(self.0.clone()))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn in_force(holder: &TokenHolder) -> String {
        String::from_utf8(holder.broker.held().token().unwrap().as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn one_end_of_line_goes_and_nothing_else() {
        let file = Scratch::new("ends", "");
        for (text, token) in [
            ("abc=", Some("abc=")),
            ("abc\n", Some("abc")),
            ("abc\r\n", Some("abc")),
            ("abc\n\n", None),
            (" abc", None),
            ("abc ", None),
            ("a\nb", None),
            ("", None),
            ("\n", None),
            ("=", None),
            ("tök", None),
        ] {
            file.write(text);
            let read = file.open().ok().map(|holder| in_force(&holder));
            assert_eq!(read.as_deref(), token, "{text:?}");
        }
        file.write(&"a".repeat(20_000));
        let error = file.open().unwrap_err().to_string();
        assert!(error.contains("holds no token") && !error.contains("aaaa"), "{error}");
    }

    #[test]
    fn a_change_is_taken_when_it_stands_still_and_a_bad_one_never() {
        let file = Scratch::new("change", "one");
        let mut holder = file.open().unwrap();
        let requests = Arc::clone(&holder.broker);
        holder.look(false);
        file.write("tw");
        holder.look(false);
        file.write("two\n");
        holder.look(false);
        assert_eq!(in_force(&holder), "one", "it may be half of a file");
        holder.look(false);
        assert_eq!(in_force(&holder), "two");
        for bad in ["", "a b"] {
            file.write(bad);
            holder.look(false);
            holder.look(false);
            holder.look(true);
            assert_eq!(in_force(&holder), "two", "{bad:?}");
        }
        fs::remove_file(&file.0).unwrap();
        holder.look(true);
        assert_eq!(in_force(&holder), "two");
        file.write("three");
        holder.look(true);
        assert_eq!(
            requests.held().token().unwrap().as_bytes(),
            b"three",
            "whoever holds the broker sees it"
        );
    }
}
