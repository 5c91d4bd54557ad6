//! An export as a table for analysts: a Parquet file with a row for each record.
//!
//! Rows are gathered column by column and written as a row group when they are some MiB, so that
//! memory does not follow the size of the store.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use syncline_engine::{
    Content, Cursor, DatasetId, Engine, Export as Exporting, Exported, ModifiedBy, Record, Scope,
    Timestamp,
};

use super::super::progress::bar;
use super::{partial_of, sync_directory};

/// The columns, in the order in which [`Rows::write`] writes them.
const SCHEMA: &str = "
message record {
    REQUIRED BYTE_ARRAY pool (STRING);
    REQUIRED BYTE_ARRAY identity (STRING);
    REQUIRED BYTE_ARRAY dataset (STRING);
    REQUIRED BYTE_ARRAY key (STRING);
    REQUIRED BYTE_ARRAY value (STRING);
    REQUIRED INT64 sync_count;
    REQUIRED INT64 modified (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY modified_by (STRING);
    REQUIRED INT64 device_modified (TIMESTAMP(MILLIS,true));
}";
/// Bytes of a row group in memory, about; one more record has room.
const GROUP_BYTES: usize = 32 << 20;
/// What a row takes beside its key and value: nine places in columns.
const ROW_BYTES: usize = 256;

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// Pools.
    pub(super) pools: u64,
    /// Identities.
    pub(super) identities: u64,
    /// Datasets.
    pub(super) datasets: u64,
    /// Records, each a row.
    pub(super) records: u64,
}

/// Writes a scope to stdout.
pub(super) fn to_stdout(engine: &Engine, scope: Scope) -> Result<Written, Box<dyn Error>> {
    write(engine.export(scope)?, io::stdout())
}

/// Writes a scope to a file, which has another name until it is whole.
pub(super) fn to_file(
    engine: &Engine,
    scope: Scope,
    out: &Path,
) -> Result<Written, Box<dyn Error>> {
    let export = engine.export(scope)?;
    let partial = partial_of(out);
    // What users stored is nobody else's business.
    let mut options = OpenOptions::new();
    let opened = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial);
    let file = opened.map_err(|error| {
        let name = partial.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{name} exists, and a table cannot be gone on with: take it away")
            }
            _ => format!("cannot open {name}: {error}"),
        }
    })?;
    let written = write(export, &file).and_then(|written| {
        file.sync_all()?;
        fs::rename(&partial, out)?;
        sync_directory(out)?;
        Ok(written)
    });
    if written.is_err() {
        // Without its end nobody can read it. The first reason tells more than this one.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write<W: Write + Send>(mut export: Exporting, to: W) -> Result<Written, Box<dyn Error>> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = Arc::new(properties(export.cursor())?);
    let mut writer = SerializedFileWriter::new(to, schema, properties)?;
    let total = export.progress().datasets_total;
    let bar = bar(total, "{bar:40} {pos}/{len} datasets, {eta} left");
    let mut written = Written::default();
    let mut rows = Rows::default();
    while let Some(exported) = export.next() {
        match exported? {
            Exported::Pool { .. } => written.pools += 1,
            Exported::Identity { .. } => written.identities += 1,
            Exported::Dataset { dataset, content } => {
                written.datasets += 1;
                written.records += rows.add_all(&dataset, *content, &mut writer)?;
                bar.set_position(export.progress().datasets);
            }
            // The server's own, which no table shows.
            Exported::Metadata { .. } => {}
        }
    }
    rows.write(&mut writer)?;
    writer.close()?;
    bar.finish_and_clear();
    Ok(written)
}

/// Compressed, small values by dictionary; and of which moment it is.
fn properties(cursor: Cursor) -> Result<WriterProperties, ParquetError> {
    let said = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let about = vec![
        said("syncline.store", cursor.store.to_string()),
        said("syncline.sequence", cursor.sequence.to_string()),
    ];
    let value = || ColumnPath::from("value");
    Ok(WriterProperties::builder()
        .set_created_by(concat!("syncline ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(about))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_column_dictionary_enabled(value(), false)
        .set_column_statistics_enabled(value(), EnabledStatistics::None)
        .build())
}

/// Rows that are not written yet, column by column.
#[derive(Default)]
struct Rows {
    pool: Vec<ByteArray>,
    identity: Vec<ByteArray>,
    dataset: Vec<ByteArray>,
    key: Vec<ByteArray>,
    value: Vec<ByteArray>,
    sync_count: Vec<i64>,
    modified: Vec<i64>,
    /// Of those that somebody else than the identity wrote.
    modified_by: Vec<ByteArray>,
    /// By row, 1 if it has one of those.
    has_modified_by: Vec<i16>,
    device_modified: Vec<i64>,
    bytes: usize,
}

impl Rows {
    /// Adds the records of a dataset; writes what there is whenever it is enough. Gives their
    /// number.
    fn add_all<W: Write + Send>(
        &mut self,
        dataset: &DatasetId,
        content: Content,
        writer: &mut SerializedFileWriter<W>,
    ) -> Result<u64, ParquetError> {
        let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        // Copies of these share their bytes.
        let of = [
            text(dataset.pool.as_str()),
            text(&dataset.identity.to_string()),
            text(dataset.name.as_str()),
        ];
        let mut number = 0;
        for record in content.records {
            let Record {
                key,
                value: Some(value),
                sync_count,
                modified,
                modified_by,
                device_modified,
            } = record
            else {
                continue;
            };
            let [pool, identity, name] = of.clone();
            self.pool.push(pool);
            self.identity.push(identity);
            self.dataset.push(name);
            self.key.push(text(key.as_str()));
            self.value.push(text(value.as_str()));
            self.sync_count.push(signed(sync_count.get()));
            self.modified.push(milliseconds(modified));
            self.device_modified.push(milliseconds(device_modified));
            self.bytes += ROW_BYTES + key.as_str().len() + value.as_str().len();
            match &modified_by {
                ModifiedBy::Owner => self.has_modified_by.push(0),
                ModifiedBy::Other(name) => {
                    self.modified_by.push(text(name));
                    self.has_modified_by.push(1);
                    self.bytes += name.len();
                }
            }
            number += 1;
            if self.bytes >= GROUP_BYTES {
                std::mem::take(self).write(writer)?;
            }
        }
        Ok(number)
    }

    /// Writes a row group, unless there are no rows.
    fn write<W: Write + Send>(
        self,
        writer: &mut SerializedFileWriter<W>,
    ) -> Result<(), ParquetError> {
        if self.key.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        for texts in [self.pool, self.identity, self.dataset, self.key, self.value] {
            put::<ByteArrayType, W>(&mut group, &texts, None)?;
        }
        put::<Int64Type, W>(&mut group, &self.sync_count, None)?;
        put::<Int64Type, W>(&mut group, &self.modified, None)?;
        let levels = Some(self.has_modified_by.as_slice());
        put::<ByteArrayType, W>(&mut group, &self.modified_by, levels)?;
        put::<Int64Type, W>(&mut group, &self.device_modified, None)?;
        group.close()?;
        Ok(())
    }
}

/// Writes the next column of a row group. `levels` tells of each row whether it has a value.
fn put<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let missing = || ParquetError::General("more columns than the schema has".to_owned());
    let mut column = column.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// Milliseconds since 1970, as the type of the column has them.
fn milliseconds(time: Timestamp) -> i64 {
    signed(time.get())
}

/// Nothing that is counted comes near the end of either.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
