use super::*;
use crate::piece::tests::{inflate, noise};
use proptest::prelude::*;

/// Letters of which some are far more frequent than others: codes would become longer than DEFLATE allows.
fn steep() -> Vec<u8> {
    let (mut text, mut count, mut before) = (Vec::new(), 1, 1);
    for letter in 0..24u8 {
        text.extend(std::iter::repeat_n(letter, count));
        (count, before) = (count + before, count);
    }
    text
}

#[track_caller]
fn check(deflater: &mut Deflater, texts: &[&[u8]]) {
    let mut row = Row::new();
    let mut all = Vec::new();
    for text in texts {
        deflater.push(&mut row, &[text]);
        all.extend_from_slice(text);
        assert_eq!(row.piece().text_len(), all.len() as u64);
    }
    let piece = row.piece();
    assert!(inflate(std::slice::from_ref(&piece)) == all);
    assert_eq!(piece.crc().behind(0), crc32fast::hash(&all));
    assert!(row.held() < all.len() + (1 << 18));
}

#[test]
fn codes_are_complete_and_no_longer_than_deflate_allows() {
    let mut counts = Counts::new();
    let (mut count, mut before) = (1u32, 1u32);
    for symbol in 0..40 {
        counts.literals[symbol * 7] = count;
        (count, before) = (count.saturating_add(before), count);
    }
    for codes in [
        Codes::new(&counts),
        Codes::new(&Counts::new()),
        Codes::fixed(),
    ] {
        let all = [&codes.literals[..], &codes.distances[..]];
        for codes in all {
            let taken: u32 = codes.iter().map(|code| 1 << (15 - code.len)).sum();
            // The fixed codes keep two of each kind for themselves.
            assert!(taken == 1 << 15 || codes.iter().all(|code| code.len >= 5 && code.len <= 9));
            assert!(codes.iter().all(|code| (1..=15).contains(&code.len)));
        }
    }
}

#[test]
fn texts_come_back_that_are_steep_long_or_unlike_those_before() {
    let (steep, noise) = (steep(), noise(300_000));
    let phrase = b"You are a helpful agent. ".repeat(20_000);
    let zeros = vec![0; 200_000];
    for learned in [&b""[..], b"a", &phrase, &noise, &steep] {
        let mut deflater = Deflater::new();
        deflater.piece(learned);
        check(
            &mut deflater,
            &[
                &steep, &phrase, &noise, b"", &zeros, &phrase, &noise, b"end",
            ],
        );
        check(&mut deflater, &[&[], &[]]);
    }
}

#[test]
fn what_was_said_before_in_a_row_is_short() {
    let noise = noise(10_000);
    let mut deflater = Deflater::new();
    let mut row = Row::new();
    deflater.push(&mut row, &[&noise]);
    let first = row.piece().wire_len();
    deflater.push(&mut row, &[&noise]);
    assert!(row.piece().wire_len() < first + 300);
}

#[test]
fn a_fork_goes_on_from_its_mark_even_where_the_text_is_gone() {
    let noise = noise(400_000);
    let mut deflater = Deflater::new();
    let mut row = Row::new();
    let marks: Vec<(usize, Mark)> = noise
        .chunks(50_000)
        .enumerate()
        .map(|(count, text)| {
            deflater.push(&mut row, &[text]);
            ((count + 1) * 50_000, row.mark())
        })
        .collect();
    for (end, mark) in marks {
        let mut fork = row.fork(&mark);
        assert!(inflate(&[fork.piece()]) == noise[..end]);
        deflater.push(&mut fork, &[b"another end, ", &noise[..end]]);
        assert!(
            inflate(&[fork.piece()]) == [&noise[..end], b"another end, ", &noise[..end]].concat()
        );
    }
}

/// Words, so that texts repeat themselves, with anything in between.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "the policy says ",
        "user\n",
        "{\"id\": ",
        "aaaaaaaaaaaaaaaa",
        "\n---\n",
    ]);
    let part = prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => any::<Vec<u8>>(),
        1 => (any::<u8>(), 0..3000usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn every_beginning_and_every_fork_of_a_row_inflates_to_its_texts(
        learned in text(), texts in prop::collection::vec(text(), 1..8), other in text(), at: prop::sample::Index
    ) {
        let mut deflater = Deflater::new();
        deflater.piece(&learned);
        let (mut row, mut all, mut beginnings) = (Row::new(), Vec::new(), vec![(Row::new().mark(), Vec::new())]);
        for text in &texts {
            deflater.push(&mut row, &[&text[..text.len() / 2], &text[text.len() / 2..]]);
            all.extend_from_slice(text);
            prop_assert_eq!(&inflate(&[row.piece()]), &all);
            beginnings.push((row.mark(), all.clone()));
        }
        let (mark, mut beginning) = at.get(&beginnings).clone();
        let mut fork = row.fork(&mark);
        deflater.push(&mut fork, &[&other]);
        beginning.extend_from_slice(&other);
        let piece = fork.piece();
        prop_assert_eq!(piece.crc().behind(0), crc32fast::hash(&beginning));
        prop_assert_eq!(inflate(&[piece.clone(), row.piece(), piece]), [&beginning[..], &all, &beginning].concat());
    }
}
