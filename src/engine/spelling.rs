//! The organization's tables as names without regard to ASCII case find them, and the spelling they really have.
//!
//! The engine folds names to lower case, and finds only what is called so. A table with other columns is therefore shown
//! to it as a view with every column in lower case; answers get the real names back. Two columns of one table that differ
//! in case alone keep their names, and only the exact one finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Column;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use super::lock;

#[derive(Debug)]
pub(super) struct Insensitive {
    tables: Arc<dyn SchemaProvider>,
    /// Opened once for a query, however often it asks.
    opened: Mutex<HashMap<String, Option<Arc<dyn TableProvider>>>>,
    spelling: Mutex<Spelling>,
}

/// How the columns of the tables that a query names are really spelled.
#[derive(Debug, Default, Clone)]
pub(super) struct Spelling {
    /// By the name in lower case.
    names: BTreeMap<String, BTreeSet<String>>,
    /// Those that have a twin in their own table.
    pub(super) twins: BTreeSet<String>,
}

impl Spelling {
    /// The real name of what the engine calls `name`; the same where that is not plain.
    pub(super) fn of(&self, name: &str) -> String {
        match self
            .names
            .get(name)
            .map(|names| names.iter().collect::<Vec<_>>())
        {
            Some(names) if names.len() == 1 => names[0].clone(),
            _ => name.to_owned(),
        }
    }

    /// What the columns of a table are called for the engine.
    fn read(&mut self, schema: &Schema) -> Vec<String> {
        let names = || schema.fields().iter().map(|field| field.name());
        let mut counts: HashMap<String, usize> = HashMap::new();
        for name in names() {
            *counts.entry(name.to_ascii_lowercase()).or_default() += 1;
        }
        let folded = names().map(|name| {
            let lower = name.to_ascii_lowercase();
            if counts.get(&lower).is_some_and(|count| *count > 1) {
                self.twins.insert(name.clone());
                return name.clone();
            }
            let spellings = self.names.entry(lower.clone()).or_default();
            spellings.insert(name.clone());
            lower
        });
        folded.collect()
    }
}

impl Insensitive {
    pub(super) fn new(tables: Arc<dyn SchemaProvider>) -> Self {
        Self {
            tables,
            opened: Mutex::default(),
            spelling: Mutex::default(),
        }
    }

    /// Of the tables opened so far.
    pub(super) fn spelling(&self) -> Spelling {
        lock(&self.spelling).clone()
    }

    async fn open(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.tables.table(name).await? else {
            return Ok(None);
        };
        let schema = table.schema();
        let names = lock(&self.spelling).read(&schema);
        let own = schema.fields().iter().map(|field| field.name());
        if own.eq(&names) {
            return Ok(Some(table));
        }
        let columns = schema.fields().iter().zip(names).map(|(field, folded)| {
            let column = Expr::Column(Column::new(Some(name), field.name()));
            match *field.name() == folded {
                true => column,
                false => column.alias(folded),
            }
        });
        let columns: Vec<Expr> = columns.collect();
        let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?
            .project(columns)?
            .build()?;
        Ok(Some(Arc::new(ViewTable::new(plan, None))))
    }
}

#[async_trait::async_trait]
impl SchemaProvider for Insensitive {
    fn table_names(&self) -> Vec<String> {
        self.tables.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        // All have names in lower case.
        let name = name.to_ascii_lowercase();
        if let Some(table) = lock(&self.opened).get(&name) {
            return Ok(table.clone());
        }
        let table = self.open(&name).await?;
        lock(&self.opened).insert(name, table.clone());
        Ok(table)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.table_exist(&name.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn twins_keep_their_names_and_others_come_back() {
        let fields = ["Tag", "tag", "userId", "plain"];
        let fields = fields.map(|name| Field::new(name, DataType::Utf8, true));
        let mut spelling = Spelling::default();
        let folded = spelling.read(&Schema::new(fields.to_vec()));
        assert_eq!(folded, ["Tag", "tag", "userid", "plain"]);
        assert_eq!(
            spelling.twins,
            BTreeSet::from(["Tag".to_owned(), "tag".to_owned()])
        );
        assert_eq!(spelling.of("userid"), "userId");
        assert_eq!(spelling.of("other"), "other");
    }
}
