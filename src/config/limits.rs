//! The section `limits` of the settings; the requests a minute stand in it as one table.

use rules::Result;
use serde::{Deserialize, Serialize};

use super::{Row, check_range, range_text};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Of memory and disk, which are counted in `u64` whatever the machine.
const GIB: u64 = 1024 * 1024 * 1024;

section! {
    /// How much one request, one caller or one query may take.
    Limits in "limits." {
        rate_limits: bool = true,
            "Whether requests are counted against the limits per minute; false only for load tests on loopback.";
        signin_per_minute: u32 = 5, (1..=1_000_000),
            "Sign-ins with an API key, per minute, key and address of the client.";
        signin_address_per_minute: u32 = 30, (1..=1_000_000),
            "Sign-ins with any API key, per minute and address of the client (per /64 network of IPv6).";
        prompt_logs_per_minute: u32 = 20, (1..=1_000_000),
            "Downloads of prompt logs, per minute and user.";
        sql_per_minute: u32 = 6, (1..=1_000_000),
            "SQL queries, per minute and user.";
        sql_cancel_per_minute: u32 = 500, (1..=1_000_000),
            "Submitted SQL queries cancelled, per minute and user.";
        api_key_create_per_minute: u32 = 5, (1..=1_000_000),
            "API keys made, per minute and user.";
        api_key_list_per_minute: u32 = 10, (1..=1_000_000),
            "Lists of API keys, per minute and user.";
        api_key_delete_per_minute: u32 = 10, (1..=1_000_000),
            "API keys deleted, per minute and user.";
        user_create_per_minute: u32 = 50, (1..=1_000_000),
            "Users made, per minute and user.";
        user_list_per_minute: u32 = 60, (1..=1_000_000),
            "Lists of users, per minute and user.";
        user_delete_per_minute: u32 = 500, (1..=1_000_000),
            "Users deleted, per minute and user.";
        role_list_per_minute: u32 = 20, (1..=1_000_000),
            "Lists of roles, per minute and user.";
        role_create_per_minute: u32 = 20, (1..=1_000_000),
            "Roles made, per minute and user.";
        role_modify_per_minute: u32 = 10, (1..=1_000_000),
            "Roles changed, per minute and user.";
        role_assign_per_minute: u32 = 1000, (1..=1_000_000),
            "Roles assigned, per minute and user.";
        temporary_grant_create_per_minute: u32 = 100, (1..=1_000_000),
            "Temporary permission grants made, per minute and user.";
        temporary_grant_list_per_minute: u32 = 100, (1..=1_000_000),
            "Lists of temporary permission grants, per minute and user.";
        request_body_bytes: usize = 2 * MIB, (KIB..=1024 * MIB),
            "Bytes of a JSON request body.";
        write_body_bytes: u64 = 128 * MIB as u64, (KIB as u64..=GIB),
            "Bytes of one request that writes prompt logs, as they come over the wire.";
        write_inflated_bytes: u64 = 256 * MIB as u64, (KIB as u64..=4 * GIB),
            "Bytes of one request that writes prompt logs, decompressed.";
        write_ratio: u32 = 200, (1..=10_000),
            "How many times larger a request that writes prompt logs may become when it is decompressed.";
        write_memory_bytes: u64 = 512 * MIB as u64, (64 * MIB as u64..=1024 * GIB),
            "Bytes of text that all requests that write prompt logs may hold together; more are asked to come later.";
        archive_logs: usize = 1000, (1..=100_000),
            "Prompt logs in one downloaded archive.";
        downloads: usize = 64, (2..=10_000),
            "Archives being downloaded at the same time, half of them of one organization; more are answered 503.";
        download_idle_seconds: u64 = 60, (1..=3600),
            "Seconds a client may read nothing of a download before it is cut off.";
        storage_seconds: u64 = 30, (1..=3600),
            "Seconds one read of storage may take; what it was to read then counts as unreadable.";
        sql_rows: usize = 1000, (1..=1_000_000),
            "Rows in the answer to one synchronous query.";
        sql_seconds: u64 = 30, (1..=86_400),
            "Seconds one synchronous query may take, waiting included.";
        sql_workers: usize = 0, (0..=1024),
            "Queries that run at the same time; 0 means one for each core, at least 2. An organization that has none running may begin one more, up to twice as many in all.";
        sql_async_workers: usize = 0, (0..=1024),
            "Asynchronous queries that run at the same time, beside the others; 0 means one for each two cores.";
        sql_waiting: usize = 100, (1..=100_000),
            "Queries of one organization that may wait for their turn, and asynchronous ones that may be unfinished; more are asked to come later.";
        sql_async_seconds: u64 = 3600, (1..=604_800),
            "Seconds one asynchronous query may run.";
        sql_file_bytes: u64 = 10 * GIB, (KIB as u64..=1024 * 1024 * GIB),
            "Bytes of the result file of one asynchronous query.";
        sql_result_hours: u32 = 24, (1..=720),
            "Hours the result of an asynchronous query can be fetched, counted from its submission; then it is deleted.";
        sql_memory_bytes: u64 = 2 * GIB, (GIB / 4..=1024 * GIB),
            "Memory one query worker may map, the engine included and its stacks not, in bytes.";
        sql_result_bytes: usize = 32 * MIB, (KIB..=1024 * MIB),
            "Bytes of JSON in the answer to one synchronous query.";
        sql_spill_bytes: u64 = 2 * GIB, (0..=1024 * GIB),
            "Bytes one query may write to temporary files when its memory is full; 0 means none.";
    }
}
