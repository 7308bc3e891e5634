//! A configuration that is read again while it is in use.
//!
//! A file is looked at by its content, under its own path each time: that sees an editor that replaces the file, a mount
//! that tells of no events, and a Kubernetes `ConfigMap`, where the path stays and a link on the way is swapped.

use super::compile::Loaded;
use super::environment::Lookup;
use super::fault::Faults;
use super::locate::{self, Located};
use super::looks::{Look, Looks};
use super::overrides::Overrides;

/// A configuration, and what of it was seen last.
#[derive(Clone, Debug)]
pub struct Watched {
    located: Located,
    overrides: Overrides,
    /// Whether it can be read more than once: a pipe cannot.
    lasts: bool,
    looks: Looks,
}

fn look_at(read: &Result<String, String>) -> Look {
    Look::at([read.as_ref().map(String::as_bytes).map_err(String::as_str)])
}

impl Watched {
    /// Reads nothing yet.
    pub fn new(located: Located, overrides: Overrides) -> Self {
        Watched {
            located,
            overrides,
            lasts: true,
            looks: Looks::default(),
        }
    }

    /// What faults and messages call it.
    pub fn name(&self) -> String {
        self.located.name()
    }

    /// Reads and compiles it for the first time. Blocks while the file is read.
    ///
    /// # Errors
    /// Everything that is wrong with it, or why it cannot be read.
    pub fn start(&mut self, lookup: Lookup<'_>) -> Result<Loaded, Faults> {
        let read = locate::read(&self.located);
        self.lasts = match &self.located {
            Located::BuiltIn => true,
            Located::File(path) => path.metadata().is_ok_and(|metadata| metadata.is_file()),
        };
        self.looks.take(look_at(&read));
        self.compile(&read, lookup)
    }

    /// Reads and compiles it as it is now, to take the place of what is in force. Blocks while the file is read.
    ///
    /// # Errors
    /// Everything that is wrong with it, or why it cannot be read; an empty file is one of these.
    pub fn load(&mut self, lookup: Lookup<'_>) -> Result<Loaded, Faults> {
        let read = locate::read_again(&self.located);
        self.looks.take(look_at(&read));
        self.compile(&read, lookup)
    }

    /// Looks at it, and loads it where it is not what was taken last. A change is taken at the second look that finds it,
    /// so that a file is not read while it is being written. Blocks while the file is read.
    pub fn look(&mut self, lookup: Lookup<'_>) -> Option<Result<Loaded, Faults>> {
        if !self.lasts {
            return None;
        }
        let read = locate::read_again(&self.located);
        let changed = self.looks.find_change(look_at(&read));
        changed.then(|| self.compile(&read, lookup))
    }

    fn compile(&self, read: &Result<String, String>, lookup: Lookup<'_>) -> Result<Loaded, Faults> {
        let mut loaded = locate::compile_read(&self.located, read, lookup)?;
        self.overrides.apply(&mut loaded)?;
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A file of this test process.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            Scratch(std::env::temp_dir().join(format!("qstash-guard-{}-{name}.yaml", std::process::id())))
        }

        fn write(&self, max_count: &str) {
            fs::write(
                &self.0,
                format!("policy: {{bulk_cancel: {{max_count: {max_count}}}}}\n"),
            )
            .unwrap();
        }

        fn watched(&self) -> Watched {
            Watched::new(Located::File(self.0.clone()), Overrides::default())
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    /// What a look brings: nothing, a `max_count`, or how many faults.
    fn look(watched: &mut Watched) -> Option<Result<u64, usize>> {
        let taken = watched.look(&|_| None)?;
        let taken = taken.map(|loaded| loaded.settings.policy.bulk_cancel.max_count);
        Some(taken.map_err(|faults| faults.len()))
    }

    #[test]
    fn a_change_is_taken_once_and_only_when_it_stands_still() {
        let file = Scratch::new("change");
        file.write("1");
        let mut watched = file.watched();
        watched.start(&|_| None).unwrap();
        assert_eq!(look(&mut watched), None);
        file.write("2");
        assert_eq!(look(&mut watched), None, "it may be half of a file");
        file.write("20");
        assert_eq!(look(&mut watched), None, "it was");
        assert_eq!(look(&mut watched), Some(Ok(20)));
        assert_eq!(look(&mut watched), None);
        file.write("x");
        assert_eq!((look(&mut watched), look(&mut watched)), (None, Some(Err(1))));
        assert_eq!(look(&mut watched), None, "a fault is said once");
    }

    #[test]
    fn a_file_that_is_away_for_a_moment_is_no_change() {
        let file = Scratch::new("away");
        file.write("1");
        let mut watched = file.watched();
        watched.start(&|_| None).unwrap();
        fs::remove_file(&file.0).unwrap();
        assert_eq!(look(&mut watched), None);
        file.write("1");
        assert_eq!((look(&mut watched), look(&mut watched)), (None, None));
        fs::remove_file(&file.0).unwrap();
        assert_eq!((look(&mut watched), look(&mut watched)), (None, Some(Err(1))));
        file.write("1");
        assert_eq!((look(&mut watched), look(&mut watched)), (None, Some(Ok(1))));
    }

    #[test]
    fn what_a_full_disk_leaves_is_no_configuration() {
        let file = Scratch::new("empty");
        file.write("1");
        let mut watched = file.watched();
        watched.start(&|_| None).unwrap();
        for empty in ["", "\n \n"] {
            fs::write(&file.0, empty).unwrap();
            assert!(watched.load(&|_| None).is_err());
        }
        fs::write(&file.0, "{}").unwrap();
        assert!(watched.load(&|_| None).is_ok());
    }

    #[test]
    fn a_pipe_is_read_once_and_never_waited_for() {
        let file = Scratch::new("pipe");
        let made = std::process::Command::new("mkfifo").arg(&file.0).status().unwrap();
        assert!(made.success());
        let mut watched = file.watched();
        let path = file.0.clone();
        let writer = std::thread::spawn(move || fs::write(path, "policy: {mode: monitor}\n").unwrap());
        watched.start(&|_| None).unwrap();
        writer.join().unwrap();
        assert_eq!((look(&mut watched), look(&mut watched)), (None, None));
        let faults = watched.load(&|_| None).unwrap_err();
        assert!(faults.to_string().contains("no regular file"), "{faults}");
    }
}
