//! The environment as a layer over the configuration file: every setting has a variable.

use super::nearest::{nearest, offered};
use super::{Config, ConfigError};

/// Every setting that has a variable: its place in the file, and how the variable is read. The
/// sections that have names of their own (streams and the like) are left to the file.
pub(super) const SETTINGS: [(&str, Form); 34] = [
    ("listen", Form::Text),
    ("data", Form::Text),
    ("public_url", Form::Text),
    ("region", Form::Text),
    ("regions", Form::Texts),
    ("account_id", Form::Text),
    ("limits.datasets_per_identity", Form::Number),
    ("limits.records_per_dataset", Form::Number),
    ("limits.dataset_bytes", Form::Number),
    ("limits.identities_per_pool", Form::Number),
    ("limits.pool_bytes", Form::Number),
    ("limits.guest_identities_per_second", Form::Number),
    ("limits.connections", Form::Number),
    ("limits.listeners", Form::Number),
    ("limits.pool_listeners", Form::Number),
    ("limits.requests_per_second_per_identity", Form::Number),
    ("limits.request_burst_per_identity", Form::Number),
    ("limits.requests_per_second_per_key", Form::Number),
    ("limits.request_burst_per_key", Form::Number),
    ("timeouts.header_ms", Form::Number),
    ("timeouts.body_ms", Form::Number),
    ("timeouts.idle_ms", Form::Number),
    ("timeouts.shutdown_ms", Form::Number),
    ("engine.segment_bytes", Form::Number),
    ("engine.cache_bytes", Form::Number),
    ("engine.checkpoint_bytes", Form::Number),
    ("engine.feed_retention_hours", Form::Number),
    ("engine.feed_retention_bytes", Form::Number),
    ("engine.pin_bytes", Form::Number),
    ("backup.directory", Form::Text),
    ("streaming.give_up_seconds", Form::Number),
    ("streaming.resume", Form::Switch),
    ("streaming.bulk_publish_period_hours", Form::Number),
    ("streaming.bulk_publish_bytes_per_second", Form::Number),
];

/// Variables that are not settings of the file.
const OTHERS: [&str; 3] = [
    "SYNCLINE_CONFIG",
    "SYNCLINE_ROOT_ACCESS_KEY_ID",
    "SYNCLINE_ROOT_SECRET_ACCESS_KEY",
];

/// How a variable is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Text,
    /// Parts between commas.
    Texts,
    /// A whole number.
    Number,
    /// true or false.
    Switch,
}

/// The variable of a setting: `limits.pool_bytes` is `SYNCLINE_LIMITS_POOL_BYTES`.
pub(super) fn variable_of(setting: &str) -> String {
    format!("SYNCLINE_{}", setting.replace('.', "_").to_uppercase())
}

/// Lays the variables that are set over a file that was read. `config` is what the file alone
/// gives.
pub(super) fn overlay(
    mut config: Config,
    mut table: toml::Table,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    for (setting, form) in SETTINGS {
        let name = variable_of(setting);
        let Some(text) = variable(&name) else {
            continue;
        };
        let refused = |why: String| ConfigError::Variable {
            variable: name.clone(),
            why,
        };
        let value = read(form, &text).map_err(&refused)?;
        put(&mut table, setting, value);
        // One by one, so that whatever is wrong has a name.
        config = table
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| refused(error.message().to_owned()))?;
    }
    Ok(config)
}

/// Variables that look like ours and are not, with what may have been meant.
#[must_use]
pub fn misspelt(names: impl Iterator<Item = String>) -> Vec<(String, String)> {
    let settings = SETTINGS.iter().map(|(setting, _)| variable_of(setting));
    let known: Vec<String> = settings.chain(OTHERS.map(str::to_owned)).collect();
    names
        .filter(|name| name.starts_with("SYNCLINE_") && !known.contains(name))
        .filter_map(|name| {
            let meant = nearest(&name, known.iter().map(String::as_str))?.to_owned();
            Some((name, meant))
        })
        .collect()
}

/// What may have been meant by a key that is not known, as the end of a sentence; empty if nothing
/// comes to mind.
pub(super) fn hint(message: &str) -> String {
    let Some((unknown, near)) = offered(message) else {
        return String::new();
    };
    let elsewhere = SETTINGS.iter().find_map(|(setting, _)| {
        let (section, key) = setting.rsplit_once('.')?;
        (key == unknown).then_some(section)
    });
    match (elsewhere, near) {
        (Some(section), _) => format!(": `{unknown}` belongs into [{section}]"),
        (None, Some(near)) => format!(": did you mean `{near}`?"),
        (None, None) => String::new(),
    }
}

fn read(form: Form, text: &str) -> Result<toml::Value, String> {
    match form {
        Form::Text => Ok(toml::Value::String(text.to_owned())),
        Form::Texts => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Ok(toml::Value::Array(parts.map(toml::Value::from).collect()))
        }
        Form::Number => match text.trim().parse::<i64>() {
            Ok(number) => Ok(toml::Value::Integer(number)),
            Err(_) => Err(format!("must be a whole number, not {text:?}")),
        },
        Form::Switch => match text.trim().parse::<bool>() {
            Ok(on) => Ok(toml::Value::Boolean(on)),
            Err(_) => Err(format!("must be true or false, not {text:?}")),
        },
    }
}

fn put(table: &mut toml::Table, setting: &str, value: toml::Value) {
    let (place, key) = match setting.split_once('.') {
        None => (Some(table), setting),
        Some((section, key)) => {
            let section = table
                .entry(section)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            // The file was read, so a section is one.
            (section.as_table_mut(), key)
        }
    };
    if let Some(place) = place {
        place.insert(key.to_owned(), value);
    }
}
