//! The data files of a `prompt_logs` table: what the table's log tells of each, and their footers.
//!
//! Files never change, so a footer that was read once serves until it makes room for others. Here because it is kept
//! with the opened table; what is done with the files is `prompt_logs`' business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::LogicalFileView;
use hashlink::LruCache;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use rules::{OrgId, Result};
use serde_json::Value;

use super::prompt_log_table::{CREATED_AT, DAY, LOG_KEY, reading_schema};
use super::{ObjectReader, unavailable};

/// Memory for footers.
const FOOTERS_BYTES: usize = 96 * 1024 * 1024;
/// A page's bound of this length or more may be a shortened key: Parquet shortens them at 64 bytes, unless it is told
/// otherwise.
const PAGE_BOUND_BYTES: usize = 60;

/// One data file: where it is and which keys, instants and day it spans.
#[derive(Debug, Clone)]
pub struct LogFile {
    pub path: String,
    pub size: u64,
    pub day: Option<NaiveDate>,
    /// When it was written, Unix milliseconds.
    pub modified: i64,
    /// Rows, the oldest instant and the newest, where the statistics know them.
    pub rows: Option<u64>,
    pub oldest: Option<DateTime<Utc>>,
    pub newest: Option<DateTime<Utc>>,
    /// Least and greatest key, where the statistics know them; without, the file may hold any.
    pub keys: Option<(String, String)>,
    /// Where its footer is kept, and under which name.
    kept: Option<(Arc<Footers>, String)>,
}

/// A footer, and where in the file which keys are.
#[derive(Debug)]
pub struct LogFooter {
    pub metadata: ArrowReaderMetadata,
    pub groups: Vec<Group>,
}

/// A row group.
#[derive(Debug, Clone)]
pub struct Group {
    pub index: usize,
    /// Number of its first row in the file.
    pub first_row: usize,
    pub rows: usize,
    /// The pages of its keys; the group itself where nothing is known of pages.
    pub pages: Vec<Page>,
}

/// Neighbouring rows.
#[derive(Debug, Clone)]
pub struct Page {
    /// Number of its first row in the file.
    pub first_row: usize,
    pub rows: usize,
    /// Bounds of the keys, as bytes: a shortened bound need not be text.
    pub keys: Option<(Vec<u8>, Vec<u8>)>,
    /// Whether the bounds are themselves keys.
    pub exact: bool,
}

impl Page {
    /// Whether the page may hold a key at or above `from` and below `until`.
    pub fn may_hold(&self, from: &str, until: Option<&[u8]>) -> bool {
        self.keys.as_ref().is_none_or(|(least, greatest)| {
            greatest.as_slice() >= from.as_bytes()
                && until.is_none_or(|until| least.as_slice() < until)
        })
    }
}

impl LogFile {
    fn of(view: &LogicalFileView) -> Self {
        let stats: Option<Value> = view
            .stats()
            .and_then(|stats| serde_json::from_str(&stats).ok());
        let bound = |bound: &str, column: &str| -> Option<String> {
            let value = stats.as_ref()?.get(bound)?.get(column)?;
            Some(value.as_str()?.to_owned())
        };
        let instant = |bound_of: &str| -> Option<DateTime<Utc>> {
            let text = bound(bound_of, CREATED_AT)?;
            Some(DateTime::parse_from_rfc3339(&text).ok()?.to_utc())
        };
        let day = view.partition_values_map().remove(DAY).flatten();
        Self {
            path: view.path().into_owned(),
            size: u64::try_from(view.size()).unwrap_or(0),
            day: day.and_then(|day| day.parse().ok()),
            modified: view.modification_time(),
            oldest: instant("minValues"),
            newest: instant("maxValues"),
            rows: stats
                .as_ref()
                .and_then(|stats| stats.get("numRecords")?.as_u64()),
            keys: bound("minValues", LOG_KEY).zip(bound("maxValues", LOG_KEY)),
            kept: None,
        }
    }

    /// A file as the log might name it, written in 1970.
    #[cfg(test)]
    pub(crate) fn for_test(
        path: &str,
        size: u64,
        day: Option<NaiveDate>,
        keys: Option<(String, String)>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            size,
            day,
            modified: 0,
            rows: None,
            oldest: None,
            newest: None,
            keys,
            kept: None,
        }
    }

    /// The greatest key the file may hold; `None`: any.
    pub fn greatest_key(&self) -> Option<&str> {
        self.keys.as_ref().map(|(_, greatest)| greatest.as_str())
    }

    /// Whether the file may hold a key at or above `from` and below `until` (bytes; `None`: without end).
    pub fn may_hold(&self, from: &str, until: Option<&[u8]>) -> bool {
        self.keys.as_ref().is_none_or(|(least, greatest)| {
            greatest.as_str() >= from && until.is_none_or(|until| least.as_bytes() < until)
        })
    }

    /// The least key the file may hold.
    pub fn least_key(&self) -> &str {
        self.keys.as_ref().map_or("", |(least, _)| least)
    }

    /// The file's footer: a kept one, or read now.
    ///
    /// # Errors
    /// When the file is no Parquet file, or none of logs, or the store does not give it.
    pub async fn footer(
        &self,
        store: Arc<dyn ObjectStore>,
    ) -> Result<Arc<LogFooter>, ParquetError> {
        if let Some((footers, name)) = &self.kept
            && let Some(footer) = footers.get(name)
        {
            return Ok(footer);
        }
        let footer = Arc::new(LogFooter::new(self.reader(store).metadata().await?)?);
        if let Some((footers, name)) = &self.kept {
            footers.keep(name, &footer);
        }
        Ok(footer)
    }

    /// Reads the file's parts.
    pub fn reader(&self, store: Arc<dyn ObjectStore>) -> ObjectReader {
        ObjectReader::new(store, Path::from(self.path.as_str()), self.size)
    }
}

/// The files of the table at its loaded version, by least key.
///
/// # Errors
/// `Unavailable` when the table is not loaded.
pub fn list(table: &DeltaTable) -> Result<Vec<LogFile>> {
    let snapshot = table.snapshot().map_err(unavailable)?;
    let mut files: Vec<LogFile> = snapshot
        .log_data()
        .iter()
        .map(|view| LogFile::of(&view))
        .collect();
    files.sort_by(|a, b| a.least_key().cmp(b.least_key()));
    Ok(files)
}

/// The same, with footers kept, and without reading the statistics of `earlier` files again.
pub(super) fn list_warm(
    table: &DeltaTable,
    earlier: &[Arc<LogFile>],
    org: &OrgId,
    footers: &Arc<Footers>,
) -> Result<Vec<Arc<LogFile>>> {
    let earlier: HashMap<&str, &Arc<LogFile>> = earlier
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    let snapshot = table.snapshot().map_err(unavailable)?;
    let log = snapshot.log_data();
    let files = log.iter().map(|view| {
        if let Some(file) = earlier.get(view.path().as_ref()) {
            return Arc::clone(file);
        }
        let mut file = LogFile::of(&view);
        file.kept = Some((Arc::clone(footers), format!("{org}/{}", file.path)));
        Arc::new(file)
    });
    let mut files: Vec<Arc<LogFile>> = files.collect();
    files.sort_by(|a, b| a.least_key().cmp(b.least_key()));
    Ok(files)
}

/// Footers that were read, those used last, within [`FOOTERS_BYTES`].
#[derive(Debug)]
pub struct Footers(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    footers: LruCache<String, Arc<LogFooter>>,
    bytes: usize,
}

impl Default for Footers {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            footers: LruCache::new_unbounded(),
            bytes: 0,
        }))
    }
}

impl Footers {
    fn get(&self, name: &str) -> Option<Arc<LogFooter>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.footers.get(name).cloned()
    }

    fn keep(&self, name: &str, footer: &Arc<LogFooter>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += footer.bytes();
        if let Some(same) = kept.footers.insert(name.to_owned(), Arc::clone(footer)) {
            kept.bytes -= same.bytes();
        }
        while kept.bytes > FOOTERS_BYTES
            && let Some((_, oldest)) = kept.footers.remove_lru()
        {
            kept.bytes -= oldest.bytes();
        }
    }
}

impl LogFooter {
    fn new(metadata: Arc<ParquetMetaData>) -> Result<Self, ParquetError> {
        let schema = reading_schema(metadata.file_metadata().schema_descr())?;
        let options = ArrowReaderOptions::new().with_schema(schema);
        let groups = groups(&metadata);
        Ok(Self {
            metadata: ArrowReaderMetadata::try_new(metadata, options)?,
            groups,
        })
    }

    fn bytes(&self) -> usize {
        let pages: usize = self.groups.iter().map(|group| group.pages.len()).sum();
        self.metadata.metadata().memory_size() + pages * size_of::<Page>()
    }
}

fn groups(metadata: &ParquetMetaData) -> Vec<Group> {
    let column = metadata.file_metadata().schema_descr().columns().iter();
    let column = column
        .map(|column| column.path().string())
        .position(|path| path == LOG_KEY);
    let mut first_row = 0;
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = column
            .and_then(|column| pages(metadata, index, column, first_row, rows))
            .unwrap_or_else(|| {
                let bounds = column.and_then(|column| group.column(column).statistics());
                let keys = bounds.and_then(bounds_of);
                let exact =
                    bounds.is_some_and(|bounds| bounds.min_is_exact() && bounds.max_is_exact());
                vec![Page {
                    first_row,
                    rows,
                    keys,
                    exact,
                }]
            });
        groups.push(Group {
            index,
            first_row,
            rows,
            pages,
        });
        first_row += rows;
    }
    groups
}

fn bounds_of(statistics: &Statistics) -> Option<(Vec<u8>, Vec<u8>)> {
    let (least, greatest) = (statistics.min_bytes_opt()?, statistics.max_bytes_opt()?);
    Some((least.to_vec(), greatest.to_vec()))
}

/// The pages of a row group's keys; `None` where the file has no page index.
fn pages(
    metadata: &ParquetMetaData,
    group: usize,
    column: usize,
    first_row: usize,
    rows: usize,
) -> Option<Vec<Page>> {
    let places = metadata
        .offset_index()?
        .get(group)?
        .get(column)?
        .page_locations();
    let bounds = metadata.column_index()?.get(group)?.get(column)?;
    let ColumnIndexMetaData::BYTE_ARRAY(bounds) = bounds else {
        return None;
    };
    let starts: Option<Vec<usize>> = places
        .iter()
        .map(|place| usize::try_from(place.first_row_index).ok())
        .collect();
    let starts = starts?;
    let of_group = metadata.row_group(group).column(column).statistics();
    let is_whole = |bound: &[u8]| {
        let ends_group = |of_group: &Statistics| {
            (of_group.min_is_exact() && of_group.min_bytes_opt() == Some(bound))
                || (of_group.max_is_exact() && of_group.max_bytes_opt() == Some(bound))
        };
        bound.len() < PAGE_BOUND_BYTES || of_group.is_some_and(ends_group)
    };
    let ends = starts.iter().copied().skip(1).chain([rows]);
    let pages = starts
        .iter()
        .zip(ends)
        .enumerate()
        .map(|(page, (start, end))| {
            let keys = bounds.min_value(page).zip(bounds.max_value(page));
            Page {
                first_row: first_row + start,
                rows: end.saturating_sub(*start),
                keys: keys.map(|(least, greatest)| (least.to_vec(), greatest.to_vec())),
                exact: keys.is_some_and(|(least, greatest)| is_whole(least) && is_whole(greatest)),
            }
        });
    // An index that does not fit the group is of no use.
    let fits = starts.first() == Some(&0) && starts.is_sorted() && starts.last() < Some(&rows);
    let fits = fits && usize::try_from(bounds.num_pages()) == Ok(starts.len());
    fits.then(|| pages.collect())
}
