//! Collections as tables: documents of MongoDB, read while a query runs.
//!
//! The worker has no connection. It asks the server typed questions, which know no writing and no code, and gets raw
//! documents, which become rows here. Whose documents they are the server decides.

mod conditions;
mod pushed_down;
mod scan;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use collections::filter::Asked;
use collections::{Column, Filter, Kind, Order, Path, Question, Table};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use rules::TableName;

use super::super::server::Server;

pub(in super::super) use pushed_down::PushedDown;
pub(super) use scan::CollectionExec;

use scan::Steps;

/// A collection as a query knows it.
#[derive(Debug, Clone)]
pub(super) struct CollectionTable {
    name: TableName,
    table: Arc<Table>,
    schema: SchemaRef,
    server: Arc<Server>,
    /// Not all of it.
    top: Option<Top>,
}

/// The first rows in an order: those with a value to sort by, and those without.
#[derive(Debug, Clone)]
struct Top {
    order: Order,
    known: Filter,
    unknown: Filter,
    unknown_first: bool,
    rows: usize,
}

impl Top {
    /// The questions in the order of their rows: what the later ones hold is wanted only where the first have too little.
    fn steps(&self, filter: &Filter, fields: &[Path]) -> Steps {
        let find = |which: &Filter, order| Question::Find {
            filter: filter.clone() & which.clone(),
            fields: fields.to_vec(),
            order,
            limit: Some(self.rows as u64),
        };
        let known = find(&self.known, Some(self.order.clone()));
        let unknown = find(&self.unknown, None);
        let questions = match self.unknown_first {
            true => vec![unknown, known],
            false => vec![known, unknown],
        };
        Steps::until(self.rows, questions)
    }
}

impl CollectionTable {
    pub(super) fn new(name: TableName, table: Table, server: Arc<Server>) -> Self {
        let schema = Arc::new(schema(&table));
        Self {
            name,
            table: Arc::new(table),
            schema,
            server,
            top: None,
        }
    }

    /// Questions as plans show them.
    fn shown<'q>(&self, questions: impl IntoIterator<Item = &'q Question>) -> String {
        let tenant = self.table.tenant.as_ref();
        let shown = questions
            .into_iter()
            .map(|question| format!("{}.{}", self.name, question.command(tenant)));
        shown.collect::<Vec<_>>().join("; ")
    }

    /// A condition as it is asked, if it can be. What is null in a strict table may be what fails the query.
    fn asked(&self, condition: &Expr) -> Option<Asked> {
        let mut asked = conditions::asked(&self.table.columns, condition)?;
        asked.is_exact &= !(self.table.is_strict && finds_null(&asked.filter));
        Some(asked)
    }

    /// The documents that meet all the conditions; whether their rows do too.
    fn filter(&self, conditions: &[Expr]) -> (Filter, bool) {
        let mut asked = (Filter::Everything, true);
        for condition in conditions {
            match self.asked(condition) {
                Some(one) => asked = (asked.0 & one.filter, asked.1 && one.is_exact),
                None => asked.1 = false,
            }
        }
        asked
    }
}

/// Whether documents without a value that fits are among those that are asked for.
fn finds_null(filter: &Filter) -> bool {
    match filter {
        Filter::NoValue { .. } => true,
        Filter::And(filters) | Filter::Or(filters) => filters.iter().any(finds_null),
        Filter::Everything
        | Filter::Nothing
        | Filter::Value { .. }
        | Filter::Exists { .. }
        | Filter::Id(_) => false,
    }
}

/// Those of these places.
fn chosen<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|place| all[*place].clone()).collect()
}

/// Where the answers of the cluster hold how many there are.
fn count_column() -> Column {
    Column {
        name: "n".to_owned(),
        path: Path::field("n"),
        kind: Kind::BigInt,
    }
}

/// Columns with what is said of them where `DESCRIBE` looks.
fn schema(table: &Table) -> Schema {
    let fields = table.columns.iter().map(|column| {
        let comment = format!("{} {} ({})", column.kind, column.path, table.origin);
        Field::new(&column.name, column.kind.data_type(), true)
            .with_metadata(HashMap::from([("comment".to_owned(), comment)]))
    });
    Schema::new(fields.collect::<Vec<_>>())
}

#[async_trait::async_trait]
impl TableProvider for CollectionTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.asked(filter) {
            Some(asked) if asked.is_exact => TableProviderFilterPushDown::Exact,
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (filter, is_exact) = self.filter(filters);
        let (columns, schema): (Vec<Column>, _) = match projection {
            Some(wanted) => (
                chosen(&self.table.columns, wanted),
                Arc::new(self.schema.project(wanted)?),
            ),
            None => (self.table.columns.clone(), self.schema()),
        };
        let fields = self.table.fields(&columns);
        let steps = match &self.top {
            Some(top) => top.steps(&filter, &fields),
            None => Steps::one(Question::Find {
                filter,
                fields,
                order: None,
                limit: limit.filter(|_| is_exact).map(|limit| limit as u64),
            }),
        };
        Ok(Arc::new(CollectionExec::new(self, columns, schema, steps)))
    }
}
