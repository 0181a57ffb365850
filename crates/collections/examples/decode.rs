//! Measures how long documents take to become rows: `decode FILE ROUNDS`.
//!
//! The file holds BSON arrays one after another, as a server sends its batches, of the documents that
//! `benches/mongodb/documents.py` makes. Prints the rows and, for each round, the seconds.

use std::time::Instant;

use collections::{Column, Decoder, Kind, Path, documents};

const COLUMNS: [(&str, Kind); 10] = [
    ("_id", Kind::ObjectId),
    ("n", Kind::BigInt),
    ("user_id", Kind::String),
    ("status", Kind::String),
    ("amount", Kind::Double),
    ("is_open", Kind::Boolean),
    ("created_at", Kind::Timestamp),
    ("text", Kind::String),
    ("address", Kind::Json),
    ("tags", Kind::Json),
];
/// As a scan has them.
const BATCH_ROWS: usize = 8192;

#[expect(clippy::print_stdout, reason = "what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("give a file of batches")?;
    let rounds: usize = arguments.next().ok_or("give a number of rounds")?.parse()?;
    let batches = std::fs::read(file)?;
    for _ in 0..rounds {
        let start = Instant::now();
        let rows = decode(&batches)?;
        println!("{rows} {}", start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn decode(batches: &[u8]) -> Result<usize, Box<dyn std::error::Error>> {
    let columns = COLUMNS.map(|(name, kind)| Column {
        name: name.to_owned(),
        path: Path::field(name),
        kind,
    });
    let mut decoder = Decoder::new(&columns, true);
    let (mut rest, mut rows) = (batches, 0);
    while let Some(length) = rest.first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        for document in documents(&rest[..length]) {
            decoder.push(document?)?;
            if decoder.len() == BATCH_ROWS {
                rows += decoder.finish().num_rows();
            }
        }
        rest = &rest[length..];
    }
    Ok(rows + decoder.finish().num_rows())
}
