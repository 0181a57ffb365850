//! What of a plan above a scan is asked instead: how many, the first and the last, groups, the top.
//!
//! Only where the answer is provably the same: over conditions that are asked exactly, of columns of one kind, whose
//! order and equality MongoDB and SQL agree on. Groups and tops are grouped and sorted once more above, so that null and
//! what does not fit its column fall together there.

use std::sync::Arc;

use collections::filter::{is_not_null, is_null};
use collections::{Column, Filter, Kind, Order, Path, Question};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column as Named, DFSchema, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::{AggregateFunction, Sort as By};
use datafusion::logical_expr::{
    Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Sort, TableScan, TableType,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;

use super::scan::{CollectionExec, Steps};
use super::summary::{Part, SummaryExec};
use super::{CollectionTable, Top, chosen, count_column};

/// Belongs behind the rules that push conditions and columns down.
#[derive(Debug)]
pub(in super::super::super) struct PushedDown;

impl OptimizerRule for PushedDown {
    fn name(&self) -> &'static str {
        "ask_collections"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let asked = match &plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                summary(aggregate)?
            }
            LogicalPlan::Aggregate(aggregate) => groups(aggregate)?,
            LogicalPlan::Sort(sort) => top(sort)?,
            _ => None,
        };
        Ok(match asked {
            Some(asked) => Transformed::yes(asked),
            None => Transformed::no(plan),
        })
    }
}

/// A scan of a collection with nothing between it and a node but names.
struct Scanned {
    table: CollectionTable,
    filter: Filter,
}

impl Scanned {
    fn below(plan: &LogicalPlan) -> Option<Self> {
        match plan {
            LogicalPlan::TableScan(scan) => Self::of(scan),
            LogicalPlan::SubqueryAlias(alias) => Self::below(&alias.input),
            LogicalPlan::Projection(projection) => {
                let plain = projection.expr.iter().all(|expr| plain(expr).is_some());
                plain.then(|| Self::below(&projection.input)).flatten()
            }
            _ => None,
        }
    }

    fn of(scan: &TableScan) -> Option<Self> {
        let provider = source_as_provider(&scan.source).ok()?;
        let table = provider.downcast_ref::<CollectionTable>()?;
        let (filter, is_exact) = table.filter(&scan.filters);
        let is_whole = scan.fetch.is_none() && table.top.is_none();
        // A value that does not fit has to be seen to fail the query.
        let may_be_asked = is_exact && is_whole && !table.table.is_strict;
        may_be_asked.then(|| Self {
            table: table.clone(),
            filter,
        })
    }

    /// The collection's column that the plan shows under this name.
    fn column(&self, plan: &LogicalPlan, name: &Named) -> Option<&Column> {
        match plan {
            LogicalPlan::TableScan(_) => {
                let mut columns = self.table.table.columns.iter();
                columns.find(|column| column.name == name.name)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let index = alias.schema.maybe_index_of_column(name)?;
                let (qualifier, field) = alias.input.schema().qualified_field(index);
                self.column(&alias.input, &Named::from((qualifier, field)))
            }
            LogicalPlan::Projection(projection) => {
                let index = projection.schema.maybe_index_of_column(name)?;
                self.column(&projection.input, plain(&projection.expr[index])?)
            }
            _ => None,
        }
    }

    fn column_of(&self, plan: &LogicalPlan, expr: &Expr) -> Option<&Column> {
        self.column(plan, plain(expr)?)
    }
}

/// A column, perhaps under another name.
fn plain(expr: &Expr) -> Option<&Named> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => plain(&alias.expr),
        _ => None,
    }
}

/// Whether MongoDB sorts the values of one kind as SQL does, and finds equal what SQL does.
fn is_ordered(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::String | Kind::ObjectId | Kind::Boolean | Kind::BigInt | Kind::Timestamp
    )
}

/// `count(*)`, `min` and `max` without groups.
fn summary(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let input = aggregate.input.as_ref();
    let Some(scanned) = Scanned::below(input) else {
        return Ok(None);
    };
    let parts = aggregate
        .aggr_expr
        .iter()
        .map(|expr| part(&scanned, input, expr));
    let Some(parts) = parts.collect::<Option<Vec<Part>>>() else {
        return Ok(None);
    };
    let schema = Arc::new(aggregate.schema.as_arrow().clone());
    let name = named(&scanned.table, parts.iter().map(Part::question));
    let source = Asked {
        table: scanned.table,
        what: What::Summary(parts),
        schema,
    };
    let source = provider_as_source(Arc::new(source));
    let plan = LogicalPlanBuilder::scan(name.clone(), source, None)?;
    let columns = renamed(&aggregate.schema, |index| {
        let field = aggregate.schema.field(index).name();
        Expr::Column(Named::new(Some(name.clone()), field))
    });
    plan.project(columns)?.build().map(Some)
}

/// What a scan that asks these questions is called. The engine takes scans of one name, columns and conditions for the
/// same one, and with them the subqueries around them, so the name is all that is asked.
fn named<'q>(
    table: &CollectionTable,
    questions: impl Iterator<Item = &'q Question>,
) -> TableReference {
    TableReference::bare(table.shown(questions))
}

fn part(scanned: &Scanned, input: &LogicalPlan, expr: &Expr) -> Option<Part> {
    if is_count_of_rows(expr) {
        return Some(Part::Count {
            question: Question::Count {
                filter: scanned.filter.clone(),
            },
        });
    }
    let function = function(expr)?;
    let [value] = function.params.args.as_slice() else {
        return None;
    };
    // Of duplicates the first is as good as the last.
    if function.params.filter.is_some() || !function.params.order_by.is_empty() {
        return None;
    }
    let descending = match () {
        () if *function.func == *min_udaf() => false,
        () if *function.func == *max_udaf() => true,
        () => return None,
    };
    let column = scanned.column_of(input, value)?;
    let known = is_ordered(column.kind)
        .then(|| is_not_null(column))
        .flatten()?;
    known.is_exact.then(|| Part::First {
        question: Question::Find {
            filter: scanned.filter.clone() & known.filter,
            fields: vec![column.path.clone()],
            order: Some(Order {
                path: column.path.clone(),
                descending,
            }),
            limit: Some(1),
        },
        column: column.clone(),
    })
}

fn function(expr: &Expr) -> Option<&AggregateFunction> {
    match expr {
        Expr::AggregateFunction(function) => Some(function),
        Expr::Alias(alias) => function(&alias.expr),
        _ => None,
    }
}

/// `count(*)`, which the engine writes as the count of a constant.
fn is_count_of_rows(expr: &Expr) -> bool {
    let Some(function) = function(expr) else {
        return false;
    };
    let params = &function.params;
    let counts_rows = match params.args.as_slice() {
        [] => true,
        [Expr::Literal(value, _)] => !value.is_null(),
        _ => false,
    };
    *function.func == *count_udaf() && counts_rows && !params.distinct && params.filter.is_none()
}

/// `GROUP BY` columns, with nothing or counts of rows, and `DISTINCT`.
fn groups(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let input = aggregate.input.as_ref();
    let Some(scanned) = Scanned::below(input) else {
        return Ok(None);
    };
    let keys = aggregate.group_expr.iter().map(|key| {
        let column = scanned.column_of(input, key)?;
        // Of numbers, equal ones of two types would be one group, and only one of the types may fit.
        // Within documents, a list on the way is one value to some servers and several to others.
        let is_field = column.path.fields().len() == 1;
        let is_key = is_ordered(column.kind) && column.kind != Kind::BigInt && is_field;
        (is_key && column.is_askable()).then(|| column.clone())
    });
    let Some(keys) = keys.collect::<Option<Vec<Column>>>() else {
        return Ok(None);
    };
    if !aggregate.aggr_expr.iter().all(is_count_of_rows) {
        return Ok(None);
    }
    let question = Question::Groups {
        filter: scanned.filter.clone(),
        keys: keys.iter().map(|key| key.path.clone()).collect(),
    };
    let name = named(&scanned.table, std::iter::once(&question));
    let columns = group_columns(&keys);
    let count = columns[keys.len()].name.clone();
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let source = Asked::groups(scanned.table, columns, question);
    let key = |index: usize| Expr::Column(Named::new(Some(name.clone()), &names[index]));
    let counts = sum(Expr::Column(Named::new(Some(name.clone()), &count))).alias(&count);
    let counts = (!aggregate.aggr_expr.is_empty()).then_some(counts);
    let plan = LogicalPlanBuilder::scan(name.clone(), provider_as_source(Arc::new(source)), None)?
        .aggregate((0..keys.len()).map(key), counts)?;
    let columns = renamed(&aggregate.schema, |index| match index < keys.len() {
        true => key(index),
        false => Expr::Column(Named::new_unqualified(&count)),
    });
    plan.project(columns)?.build().map(Some)
}

/// The columns of the groups: the keys under their own names, which warnings tell, and how many documents there are.
pub(super) fn group_columns(keys: &[Column]) -> Vec<Column> {
    let keys = keys.iter().enumerate().map(|(index, key)| Column {
        name: key.name.clone(),
        path: Path::field("_id").within(format!("k{index}")),
        kind: key.kind,
    });
    let mut columns: Vec<Column> = Vec::new();
    for mut column in keys.chain([count_column()]) {
        // A key may be there twice, and be called as the count is.
        while columns.iter().any(|other| other.name == column.name) {
            column.name.push('_');
        }
        columns.push(column);
    }
    columns
}

/// The expressions under the names of the schema's fields.
fn renamed(schema: &DFSchema, of: impl Fn(usize) -> Expr) -> Vec<Expr> {
    let fields = schema.iter().enumerate();
    fields
        .map(|(index, (qualifier, field))| {
            of(index).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect()
}

/// The first so many by one column: asked in its order, and those without a value beside it.
fn top(sort: &Sort) -> Result<Option<LogicalPlan>> {
    let (Some(rows), [by]) = (sort.fetch, sort.expr.as_slice()) else {
        return Ok(None);
    };
    let input = sort.input.as_ref();
    let Some(scanned) = Scanned::below(input) else {
        return Ok(None);
    };
    let Some(top) = top_of(&scanned, input, by, rows) else {
        return Ok(None);
    };
    let source = provider_as_source(Arc::new(CollectionTable {
        top: Some(top),
        ..scanned.table
    }) as Arc<dyn TableProvider>);
    let narrowed = sort.input.as_ref().clone().transform_down(|plan| {
        Ok(match plan {
            LogicalPlan::TableScan(scan) => Transformed::yes(LogicalPlan::TableScan(TableScan {
                source: Arc::clone(&source),
                ..scan
            })),
            plan => Transformed::no(plan),
        })
    })?;
    Ok(Some(LogicalPlan::Sort(Sort {
        input: Arc::new(narrowed.data),
        ..sort.clone()
    })))
}

fn top_of(scanned: &Scanned, input: &LogicalPlan, by: &By, rows: usize) -> Option<Top> {
    let column = scanned.column_of(input, &by.expr)?;
    let is_indexed = scanned.table.table.indexed.contains(&column.path);
    let (known, unknown) = (is_not_null(column)?, is_null(column)?);
    let is_exact = known.is_exact && unknown.is_exact;
    (is_indexed && is_ordered(column.kind) && is_exact).then(|| Top {
        order: Order {
            path: column.path.clone(),
            descending: !by.asc,
        },
        known: known.filter,
        unknown: unknown.filter,
        unknown_first: by.nulls_first,
        rows,
    })
}

/// What is asked in the place of a part of a plan.
#[derive(Debug)]
struct Asked {
    table: CollectionTable,
    what: What,
    schema: SchemaRef,
}

#[derive(Debug)]
enum What {
    /// One row of what is known of all documents that meet a condition.
    Summary(Vec<Part>),
    /// The combinations of some columns' values, and how often each occurs.
    Groups {
        columns: Vec<Column>,
        question: Question,
    },
}

impl Asked {
    fn groups(table: CollectionTable, columns: Vec<Column>, question: Question) -> Self {
        let fields = columns
            .iter()
            .map(|column| Field::new(&column.name, column.kind.data_type(), true));
        Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            table,
            what: What::Groups { columns, question },
        }
    }
}

#[async_trait::async_trait]
impl TableProvider for Asked {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(wanted)?);
        Ok(match &self.what {
            What::Summary(parts) => {
                let parts = chosen(parts, wanted);
                Arc::new(SummaryExec::new(&self.table, parts, schema))
            }
            What::Groups { columns, question } => {
                let (columns, steps) = (chosen(columns, wanted), Steps::one(question.clone()));
                Arc::new(CollectionExec::new(&self.table, columns, schema, steps))
            }
        })
    }
}
