//! Rules of the engine that find columns by their names, kept from plans in which two columns have one.
//!
//! Above a join of tables that both have a column `t`, the rule that moves filters down compares one `t` with itself where
//! the query compares both (apache/datafusion#21246, #25244, #25296). Filters stay where they are there.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;

/// What the names of those rules begin with.
const BY_NAME: &str = "FilterPushdown";

/// The rule, in a plan whose columns it can tell apart.
#[derive(Debug)]
struct UnlessTwins(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

/// The rule as it is, or within its limits.
pub(super) fn unless_twins(
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    match rule.name().starts_with(BY_NAME) {
        true => Arc::new(UnlessTwins(rule)),
        false => rule,
    }
}

impl PhysicalOptimizerRule for UnlessTwins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match has_twins(&plan)? {
            true => Ok(plan),
            false => self.0.optimize(plan, config),
        }
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match has_twins(&plan)? {
            true => Ok(plan),
            false => self.0.optimize_with_context(plan, context),
        }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether somewhere in the plan two columns beside each other have one name.
fn has_twins(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        let schema = node.schema();
        let mut names = HashSet::new();
        found = !schema
            .fields()
            .iter()
            .all(|field| names.insert(field.name()));
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}
