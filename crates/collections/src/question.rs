//! Everything that may be asked of a collection.

use std::fmt;

use bson::{Bson, Document, doc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::column::{Kind, Path, dotted};
use crate::filter::{Comparison, Constant, Filter, Test};

/// A question to one collection. The answer are documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// Its documents.
    Find {
        filter: Filter,
        /// What of each is wanted; other fields may come with it.
        fields: Vec<Path>,
        order: Option<Order>,
        limit: Option<u64>,
    },
    /// How many there are: one document with the number in `n`; none where there are none.
    Count { filter: Filter },
    /// The combinations of what lies at the paths: of each one document, with the values in `_id.k0`, `_id.k1` and so
    /// on, their types' names in `_id.t0`, and in `n` how often it occurs. MongoDB has equal numbers of different types
    /// as one, which columns have not: so types are told apart. What is one value in a column can still be several
    /// here (null and missing, two types, integers too large for a double), which the asker adds up. Not for columns
    /// of JSON: documents with equal numbers of different types are one here.
    Groups {
        filter: Filter,
        #[serde(deserialize_with = "all_dotted")]
        keys: Vec<Path>,
    },
}

/// By the value at one path. What is not of one kind has MongoDB's own order, so the filter leaves one kind only.
/// Not-a-number comes before all numbers, where SQL has it behind them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    #[serde(deserialize_with = "dotted")]
    pub path: Path,
    pub descending: bool,
}

/// Whose documents of a collection that organizations share: those with this text at the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub path: Path,
    pub org_id: String,
}

/// A question in MongoDB's words.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Find(Box<Find>),
    /// The stages of a pipeline.
    Aggregate(Vec<Document>),
}

/// What MongoDB's `find` takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    pub filter: Document,
    /// Empty: whole documents.
    pub projection: Document,
    pub sort: Option<Document>,
    pub limit: Option<i64>,
}

impl Question {
    /// Of the tenant's documents, where the collection is shared.
    pub fn command(&self, tenant: Option<&Tenant>) -> Command {
        let whose = |filter: &Filter| match tenant {
            Some(tenant) => tenant.filter() & filter.clone(),
            None => filter.clone(),
        };
        match self {
            Self::Find {
                filter,
                fields,
                order,
                limit,
            } => Command::Find(Box::new(Find {
                // To MongoDB a limit of zero is none.
                filter: match limit {
                    Some(0) => Filter::Nothing.document(),
                    _ => whose(filter).document(),
                },
                projection: projection(fields),
                sort: order.as_ref().map(Order::document),
                limit: limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
            })),
            Self::Count { filter } => {
                let mut pipeline = matching(&whose(filter));
                pipeline.push(doc! {"$count": "n"});
                Command::Aggregate(pipeline)
            }
            Self::Groups { filter, keys } => {
                let mut pipeline = matching(&whose(filter));
                let mut id = Document::new();
                for (index, path) in keys.iter().enumerate() {
                    let value = format!("${path}");
                    id.insert(format!("t{index}"), doc! {"$type": value.as_str()});
                    id.insert(format!("k{index}"), value);
                }
                pipeline.push(doc! {"$group": {"_id": id, "n": {"$sum": 1_i64}}});
                Command::Aggregate(pipeline)
            }
        }
    }
}

impl Tenant {
    /// The condition on a document, in MongoDB's words.
    pub fn document(&self) -> Document {
        self.filter().document()
    }

    fn filter(&self) -> Filter {
        Filter::Value {
            path: self.path.clone(),
            kind: Kind::String,
            test: Test::Is(Comparison::Eq, Constant::String(self.org_id.clone())),
        }
    }
}

impl Order {
    fn document(&self) -> Document {
        doc! {self.path.to_string(): if self.descending { -1 } else { 1 }}
    }
}

fn all_dotted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Path>, D::Error> {
    let paths = Vec::<Path>::deserialize(deserializer)?;
    if paths.iter().all(Path::is_dotted) {
        return Ok(paths);
    }
    Err(D::Error::custom("one of these paths has no dotted form"))
}

fn matching(filter: &Filter) -> Vec<Document> {
    match filter {
        Filter::Everything => Vec::new(),
        filter => vec![doc! {"$match": filter.document()}],
    }
}

/// Includes these fields. MongoDB takes no path beside another that it lies within.
fn projection(fields: &[Path]) -> Document {
    if !fields.iter().all(Path::is_dotted) {
        return doc! {};
    }
    let wanted = |path: &Path| !path.parents().any(|parent| fields.contains(&parent));
    let mut projection = Document::new();
    for path in fields.iter().filter(|path| wanted(path)) {
        projection.insert(path.to_string(), 1);
    }
    let has_id = projection
        .keys()
        .any(|key| key == "_id" || key.starts_with("_id."));
    if projection.is_empty() {
        projection.insert("_id", 1);
    } else if !has_id {
        projection.insert("_id", 0);
    }
    projection
}

/// As one would type it in MongoDB's shell.
impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find(find) => {
                let (filter, projection) = (Shown(&find.filter), Shown(&find.projection));
                write!(formatter, "find({filter}, {projection})")?;
                if let Some(sort) = &find.sort {
                    write!(formatter, ".sort({})", Shown(sort))?;
                }
                if let Some(limit) = find.limit {
                    write!(formatter, ".limit({limit})")?;
                }
                Ok(())
            }
            Self::Aggregate(pipeline) => {
                formatter.write_str("aggregate([")?;
                for (index, stage) in pipeline.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(formatter, "{comma}{}", Shown(stage))?;
                }
                formatter.write_str("])")
            }
        }
    }
}

/// Extended JSON, with the fields in the order that MongoDB gets them in.
struct Shown<'a>(&'a Document);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (index, (key, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let key = serde_json::Value::from(key.as_str());
            write!(formatter, "{comma}{key}:")?;
            show(value, formatter)?;
        }
        formatter.write_str("}")
    }
}

fn show(value: &Bson, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Bson::Document(document) => write!(formatter, "{}", Shown(document)),
        Bson::Array(values) => {
            formatter.write_str("[")?;
            for (index, value) in values.iter().enumerate() {
                formatter.write_str(if index == 0 { "" } else { "," })?;
                show(value, formatter)?;
            }
            formatter.write_str("]")
        }
        value => write!(formatter, "{}", value.clone().into_relaxed_extjson()),
    }
}
