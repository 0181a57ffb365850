//! `SELECT DISTINCT` under a limit, of rows that are in order.
//!
//! The engine gives the limit to the aggregation, which may end with so many groups, before it knows that its rows come in
//! order (below it a window sorts them); then it takes it for the limit of an ORDER BY, whose direction is nowhere, and the
//! query fails. Rows in order need none: their groups are complete one by one, and the limit above ends it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// Belongs behind all rules that sort.
#[derive(Debug)]
pub(super) struct DistinctInOrder;

impl PhysicalOptimizerRule for DistinctInOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let limited = node.downcast_ref::<AggregateExec>().filter(|aggregate| {
                let limit = aggregate.limit_options();
                limit.is_some_and(|limit| limit.descending().is_none())
                    && aggregate.get_minmax_desc().is_none()
                    && !aggregate.is_unordered_unfiltered_group_by_distinct()
            });
            Ok(match limited {
                Some(aggregate) => {
                    Transformed::yes(Arc::new(aggregate.with_new_limit_options(None)) as _)
                }
                None => Transformed::no(node),
            })
        });
        rewritten.map(|plan| plan.data)
    }

    fn name(&self) -> &'static str {
        "distinct_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
