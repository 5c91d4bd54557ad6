//! Inputs made of others by small changes, seeded.

/// Makes inputs.
pub struct Mutator(u64);

/// Numbers at which something changes.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x00ff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xffff_ffff_ffff,
    u64::MAX,
];

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which must not be zero.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// An input that is one of these but for a few changes.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, seeds);
        }
        // Mostly such that checksums are no obstacle.
        if let Some(mode) = input.first_mut() {
            *mode = [0, 1, 3, 3][self.below(4)];
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let length = input.len();
        if length < 2 {
            input.extend([0; 16]);
            return;
        }
        let at = 1 + self.below(length - 1);
        match self.below(9) {
            0 | 1 => input[at] ^= 1 << self.below(8),
            2 => input[at] = u8::try_from(self.below(256)).unwrap(),
            3 | 4 => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_le_bytes();
                let width = [1, 2, 3, 4, 6, 8][self.below(6)].min(length - at);
                input[at..at + width].copy_from_slice(&number[..width]);
            }
            5 => {
                let by = u8::try_from(1 + self.below(4)).unwrap();
                let byte = &mut input[at];
                *byte = byte.wrapping_add(if by > 2 { by.wrapping_neg() } else { by });
            }
            6 => {
                let end = (at + 1 + self.below(64)).min(length);
                input.drain(at..end);
            }
            7 => {
                let end = (at + 1 + self.below(64)).min(length);
                let copy = input[at..end].to_vec();
                let to = 1 + self.below(length - 1);
                input.splice(to..to, copy);
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                let end = (from + 1 + self.below(200)).min(other.len());
                let until = (at + end - from).min(length);
                input.splice(at..until, other[from..end].iter().copied());
            }
        }
    }
}
