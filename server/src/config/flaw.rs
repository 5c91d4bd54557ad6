//! What is wrong with a text file of the data directory, and where.

/// A place in a file that does not hold. It never shows what is there: that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Byte offset in the file.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// What does not hold.
    pub why: String,
}

impl Flaw {
    /// A flaw at an offset of a text.
    #[must_use]
    pub fn new(text: &str, offset: usize, why: impl Into<String>) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        Self {
            offset,
            line: breaks + 1,
            why: why.into(),
        }
    }
}
