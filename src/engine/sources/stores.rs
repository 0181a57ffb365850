//! The stores that one query can reach: those of its own tables, and never the machine's file system.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::{Position, Url};

/// Stores by scheme and host. The engine's own registry would serve `file:///` as well.
#[derive(Debug, Default)]
pub(in super::super) struct Stores(RwLock<HashMap<String, Arc<dyn ObjectStore>>>);

fn key(url: &Url) -> String {
    url[..Position::BeforePath].to_owned()
}

impl ObjectStoreRegistry for Stores {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        let mut stores = self.0.write().unwrap_or_else(PoisonError::into_inner);
        stores.insert(key(url), store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let stores = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let store = stores.get(&key(url)).map(Arc::clone);
        store
            .ok_or_else(|| DataFusionError::Plan("there is no table at such an address".to_owned()))
    }
}
