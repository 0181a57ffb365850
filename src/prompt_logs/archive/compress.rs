//! What an entry of the archive is made of: texts compressed so that a history costs what it adds to one before it.
//!
//! Decides from the texts alone, in the order of the entries: the same archive twice is the same bytes. Holds rows of
//! recent histories and pieces of recent system prompts, up to a limit; never the texts.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::Buffer;
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use zip_stream::{Deflater, Mark, Piece, Row, Stored};

/// Between two prompts of a history (the wire contract, section 1).
const SEPARATOR: &str = "\n---\n";
/// An entry with this much new text, most of it new, is sent as it is: compressing takes longer than any network, and
/// nothing tells yet that the text comes again. Where it does, it is compressed from its second time on.
const STORED_BYTES_MIN: usize = 32 * 1024;
/// Texts that are known to have been there, rows and pieces that are kept.
const SEEN_MAX: usize = 64 * 1024;
const HISTORIES_MAX: usize = 64;
const HISTORIES_BYTES: usize = 8 * 1024 * 1024;
const SYSTEMS_BYTES: usize = 4 * 1024 * 1024;

/// The data of one entry.
pub(super) enum Data {
    Deflated(Piece),
    Stored(Stored),
}

#[derive(Default)]
pub(super) struct Compressor {
    deflater: Deflater,
    /// What is known of texts by CRC and length.
    seen: HashMap<(u32, usize), Seen>,
    ids: u32,
    systems: Dictionary,
    prompts: Dictionary,
    system_pieces: HashMap<u32, Piece>,
    system_bytes: usize,
    histories: Vec<History>,
}

/// Stands for a text: equal numbers are equal texts, equal texts have equal numbers mostly.
type Id = u32;

struct Seen {
    id: Id,
    /// Taken when a text comes a second time, from another dictionary.
    hash: Option<blake3::Hash>,
}

/// The ids of one column's prompts by their place in the dictionary at hand.
#[derive(Default)]
struct Dictionary {
    prompts: Option<ArrayRef>,
    ids: Vec<Option<Id>>,
}

/// A history whose beginnings may come again.
struct History {
    ids: Vec<Id>,
    /// Where each history ended that was put into the row, in prompts and in the row.
    marks: Vec<(usize, Mark)>,
    row: Row,
}

/// Some rows of a column of prompts.
struct Texts<'a> {
    prompts: &'a StringArray,
    /// Places in the dictionary.
    places: Vec<usize>,
    ids: Vec<Id>,
    is_mostly_new: bool,
}

impl Compressor {
    pub(super) fn system(&mut self, column: &ArrayRef, row: usize) -> Data {
        let mut dictionary = std::mem::take(&mut self.systems);
        let texts = self.texts(&mut dictionary, column, row..row + 1);
        self.systems = dictionary;
        if texts.is_mostly_new {
            return Data::Stored(texts.stored());
        }
        let (Some(&id), Some(&place)) = (texts.ids.first(), texts.places.first()) else {
            return Data::Stored(Stored::default());
        };
        if let Some(piece) = self.system_pieces.get(&id) {
            return Data::Deflated(piece.clone());
        }
        let piece = self.deflater.piece(texts.prompts.value(place).as_bytes());
        if self.system_bytes > SYSTEMS_BYTES {
            self.system_pieces.clear();
            self.system_bytes = 0;
        }
        self.system_bytes += piece.wire_len();
        self.system_pieces.insert(id, piece.clone());
        Data::Deflated(piece)
    }

    pub(super) fn history(&mut self, prompts: &ArrayRef, rows: Range<usize>) -> Data {
        let mut dictionary = std::mem::take(&mut self.prompts);
        let texts = self.texts(&mut dictionary, prompts, rows);
        self.prompts = dictionary;
        if texts.ids.is_empty() || texts.is_mostly_new {
            return Data::Stored(texts.stored());
        }
        let mut history = self.beginning(&texts.ids);
        let known = history.ids.len();
        if known < texts.ids.len() {
            let parts: Vec<&[u8]> = texts.parts(known).map(str::as_bytes).collect();
            self.deflater.push(&mut history.row, &parts);
            history.ids.extend_from_slice(&texts.ids[known..]);
            history.marks.push((history.ids.len(), history.row.mark()));
        }
        let piece = history.row.piece();
        self.keep(history);
        Data::Deflated(piece)
    }

    /// The longest beginning of a history that is at hand, to go on with.
    fn beginning(&mut self, ids: &[Id]) -> History {
        let best = self.histories.iter().enumerate();
        let best = best.map(|(index, known)| (known.common(ids), index)).max();
        let Some((common @ 1.., index)) = best else {
            return History {
                ids: Vec::new(),
                marks: Vec::new(),
                row: Row::new(),
            };
        };
        if common == self.histories[index].ids.len() {
            return self.histories.remove(index);
        }
        let known = &self.histories[index];
        let marks = known.marks.iter().take_while(|(count, _)| *count <= common);
        let marks: Vec<(usize, Mark)> = marks.cloned().collect();
        let row = marks
            .last()
            .map_or_else(Row::new, |(_, mark)| known.row.fork(mark));
        History {
            ids: ids[..common].to_vec(),
            marks,
            row,
        }
    }

    /// The latest stands last; those used longest ago make room.
    fn keep(&mut self, history: History) {
        self.histories.push(history);
        let held = |histories: &[History]| histories.iter().map(History::held).sum::<usize>();
        while self.histories.len() > 1
            && (self.histories.len() > HISTORIES_MAX || held(&self.histories) > HISTORIES_BYTES)
        {
            self.histories.remove(0);
        }
    }

    fn texts<'a>(
        &mut self,
        dictionary: &mut Dictionary,
        column: &'a ArrayRef,
        rows: Range<usize>,
    ) -> Texts<'a> {
        let keys = column.as_dictionary::<Int32Type>();
        let prompts = keys.values();
        dictionary.enter(prompts);
        let prompts: &StringArray = prompts.as_string();
        let places: Vec<usize> = rows.filter_map(|row| keys.key(row)).collect();
        let (mut new_bytes, mut bytes) = (0, 0);
        let ids = places.iter().map(|&place| {
            bytes += prompts.value_length(place) as usize;
            *dictionary.ids[place].get_or_insert_with(|| {
                let text = prompts.value(place).as_bytes();
                let (id, is_new) = self.id(text);
                new_bytes += if is_new { text.len() } else { 0 };
                id
            })
        });
        let ids = ids.collect();
        Texts {
            prompts,
            places,
            ids,
            is_mostly_new: new_bytes >= STORED_BYTES_MIN && new_bytes > bytes / 2,
        }
    }

    /// The id of a text that is new in its dictionary, and whether it is new at all.
    fn id(&mut self, text: &[u8]) -> (Id, bool) {
        if self.seen.len() > SEEN_MAX {
            self.seen.clear();
        }
        let next = self.ids;
        self.ids += 1;
        match self.seen.entry((crc32fast::hash(text), text.len())) {
            Slot::Vacant(slot) => {
                slot.insert(Seen {
                    id: next,
                    hash: None,
                });
                (next, true)
            }
            Slot::Occupied(mut slot) => {
                let hash = Some(blake3::hash(text));
                if slot.get().hash != hash {
                    slot.insert(Seen { id: next, hash });
                }
                (slot.get().id, false)
            }
        }
    }
}

impl Dictionary {
    fn enter(&mut self, prompts: &ArrayRef) {
        let is_at_hand = |known: &ArrayRef| Arc::ptr_eq(known, prompts);
        if !self.prompts.as_ref().is_some_and(is_at_hand) {
            self.prompts = Some(Arc::clone(prompts));
            self.ids = vec![None; prompts.len()];
        }
    }
}

impl History {
    /// How many prompts both begin with, as far as there is a mark.
    fn common(&self, ids: &[Id]) -> usize {
        let common = self.ids.iter().zip(ids).take_while(|(a, b)| a == b).count();
        let marks = self.marks.iter().rev();
        marks
            .map(|(count, _)| *count)
            .find(|count| *count <= common)
            .unwrap_or(0)
    }

    fn held(&self) -> usize {
        self.row.held() + self.ids.len() * size_of::<Id>() + self.marks.len() * size_of::<Mark>()
    }
}

impl<'a> Texts<'a> {
    /// The texts from the `from`-th on, with what stands between them and in front of them.
    fn parts(&self, from: usize) -> impl Iterator<Item = &'a str> {
        let prompts = self.prompts;
        let texts = self.places.iter().enumerate().skip(from);
        texts.flat_map(move |(index, &place)| {
            let separator = if index == 0 { "" } else { SEPARATOR };
            [separator, prompts.value(place)]
        })
    }

    fn stored(&self) -> Stored {
        let mut stored = Stored::default();
        for (index, &place) in self.places.iter().enumerate() {
            if index > 0 {
                stored.push(Bytes::from_static(SEPARATOR.as_bytes()));
            }
            let offsets = self.prompts.value_offsets();
            let (start, end) = (offsets[place] as usize, offsets[place + 1] as usize);
            let text = self.prompts.values().slice_with_length(start, end - start);
            stored.push(Bytes::from_owner(Shared(text)));
        }
        stored
    }
}

/// Decoded bytes that are sent as they are, without a copy.
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests;
