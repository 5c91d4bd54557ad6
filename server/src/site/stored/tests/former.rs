//! Golden bytes of identities that were merged, and of roles and principal tags.

use super::*;

#[test]
fn keys_are_pinned() {
    let p = "11112222333344448555666677778888";
    let i = "aaaabbbbcccc4ddd8eeeffff00001111";
    let key = |key: MetadataKey| hex(key.as_bytes());
    assert_eq!(
        key(former_key(POOL_UUID, IDENTITY_UUID)),
        format!("22{p}{i}")
    );
    assert_eq!(key(roles_key(POOL_UUID)), format!("20{p}"));
    assert_eq!(hex(&principal_tags_prefix(POOL_UUID)), format!("21{p}"));
    assert_eq!(
        key(principal_tags_key(POOL_UUID, "abc")),
        format!("21{p}ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    );
}

#[test]
fn values_are_pinned() {
    golden(
        &FormerRecord {
            created_ms: 1,
            merged_ms: 2,
            into: *IDENTITY_UUID.as_bytes(),
        },
        "01353fe22f01000000000000000200000000000000aaaabbbbcccc4ddd8eeeffff00001111",
    );
    golden(
        &RolesRecord {
            roles: vec![("a".to_owned(), "b".to_owned())],
            mappings: vec![(
                "c".to_owned(),
                RoleMapping {
                    kind: "d".to_owned(),
                    ambiguous: None,
                    rules: Some(vec![RoleRule {
                        claim: "e".to_owned(),
                        match_type: "f".to_owned(),
                        value: "g".to_owned(),
                        role: "h".to_owned(),
                    }]),
                },
            )],
        },
        "01b1a037b00100000000000000010000000000000061010000000000000062010000000000000001\
         00000000000000630100000000000000640001010000000000000001000000000000006501000000\
         0000000066010000000000000067010000000000000068",
    );
    golden(
        &PrincipalTagsRecord {
            provider: "a".to_owned(),
            use_defaults: Some(true),
            tags: vec![("b".to_owned(), "c".to_owned())],
        },
        "01308c73270100000000000000610101010000000000000001000000000000006201000000000000\
         0063",
    );
}
