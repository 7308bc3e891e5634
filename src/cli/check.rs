//! `qstash-guard check`: is a configuration valid, and if not, what is to be written instead.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use crate::config;

/// Validate a configuration
///
/// Prints each fault with its file, line and column, the line and what would be right; for a valid configuration, its
/// name, the digest of its policy, and warnings.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Check {
    /// The configuration to validate; without it the one that `run` would use.
    #[arg(
        long,
        value_name = "FILE",
        help = "The configuration to validate; without it $QSTASH_GUARD_CONFIG, else ./config/guard.yaml, else \
                /etc/qstash-guard/guard.yaml, else the built-in defaults"
    )]
    pub(crate) config: Option<PathBuf>,
}

impl Check {
    /// Runs the command: 0 for a valid configuration, 1 for any other.
    pub(crate) fn run(&self) -> ExitCode {
        self.write(&mut anstream::stdout().lock(), &mut anstream::stderr().lock())
    }

    /// A closed pipe changes nothing about what is valid, so that failed writes are passed over.
    fn write(&self, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
        let located = config::locate(self.config.as_deref());
        match config::load(&located, &config::process_environment) {
            Ok(loaded) => {
                for warning in loaded.warnings_at(Timestamp::now()) {
                    let _ = writeln!(err, "{}", warning.render(&loaded.source, true));
                }
                let digest = &loaded.settings.policy.digest;
                let _ = writeln!(out, "{}: valid (policy {digest})", loaded.source.name());
                ExitCode::SUCCESS
            }
            Err(faults) => {
                let count = faults.len();
                let noun = if count == 1 { "fault" } else { "faults" };
                let _ = write!(err, "{}", faults.render(true));
                let _ = writeln!(err, "\n{}: not valid, {count} {noun}", located.name());
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (ExitCode, String, String) {
        let folder = std::env::temp_dir().join(format!("qstash-guard-check-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).expect("a new folder");
        let path = folder.join("guard.yaml");
        std::fs::write(&path, text).expect("a new file");
        let (mut out, mut err) = (
            anstream::StripStream::new(Vec::new()),
            anstream::StripStream::new(Vec::new()),
        );
        let code = Check {
            config: Some(path.clone()),
        }
        .write(&mut out, &mut err);
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        let shown = |stream: anstream::StripStream<Vec<u8>>| {
            String::from_utf8(stream.into_inner())
                .expect("text")
                .replace(&path.display().to_string(), "guard.yaml")
        };
        (code, shown(out), shown(err))
    }

    #[test]
    fn a_valid_file_is_named_with_its_digest() {
        let (code, out, err) = check("upstream: {url: http://127.0.0.1:9}\n");
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(out.starts_with("guard.yaml: valid (policy sha256:"), "{out}");
        assert_eq!(err, "");
    }

    #[test]
    fn warnings_do_not_make_a_file_invalid() {
        let (code, out, err) = check("policy: {bulk_cancel: {cap_enforced_by: qstash}}\n");
        assert_eq!(code, ExitCode::SUCCESS);
        assert!(out.starts_with("guard.yaml: valid"), "{out}");
        assert!(err.starts_with("warning: hosted QStash has ignored `count`"), "{err}");
    }

    #[test]
    fn faults_go_to_standard_error() {
        let (code, out, err) = check("polcy: {}\n");
        assert_eq!(code, ExitCode::FAILURE);
        assert_eq!(out, "");
        assert!(err.contains(" --> guard.yaml:1:1\n"), "{err}");
        assert!(err.ends_with("\nguard.yaml: not valid, 1 fault\n"), "{err}");
    }
}
