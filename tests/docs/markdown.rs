//! Markdown, as far as the tests of the documentation read it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A file of the documentation.
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    text: String,
}

/// A heading and what stands below it, up to the next heading of any level.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) level: usize,
    pub(crate) anchor: String,
    /// As it is written, without the heading.
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced block.
pub(crate) struct Block {
    /// What stands behind the fence.
    pub(crate) kind: String,
    pub(crate) text: String,
    /// The line of its fence, from 1.
    pub(crate) line: usize,
}

impl Document {
    /// A file by its path from the top of the project.
    pub(crate) fn read(path: &str) -> Self {
        let path = top().join(path);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Document { path, text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The file's sections; the first one is what stands before any heading.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let mut sections = vec![(Section::new(String::new(), 1), 0..self.text.len())];
        let mut anchors: HashMap<String, usize> = HashMap::new();
        let mut open: Option<(String, usize, usize)> = None;
        let mut block: Option<Block> = None;
        for (event, place) in self.events() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => open = Some((String::new(), level as usize, place.start)),
                Event::End(TagEnd::Heading(_)) => {
                    let (title, level, start) = open.take().unwrap();
                    let mut section = Section::new(title, level);
                    let nth = anchors.entry(section.anchor.clone()).or_default();
                    if *nth > 0 {
                        section.anchor = format!("{}-{nth}", section.anchor);
                    }
                    *nth += 1;
                    sections.last_mut().unwrap().1.end = start;
                    sections.push((section, place.end..self.text.len()));
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let kind = match kind {
                        CodeBlockKind::Fenced(kind) => kind.to_string(),
                        CodeBlockKind::Indented => "indented".to_owned(),
                    };
                    block = Some(Block {
                        kind,
                        text: String::new(),
                        line: self.line(place.start),
                    });
                }
                Event::End(TagEnd::CodeBlock) => sections.last_mut().unwrap().0.blocks.push(block.take().unwrap()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(block) = &mut block {
                        block.text.push_str(&text);
                    } else if let Some((title, ..)) = &mut open {
                        title.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        let end = |(mut section, place): (Section, Range<usize>)| {
            self.text[place].clone_into(&mut section.text);
            section
        };
        sections.into_iter().map(end).collect()
    }

    /// Where its links go, with the lines that they stand in.
    pub(crate) fn links(&self) -> Vec<(String, usize)> {
        let link = |(event, place): (Event<'_>, Range<usize>)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some((dest_url.to_string(), self.line(place.start)))
            }
            _ => None,
        };
        self.events().filter_map(link).collect()
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }
}

impl Section {
    fn new(title: String, level: usize) -> Self {
        Section {
            anchor: anchor(&title),
            title,
            level,
            text: String::new(),
            blocks: Vec::new(),
        }
    }
}

/// The anchor that GitHub gives a heading: lower case, hyphens for spaces, and nothing but letters, digits, `-` and `_`.
fn anchor(title: &str) -> String {
    title
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The top of the project.
pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
