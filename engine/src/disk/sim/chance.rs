//! A small repeatable generator (splitmix64), and what survives by it.

/// A stream of numbers that its seed decides.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, which the seed and all draws so far decide.
    pub(super) const fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0. Its bias does not matter here.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) const fn coin(&mut self) -> bool {
        self.next() & 1 == 0
    }

    pub(super) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }

    /// How much of a beginning gets through: nothing, all, or somewhere between, each as often,
    /// since the ends are where mistakes show.
    pub(super) fn part_of(&mut self, length: usize) -> usize {
        match self.below(3) {
            0 => 0,
            1 => length,
            // The value is at most `length`, so it fits.
            _ => usize::try_from(self.below(length as u64 + 1)).unwrap_or(length),
        }
    }
}

/// Which of a list of changes survive, asked once for each in their order.
#[derive(Debug)]
pub(super) enum Fate {
    Nothing,
    Everything,
    /// So many, then no more: the order was kept.
    UpTo(u64),
    /// Each by itself, with `keep` in 8.
    Each {
        keep: u64,
        chance: Chance,
    },
}

impl Fate {
    /// Draws the fate of `changes` changes.
    pub(super) const fn draw(chance: &mut Chance, changes: u64) -> Self {
        match chance.below(6) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 => Self::UpTo(chance.below(changes + 1)),
            _ => Self::Each {
                keep: 1 + chance.below(7),
                chance: chance.fork(),
            },
        }
    }

    pub(super) const fn keeps(&mut self) -> bool {
        match self {
            Self::Nothing | Self::UpTo(0) => false,
            Self::Everything => true,
            Self::UpTo(left) => {
                *left -= 1;
                true
            }
            Self::Each { keep, chance } => chance.below(8) < *keep,
        }
    }
}
