//! `${NAME}` and `${NAME:-default}` in the values of a configuration.

/// Where variables are looked up, by name: the process environment, or a table in tests.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process environment. A value that is not UTF-8 counts as not set.
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether a text takes anything from the environment.
pub(super) fn is_substituted(text: &str) -> bool {
    text.contains("${")
}

/// Puts the environment's values in. A default stands for a variable that is not set or empty, as in a shell; what was
/// put in is not looked through again.
///
/// # Errors
/// A sentence for the first thing that is wrong. It holds no value.
pub(super) fn substitute(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        out.push_str(before);
        let Some((inner, after)) = behind.split_once('}') else {
            return Err("a `${` is never closed; write `${NAME}` or `${NAME:-default}`".to_owned());
        };
        rest = after;
        let (name, default) = inner
            .split_once(":-")
            .map_or((inner, None), |(name, default)| (name, Some(default)));
        if !is_name(name) {
            return Err(
                "between `${` and `}` stands no name of a variable (letters, digits and `_`); \
                        write `${NAME}` or `${NAME:-default}`"
                    .to_owned(),
            );
        }
        match (lookup(name), default) {
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => {
                return Err(format!(
                    "the environment variable `{name}` is not set; set it, or give a default: `${{{name}:-default}}`"
                ));
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_in(text: &str) -> Result<String, String> {
        substitute(text, &|name| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${A}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn variables_and_defaults() {
        assert_eq!(put_in("x ${A} y ${A}").as_deref(), Ok("x a y a"));
        assert_eq!(put_in("${B:-b}${A:-b}${EMPTY:-e}${EMPTY}").as_deref(), Ok("bae"));
        assert_eq!(put_in("${B:-}").as_deref(), Ok(""));
        assert_eq!(put_in("${B:-http://x:1/}").as_deref(), Ok("http://x:1/"));
        assert_eq!(
            put_in("$A $$ {A} }").as_deref(),
            Ok("$A $$ {A} }"),
            "only a dollar and a brace are special"
        );
        assert_eq!(put_in("${NESTED}").as_deref(), Ok("${A}"), "once");
    }

    #[test]
    fn what_is_no_variable_is_said() {
        assert!(put_in("${B}").is_err_and(|message| message.contains("`B` is not set")));
        assert!(put_in("${A").is_err_and(|message| message.contains("never closed")));
        for text in ["${}", "${1A}", "${A-b}", "${A B}", "${:-b}"] {
            assert!(put_in(text).is_err_and(|message| message.contains("no name")), "{text}");
        }
    }
}
