use super::*;

const LOSER: &str = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111";

#[test]
fn names_tell_whose_dataset_it_was() {
    assert_eq!(merged_name("saves", LOSER, 1), format!("saves.{LOSER}"));
    assert_eq!(merged_name("saves", LOSER, 2), format!("saves.{LOSER}.2"));
    let longest = "n".repeat(DATASET_NAME_BYTES_MAX - LOSER.len() - 1);
    let name = merged_name(&longest, LOSER, 1);
    assert_eq!(name, format!("{longest}.{LOSER}"));
}

#[test]
fn of_a_long_name_the_identity_stays() {
    let (one, other) = ("n".repeat(128), format!("{}m", "n".repeat(127)));
    let longest_id = format!("{}:{}", "r".repeat(18), "a".repeat(36));
    for loser in [LOSER, longest_id.as_str()] {
        for number in [1, 2, NAMES_MAX] {
            let names = [&one, &other].map(|dataset| merged_name(dataset, loser, number));
            assert_ne!(names[0], names[1]);
            for name in names {
                assert_eq!(name.len(), DATASET_NAME_BYTES_MAX);
                assert!(name.contains(&format!(".{loser}")), "{name}");
                DatasetName::parse(&name).unwrap();
            }
        }
    }
    let name = merged_name(&one, LOSER, 1);
    assert_eq!(
        name,
        format!("{}-{}.{LOSER}", "n".repeat(64), "dd2411b970d6f327")
    );
}

#[test]
fn the_first_free_name_is_taken_and_the_search_ends() {
    let name = free_name("d", LOSER, |name| Ok(name.as_str().ends_with(".3"))).unwrap();
    assert_eq!(name.as_str(), format!("d.{LOSER}.3"));
    let last = free_name("d", LOSER, |_| Ok(false)).unwrap();
    assert_eq!(last.as_str(), format!("d.{LOSER}.{NAMES_MAX}"));
}
