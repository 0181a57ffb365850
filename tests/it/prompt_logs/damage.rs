//! Data files that are damaged or gone: what can be read is delivered, and what cannot is told.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use super::transfer::{bulky, rest, start_download};
use super::{ORG, check, expected, noise, serve};
use crate::support::{SUPER_ADMINISTRATOR, Server, log};

/// Overwrites the middle of a column's pages in a row group; returns which of the file's rows are in it.
pub(super) fn damage(file: &Path, column: &str, group: usize) -> Range<usize> {
    let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let groups = reader.metadata().row_groups();
    let rows = |groups: &[RowGroupMetaData]| -> usize {
        groups
            .iter()
            .map(|group| usize::try_from(group.num_rows()).unwrap())
            .sum()
    };
    let lost = rows(&groups[..group])..rows(&groups[..=group]);
    let group = &groups[group];
    let columns = group.columns();
    let column = columns
        .iter()
        .find(|one| one.column_path().parts()[0] == column)
        .unwrap();
    let (start, length) = column.byte_range();
    let damaged = OpenOptions::new().write(true).open(file).unwrap();
    let middle = start + length / 3;
    let bytes = vec![0xA5; usize::try_from(length / 3).unwrap()];
    damaged.write_all_at(&bytes, middle).unwrap();
    lost
}

#[tokio::test]
async fn a_damaged_data_file_costs_its_own_logs_and_no_others() {
    let batch = |name: &str| -> Vec<Value> {
        let log = |n: u64| {
            log(
                &format!("d/{name}{n:02}"),
                &noise(n, 900_000),
                &[&noise(n + 100, 9_000), "x"],
            )
        };
        (0..14).map(log).collect()
    };
    let batches = ["a", "b", "c"].map(batch);
    let server = Server::start(|data| {
        data.org(ORG);
        for batch in &batches {
            data.import_logs(ORG, batch);
        }
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let all = batches.concat();
    check(&server.logs(&token, ORG, "d/").await, &all);

    // Three imports, three files; the one of `b` has more than one row group, and the second is damaged.
    let holds_b = |file: &&PathBuf| {
        let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
        let row = reader.get_row_iter(None).unwrap().next().unwrap().unwrap();
        row.get_column_iter()
            .any(|(_, value)| value.to_string().contains("d/b00"))
    };
    let files = server.data.files(".parquet");
    assert_eq!(files.len(), 3);
    let file = files.iter().find(holds_b).unwrap();
    let lost = damage(file, "system", 1);
    assert!((1..14).contains(&lost.len()), "{lost:?}");

    let answer = server.logs(&token, ORG, "d/").await;
    let entries = answer.entries();
    let errors: Vec<_> = entries
        .iter()
        .filter(|(name, _)| name.ends_with("-error"))
        .collect();
    let names: Vec<String> = errors.iter().map(|(name, _)| name.clone()).collect();
    let expected_names: Vec<String> = lost.map(|n| format!("d/b{n:02}-error")).collect();
    assert_eq!(names, expected_names);
    for (_, text) in errors {
        let text = String::from_utf8_lossy(text);
        assert!(text.contains("could not be read"), "{text}");
        assert!(!text.contains("parquet") && !text.contains('/'), "{text}");
    }
    let rest: Vec<_> = entries
        .iter()
        .filter(|(name, _)| !name.ends_with("-error"))
        .cloned()
        .collect();
    let intact: Vec<Value> = all
        .iter()
        .filter(|log| {
            !expected_names.contains(&format!("{}-error", log["log_key"].as_str().unwrap()))
        })
        .cloned()
        .collect();
    assert!(
        rest == expected(&intact),
        "an intact log was not delivered as it is"
    );
    server.log_line(|line| line.contains("ERROR"));
}

#[tokio::test]
async fn a_data_file_that_is_gone_breaks_its_own_prefix_and_no_other() {
    let server = Server::start(|data| {
        data.org(ORG);
        data.import_logs(ORG, &[log("a/1", "s", &["h"])]);
        let known: BTreeSet<_> = data.files(".parquet").into_iter().collect();
        data.import_logs(ORG, &[log("b/1", "s", &["h"])]);
        let new = data
            .files(".parquet")
            .into_iter()
            .find(|file| !known.contains(file));
        std::fs::remove_file(new.unwrap()).unwrap();
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(
        server.logs(&token, ORG, "a/").await.names(),
        ["a/1-system", "a/1-history"]
    );
    let answer = server.logs(&token, ORG, "b/").await;
    // Which logs were in it nobody knows, so the archive cannot be made; to leave them out silently would be a lie.
    let detail = answer.detail(503);
    assert!(
        !detail.contains("parquet") && !detail.contains("b/"),
        "{detail}"
    );
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn a_data_file_that_goes_away_during_a_download_costs_its_own_logs_and_no_others() {
    let (server, token) = serve(&bulky());
    let known: BTreeSet<_> = server.data.files(".parquet").into_iter().collect();
    server
        .data
        .import_logs(ORG, &[log("big/late", "s", &["h"])]);
    let files = server.data.files(".parquet");
    let late = files.iter().find(|file| !known.contains(*file)).unwrap();

    // The download has begun, and cannot be beyond the logs of the first file: they are more than a connection holds.
    let mut download = start_download(&server, &token, "big/");
    let mut begun = [0; 12];
    download.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    std::fs::remove_file(late).unwrap();

    let whole = rest(download);
    assert!(
        whole.ends_with(b"\r\n0\r\n\r\n"),
        "the archive did not end well"
    );
    let contains = |text: &str| {
        whole
            .windows(text.len())
            .any(|bytes| bytes == text.as_bytes())
    };
    assert!(contains("big/15-history") && contains("big/late-error"));
    assert!(!contains("big/late-system") && !contains("big/15-error"));
}
