//! The table: a row for each operation, a column for each kind of credentials.
//!
//! `.` the caller may, whatever the operation then says · `m` not signed · `s` wrong signature or
//! unknown key · `x` expired · `a` AccessDenied · `n` developers' credentials where an identity's
//! are needed · `f` an identity that is gone · `=` not signed, so the same for everybody.

/// Who asks, in the order of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Nothing,
    WrongSignature,
    Root,
    /// A key held to pools, asking about one of them.
    HeldWithin,
    /// A key held to another pool.
    HeldBeyond,
    ReadOnly,
    DisabledKey,
    DeletedKey,
    /// An identity about itself.
    Own,
    /// An identity about another one of its pool.
    OtherIdentity,
    /// An identity about one of another pool.
    OtherPool,
    /// A guest about itself.
    Guest,
    /// An identity that was deleted after it got its credentials.
    DeletedIdentity,
    Expired,
}

pub(super) const COLUMNS: [Column; 14] = {
    use Column as C;
    [
        C::Nothing,
        C::WrongSignature,
        C::Root,
        C::HeldWithin,
        C::HeldBeyond,
        C::ReadOnly,
        C::DisabledKey,
        C::DeletedKey,
        C::Own,
        C::OtherIdentity,
        C::OtherPool,
        C::Guest,
        C::DeletedIdentity,
        C::Expired,
    ]
};

#[rustfmt::skip]
pub(super) const SYNC: [(&str, &str); 17] = [
    ("BulkPublish",                  "ms..aassaaaafx"),
    ("DeleteDataset",                "ms..aass.aa.fx"),
    ("DescribeDataset",              "ms..a.ss.aa.fx"),
    ("DescribeIdentityPoolUsage",    "ms..a.ssaaaafx"),
    ("DescribeIdentityUsage",        "ms..a.ss.aa.fx"),
    ("GetBulkPublishDetails",        "ms..a.ssaaaafx"),
    ("GetCognitoEvents",             "ms..a.ssaaaafx"),
    ("GetIdentityPoolConfiguration", "ms..a.ssaaaafx"),
    ("ListDatasets",                 "ms..a.ss.aa.fx"),
    ("ListIdentityPoolUsage",        "ms.aa.ssaaaafx"),
    ("ListRecords",                  "ms..a.ss.aa.fx"),
    ("RegisterDevice",               "msnnnnss.aa.fx"),
    ("SetCognitoEvents",             "ms..aassaaaafx"),
    ("SetIdentityPoolConfiguration", "ms..aassaaaafx"),
    ("SubscribeToDataset",           "msnnnnss.aa.fx"),
    ("UnsubscribeFromDataset",       "msnnnnss.aa.fx"),
    ("UpdateRecords",                "ms..aass.aa.fx"),
];

#[rustfmt::skip]
pub(super) const IDENTITY: [(&str, &str); 23] = [
    ("CreateIdentityPool",                 "ms.aaassaaaaax"),
    ("DeleteIdentities",                   "ms..aassaaaaax"),
    ("DeleteIdentityPool",                 "ms..aassaaaaax"),
    ("DescribeIdentity",                   "ms..a.ssaaaaax"),
    ("DescribeIdentityPool",               "ms..a.ssaaaaax"),
    ("GetCredentialsForIdentity",          "=============="),
    ("GetId",                              "=============="),
    ("GetIdentityPoolRoles",               "ms..a.ssaaaaax"),
    ("GetOpenIdToken",                     "=============="),
    ("GetOpenIdTokenForDeveloperIdentity", "ms..aassaaaaax"),
    ("GetPrincipalTagAttributeMap",        "ms..a.ssaaaaax"),
    ("ListIdentities",                     "ms..a.ssaaaaax"),
    ("ListIdentityPools",                  "ms.aa.ssaaaaax"),
    ("ListTagsForResource",                "ms..a.ssaaaaax"),
    ("LookupDeveloperIdentity",            "ms..a.ssaaaaax"),
    ("MergeDeveloperIdentities",           "ms..aassaaaaax"),
    ("SetIdentityPoolRoles",               "ms..aassaaaaax"),
    ("SetPrincipalTagAttributeMap",        "ms..aassaaaaax"),
    ("TagResource",                        "ms..aassaaaaax"),
    ("UnlinkDeveloperIdentity",            "ms..aassaaaaax"),
    ("UnlinkIdentity",                     "=============="),
    ("UntagResource",                      "ms..aassaaaaax"),
    ("UpdateIdentityPool",                 "ms..aassaaaaax"),
];

#[rustfmt::skip]
pub(super) const OWN: [(&str, &str); 3] = [
    ("Backup",      "ms.aaassaaaafx"),
    ("ListChanges", "ms..a.ssaaaafx"),
    ("Events",      "ms..a.ss.aa.fx"),
];

#[rustfmt::skip]
pub(super) const KINESIS: [(&str, &str); 6] = [
    ("DescribeStream",        "ms..a.ssaaaafx"),
    ("DescribeStreamSummary", "ms..a.ssaaaafx"),
    ("GetRecords",            "ms..a.ssaaaafx"),
    ("GetShardIterator",      "ms..a.ssaaaafx"),
    ("ListShards",            "ms..a.ssaaaafx"),
    // A key that is held is told less, and not refused.
    ("ListStreams",           "ms....ssaaaafx"),
];
