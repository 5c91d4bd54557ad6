//! The file that is written: appended, synced, and followed by the next one.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::FileSinkError;
use super::directory::{Directory, Last, wrong};
use super::form::Form;
use crate::sink::today::day;

/// What the thread has.
#[derive(Debug)]
pub(super) struct Writing {
    path: PathBuf,
    rotate_bytes: u64,
    form: Form,
    directory: Option<Directory>,
    current: Option<Current>,
    /// The number of the newest file that must not be written any more.
    sealed: u64,
}

#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    day: String,
    number: u64,
    /// Bytes that are synced.
    bytes: u64,
}

impl Writing {
    pub(super) fn new(path: PathBuf, rotate_bytes: u64, form: Form) -> Self {
        Self {
            path,
            rotate_bytes,
            form,
            directory: None,
            current: None,
            sealed: 0,
        }
    }

    /// Appends lines and syncs them. After an error nothing of them counts, and the next call
    /// begins with what is really there: a file whose end is not known is read again.
    pub(super) fn append(&mut self, lines: &[u8], now_ms: u64) -> Result<(), FileSinkError> {
        let encoded = self.form.encode(lines);
        let encoded = encoded.map_err(|source| wrong("compress for", self.path.clone(), source))?;
        let current = self.current(&day(now_ms))?;
        let failed = |doing| {
            let path = current.path.clone();
            move |source| wrong(doing, path, source)
        };
        if let Err(source) = current.file.write_all(&encoded) {
            let error = failed("write")(source);
            current.cut_back();
            // Who reads by place may have seen lines of it, so nothing else may come in their
            // place.
            self.sealed = current.number;
            self.current = None;
            return Err(error);
        }
        if let Err(source) = current.file.sync_data() {
            let error = failed("sync")(source);
            // Nobody knows what of it is on the disk, and a second sync would not tell: the lines
            // come again, in another file.
            self.sealed = current.number;
            self.current = None;
            return Err(error);
        }
        current.bytes += encoded.len() as u64;
        Ok(())
    }

    /// The file for a day, opened or begun if need be.
    fn current(&mut self, today: &str) -> Result<&mut Current, FileSinkError> {
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => Directory::open(&self.path)?,
        };
        let directory = self.directory.insert(directory);
        let fits = |bytes, day: &str, number| {
            bytes < self.rotate_bytes && day == today && number > self.sealed
        };
        if let Some(current) = &self.current
            && fits(current.bytes, &current.day, current.number)
        {
            return Ok(self.current.as_mut().expect("it was there just now"));
        }
        let next = match self.current.take() {
            Some(full) => full.number + 1,
            None => match directory.last(&self.form)? {
                Ok(last) if fits(last.bytes, &last.day, last.number) => {
                    let current = Current::go_on(last)?;
                    // Whoever began it may have ended before its name was synced.
                    directory.sync()?;
                    return Ok(self.current.insert(current));
                }
                Ok(last) => last.number + 1,
                Err(next) => next,
            },
        };
        let number = next.max(self.sealed + 1);
        let path = directory.file(&self.form, today, number);
        let current = Current::begin(path, today.to_owned(), number)?;
        directory.sync()?;
        Ok(self.current.insert(current))
    }
}

impl Current {
    fn go_on(last: Last) -> Result<Self, FileSinkError> {
        let Last {
            number,
            day,
            path,
            bytes,
        } = last;
        let opened = OpenOptions::new().append(true).open(&path);
        let file = opened.map_err(|source| wrong("open", path.clone(), source))?;
        Ok(Self {
            file,
            path,
            day,
            number,
            bytes,
        })
    }

    /// Takes away what was written of lines that do not count: on a full disk it is in the way. Of
    /// a file that has no others nothing stays.
    fn cut_back(&self) {
        let cut = match self.bytes {
            0 => fs::remove_file(&self.path),
            bytes => self.file.set_len(bytes),
        };
        if let Err(source) = cut {
            tracing::warn!("cannot cut {} back: {source}", self.path.display());
        }
    }

    fn begin(path: PathBuf, day: String, number: u64) -> Result<Self, FileSinkError> {
        let mut options = OpenOptions::new();
        let opened = options
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|source| wrong("make", path.clone(), source))?;
        Ok(Self {
            file,
            path,
            day,
            number,
            bytes: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn names(directory: &Path) -> Vec<String> {
        let found = fs::read_dir(directory).unwrap();
        let names = found.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "LOCK").collect();
        names.sort();
        names
    }

    #[test]
    fn files_end_with_the_day_and_when_they_are_full() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        let mut writing = Writing::new(path.clone(), 10, Form::Lines);
        writing.append(b"{\"a\":1}\n", 0).unwrap();
        writing.append(b"{\"a\":2}\n", 0).unwrap();
        writing.append(b"{\"a\":3}\n", 0).unwrap();
        writing.append(b"{\"a\":4}\n", DAY_MS).unwrap();
        drop(writing);
        // Another process goes on where this one ended, and numbers never repeat.
        let mut writing = Writing::new(path.clone(), 10, Form::Lines);
        writing.append(b"{\"a\":5}\n", DAY_MS).unwrap();
        writing.append(b"{\"a\":6}\n", 0).unwrap();
        let expected = [
            "1970-01-01-00000001.ndjson",
            "1970-01-01-00000002.ndjson",
            "1970-01-01-00000004.ndjson",
            "1970-01-02-00000003.ndjson",
        ];
        assert_eq!(names(&path), expected);
        let text = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        assert_eq!(text(expected[0]), "{\"a\":1}\n{\"a\":2}\n");
        assert_eq!(text(expected[3]), "{\"a\":4}\n{\"a\":5}\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(expected[0])), 0o600);
    }

    #[test]
    fn what_a_crash_left_is_cut_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_owned();
        let file = path.join("1970-01-01-00000001.ndjson");
        for torn in [
            &b"{\"a\""[..],
            b"{\"a\":1}",
            b"\0\0\0\0\n",
            b"{\"a\"\n{\"b\":1}\n",
        ] {
            fs::write(&file, [b"{\"a\":0}\n", torn].concat()).unwrap();
            let mut writing = Writing::new(path.clone(), 1000, Form::Lines);
            writing.append(b"{\"a\":7}\n", 0).unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"{\"a\":0}\n{\"a\":7}\n");
        }
        // Far more than one write: that was no crash of ours.
        let mut damaged = b"{\"a\":0}\nx\n".to_vec();
        damaged.extend(b"{\"a\":1}\n".repeat(3 << 20));
        fs::write(&file, &damaged).unwrap();
        let mut writing = Writing::new(path.clone(), u64::MAX, Form::Lines);
        writing.append(b"{\"a\":7}\n", 0).unwrap();
        assert_eq!(fs::read(&file).unwrap(), damaged);
        assert_eq!(
            fs::read(path.join("1970-01-01-00000002.ndjson")).unwrap(),
            b"{\"a\":7}\n"
        );
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn compressed_files_go_on_behind_the_last_whole_frame() {
        use crate::config::Compress;

        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_owned();
        let open = |compress| {
            let form = Form::new(compress).unwrap();
            Writing::new(path.clone(), 1000, form)
        };
        open(None).append(b"{\"a\":1}\n", 0).unwrap();
        open(Some(Compress::Zstd))
            .append(b"{\"a\":2}\n", 0)
            .unwrap();
        let file = path.join("1970-01-01-00000002.ndjson.zst");
        let written = fs::read(&file).unwrap();
        // A crash left half of the next frame.
        fs::write(
            &file,
            [&written[..], &written[..written.len() / 2]].concat(),
        )
        .unwrap();
        open(Some(Compress::Zstd))
            .append(b"{\"a\":3}\n", 0)
            .unwrap();
        let read = zstd::decode_all(fs::read(&file).unwrap().as_slice()).unwrap();
        assert_eq!(read, b"{\"a\":2}\n{\"a\":3}\n");
        // Without compression again: in another file.
        open(None).append(b"{\"a\":4}\n", 0).unwrap();
        let expected = [
            "1970-01-01-00000001.ndjson",
            "1970-01-01-00000002.ndjson.zst",
            "1970-01-01-00000003.ndjson",
        ];
        assert_eq!(names(&path), expected);
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn damage_before_synced_frames_does_not_cost_them() {
        use crate::config::Compress;

        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_owned();
        let open = || {
            let form = Form::new(Some(Compress::Zstd)).unwrap();
            Writing::new(path.clone(), 1000, form)
        };
        let (mut writing, mut ends) = (open(), Vec::new());
        let file = path.join("1970-01-01-00000001.ndjson.zst");
        for line in [b"{\"a\":1}\n", b"{\"a\":2}\n", b"{\"a\":3}\n"] {
            writing.append(line, 0).unwrap();
            ends.push(fs::read(&file).unwrap().len());
        }
        drop(writing);
        let whole = fs::read(&file).unwrap();
        // A byte of the first, or of the second: what is behind it was synced, and stays.
        for at in [1, ends[0] - 1, ends[0], ends[0] + 6] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&file, &damaged).unwrap();
            open().append(b"{\"a\":4}\n", 0).unwrap();
            assert_eq!(fs::read(&file).unwrap(), damaged, "{at}");
            let next = path.join("1970-01-01-00000002.ndjson.zst");
            let read = zstd::decode_all(fs::read(&next).unwrap().as_slice()).unwrap();
            assert_eq!(read, b"{\"a\":4}\n");
            fs::remove_file(next).unwrap();
        }
        // The last one looks as a crash would have left it.
        let mut damaged = whole.clone();
        damaged[ends[1] + 6] ^= 1;
        fs::write(&file, &damaged).unwrap();
        open().append(b"{\"a\":4}\n", 0).unwrap();
        let read = zstd::decode_all(fs::read(&file).unwrap().as_slice()).unwrap();
        assert_eq!(read, b"{\"a\":1}\n{\"a\":2}\n{\"a\":4}\n");
    }

    #[test]
    fn what_follows_a_failed_write_goes_to_another_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_owned();
        let mut writing = Writing::new(path.clone(), u64::MAX, Form::Lines);
        // A file that is as long as files can be here has no room for more.
        let fill = |file: &File| {
            let (mut fits, mut not) = (0, i64::MAX as u64 + 1);
            while not - fits > 1 {
                let between = fits + (not - fits) / 2;
                match file.set_len(between) {
                    Ok(()) => fits = between,
                    Err(_) => not = between,
                }
            }
        };
        writing.append(b"{\"a\":1}\n", 0).unwrap();
        fill(&writing.current.as_ref().unwrap().file);
        let error = writing.append(b"{\"a\":2}\n", 0).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        // Nor does a file stay in which nothing is.
        let empty = Current::begin(path.join("empty"), day(0), 2).unwrap();
        fill(&empty.file);
        writing.current = Some(empty);
        writing.append(b"{\"a\":2}\n", 0).unwrap_err();
        writing.append(b"{\"a\":2}\n", 0).unwrap();
        let expected = ["1970-01-01-00000001.ndjson", "1970-01-01-00000003.ndjson"];
        assert_eq!(names(&path), expected);
        let text = |name: &str| fs::read_to_string(path.join(name)).unwrap();
        assert_eq!(
            expected.map(text),
            ["{\"a\":1}\n", "{\"a\":2}\n"].map(String::from)
        );
    }

    #[test]
    fn one_process_writes_and_trouble_passes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("out");
        let mut one = Writing::new(path.clone(), 1000, Form::Lines);
        one.append(b"{}\n", 0).unwrap();
        let mut two = Writing::new(path.clone(), 1000, Form::Lines);
        let error = two.append(b"{}\n", 0).unwrap_err();
        assert!(matches!(error, FileSinkError::Taken { .. }), "{error}");
        drop(one);
        two.append(b"{}\n", 0).unwrap();
        // A file is in the way of the directory.
        let blocked = home.path().join("file");
        fs::write(&blocked, "").unwrap();
        let mut three = Writing::new(blocked.clone(), 1000, Form::Lines);
        let error = three.append(b"{}\n", 0).unwrap_err();
        assert!(error.to_string().contains("cannot make"), "{error}");
        fs::remove_file(&blocked).unwrap();
        three.append(b"{}\n", 0).unwrap();
    }
}
