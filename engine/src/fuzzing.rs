//! Ways into every decoder for arbitrary bytes, and what must hold whatever they are.
//!
//! An input begins with a byte that says what is done to the rest before it is read: with bit 0
//! all checksums in it are made right, so that what is behind them is reached; with bit 1 chains
//! and numbers that follow from what stands before, too. A panic is a bug.

mod decoders;
mod directory;
mod seal;
mod seeds;

/// Every checksum is made right.
const SEALED: u8 = 1;
/// What follows from what stands before is made right.
const CHAINED: u8 = 2;

/// One decoder, or several that belong together.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its corpus.
    pub name: &'static str,
    /// Bytes of memory that it may take beside [`MEMORY_FACTOR`] times its input.
    pub memory: usize,
    run: fn(Mode, &[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
}

/// What is made right in an input before it is read.
#[derive(Clone, Copy)]
struct Mode {
    sealed: bool,
    chained: bool,
}

/// Bytes of memory for each byte of input.
pub const MEMORY_FACTOR: usize = 64;

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "header",
        memory: 4 << 10,
        run: decoders::header,
        seeds: seeds::headers,
    },
    Target {
        name: "payload",
        memory: 32 << 10,
        run: decoders::payload,
        seeds: seeds::payloads,
    },
    Target {
        name: "records",
        memory: 4 << 10,
        run: decoders::records,
        seeds: seeds::records,
    },
    Target {
        name: "names",
        memory: 16 << 10,
        run: decoders::names,
        seeds: seeds::names,
    },
    Target {
        name: "root",
        memory: 16 << 10,
        run: decoders::root,
        seeds: seeds::roots,
    },
    Target {
        name: "segment",
        memory: 4 << 20,
        run: decoders::segment,
        seeds: seeds::segments,
    },
    Target {
        name: "checkpoint",
        memory: 8 << 20,
        run: decoders::checkpoint,
        seeds: seeds::checkpoints,
    },
    Target {
        name: "directory",
        memory: 32 << 20,
        run: directory::open,
        seeds: seeds::directories,
    },
];

impl Target {
    /// Reads an input.
    ///
    /// # Panics
    /// If something does not hold: a bug.
    pub fn run(&self, input: &[u8]) {
        let Some((&mode, bytes)) = input.split_first() else {
            return;
        };
        let mode = Mode {
            sealed: mode & SEALED != 0,
            chained: mode & CHAINED != 0,
        };
        (self.run)(mode, bytes);
    }

    /// What its corpus begins with: bytes as the store writes them, in every mode.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let of = |bytes: &Vec<u8>| {
            [0, SEALED, SEALED | CHAINED].map(|mode| [&[mode], &bytes[..]].concat())
        };
        (self.seeds)().iter().flat_map(of).collect()
    }
}

/// Reads an input of the target with this name.
///
/// # Panics
/// If something does not hold, or there is no such target.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    target.expect("targets have these names").run(input);
}
