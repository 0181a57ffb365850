//! amigo-admin: the Admin API of the Amigo agent platform, self-hosted.
//!
//! Two answers from production: what exactly did the model see (`prompt_logs`), and what does our data say
//! (`sql_query`). `ARCHITECTURE.md` tells how the modules hang together; each one's first lines say what it is for.

pub mod app;
pub mod cli;
pub mod clock;
pub mod clusters;
pub mod config;
pub mod core_dumps;
pub mod directory;
pub mod engine;
pub mod folder;
pub mod guard;
pub mod http;
pub mod identity;
pub mod lake;
pub mod metrics;
pub mod prompt_logs;
pub mod sql_query;
pub mod traces;
