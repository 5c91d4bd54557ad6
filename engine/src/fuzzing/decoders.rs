//! The decoders: none panics, and what is read is what would be written.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Mode, seal};
use crate::checkpoint::{self, Beginning, Checkpoint};
use crate::codec::Decoder;
use crate::cold::Cold;
use crate::commit::names::{decode_dataset_id, decode_pool, encode_dataset_id, encode_pool};
use crate::commit::{Change, Part, encode_head};
use crate::disk::{Disk, SimDisk};
use crate::files::Files;
use crate::frame::{HEADER_BYTES, Header, Seed};
use crate::record;
use crate::records::Records;
use crate::root::Root;
use crate::scan::{Assembly, Scan};
use crate::segment::{self, FRAMES_OFFSET, Segment};
use crate::types::{DatasetName, IdentityId, PoolId, RecordKey};

/// What a segment's header takes without the zeros behind it, which inputs leave out.
pub(super) const SEGMENT_HEADER_BYTES: usize = 72;

/// Puts a file on a disk, synced.
pub(super) fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let put = || {
        let file = disk.create(path)?;
        file.write_at(&[IoSlice::new(bytes)], 0)?;
        file.sync()
    };
    put().expect("nothing makes this disk fail");
}

/// A segment as it lies on disk: with the zeros behind its header.
pub(super) fn padded(bytes: &[u8]) -> Vec<u8> {
    let (header, frames) = bytes.split_at(bytes.len().min(SEGMENT_HEADER_BYTES));
    let mut padded = header.to_vec();
    if !frames.is_empty() {
        padded.resize(FRAMES_OFFSET as usize, 0);
        padded.extend_from_slice(frames);
    }
    padded
}

/// A salt and a frame header.
pub(super) fn header(mode: Mode, bytes: &[u8]) {
    let Some((salt, rest)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let Some(mut bytes) = rest.first_chunk::<HEADER_BYTES>().copied() else {
        return;
    };
    if mode.sealed {
        seal::header(&mut bytes, salt);
    }
    let seed = Seed::new(u64::from_le_bytes(*salt));
    if let Ok((header, checksum)) = Header::decode(&bytes, &seed) {
        assert_eq!(header.encode(&seed), (bytes, checksum));
        assert!(header.proves() <= header.sequence);
        assert!(header.frame_bytes() >= HEADER_BYTES + header.payload_len as usize);
    }
}

/// The payload of a commit frame.
pub(super) fn payload(_: Mode, bytes: &[u8]) {
    if let Ok(part) = Part::decode(&Bytes::copy_from_slice(bytes)) {
        same_again(&part);
    }
}

/// What was read is read again from what it would be written as.
fn same_again(part: &Part) {
    let known: Vec<_> = part
        .changes
        .iter()
        .filter(|change| **change != Change::Unknown)
        .collect();
    let mut bytes = Vec::new();
    let count = u16::try_from(known.len()).expect("it was read from 16 bits");
    encode_head(&mut bytes, part.time, &part.note, count);
    known.iter().for_each(|change| change.encode(&mut bytes));
    let again = Part::decode(&bytes.into()).unwrap_or_else(|why| panic!("not read again: {why:?}"));
    assert_eq!((again.time, &again.note), (part.time, &part.note));
    assert!(
        again.changes.iter().eq(known),
        "it is read as something else"
    );
}

/// A number of records and their bytes.
pub(super) fn records(_: Mode, bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_first() else {
        return;
    };
    let bytes = Bytes::copy_from_slice(rest);
    let Ok(run) = Records::decode(bytes.clone(), usize::from(count)) else {
        return;
    };
    let mut again = Vec::new();
    for found in &run {
        let rest = &bytes[again.len()..];
        assert_eq!(record::key_bytes(rest), found.key.as_bytes());
        assert_eq!(record::sync_count(rest), found.sync_count);
        let before = again.len();
        found.encode(&mut again);
        assert_eq!(again.len() - before, found.encoded_len());
        assert_eq!(found.key, found.to_record().key.as_str());
    }
    assert_eq!(again, bytes);
}

/// Names of files, ids as text, ids as they are stored.
pub(super) fn names(_: Mode, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(number) = segment::number(text) {
            let path = segment::path(number);
            let name = path.file_name().and_then(|name| name.to_str());
            assert_eq!(name.and_then(segment::number), Some(number));
        }
        if let Some(number) = checkpoint::number(text) {
            assert!(number > 0);
        }
        let _ = (DatasetName::parse(text), RecordKey::parse(text));
        if let Ok(pool) = PoolId::parse(text) {
            let mut stored = Vec::new();
            encode_pool(&mut stored, &pool);
            assert_eq!(decode_pool(&mut Decoder::new(&stored)), Ok(pool));
        }
        if let Ok(identity) = IdentityId::parse(text) {
            assert_eq!(identity.as_str(), text);
        }
    }
    if let Ok(dataset) = decode_dataset_id(&mut Decoder::new(bytes)) {
        let mut stored = Vec::new();
        encode_dataset_id(&mut stored, &dataset);
        assert_eq!(decode_dataset_id(&mut Decoder::new(&stored)), Ok(dataset));
    }
}

/// The file `STORE`.
pub(super) fn root(mode: Mode, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal::root(&mut bytes, mode);
    if let Ok(root) = Root::decode(&bytes) {
        let again = Root::decode(&root.encode());
        assert!(again.is_ok_and(|again| again == root));
    }
}

/// The first segment of a log.
pub(super) fn segment(mode: Mode, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal::segment(&mut bytes, mode, &mut 0);
    let bytes = padded(&bytes);
    let disk = SimDisk::new(1);
    let path = Path::new("segment");
    put(&disk, path, &bytes);
    let file = disk.open(path).expect("it was just put there");
    let Ok(segment) = Segment::open(1, file) else {
        return;
    };
    let length = u32::try_from(bytes.len()).expect("inputs are short");
    if length < FRAMES_OFFSET {
        return;
    }
    let header = segment.header;
    assert_eq!(header.encode()[..12], bytes[..12]);
    let mut scan = Scan::new(segment.clone(), FRAMES_OFFSET, length);
    let mut assembly = Assembly::default();
    loop {
        let offset = scan.offset();
        let Ok(frame) = scan.next().expect("nothing makes this disk fail") else {
            break;
        };
        assert!(scan.offset() > offset && scan.offset() <= length);
        let alone = segment.frame(offset);
        assert!(alone.is_ok_and(|alone| alone.payload == frame.payload));
        if let Ok(part) = Part::decode(&frame.payload) {
            same_again(&part);
        }
        match assembly.add(1, offset, &frame) {
            Ok(Some((commit, locations))) => assert_eq!(commit.changes.len(), locations.len()),
            Ok(None) => {}
            Err(_) => break,
        }
    }
    assert!(
        disk.reads() <= 16 + 4 * bytes.len() as u64,
        "it reads on and on"
    );
}

/// A checkpoint.
pub(super) fn checkpoint(mode: Mode, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal::checkpoint(&mut bytes, mode);
    let disk = SimDisk::new(1);
    disk.create_directory(Path::new(checkpoint::DIRECTORY))
        .expect("nothing makes this disk fail");
    put(&disk, &checkpoint::path(1), &bytes);
    let Ok(found) = checkpoint::read(&disk, 1) else {
        return;
    };
    let again = written_again(&disk, &found);
    assert_eq!(again.head, found.head);
    assert_eq!(again.trailer.hot, found.trailer.hot);
    assert_eq!(again.state, found.state);
}

fn written_again(disk: &SimDisk, found: &Checkpoint) -> Checkpoint {
    let beginning = Beginning {
        head: found.head.clone(),
        hot: found.trailer.hot.clone(),
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let cold = Cold::new(Files::new(Arc::clone(&disk)).into(), Default::default());
    let look = |see: &mut dyn FnMut(&_)| see(&found.state);
    checkpoint::write(&disk, &beginning, &cold, look, |_| true)
        .expect("nothing makes this disk fail");
    checkpoint::read(disk.as_ref(), 1).unwrap_or_else(|why| panic!("not read again: {why}"))
}
