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

    /// Whether what a file holds from a byte on, where nothing whole begins, can be one write that
    /// a crash cut short. Lines may be several writes, of which a crash leaves what it likes; a
    /// frame is one, so another frame behind it was synced after it. Holds the rest in memory.
    ///
    /// # Errors
    /// If it cannot be read.
    #[cfg_attr(
        not(feature = "zstd"),
        expect(unused_variables, reason = "only frames are looked at")
    )]
    pub(super) fn is_one_write(&self, file: &File, from: u64) -> io::Result<bool> {
        match self {
            Self::Lines => Ok(true),
            #[cfg(feature = "zstd")]
            Self::Frames(_) => frames::is_one(file, from),
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
    use std::fs::File;
    use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

    use zstd::stream::read::Decoder;
    use zstd::zstd_safe::{get_error_name, zstd_sys::ZSTD_ErrorCode};

    /// What every frame begins with, as RFC 8878 has it.
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

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
                Err(error) if is_damage(&error) => return Ok(whole),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether no further frame begins behind the first bytes of what there is from a byte on. By
    /// chance they look so in one of 4 GiB.
    pub(super) fn is_one(mut file: &File, from: u64) -> io::Result<bool> {
        file.seek(SeekFrom::Start(from))?;
        let mut rest = Vec::new();
        file.read_to_end(&mut rest)?;
        let behind = rest.get(MAGIC.len()..).unwrap_or_default();
        Ok(!behind.windows(MAGIC.len()).any(|four| four == MAGIC))
    }

    /// What the system says is about the disk, what the decoder says about the frame, unless there
    /// is no memory for it.
    pub(super) fn is_damage(error: &io::Error) -> bool {
        error.raw_os_error().is_none()
            && error.kind() != io::ErrorKind::OutOfMemory
            && error.to_string() != no_memory()
    }

    /// What the decoder says then: its errors have no other mark. A code is a negative size.
    pub(super) fn no_memory() -> &'static str {
        let code = ZSTD_ErrorCode::ZSTD_error_memory_allocation as usize;
        get_error_name(0_usize.wrapping_sub(code))
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
    fn what_is_no_damage_is_known() {
        let told = |text: &str| frames::is_damage(&io::Error::other(text.to_owned()));
        assert!(
            frames::no_memory().contains("memory"),
            "not an unknown error"
        );
        assert!(!told(frames::no_memory()));
        assert!(told("Data corruption detected"));
        assert!(frames::is_damage(&io::ErrorKind::UnexpectedEof.into()));
        assert!(!frames::is_damage(&io::Error::from_raw_os_error(5)));
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
