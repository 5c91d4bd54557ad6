//! TagResource, UntagResource and ListTagsForResource: the tags of a pool by its resource name.

use super::pools::{self, TAGS_MAX, change_pool, check_tags};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::PoolRecord;
use crate::wire::{Pairs, Violations, roles as wire};

/// Adds tags, or puts them in the place of those with the same name.
pub(super) async fn tag(
    site: &Site,
    input: wire::TagResourceInput,
) -> Result<wire::Empty, ApiError> {
    let mut violations = Violations::new();
    required_arn(&mut violations, input.resource_arn.as_ref());
    violations.required("tags", input.tags.as_ref());
    let tags = pools::pairs(input.tags.as_ref());
    check_tags(&mut violations, "tags", tags);
    violations.finish()?;
    let pool = pool_of(site, &input.resource_arn.unwrap_or_default())?;
    let change = |now: &PoolRecord| {
        let mut changed = now.clone();
        for (name, value) in tags {
            match changed.tags.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => known.clone_from(value),
                None => changed.tags.push((name.clone(), value.clone())),
            }
        }
        if changed.tags.len() > TAGS_MAX {
            return Err(ApiError::invalid_parameter(format!(
                "An identity pool has at most {TAGS_MAX} tags."
            )));
        }
        Ok(changed)
    };
    change_pool(site, &pool, change).await?;
    Ok(wire::Empty {})
}

/// Takes tags away; those that are not there do not matter.
pub(super) async fn untag(
    site: &Site,
    input: wire::UntagResourceInput,
) -> Result<wire::Empty, ApiError> {
    let mut violations = Violations::new();
    required_arn(&mut violations, input.resource_arn.as_ref());
    violations.required("tagKeys", input.tag_keys.as_ref());
    let names = input.tag_keys.unwrap_or_default();
    pools::at_most(&mut violations, "tagKeys", names.len(), TAGS_MAX);
    for name in &names {
        violations.length("tagKeys", name, 1, 128);
    }
    violations.finish()?;
    let pool = pool_of(site, &input.resource_arn.unwrap_or_default())?;
    let change = |now: &PoolRecord| {
        let mut changed = now.clone();
        changed.tags.retain(|(name, _)| !names.contains(name));
        Ok(changed)
    };
    change_pool(site, &pool, change).await?;
    Ok(wire::Empty {})
}

/// Lists the tags.
pub(super) async fn list(
    site: &Site,
    input: wire::ListTagsForResourceInput,
) -> Result<wire::ListTagsForResourceOutput, ApiError> {
    let mut violations = Violations::new();
    required_arn(&mut violations, input.resource_arn.as_ref());
    violations.finish()?;
    let pool = pool_of(site, &input.resource_arn.unwrap_or_default())?;
    let (_, record) = super::pool(site, &pool).await?;
    Ok(wire::ListTagsForResourceOutput {
        tags: Pairs(record.tags),
    })
}

fn required_arn(violations: &mut Violations, arn: Option<&String>) {
    violations.required("resourceArn", arn);
    if let Some(arn) = arn {
        violations.length("resourceArn", arn, 20, 2048);
    }
}

/// The pool that a resource name names: `arn:aws:cognito-identity:REGION:ACCOUNT:identitypool/ID`.
fn pool_of(site: &Site, arn: &str) -> Result<String, ApiError> {
    let not_found = || ApiError::not_found(format!("Resource '{arn}' not found"));
    let [scheme, _, service, region, account, resource] =
        arn.splitn(6, ':').collect::<Vec<_>>()[..]
    else {
        let message = format!("'{arn}' is not the name of a resource");
        return Err(ApiError::invalid_parameter(message));
    };
    let pool = resource.strip_prefix("identitypool/");
    let pool = pool.filter(|pool| {
        let ours = scheme == "arn" && service == "cognito-identity";
        let at_home = pool.split_once(':').is_some_and(|(own, _)| own == region);
        ours && at_home && account == site.config.account_id
    });
    pool.map(str::to_owned).ok_or_else(not_found)
}
