//! Every bound of the engine, in one place, with the relations between them asserted at compile
//! time.
//!
//! What a user may configure is in [`Limits`]; the constants are the walls around it.

/// Longest pool or identity id in bytes (`IdentityPoolId` in the service's API model).
pub const ID_BYTES_MAX: usize = 55;
/// Longest dataset name in bytes (`DatasetName` in the API model).
pub const DATASET_NAME_BYTES_MAX: usize = 128;
/// Longest record key in characters (`RecordKey` in the API model).
pub const KEY_CHARS_MAX: usize = 1024;
/// Longest record key in bytes: 1,024 characters of four bytes.
pub const KEY_BYTES_MAX: usize = 4 * KEY_CHARS_MAX;
/// Longest record value in characters (`RecordValue` in the API model).
pub const VALUE_CHARS_MAX: usize = 1_048_575;
/// Longest record value in bytes.
pub const VALUE_BYTES_MAX: usize = 4 * VALUE_CHARS_MAX;
/// Longest name of who changed a record, in bytes: a device id of 256 characters.
pub const MODIFIED_BY_BYTES_MAX: usize = 4 * 256;
/// Longest opaque note of a proposal, in bytes.
pub const NOTE_BYTES_MAX: usize = 64;
/// Longest metadata key, in bytes; whoever has longer ones hashes them.
pub const METADATA_KEY_BYTES_MAX: usize = 256;
/// Longest metadata value, in bytes.
pub const METADATA_VALUE_BYTES_MAX: usize = 64 << 10;

/// Times and counts take six bytes on disk: 281 trillion commits to one dataset, or 8,900 years.
pub const U48_MAX: u64 = (1 << 48) - 1;

/// How far a restore lifts counts above the highest that it finds: what was lost cannot have given
/// out so many. 69 billion commits of one dataset take two years at a thousand a second; 4,095
/// restores, one upon the other, fit the counts.
pub const LIFT: u64 = 1 << 36;

/// Most records a dataset may be configured to hold.
pub const RECORDS_PER_DATASET_MAX: usize = 65_000;
/// Most bytes (keys and values) a dataset may be configured to hold.
pub const DATASET_BYTES_MAX: usize = 16 << 20;
/// Most datasets an identity may be configured to hold. Merged datasets may pass the limit that is
/// configured, never this one.
pub const DATASETS_PER_IDENTITY_MAX: usize = 10_000;
/// Most tombstones a dataset keeps; the oldest are purged beyond it.
pub const TOMBSTONES_PER_DATASET_MAX: usize = 4096;
/// Most bytes of tombstone keys a dataset keeps.
pub const TOMBSTONE_BYTES_MAX: usize = 1 << 20;
/// How long a tombstone is kept unless the two bounds above are passed: 30 days.
pub const TOMBSTONE_AGE_MS: u64 = 30 * 24 * 3600 * 1000;
/// How many deleted datasets an identity remembers by name.
pub const DELETED_NAMES_MAX: usize = 64;

/// Frames that a cold read may have to visit for one dataset.
pub const CHAIN_LINKS_MAX: usize = 16;
/// Frames that a cold read may have to visit for a dataset of about 1 KiB. One that is so small
/// gains little by a longer chain: what a frame has beside its records outweighs what it carries.
pub const CHAIN_LINKS_SMALL: usize = 4;
/// A dataset of 1 KiB that doubled so many times, 512 KiB, may have the longest chain.
pub const CHAIN_DOUBLINGS: usize = 9;
/// Datasets of at most this many encoded bytes are always written whole.
pub const WHOLE_BYTES: usize = 512;

/// Most changes in one commit.
pub const CHANGES_PER_COMMIT_MAX: usize = 65_000;
/// Payload of a frame beyond which a commit goes on in the next frame of its group. A single
/// change may be larger.
pub const FRAME_PAYLOAD_BYTES: usize = 4 << 20;
/// Largest payload that a frame header may announce.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 128 << 20;
/// Largest commit, all frames of its group together.
pub const COMMIT_BYTES_MAX: usize = 1 << 30;

/// Smallest segment: the header block and something to read.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// Largest segment: offsets in it fit 32 bits even when one commit is larger than that.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// A segment that had to be made while a batch waits has at most this size, so that the wait is
/// short.
pub const SEGMENT_BYTES_URGENT: u64 = 4 << 20;

/// Segment files that are kept open for reading.
pub const OPEN_SEGMENTS_MAX: usize = 64;

/// Submissions that may wait for the log role.
pub const QUEUE_SUBMISSIONS_MAX: usize = 65_536;
/// Bytes of submissions that may wait for the log role.
pub const QUEUE_BYTES_MAX: usize = 256 << 20;
/// Bytes of the pages that waiting submissions keep in memory, beside the cache.
pub const PINNED_BYTES_MAX: usize = 256 << 20;
/// Encoded bytes after which a batch takes no further commit. A sync costs the same up to 64 KiB,
/// and 1 MiB keeps the wait of the batch's first commit near one sync.
pub const BATCH_BYTES: usize = 1 << 20;
/// Submissions after which a batch takes no further one.
pub const BATCH_SUBMISSIONS_MAX: usize = 4096;

/// One answer of a listing, in datasets, identities, pools or metadata.
pub const PAGE_ITEMS_MAX: usize = 10_000;
/// Bytes of frames that the feed reads at a time.
pub const FEED_READ_BYTES: usize = 1 << 20;
/// Log bytes between two places that the feed can start reading from.
pub const FEED_INDEX_BYTES: u64 = 256 << 10;

/// Exports that may be under way or suspended.
pub const EXPORTS_MAX: usize = 8;
/// Memory that one export takes for what changed since it began, beside pools that were deleted
/// whole, which were in memory before.
pub const EXPORT_CHANGED_BYTES_MAX: usize = 64 << 20;
/// Datasets and other places that an export takes from the directory at a time, and at most one
/// identity more.
pub const EXPORT_SLICE: usize = 256;

/// Encoded bytes of a record beside its key, value and modifier.
pub const RECORD_HEADER_BYTES: usize = 25;
/// Encoded bytes that a dataset change may take beside its records.
pub const DATASET_CHANGE_BYTES_MAX: usize = 4096;

const _: () = {
    assert!(
        KEY_BYTES_MAX < 1 << 15,
        "key lengths share 16 bits with the tombstone flag"
    );
    assert!(VALUE_BYTES_MAX < 1 << 24, "value lengths take 24 bits");
    assert!(MODIFIED_BY_BYTES_MAX < 1 << 16);
    assert!(RECORDS_PER_DATASET_MAX + TOMBSTONES_PER_DATASET_MAX < 1 << 17);
    assert!(RECORDS_PER_DATASET_MAX < 1 << 16 && TOMBSTONES_PER_DATASET_MAX < 1 << 16);
    assert!(CHANGES_PER_COMMIT_MAX < 1 << 16);
    // A whole dataset at its limits fits one frame.
    assert!(
        DATASET_BYTES_MAX
            + TOMBSTONE_BYTES_MAX
            + KEY_BYTES_MAX
            + (RECORDS_PER_DATASET_MAX + TOMBSTONES_PER_DATASET_MAX)
                * (RECORD_HEADER_BYTES + MODIFIED_BY_BYTES_MAX)
            + DATASET_CHANGE_BYTES_MAX
            <= FRAME_PAYLOAD_BYTES_MAX
    );
    assert!(METADATA_VALUE_BYTES_MAX + METADATA_KEY_BYTES_MAX < FRAME_PAYLOAD_BYTES);
    // Offsets in a segment fit 32 bits, also where a commit has a segment of its own.
    assert!(SEGMENT_BYTES_MAX + (COMMIT_BYTES_MAX as u64) < 1 << 32);
    assert!(FRAME_PAYLOAD_BYTES_MAX < COMMIT_BYTES_MAX);
    assert!(SEGMENT_BYTES_URGENT >= SEGMENT_BYTES_MIN);
    assert!(CHAIN_LINKS_SMALL >= 2 && CHAIN_LINKS_SMALL <= CHAIN_LINKS_MAX);
};

/// What a user may configure. Lowering a limit refuses growth only; what is stored stays readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Live datasets of one identity; 20 as in the service, at most
    /// [`DATASETS_PER_IDENTITY_MAX`].
    pub datasets_per_identity: usize,
    /// Live records of one dataset; 1,024 as in the service, at most [`RECORDS_PER_DATASET_MAX`].
    pub records_per_dataset: usize,
    /// Bytes of keys and values of one dataset; 1 MiB as in the service, at most
    /// [`DATASET_BYTES_MAX`].
    pub dataset_bytes: usize,
    /// Bytes of keys and values of all datasets of a pool; 0 means no limit.
    pub pool_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            datasets_per_identity: 20,
            records_per_dataset: 1024,
            dataset_bytes: 1 << 20,
            pool_bytes: 0,
        }
    }
}
