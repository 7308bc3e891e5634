//! `credentials`. Nothing written here is shown unless it is a plain short word: tokens end up under any of the keys.

use crate::config::keys::credentials as keys;
use crate::config::section::Section;
use crate::config::tree::Node;
use crate::config::value::Value;
use crate::config::values;
use crate::layers::{CredentialMode, Credentials, HeaderForwardToken, QueryToken, TokenSource};
use crate::qstash::credential::Token;

/// No value of these keys is longer.
const LONGEST_WORD: usize = 16;

/// The section, compiled.
pub(super) struct Compiled<'c> {
    pub(super) credentials: Credentials,
    /// Where the guard's own token comes from.
    pub(super) token: Option<TokenSource>,
    /// The mode as other keys see it.
    pub(super) mode: Mode<'c>,
}

/// `credentials.mode`, for the keys that go with it.
pub(super) enum Mode<'c> {
    Passthrough,
    /// With the value that says so.
    Broker(Value<'c>),
    /// It is faulty: nothing is said of what goes with it.
    Unclear,
}

pub(super) fn compile(mut section: Section<'_>) -> Compiled<'_> {
    // First, so that no fault of another key shows it.
    let token = section.get("token");
    if let Some(token) = &token {
        token.hide();
    }
    let query_token = section.value("query_token", QueryToken::Move, |value| word(value, &keys::QUERY_TOKEN));
    let header_forward_token = section.value("header_forward_token", HeaderForwardToken::Keep, |value| {
        word(value, &keys::HEADER_FORWARD_TOKEN)
    });
    let mode = match section.get("mode") {
        None => Mode::Passthrough,
        Some(value) => match word(&value, &keys::MODE) {
            Ok(CredentialMode::Passthrough) => Mode::Passthrough,
            Ok(CredentialMode::Broker) => Mode::Broker(value),
            Err(message) => {
                value.fault(message);
                Mode::Unclear
            }
        },
    };
    let file = section.get("token_file");
    section.finish();
    let [token, file] = [&token, &file].map(|value| value.as_ref().filter(|value| !value.is_null()));
    Compiled {
        token: source(&mode, token, file),
        credentials: Credentials {
            query_token,
            header_forward_token,
            mode: match mode {
                Mode::Broker(_) => CredentialMode::Broker,
                Mode::Passthrough | Mode::Unclear => CredentialMode::Passthrough,
            },
        },
        mode,
    }
}

/// The one source of the token, which the mode asks for or forbids.
fn source(mode: &Mode<'_>, token: Option<&Value<'_>>, file: Option<&Value<'_>>) -> Option<TokenSource> {
    let mode = match mode {
        Mode::Unclear => return None,
        Mode::Passthrough => {
            for value in token.into_iter().chain(file) {
                value.fault(format!(
                    "`{}` is for credentials.mode: broker; write that beside it, or leave the token out: in passthrough \
                     clients bring their own",
                    value.path
                ));
            }
            return None;
        }
        Mode::Broker(mode) => mode,
    };
    let source = match (token, file) {
        (None, None) => {
            mode.fault(
                "the guard has no token to hold; write credentials.token, like `token: ${QSTASH_TOKEN}`, or \
                 credentials.token_file",
            );
            return None;
        }
        (Some(token), Some(file)) => {
            file.fault_beside(
                token.own_place(),
                "also given here",
                "the token is given twice; keep one of `credentials.token` and `credentials.token_file`",
            );
            return None;
        }
        (Some(value), None) => text(value).map(|token| Some(TokenSource::Value(token))),
        (None, Some(value)) => values::file(value).map(|path| path.map(TokenSource::File)),
    };
    source.unwrap_or_else(|message| {
        for value in token.into_iter().chain(file) {
            value.fault(message.clone());
        }
        None
    })
}

fn text(value: &Value<'_>) -> Result<Token, String> {
    let text = value.text("a QStash token, like ${QSTASH_TOKEN}")?;
    if text.is_empty() {
        return Err(format!(
            "`{}` is empty; write the QStash token, like ${{QSTASH_TOKEN}}, with that variable set",
            value.path
        ));
    }
    Token::new(text.as_bytes()).ok_or_else(|| {
        format!(
            "this value is no token for `{}`: a token has letters, digits and -._~+/, and = at its end alone",
            value.path
        )
    })
}

fn word<T: Copy>(value: &Value<'_>, choices: &[(&'static str, T)]) -> Result<T, String> {
    hide_unless_word(value);
    values::one_of(value, choices)
}

fn hide_unless_word(value: &Value<'_>) {
    let short = |text: &str| text.len() <= LONGEST_WORD && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !matches!(&value.node.value, Node::String(text) if short(text)) {
        value.hide();
    }
}
