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

impl Table {
    /// What to ask for to read these columns of the table. Servers leave out a value that is no document where a path
    /// should lead through it. In a strict table it has to be seen, so that all of the outermost field is asked for.
    pub fn fields<'a>(&self, columns: impl IntoIterator<Item = &'a Column>) -> Vec<Path> {
        let field = |column: &Column| match column.path.fields().first() {
            Some(outermost) if self.is_strict => Path::field(outermost),
            _ => column.path.clone(),
        };
        columns.into_iter().map(field).collect()
    }
}
