use super::*;
use arrow::array::{DictionaryArray, Int32Array};
use zip_stream::Archive;

/// A column of prompts whose dictionary holds `texts`, of which each row is one.
fn column(texts: &[&str]) -> ArrayRef {
    let places = Int32Array::from_iter_values(0..i32::try_from(texts.len()).unwrap());
    let texts = StringArray::from_iter_values(texts);
    Arc::new(DictionaryArray::new(places, Arc::new(texts)))
}

/// What a reader of the archive gets for one entry, the bytes it takes, and whether they are compressed.
fn sent(data: &Data) -> (String, usize, bool) {
    let (mut archive, mut out) = (Archive::new(), Vec::new());
    match data {
        Data::Deflated(piece) => archive.entry("e", 0, std::slice::from_ref(piece), &mut out),
        Data::Stored(text) => archive.stored("e", 0, text, &mut out),
    }
    let wire = out.iter().map(Bytes::len).sum();
    archive.finish("", &mut out);
    let archive = std::io::Cursor::new(out.concat());
    let mut archive = zip::ZipArchive::new(archive).unwrap();
    let text = std::io::read_to_string(archive.by_index(0).unwrap()).unwrap();
    (text, wire, matches!(data, Data::Deflated(_)))
}

/// Text of which no part comes again.
fn prose(number: usize, bytes: usize) -> String {
    let words = (0..).map(|n| format!("{:x} ", (number + 1) * 7_919 + n * n));
    words
        .scan(0, |length, word| {
            *length += word.len();
            (*length <= bytes).then_some(word)
        })
        .collect()
}

#[test]
fn a_history_that_extends_another_costs_what_it_adds() {
    let texts: Vec<String> = (0..20).map(|turn| prose(turn, 2_000)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let column = column(&texts);
    let mut compressor = Compressor::default();
    let mut before = 0;
    for turn in 1..=texts.len() {
        let (text, wire, _) = sent(&compressor.history(&column, 0..turn));
        assert_eq!(text, texts[..turn].join(SEPARATOR));
        assert!(wire < before + 1_500, "turn {turn}: {wire} after {before}");
        before = wire;
    }
    assert_eq!(compressor.histories.len(), 1);
}

#[test]
fn histories_that_branch_or_take_turns_come_out_whole() {
    let texts: Vec<String> = (0..40).map(|turn| prose(turn, 300)).collect();
    let mut compressor = Compressor::default();
    for turn in 1..20 {
        for branch in 0..3 {
            // The instruction at the end differs, and each comes from a file of its own.
            let ending = format!("instruction {branch}");
            let mut history: Vec<&str> = texts[..turn].iter().map(String::as_str).collect();
            if branch == 2 {
                history.remove(0);
            }
            history.push(&ending);
            let (text, _, _) = sent(&compressor.history(&column(&history), 0..history.len()));
            assert_eq!(text, history.join(SEPARATOR));
        }
    }
}

#[test]
fn a_large_new_text_is_sent_as_it_is_and_compressed_when_it_comes_again() {
    let (system, first, second) = (prose(1, 100_000), prose(2, 100_000), prose(3, 300));
    let texts = [system.as_str(), &first, &second];
    let mut compressor = Compressor::default();
    for again in [false, true, true] {
        // Another batch, as another file would bring it.
        let column = column(&texts);
        let (text, wire, compressed) = sent(&compressor.system(&column, 0));
        assert_eq!((text.as_str(), compressed), (texts[0], again));
        assert!(wire < 60_000 || !again);
        let (text, _, compressed) = sent(&compressor.history(&column, 1..3));
        assert_eq!((text, compressed), (texts[1..].join(SEPARATOR), again));
    }
}

#[test]
fn what_is_kept_stays_within_its_limits() {
    let mut compressor = Compressor::default();
    for number in 0..400 {
        let texts = [
            prose(number, 60_000),
            prose(number, 50_000),
            prose(number, 40_000),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let column = column(&texts);
        compressor.system(&column, 0);
        compressor.history(&column, 1..3);
    }
    let held: usize = compressor.histories.iter().map(History::held).sum();
    assert!(held < HISTORIES_BYTES + 1_000_000, "{held}");
    assert!(compressor.histories.len() <= HISTORIES_MAX);
    let pieces = compressor.system_pieces.values().map(Piece::wire_len);
    assert!(pieces.sum::<usize>() < SYSTEMS_BYTES + 1_000_000);
}

#[test]
fn texts_of_one_crc_and_length_are_not_taken_for_each_other() {
    // Two texts of eight bytes with one CRC-32.
    let collide = |text: &[u8; 8]| crc32fast::hash(text);
    let (a, b) = (*b"plumless", *b"buckeroo");
    assert_eq!(collide(&a), collide(&b));
    let texts = [a, b].map(|text| String::from_utf8(text.to_vec()).unwrap());
    let mut compressor = Compressor::default();
    for text in [&texts[0], &texts[1], &texts[0], &texts[1], &texts[1]] {
        let column = column(&[text]);
        assert_eq!(sent(&compressor.system(&column, 0)).0, *text);
        assert_eq!(sent(&compressor.history(&column, 0..1)).0, *text);
    }
}
