//! Where this server's resources are, as their names say it.

/// Region and account of resource names.
#[derive(Debug, Clone, Copy)]
pub struct Realm<'a> {
    /// The configured region.
    pub region: &'a str,
    /// The configured account.
    pub account: &'a str,
}
