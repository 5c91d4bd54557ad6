//! Text in place: bytes that were checked when they came in, and are not checked again to be
//! found, compared or carried along.

use std::fmt;

/// A key, a value or a name that lies in a page or a frame.
///
/// It is UTF-8, checked when it was written or read from the disk. As bytes it costs nothing;
/// [`Text::as_str`], and whatever makes strings of it, looks at it once more, which for short text
/// is little and for a megabyte is not.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let listed = engine.reader().list(&settings, &Default::default())?;
/// let first = listed.records().next().ok_or("it has records")?;
/// assert_eq!(first.key, "theme");
/// assert_eq!(first.key.as_bytes(), b"theme");
/// assert_eq!(first.key.as_str().to_uppercase(), "THEME");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Takes bytes that are UTF-8.
    pub(crate) fn believed(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its bytes, which are ordered like its characters.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let listed = engine.reader().list(&settings, &Default::default())?;
    /// let keys: Vec<&[u8]> = listed.records().map(|record| record.key.as_bytes()).collect();
    /// assert_eq!(keys, [&b"theme"[..], &b"volume"[..]]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// It as a `str`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let listed = engine.reader().list(&settings, &Default::default())?;
    /// let volume = listed.records().last().and_then(|record| record.value);
    /// assert_eq!(volume.ok_or("it has a value")?.as_str().parse(), Ok(7));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Never: it was checked before. That it is looked at again keeps a bug from becoming worse.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        std::str::from_utf8(self.0).expect("text was checked when it came in")
    }

    /// How many bytes it has.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let listed = engine.reader().list(&settings, &Default::default())?;
    /// assert_eq!(listed.records().map(|record| record.key.len()).max(), Some("volume".len()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether it has none, which a value may be and a key never is.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let listed = engine.reader().list(&settings, &Default::default())?;
    /// assert!(listed.records().all(|record| !record.key.is_empty()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<Text<'_>> for &str {
    fn eq(&self, other: &Text<'_>) -> bool {
        other == self
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
