//! Which file is used, and how it is read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::compile::{Loaded, compile};
use super::environment::{self, Lookup};
use super::fault::{Fault, Faults};
use super::source::Source;

/// The shipped configuration, which holds the defaults.
pub const BUILT_IN: &str = include_str!("../../config/guard.yaml");

/// What the built-in configuration is called.
const BUILT_IN_NAME: &str = "built-in defaults";

/// The variable that names the file.
const VARIABLE: &str = "QSTASH_GUARD_CONFIG";

/// Looked for in this order where nothing names a file.
const PLACES: [&str; 2] = ["./config/guard.yaml", "/etc/qstash-guard/guard.yaml"];

/// A larger file is no configuration.
const LARGEST: u64 = 1 << 20;

/// The configuration that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// A file.
    File(PathBuf),
    /// The defaults.
    BuiltIn,
}

impl Located {
    /// What faults and messages call it.
    pub fn name(&self) -> String {
        match self {
            Located::File(path) => path.display().to_string(),
            Located::BuiltIn => BUILT_IN_NAME.to_owned(),
        }
    }
}

/// Finds the configuration: the file of `--config`, else that of `$QSTASH_GUARD_CONFIG`, else `./config/guard.yaml` if
/// there, else `/etc/qstash-guard/guard.yaml` if there, else the built-in defaults. A file that is named and not there is
/// a fault of [`load`], never passed over.
pub fn locate(explicit: Option<&Path>) -> Located {
    locate_among(explicit, &environment::process, &PLACES.map(Path::new))
}

fn locate_among(explicit: Option<&Path>, lookup: Lookup<'_>, places: &[&Path]) -> Located {
    let named = explicit.map(Path::to_owned);
    let named = named.or_else(|| lookup(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from));
    // A place that cannot be looked into counts as there, so that its fault is seen.
    let there = || {
        places
            .iter()
            .find(|path| path.try_exists().unwrap_or(true))
            .map(|path| path.to_path_buf())
    };
    named.or_else(there).map_or(Located::BuiltIn, Located::File)
}

/// Reads and compiles the configuration.
///
/// # Errors
/// Everything that is wrong with the file, or why it cannot be read.
pub fn load(located: &Located, lookup: Lookup<'_>) -> Result<Loaded, Faults> {
    compile_read(located, &read(located), lookup)
}

/// Compiles what was read of it.
pub(super) fn compile_read(
    located: &Located,
    read: &Result<String, String>,
    lookup: Lookup<'_>,
) -> Result<Loaded, Faults> {
    let name = located.name();
    match read {
        Ok(text) => compile(&name, text, lookup),
        Err(message) => Err(Faults::new(Source::new(&name, ""), vec![Fault::of_file(message)])),
    }
}

/// The text, or why it cannot be read.
pub(super) fn read(located: &Located) -> Result<String, String> {
    match located {
        Located::BuiltIn => Ok(BUILT_IN.to_owned()),
        Located::File(path) => read_text(path, &missing(), "guard.yaml"),
    }
}

/// The text of a configuration that is in use, or why it cannot take its place. An empty text would be valid and mean the
/// defaults; here it is what a full disk or half a write leaves, and lifting every rule for it would fail open. A pipe has
/// nothing more to say, and waiting for one would not end.
pub(super) fn read_again(located: &Located) -> Result<String, String> {
    let path = match located {
        Located::BuiltIn => return Ok(BUILT_IN.to_owned()),
        Located::File(path) => path,
    };
    let name = path.display();
    let flags = i32::from_ne_bytes(OFlags::NONBLOCK.bits().to_ne_bytes());
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| unreadable(path, &error, &missing(), "guard.yaml"))?;
    if file
        .metadata()
        .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    {
        return Err(format!("{name} is no regular file, and is read at the start alone"));
    }
    let text = read_open(path, file, &missing(), "guard.yaml")?;
    if text.trim().is_empty() {
        return Err(format!("{name} is empty; write `{{}}` if you mean the defaults"));
    }
    Ok(text)
}

fn missing() -> String {
    format!("name one with --config or ${VARIABLE}, or name none for the built-in defaults")
}

/// Reads a file that somebody wrote. `missing` says what to do where there is none, `example` how one may be called.
pub(super) fn read_text(path: &Path, missing: &str, example: &str) -> Result<String, String> {
    let file = File::open(path).map_err(|error| unreadable(path, &error, missing, example))?;
    read_open(path, file, missing, example)
}

fn unreadable(path: &Path, error: &std::io::Error, missing: &str, example: &str) -> String {
    let name = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!("there is no file {name}; {missing}"),
        ErrorKind::IsADirectory => format!(
            "{name} is a folder; name the file in it, like {}",
            path.join(example).display()
        ),
        _ => format!("{name} cannot be read: {error}"),
    }
}

fn read_open(path: &Path, file: File, missing: &str, example: &str) -> Result<String, String> {
    let name = path.display();
    let unreadable = |error: std::io::Error| unreadable(path, &error, missing, example);
    let mut bytes = Vec::new();
    // One byte more than is taken tells a file that is too large, whatever its metadata says.
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{name} is larger than 1MiB, the most that is read"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        format!("{name} is not UTF-8: line {line} holds other bytes; save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_names_or_has_a_file_wins() {
        let there = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let (missing, named) = (Path::new("/nowhere/guard.yaml"), Path::new("named.yaml"));
        let variable = |name: &str| (name == VARIABLE).then(|| "variable.yaml".to_owned());
        let file = |path: &Path| Located::File(path.to_owned());
        assert_eq!(locate_among(Some(named), &variable, &[there]), file(named));
        assert_eq!(
            locate_among(None, &variable, &[there]),
            file(Path::new("variable.yaml"))
        );
        assert_eq!(
            locate_among(None, &|_| Some(String::new()), &[missing, there]),
            file(there)
        );
        assert_eq!(locate_among(None, &|_| None, &[missing]), Located::BuiltIn);
    }
}
