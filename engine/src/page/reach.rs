//! How far back the frame of an update reaches: which older runs it carries along, and which it
//! leaves where they are.
//!
//! Bytes written are weighed against frames that a cold read visits. A frame carries every record
//! that is newer than some link, so only runs at the young end can be merged, and the whole chain
//! has a bounded number of places. Nothing is gained by merging before the places are used up;
//! then it is a question of how many runs to merge into one.
//!
//! *The choice.* Merging `d` runs into the new one frees `d` places. If nothing may be written
//! more than `r` times over, `d` free places take C(d + r, r) updates, which no scheme betters.
//! So the merge is taken that writes least for each update which its places are worth, with
//! `r` = 3. Small runs collect at the young end, become one, and so on upwards; what was
//! overwritten meanwhile is left behind, and is the reason to wait. For an image of 1 MiB of which
//! 64 KiB are rewritten one record at a time, this comes within 1 % of the least that any choice
//! of merges can write in 16 places; merging by doublings wrote a third more.
//!
//! *The image* is a run like any other, and besides, when nothing but the image would be left
//! behind and it holds no more than what is carried, the frame is whole. In all mixes that were
//! tried a cold read then takes less than twice the dataset's bytes on average.
//!
//! *Places.* Small datasets are many and often cold, and there a frame's fixed part outweighs what
//! it carries: they have fewer places, and more of them with every doubling.

use crate::limits::{CHAIN_DOUBLINGS, CHAIN_LINKS_MAX, CHAIN_LINKS_SMALL, WHOLE_BYTES};
use crate::page::{Link, Links, Page};
use crate::types::SyncCount;

impl Page {
    /// How far back the frame of this page's newest count should reach, given the frames of the
    /// page before, and which of these are then left; zero and none if it should be whole.
    ///
    /// A frame either reaches back to the floor at most, or is whole: purged tombstones are missing
    /// in it, and where a reader does not meet them it must not meet what they removed either.
    pub(crate) fn reach(&self, links: &[Link]) -> (SyncCount, Links) {
        let left = &links[self.merged_links(links)..];
        match left.first() {
            Some(link) if link.sync_count >= self.facts.floor => (link.sync_count, left.into()),
            _ => (SyncCount::ZERO, Links::new()),
        }
    }

    /// How many of the links, from the newest, should be merged into the page's next frame.
    fn merged_links(&self, links: &[Link]) -> usize {
        if self.records_bytes() <= WHOLE_BYTES {
            return links.len();
        }
        let carried = |merged: usize| self.bytes_after(count_of(links, merged));
        // A run of which nothing is left costs nothing to merge.
        let dead = (0..links.len())
            .take_while(|&first| carried(first + 1) == carried(0))
            .count();
        let places = links_max(self.records_bytes());
        let fewest = (links.len() + 1).saturating_sub(places);
        let merged = if dead >= fewest {
            dead
        } else {
            let cost = |merged| (carried(merged) - carried(0)) as u64;
            // Of merges that are equally good the deepest, which leaves the shortest chain.
            let better = |best, merged| {
                if cost(merged) * worth(best) <= cost(best) * worth(merged) {
                    merged
                } else {
                    best
                }
            };
            (fewest..=links.len()).fold(fewest, better)
        };
        let only_image_left = merged + 1 == links.len();
        if only_image_left && self.records_bytes() - carried(merged) <= carried(merged) {
            return links.len();
        }
        merged
    }
}

/// The count down to which a frame carries everything if it merges so many links.
fn count_of(links: &[Link], merged: usize) -> SyncCount {
    links
        .get(merged)
        .map_or(SyncCount::ZERO, |link| link.sync_count)
}

/// Updates that so many free places take if nothing is written more than three times over, times
/// six: C(places + 3, 3).
fn worth(places: usize) -> u64 {
    let places = places as u64;
    (places + 1) * (places + 2) * (places + 3)
}

/// Most frames that hold a page of so many bytes.
fn links_max(bytes: usize) -> usize {
    let doublings = (bytes >> 10).max(1).ilog2() as usize;
    let more = CHAIN_LINKS_MAX - CHAIN_LINKS_SMALL;
    CHAIN_LINKS_SMALL + more * doublings.min(CHAIN_DOUBLINGS) / CHAIN_DOUBLINGS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_grow_with_the_dataset_up_to_the_bound() {
        let places = |kib: usize| links_max(kib << 10);
        assert_eq!(links_max(WHOLE_BYTES + 1), CHAIN_LINKS_SMALL);
        assert_eq!(
            [places(1), places(4), places(16), places(64)],
            [4, 6, 9, 12]
        );
        assert_eq!(
            [places(512), places(1024), places(16384)],
            [CHAIN_LINKS_MAX; 3]
        );
    }
}
