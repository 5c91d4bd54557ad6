//! `syncline key`: developers' keys and the keys that seal, on a data directory without a server.

use std::error::Error;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use syncline_server::config::Secret;
use syncline_server::keyring::{Keyring, KeyringError, Listed, NewKey, Standing};
use syncline_server::sigv4::basic_date;

use super::place::Place;
use super::say::say;

/// What a key is that there is no more.
const DELETED: &str = "deleted";

/// What to do with which key.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an access key; its secret is shown once.
    Create(Create),
    /// Show all keys; never their secrets.
    List(Shown),
    /// Make a key useless until it is enabled again.
    Disable(Named),
    /// Make a disabled key good again; a revoked one never is.
    Enable(Named),
    /// Forget a key for ever.
    Delete(Named),
    /// Replace the keys that seal tokens and sign OpenID tokens.
    ///
    /// What the old ones sealed and signed is believed until it expires. Access keys stay as they
    /// are.
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(crate) struct Shown {
    #[command(flatten)]
    place: Place,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    shown: Shown,
    /// Let the key reach only this identity pool; may be given more than once
    #[arg(long = "pool", value_name = "ID")]
    pools: Vec<String>,
    /// Let the key only read
    #[arg(long)]
    read_only: bool,
    /// A name, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    #[command(flatten)]
    shown: Shown,
    /// The access key id
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    shown: Shown,
    /// Believe nothing of the old ones any more: everyone signs in again, and every access key
    /// made with `key create` ends
    #[arg(long)]
    revoke: bool,
}

/// Does it, and says what was done.
pub(crate) fn run(command: KeyCommand) -> Result<(), Box<dyn Error>> {
    match command {
        KeyCommand::Create(create) => create.run(),
        KeyCommand::List(shown) => list(shown),
        KeyCommand::Disable(named) => named.run("disabled", |keys, id| keys.enable(id, false)),
        KeyCommand::Enable(named) => named.run("enabled", |keys, id| keys.enable(id, true)),
        KeyCommand::Delete(named) => named.run(DELETED, Keyring::delete),
        KeyCommand::Rotate(rotate) => rotate.run(),
    }
}

impl Shown {
    fn open(self) -> Result<(Keyring, bool), Box<dyn Error>> {
        let config = self.place.read()?;
        config.check()?;
        Ok((Keyring::open(&config)?, self.json))
    }
}

impl Create {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let (keys, as_json) = self.shown.open()?;
        let (key, secret) = keys.create(NewKey {
            name: self.name,
            pools: self.pools,
            read_only: self.read_only,
        })?;
        let mut value = as_value(&key);
        value["secret_access_key"] = secret.expose().into();
        // Told before the store is closed: nobody could ask for it again.
        say(as_json, &value, &told(&key, &secret))?;
        Ok(keys.close()?)
    }
}

fn told(key: &Listed, secret: &Secret) -> String {
    format!(
        "access key id:      {}\n\
         secret access key:  {}\n\
         pools:              {}\n\
         rights:             {}\n\n\
         The secret is not stored and cannot be shown again. The key is good when the server \
         has been started.",
        key.id,
        secret.expose(),
        pools(key),
        rights(key)
    )
}

fn list(shown: Shown) -> Result<(), Box<dyn Error>> {
    let (keys, as_json) = shown.open()?;
    let all = keys.list()?;
    let value = all.iter().map(as_value).collect();
    say(as_json, &Value::Array(value), &table(&all))?;
    Ok(keys.close()?)
}

fn table(all: &[Listed]) -> String {
    if all.is_empty() {
        return "There are no keys beside the root key.".to_owned();
    }
    let mut text = format!(
        "{:20}  {:8}  {:14}  {:10}  {:24}  POOLS",
        "ID", "STATE", "RIGHTS", "CREATED", "NAME"
    );
    for key in all {
        let (state, rights, day) = (key.standing.name(), rights(key), day(key.created_ms));
        text.push_str(&format!(
            "\n{:20}  {state:8}  {rights:14}  {day:10}  {:24}  {}",
            key.id,
            key.name,
            pools(key)
        ));
    }
    text
}

impl Named {
    fn run(
        self,
        done: &str,
        change: impl FnOnce(&Keyring, &str) -> Result<Listed, KeyringError>,
    ) -> Result<(), Box<dyn Error>> {
        let (keys, as_json) = self.shown.open()?;
        let key = change(&keys, &self.id)?;
        say(as_json, &as_value(&key), &changed(&key, done))?;
        Ok(keys.close()?)
    }
}

/// What became of a key that was changed.
fn changed(key: &Listed, done: &str) -> String {
    match key.standing {
        Standing::Revoked if done != DELETED => {
            format!(
                "{} is {done}. It is revoked, so it was useless before.",
                key.id
            )
        }
        _ => format!("{} is {done}.", key.id),
    }
}

impl Rotate {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let (keys, as_json) = self.shown.open()?;
        let rotated = keys.rotate(self.revoke)?;
        let value = json!({
            "sealing_key": rotated.sealing,
            "older_keys_believed": rotated.kept,
            "access_keys_ended": rotated.developers_ended,
        });
        let text = if rotated.developers_ended {
            "The old keys are revoked: all users sign in again, and the access keys made with \
             `syncline key create` are good no longer. The root key is as it was."
                .to_owned()
        } else {
            format!(
                "New tokens will use sealing key {}; what older keys gave out is good until it \
                 expires.",
                rotated.sealing
            )
        };
        say(as_json, &value, &text)?;
        Ok(keys.close()?)
    }
}

fn as_value(key: &Listed) -> Value {
    json!({
        "access_key_id": key.id,
        "name": key.name,
        "pools": key.pools,
        "read_only": key.read_only,
        "state": key.standing.name(),
        "created_ms": key.created_ms,
    })
}

fn pools(key: &Listed) -> String {
    if key.pools.is_empty() {
        "all".to_owned()
    } else {
        key.pools.join(", ")
    }
}

fn rights(key: &Listed) -> &'static str {
    if key.read_only {
        "read only"
    } else {
        "read and write"
    }
}

fn day(ms: u64) -> String {
    let text = basic_date(ms / 1000);
    match (text.get(..4), text.get(4..6), text.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => text,
    }
}
