//! A collection as queries know it.

use serde::{Deserialize, Serialize};

use crate::column::{Column, Path};
use crate::question::Tenant;

/// What is known of a collection before it is asked anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<Column>,
    /// A value that does not fit its column fails the query, where otherwise it is null.
    pub is_strict: bool,
    /// Whose documents, where organizations share the collection.
    pub tenant: Option<Tenant>,
    /// Paths that begin an index of the collection.
    pub indexed: Vec<Path>,
    /// Where the columns come from, as a sentence for `DESCRIBE`.
    pub origin: String,
}
