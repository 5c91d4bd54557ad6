//! What lines become in a file: themselves, or zstd frames.
//!
//! A frame holds what is written between two syncs, with a checksum. So what is synced ends with a
//! whole frame, which every reader of zstd can read to its end, and what a crash left unfinished
//! begins with a frame of its own, which is cut off like half a line.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use serde::de::IgnoredAny;

use crate::config::Compress;

/// What the names of files with lines end with.
const LINES: &str = ".ndjson";
/// What the names of files with frames end with.
const FRAMES: &str = ".ndjson.zst";
/// zstd's own choice between speed and size: some 200 MB a second.
#[cfg(feature = "zstd")]
const LEVEL: i32 = 3;

/// See the module.
pub(super) enum Form {
    /// Lines as they are.
    Lines,
    /// A frame for each write.
    #[cfg(feature = "zstd")]
    Frames(Box<zstd::bulk::Compressor<'static>>),
}

impl Form {
    /// The form that the configuration asks for.
    ///
    /// # Errors
    /// If this program does not have it, or there is no memory for it.
    pub(super) fn new(compress: Option<Compress>) -> io::Result<Self> {
        match compress {
            None => Ok(Self::Lines),
            #[cfg(feature = "zstd")]
            Some(Compress::Zstd) => {
                let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
                compressor.include_checksum(true)?;
                Ok(Self::Frames(Box::new(compressor)))
            }
            #[cfg(not(feature = "zstd"))]
            Some(Compress::Zstd) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What the names of its files end with.
    pub(super) fn ending(&self) -> &'static str {
        match self {
            Self::Lines => LINES,
            #[cfg(feature = "zstd")]
            Self::Frames(_) => FRAMES,
        }
    }

    /// What is to be written for lines.
    ///
    /// # Errors
    /// If there is no memory.
    pub(super) fn encode<'a>(&mut self, lines: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
        match self {
            Self::Lines => Ok(Cow::Borrowed(lines)),
            #[cfg(feature = "zstd")]
            Self::Frames(compressor) => compressor.compress(lines).map(Cow::Owned),
        }
    }

    /// How many bytes of a file, from its beginning, hold whole lines of JSON, in whole frames if
    /// it has those.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn whole(&self, file: &File) -> io::Result<u64> {
        match self {
            Self::Lines => whole_lines(BufReader::new(file)).map(|(bytes, _)| bytes),
            #[cfg(feature = "zstd")]
            Self::Frames(_) => frames::whole(BufReader::new(file)),
        }
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ending())
    }
}

/// The part of a name before the ending of either form.
pub(super) fn without_ending(name: &str) -> Option<&str> {
    let mut endings = [FRAMES, LINES].iter();
    endings.find_map(|ending| name.strip_suffix(ending))
}

/// Bytes up to the end of the last line before the first that is no JSON text, and whether there
/// is no such.
fn whole_lines(mut reader: impl BufRead) -> io::Result<(u64, bool)> {
    let (mut whole, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok((whole, true));
        }
        if !line.ends_with(b"\n") || serde_json::from_slice::<IgnoredAny>(&line).is_err() {
            return Ok((whole, false));
        }
        whole += read as u64;
    }
}

#[cfg(feature = "zstd")]
mod frames {
    use std::io::{self, BufRead, BufReader, Read};

    use zstd::stream::read::Decoder;

    /// Bytes up to the end of the last frame before the first that is not whole, or holds
    /// something else than whole lines.
    pub(super) fn whole(reader: impl BufRead) -> io::Result<u64> {
        let mut counted = Counted { reader, bytes: 0 };
        loop {
            let whole = counted.bytes;
            if counted.fill_buf()?.is_empty() {
                return Ok(whole);
            }
            let decoder = Decoder::with_buffer(&mut counted)?.single_frame();
            match super::whole_lines(BufReader::new(decoder)) {
                Ok((_, true)) => {}
                Ok((_, false)) => return Ok(whole),
                // What the system says is about the disk, what the decoder says about the frame.
                Err(error) if error.raw_os_error().is_some() => return Err(error),
                Err(_) => return Ok(whole),
            }
        }
    }

    /// Knows how much was taken of a reader.
    struct Counted<R> {
        reader: R,
        bytes: u64,
    }

    impl<R: BufRead> BufRead for Counted<R> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            self.reader.fill_buf()
        }

        fn consume(&mut self, amount: usize) {
            self.bytes += amount as u64;
            self.reader.consume(amount);
        }
    }

    impl<R: BufRead> Read for Counted<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.reader.read(buffer)?;
            self.bytes += read as u64;
            Ok(read)
        }
    }
}

#[cfg(feature = "zstd")]
#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn whole(form: &Form, bytes: &[u8]) -> u64 {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        fs::write(&path, bytes).unwrap();
        form.whole(&File::open(&path).unwrap()).unwrap()
    }

    #[test]
    fn a_torn_frame_is_known_wherever_it_is_torn() {
        let mut form = Form::new(Some(Compress::Zstd)).unwrap();
        let first = b"{\"a\":1}\n{\"a\":2}\n".repeat(1000);
        let first = form.encode(&first).unwrap().into_owned();
        let second = form.encode(b"{\"b\":1}\n").unwrap().into_owned();
        let both = [first.as_slice(), &second].concat();
        for length in 0..both.len() {
            let expected = if length < first.len() { 0 } else { first.len() };
            assert_eq!(whole(&form, &both[..length]), expected as u64, "{length}");
        }
        assert_eq!(whole(&form, &both), both.len() as u64);
        // A bit that turned, zeros that the system left, and what is no line of ours.
        for at in first.len()..both.len() {
            let mut turned = both.clone();
            turned[at] ^= 1;
            assert_eq!(whole(&form, &turned), first.len() as u64, "{at}");
        }
        for other in [
            &[0; 100][..],
            b"{\"a\":1}\n",
            &form.encode(b"{\"a\"").unwrap(),
        ] {
            let bytes = [first.as_slice(), other].concat();
            assert_eq!(whole(&form, &bytes), first.len() as u64);
        }
    }
}
