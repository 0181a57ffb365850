//! `amigo-admin table refresh`: a collection's columns, sampled anew.

use collections::Table;
use rules::{OrgId, Result, TableName};
use serde_json::{Value, json};

use super::super::org::{aligned, open_directory};
use super::super::{Context, operator};
use super::collection;
use crate::guard::Action;

pub(super) async fn run(org: &OrgId, table: &TableName, context: &Context) -> Result<()> {
    let directory = open_directory(context).await?;
    let (collections, clusters) = collection::of(context, &directory, org).await?;
    let refresh = async {
        let refreshed = collections.refresh(table).await?;
        refreshed.ok_or_else(|| collection::missing(org, table))
    };
    let deed = Action::RefreshTable.on(table);
    let made = |table: &Table| json!({"columns": columns(table)});
    let refreshed = operator::act(context, &directory, Some(org), deed, refresh, made).await;
    clusters.close().await;
    let refreshed = refreshed?;
    let human = || {
        let rows = refreshed.columns.iter().map(|column| {
            let path = column.path.to_string();
            [column.name.clone(), column.kind.to_string(), path]
        });
        aligned(["COLUMN", "TYPE", "PATH"], rows)
    };
    let value = json!({"table": table, "columns": columns(&refreshed), "origin": refreshed.origin});
    context.print(human, value);
    Ok(())
}

fn columns(table: &Table) -> Vec<Value> {
    let columns = table.columns.iter();
    columns
        .map(|column| {
            let (kind, path) = (column.kind.to_string(), column.path.to_string());
            json!({"name": column.name, "type": kind, "path": path})
        })
        .collect()
}
