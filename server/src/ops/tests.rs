//! The operations on a real store, from the JSON that comes to the JSON that goes.

mod devices;
mod listing;
mod merged;
mod retries;
mod rights;
mod settings;
mod updates;

use super::*;
use crate::config::Config;
use crate::fixture::{Fixture, START_MS, User, remove, replace, text};
use crate::session::LIFE_MS;
