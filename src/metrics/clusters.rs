//! What is counted of MongoDB clusters. Their names are the operator's, and no tenant's.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use rules::ClusterName;

use super::add;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Batch {
    cluster: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cluster {
    cluster: String,
}

#[derive(Debug)]
pub(super) struct Clusters {
    batches: Family<Batch, Counter>,
    bytes: Family<Cluster, Counter>,
}

impl Clusters {
    pub(super) fn new(all: &mut Registry) -> Self {
        let batches =
            "Batches of documents read from MongoDB clusters, and reads that failed, by outcome";
        let bytes = "Bytes of documents read from MongoDB clusters";
        Self {
            batches: add(
                all,
                "amigo_admin_mongodb_batches",
                batches,
                Family::default(),
            ),
            bytes: add(all, "amigo_admin_mongodb_bytes", bytes, Family::default()),
        }
    }

    pub(super) fn of(&self, name: &ClusterName) -> ClusterReads {
        let cluster = name.to_string();
        ClusterReads {
            batches: self.batches.clone(),
            bytes: self.bytes.get_or_create_owned(&Cluster {
                cluster: cluster.clone(),
            }),
            cluster,
        }
    }
}

/// The counters of one cluster.
#[derive(Debug)]
pub struct ClusterReads {
    batches: Family<Batch, Counter>,
    bytes: Counter,
    cluster: String,
}

impl ClusterReads {
    /// A batch of so many bytes was read.
    pub fn read(&self, bytes: usize) {
        self.count("read");
        self.bytes.inc_by(bytes as u64);
    }

    /// A read failed: `failed` or `timed_out`.
    pub fn failed(&self, outcome: &'static str) {
        self.count(outcome);
    }

    fn count(&self, outcome: &'static str) {
        let cluster = self.cluster.clone();
        let batch = Batch { cluster, outcome };
        self.batches.get_or_create(&batch).inc();
    }
}
