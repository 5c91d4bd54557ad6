//! Every bound of the engine, in one place, with the relations between them asserted at compile
//! time.
//!
//! What a user may configure is in [`Limits`]; the constants are the walls around it.
//!
//! ```
//! use syncline_engine::limits::{
//!     DATASET_BYTES_MAX, KEY_BYTES_MAX, KEY_CHARS_MAX, Limits, RECORDS_PER_DATASET_MAX,
//! };
//!
//! let defaults = Limits::default();
//! assert!(defaults.records_per_dataset <= RECORDS_PER_DATASET_MAX);
//! assert!(defaults.dataset_bytes <= DATASET_BYTES_MAX);
//! // Texts are bounded in characters, which have up to four bytes.
//! assert_eq!(KEY_BYTES_MAX, 4 * KEY_CHARS_MAX);
//! ```

/// Longest pool or identity id in bytes (`IdentityPoolId` in the service's API model).
#[doc = include_str!("examples/limits/id_bytes_max.md")]
pub const ID_BYTES_MAX: usize = 55;
/// Longest dataset name in bytes (`DatasetName` in the API model).
#[doc = include_str!("examples/limits/dataset_name_bytes_max.md")]
pub const DATASET_NAME_BYTES_MAX: usize = 128;
/// Longest record key in characters (`RecordKey` in the API model).
#[doc = include_str!("examples/limits/key_chars_max.md")]
pub const KEY_CHARS_MAX: usize = 1024;
/// Longest record key in bytes: 1,024 characters of four bytes.
#[doc = include_str!("examples/limits/key_bytes_max.md")]
pub const KEY_BYTES_MAX: usize = 4 * KEY_CHARS_MAX;
/// Longest record value in characters (`RecordValue` in the API model).
#[doc = include_str!("examples/limits/value_chars_max.md")]
pub const VALUE_CHARS_MAX: usize = 1_048_575;
/// Longest record value in bytes.
#[doc = include_str!("examples/limits/value_bytes_max.md")]
pub const VALUE_BYTES_MAX: usize = 4 * VALUE_CHARS_MAX;
/// Longest name of who changed a record, in bytes: a device id of 256 characters.
#[doc = include_str!("examples/limits/modified_by_bytes_max.md")]
pub const MODIFIED_BY_BYTES_MAX: usize = 4 * 256;
/// Longest opaque note of a proposal, in bytes.
#[doc = include_str!("examples/limits/note_bytes_max.md")]
pub const NOTE_BYTES_MAX: usize = 64;
/// Longest metadata key, in bytes; whoever has longer ones hashes them.
#[doc = include_str!("examples/limits/metadata_key_bytes_max.md")]
pub const METADATA_KEY_BYTES_MAX: usize = 256;
/// Longest metadata value, in bytes.
#[doc = include_str!("examples/limits/metadata_value_bytes_max.md")]
pub const METADATA_VALUE_BYTES_MAX: usize = 64 << 10;

/// Times and counts take six bytes on disk: 281 trillion commits to one dataset, or 8,900 years.
#[doc = include_str!("examples/limits/u48_max.md")]
pub const U48_MAX: u64 = (1 << 48) - 1;

/// How far a restore lifts counts above the highest that it finds: what was lost cannot have given
/// out so many. 69 billion commits of one dataset take two years at a thousand a second; 4,095
/// restores, one upon the other, fit the counts.
///
/// ```
/// use syncline_engine::limits::{LIFT, U48_MAX};
///
/// assert_eq!(U48_MAX / LIFT, 4095);
/// ```
pub const LIFT: u64 = 1 << 36;

/// Most records a dataset may be configured to hold.
#[doc = include_str!("examples/limits/records_per_dataset_max.md")]
pub const RECORDS_PER_DATASET_MAX: usize = 65_000;
/// Most bytes (keys and values) a dataset may be configured to hold.
#[doc = include_str!("examples/limits/dataset_bytes_max.md")]
pub const DATASET_BYTES_MAX: usize = 16 << 20;
/// Most datasets an identity may be configured to hold. Merged datasets may pass the limit that is
/// configured, never this one.
#[doc = include_str!("examples/limits/datasets_per_identity_max.md")]
pub const DATASETS_PER_IDENTITY_MAX: usize = 10_000;
/// Most tombstones a dataset keeps; the oldest are purged beyond it.
#[doc = include_str!("examples/limits/tombstones_per_dataset_max.md")]
pub const TOMBSTONES_PER_DATASET_MAX: usize = 4096;
/// Most bytes of tombstone keys a dataset keeps.
#[doc = include_str!("examples/limits/tombstone_bytes_max.md")]
pub const TOMBSTONE_BYTES_MAX: usize = 1 << 20;
/// How long a tombstone is kept unless the two bounds above are passed: 30 days.
#[doc = include_str!("examples/limits/tombstone_age_ms.md")]
pub const TOMBSTONE_AGE_MS: u64 = 30 * 24 * 3600 * 1000;
/// How many deleted datasets an identity remembers by name.
#[doc = include_str!("examples/limits/deleted_names_max.md")]
pub const DELETED_NAMES_MAX: usize = 64;

/// Frames that a cold read may have to visit for one dataset.
#[doc = include_str!("examples/limits/chain_links_max.md")]
pub const CHAIN_LINKS_MAX: usize = 16;
/// Frames that a cold read may have to visit for a dataset of about 1 KiB. One that is so small
/// gains little by a longer chain: what a frame has beside its records outweighs what it carries.
#[doc = include_str!("examples/limits/chain_links_small.md")]
pub const CHAIN_LINKS_SMALL: usize = 4;
/// A dataset of 1 KiB that doubled so many times, 512 KiB, may have the longest chain.
#[doc = include_str!("examples/limits/chain_doublings.md")]
pub const CHAIN_DOUBLINGS: usize = 9;
/// Datasets of at most this many encoded bytes are always written whole.
#[doc = include_str!("examples/limits/whole_bytes.md")]
pub const WHOLE_BYTES: usize = 512;

/// Most changes in one commit.
#[doc = include_str!("examples/limits/changes_per_commit_max.md")]
pub const CHANGES_PER_COMMIT_MAX: usize = 65_000;
/// Payload of a frame beyond which a commit goes on in the next frame of its group. A single
/// change may be larger.
#[doc = include_str!("examples/limits/frame_payload_bytes.md")]
pub const FRAME_PAYLOAD_BYTES: usize = 4 << 20;
/// Largest payload that a frame header may announce.
#[doc = include_str!("examples/limits/frame_payload_bytes_max.md")]
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 128 << 20;
/// Largest commit, all frames of its group together.
#[doc = include_str!("examples/limits/commit_bytes_max.md")]
pub const COMMIT_BYTES_MAX: usize = 1 << 30;

/// Smallest segment: the header block and something to read.
#[doc = include_str!("examples/limits/segment_bytes_min.md")]
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// Largest segment: offsets in it fit 32 bits even when one commit is larger than that.
#[doc = include_str!("examples/limits/segment_bytes_max.md")]
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// A segment that had to be made while a batch waits has at most this size, so that the wait is
/// short.
#[doc = include_str!("examples/limits/segment_bytes_urgent.md")]
pub const SEGMENT_BYTES_URGENT: u64 = 4 << 20;

/// Segment files that are kept open for reading.
#[doc = include_str!("examples/limits/open_segments_max.md")]
pub const OPEN_SEGMENTS_MAX: usize = 64;

/// Submissions that may wait for the log role.
#[doc = include_str!("examples/limits/queue_submissions_max.md")]
pub const QUEUE_SUBMISSIONS_MAX: usize = 65_536;
/// Bytes of submissions that may wait for the log role.
#[doc = include_str!("examples/limits/queue_bytes_max.md")]
pub const QUEUE_BYTES_MAX: usize = 256 << 20;
/// Bytes of the pages that waiting submissions keep in memory, beside the cache.
#[doc = include_str!("examples/limits/pinned_bytes_max.md")]
pub const PINNED_BYTES_MAX: usize = 256 << 20;
/// Encoded bytes after which a batch takes no further commit. A sync costs the same up to 64 KiB,
/// and 1 MiB keeps the wait of the batch's first commit near one sync.
#[doc = include_str!("examples/limits/batch_bytes.md")]
pub const BATCH_BYTES: usize = 1 << 20;
/// Submissions after which a batch takes no further one.
#[doc = include_str!("examples/limits/batch_submissions_max.md")]
pub const BATCH_SUBMISSIONS_MAX: usize = 4096;

/// One answer of a listing, in datasets, identities, pools or metadata.
#[doc = include_str!("examples/limits/page_items_max.md")]
pub const PAGE_ITEMS_MAX: usize = 10_000;
/// Bytes of frames that the feed reads at a time.
#[doc = include_str!("examples/limits/feed_read_bytes.md")]
pub const FEED_READ_BYTES: usize = 1 << 20;
/// Log bytes between two places that the feed can start reading from.
#[doc = include_str!("examples/limits/feed_index_bytes.md")]
pub const FEED_INDEX_BYTES: u64 = 256 << 10;

/// Exports that may be under way or suspended.
#[doc = include_str!("examples/limits/exports_max.md")]
pub const EXPORTS_MAX: usize = 8;
/// Memory that one export takes for what changed since it began, beside pools that were deleted
/// whole, which were in memory before.
#[doc = include_str!("examples/limits/export_changed_bytes_max.md")]
pub const EXPORT_CHANGED_BYTES_MAX: usize = 64 << 20;
/// Datasets and other places that an export takes from the directory at a time, and at most one
/// identity more.
#[doc = include_str!("examples/limits/export_slice.md")]
pub const EXPORT_SLICE: usize = 256;

/// Encoded bytes of a record beside its key, value and modifier.
#[doc = include_str!("examples/limits/record_header_bytes.md")]
pub const RECORD_HEADER_BYTES: usize = 25;
/// Encoded bytes that a dataset change may take beside its records.
#[doc = include_str!("examples/limits/dataset_change_bytes_max.md")]
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
///
/// ```
/// use syncline_engine::{Engine, Limits, Options};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// # let directory = home.path();
/// let limits = Limits { pool_bytes: 10 << 30, ..Limits::default() };
/// let engine = Engine::open(directory, Options { limits, ..Options::default() })?;
/// // What no store can hold is refused when it is opened.
/// let limits = Limits { records_per_dataset: 65_001, ..Limits::default() };
/// assert!(Engine::open(directory, Options { limits, ..Options::default() }).is_err());
/// # Ok(())
/// # }
/// ```
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
