//! Operators whose meaning depends on the types beside them, and the accesses into values.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::utils::list_ndims;
use datafusion::common::{Column, DFSchema, Diagnostic, TableReference};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable, GetFieldAccess, Operator, ScalarUDF, cast, lit, when,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{guards, instants, intervals};

use super::super::functions::Functions;

/// Asked before the engine's own planners, for what a lakehouse does in another way, and for what must go through the
/// session's guarded functions.
#[derive(Debug)]
pub(in super::super) struct Operators {
    functions: Functions,
}

impl Operators {
    pub(in super::super) fn new(functions: Functions) -> Self {
        Self { functions }
    }

    fn function(&self, name: &str) -> Result<Arc<ScalarUDF>> {
        let missing = || DataFusionError::Internal(format!("the session lacks {name}"));
        self.functions.scalar(name).ok_or_else(missing)
    }

    fn call(&self, name: &str, args: Vec<Expr>) -> Result<Expr> {
        Ok(self.function(name)?.call(args))
    }

    fn planned<T>(&self, name: &str, args: Vec<Expr>) -> Result<PlannerResult<T>> {
        Ok(PlannerResult::Planned(self.call(name, args)?))
    }

    /// `a || b`: of texts `concat`, of lists theirs.
    fn joined(&self, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
        let [left_lists, right_lists] = [&left, &right].map(|side| type_of(side, schema));
        let (left_lists, right_lists) = (list_ndims(&left_lists?), list_ndims(&right_lists?));
        let name = match left_lists.cmp(&right_lists) {
            _ if left_lists + right_lists == 0 => "concat",
            std::cmp::Ordering::Equal => "array_concat",
            std::cmp::Ordering::Greater => "array_append",
            std::cmp::Ordering::Less => "array_prepend",
        };
        self.call(name, vec![left, right])
    }

    /// `a div b`: the quotient without its fraction.
    fn whole(&self, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
        let are_whole = |side: &Expr| {
            let data_type = type_of(side, schema)?;
            Ok::<_, DataFusionError>(data_type.is_integer() || data_type.is_null())
        };
        if are_whole(&left)? && are_whole(&right)? {
            let [left, right] = [left, right].map(|side| cast(side, DataType::Int64));
            return Ok(left / right);
        }
        let quotient = match divides_as_double(&left, &right, schema)? {
            true => {
                let args = [left, right].map(|side| cast(side, DataType::Float64));
                self.call("divide", args.to_vec())?
            }
            false => left / right,
        };
        Ok(cast(quotient, DataType::Int64))
    }

    /// Lists count from 0, and from -1 backwards.
    fn element(&self, list: Expr, index: Expr, schema: &DFSchema) -> Result<Expr> {
        let from_one = match &index {
            Expr::Literal(value, _) => match value.cast_to(&DataType::Int64) {
                Ok(value) => match i64::try_from(value) {
                    // No list is longer than that.
                    Ok(index) if index >= 0 => lit(index.min(i64::from(i32::MAX) - 1) + 1),
                    Ok(index) => lit(index),
                    Err(_) => index,
                },
                Err(_) => index,
            },
            _ => {
                let index = index.cast_to(&DataType::Int64, schema)?;
                let counted = index.clone() + lit(1_i64);
                when(index.clone().gt_eq(lit(0_i64)), counted).otherwise(index)?
            }
        };
        self.call("array_element", vec![list, from_one])
    }
}

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let [left, right] = texts_as_values(&op, [left, right], schema)?;
        match op {
            // As text: the parts of JSON are texts here, to be cast.
            BinaryOperator::Arrow => self.planned("json_get_json", vec![left, right]),
            BinaryOperator::LongArrow => self.planned("json_as_text", vec![left, right]),
            BinaryOperator::Question => self.planned("json_contains", vec![left, right]),
            BinaryOperator::StringConcat => {
                Ok(PlannerResult::Planned(self.joined(left, right, schema)?))
            }
            BinaryOperator::Divide if divides_as_double(&left, &right, schema)? => {
                let args = [left, right].map(|side| cast(side, DataType::Float64));
                self.planned("divide", args.to_vec())
            }
            BinaryOperator::MyIntegerDivide | BinaryOperator::DuckIntegerDivide => {
                Ok(PlannerResult::Planned(self.whole(left, right, schema)?))
            }
            BinaryOperator::Plus => Ok(PlannerResult::Original(RawBinaryExpr {
                op,
                left: intervals::with_time(left.clone(), &right, schema)?,
                right: intervals::with_time(right, &left, schema)?,
            })),
            BinaryOperator::Minus => Ok(PlannerResult::Original(RawBinaryExpr {
                op,
                left: intervals::with_time(left, &right, schema)?,
                right,
            })),
            BinaryOperator::And | BinaryOperator::Or => {
                let operator = match op {
                    BinaryOperator::And => Operator::And,
                    _ => Operator::Or,
                };
                let right = match guards::guarded(&left, operator, &right, schema)? {
                    Some(guarded) => guarded,
                    None => right,
                };
                Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
            }
            op if intervals::is_comparison(&op) => {
                let sides = intervals::compared(left, right, schema)?;
                let [left, right] = instants::compared(sides, schema)?;
                Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
            }
            op => Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        }
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { expr, field_access } = access;
        let data_type = expr.get_type(schema)?;
        match field_access {
            GetFieldAccess::ListIndex { key } if list_ndims(&data_type) > 0 => {
                Ok(PlannerResult::Planned(self.element(expr, *key, schema)?))
            }
            GetFieldAccess::NamedStructField { name } => {
                let name = match name.try_as_str() {
                    Some(Some(name)) => lit(spelled(&data_type, name)),
                    _ => lit(name),
                };
                self.planned("get_field", vec![expr, name])
            }
            field_access => Ok(PlannerResult::Original(RawFieldAccessExpr {
                expr,
                field_access,
            })),
        }
    }

    fn plan_array_literal(
        &self,
        exprs: Vec<Expr>,
        _: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        self.planned("make_array", exprs)
    }

    fn plan_make_map(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        if !args.len().is_multiple_of(2) {
            return Err(DataFusionError::Plan(
                "a map takes a value for each key: map(key, value, …)".to_owned(),
            ));
        }
        let (keys, values): (Vec<_>, Vec<_>) = args
            .chunks(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .unzip();
        let keys = self.call("make_array", keys)?;
        let values = self.call("make_array", values)?;
        self.planned("map", vec![keys, values])
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.planned("date_part", args)
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.planned("substring", args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.planned("overlay", args)
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let mut expr = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let mut data_type = field.data_type().clone();
        for name in nested_names {
            let name = spelled(&data_type, name);
            data_type = match child(&data_type, &name) {
                Some(field) => field.data_type().clone(),
                None => DataType::Null,
            };
            expr = self.call("get_field", vec![expr, lit(name)])?;
        }
        Ok(PlannerResult::Planned(expr))
    }
}

/// The type of an operand. A column that is not there is told with its place.
pub(super) fn type_of(operand: &Expr, schema: &DFSchema) -> Result<DataType> {
    operand.get_type(schema).map_err(|error| {
        let columns = operand.column_refs().into_iter();
        let mut missing = columns.filter(|column| !schema.has_column(column));
        match missing.find_map(|column| column.spans().first()) {
            Some(span) => {
                error.with_diagnostic(Diagnostic::new_error("no such column", Some(span)))
            }
            None => error,
        }
    })
}

/// A text beside a number that is computed with it is a DOUBLE, as for the operator `/`; one beside a BOOLEAN is one.
fn texts_as_values(
    op: &BinaryOperator,
    mut sides: [Expr; 2],
    schema: &DFSchema,
) -> Result<[Expr; 2]> {
    let is_computed = matches!(
        op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Modulo
    );
    if !is_computed && !intervals::is_comparison(op) {
        return Ok(sides);
    }
    let types = [type_of(&sides[0], schema)?, type_of(&sides[1], schema)?];
    let (text, value) = match types.each_ref().map(DataType::is_string) {
        [true, false] => (0, &types[1]),
        [false, true] => (1, &types[0]),
        _ => return Ok(sides),
    };
    let data_type = match value {
        DataType::Boolean if !is_computed => DataType::Boolean,
        value if value.is_numeric() && is_computed => DataType::Float64,
        _ => return Ok(sides),
    };
    sides[text] = cast(std::mem::take(&mut sides[text]), data_type);
    Ok(sides)
}

/// Whether both sides are numbers other than decimals, or texts of them beside a number.
fn divides_as_double(left: &Expr, right: &Expr, schema: &DFSchema) -> Result<bool> {
    let (left, right) = (type_of(left, schema)?, type_of(right, schema)?);
    let is_double = |side: &DataType| side.is_integer() || side.is_floating();
    let may_be = |side: &DataType| is_double(side) || side.is_string() || side.is_null();
    Ok((is_double(&left) && may_be(&right)) || (is_double(&right) && may_be(&left)))
}

fn fields(data_type: &DataType) -> Option<&Fields> {
    match data_type {
        DataType::Struct(fields) => Some(fields),
        _ => None,
    }
}

fn child<'a>(data_type: &'a DataType, name: &str) -> Option<&'a FieldRef> {
    fields(data_type)?.iter().find(|field| field.name() == name)
}

/// The name of a struct's field in the struct's own spelling.
fn spelled(data_type: &DataType, name: &str) -> String {
    let alike = |field: &&FieldRef| field.name().eq_ignore_ascii_case(name);
    let field = child(data_type, name).or_else(|| fields(data_type)?.iter().find(alike));
    field.map_or(name, |field| field.name()).to_owned()
}
