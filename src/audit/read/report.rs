//! What verifying found, as people read it.

use std::fmt;

use super::checkpoints::Checkpoints;
use super::verify::{ChainReport, Open, Report, Verdict};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.chains.iter().all(|chain| chain.files.is_empty()) {
            writeln!(f, "cannot tell: there are no audit records here")?;
        }
        let is_told = |chain: &&ChainReport| !chain.files.is_empty() || chain.verdict != Verdict::Intact;
        for chain in self.chains.iter().filter(is_told) {
            chain.fmt(f)?;
        }
        for torn in &self.torn {
            writeln!(f, "set aside, not part of the trail: {}", torn.display())?;
        }
        match &self.head {
            None => Ok(()),
            Some((hash, Some((name, seq)))) => writeln!(f, "--head {hash} is record {seq} of {name}"),
            Some((hash, None)) => {
                writeln!(
                    f,
                    "cannot tell: --head {hash} is in none of these files: the end of a trail may be cut off"
                )
            }
        }
    }
}

impl fmt::Display for ChainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.verdict {
            Verdict::Intact => "intact",
            Verdict::Broken(_) => "BROKEN",
            Verdict::Incomplete(_) => "cannot tell",
        };
        writeln!(f, "{}: {word}", self.name)?;
        match &self.verdict {
            Verdict::Intact => {}
            Verdict::Broken(broken) => {
                writeln!(f, "  at       {}:{}", broken.file.display(), broken.line)?;
                writeln!(f, "           {}", broken.what)?;
            }
            Verdict::Incomplete(why) => writeln!(f, "           {why}")?,
        }
        let files = match self.files.len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        let behind = if let Verdict::Broken(_) = self.verdict {
            " before the break"
        } else {
            ""
        };
        writeln!(f, "  records  {} in {files}{behind}", self.records)?;
        if let Some((seq, time)) = &self.first {
            writeln!(f, "  first    {seq} at {time}")?;
            writeln!(f, "  last     {} at {}", self.head.seq, self.last_time)?;
            writeln!(f, "  head     {}", self.head.hash)?;
        }
        self.checkpoints.fmt(f)?;
        if !self.open.is_empty() {
            writeln!(f, "  intents without an outcome: {}", self.open.len())?;
        }
        for open in &self.open {
            let Open {
                seq,
                time,
                request_id,
                caller,
                selection,
            } = open;
            writeln!(f, "    {seq}  {time}  {request_id}  {caller}  {selection}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, earlier, last, uncovered) = match self {
            Checkpoints::None => return Ok(()),
            Checkpoints::Unchecked(count) => {
                let noun = if *count == 1 { "checkpoint" } else { "checkpoints" };
                return writeln!(
                    f,
                    "  signed   {count} {noun}, not checked; --public-key FILE checks them"
                );
            }
            Checkpoints::Checked {
                count,
                earlier,
                last,
                uncovered,
            } => (count, earlier, last, uncovered),
        };
        let noun = if *count == 1 { "checkpoint" } else { "checkpoints" };
        write!(f, "  signed   {count} good {noun}")?;
        if let Some((seq, time)) = last {
            write!(f, ", the last of record {seq} at {time}")?;
        }
        writeln!(f)?;
        if *earlier > 0 {
            writeln!(f, "           {earlier} of them are of records before these")?;
        }
        let since = match uncovered {
            0 => "every record is covered".to_owned(),
            1 => "1 record since is not covered".to_owned(),
            number => format!("{number} records since are not covered"),
        };
        writeln!(f, "           {since}")
    }
}
