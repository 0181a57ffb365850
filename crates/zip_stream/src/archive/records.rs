//! The records of the zip format, byte by byte: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and
//! 4.5.3.
//!
//! All numbers are little-endian. Where a number does not fit its field, the field is all ones and
//! a ZIP64 field has it. ZIP64 is written only then, because some readers refuse it where it is not
//! needed.

use bytes::BufMut;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;

/// Names are UTF-8 (bit 11). Bit 3, sizes behind the data, is never set.
const FLAGS: u16 = 0x0800;
/// Made on Unix (3), so that the mode counts, by the rules of version 2.0 (20).
const MADE_BY: u16 = 0x0314;
/// A regular file that only its owner can read: an unpacked prompt is nobody else's business.
const MODE: u32 = 0o100_600 << 16;
const VERSION_STORE: u16 = 10;
const VERSION_DEFLATE: u16 = 20;
const VERSION_ZIP64: u16 = 45;
const ZIP64_EXTRA: u16 = 0x0001;

/// What one entry's two headers say about it.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) dos_time: u32,
    pub(super) data: Data,
    /// Where its local header starts.
    pub(super) offset: u64,
}

/// What stands between an entry's local header and the next.
pub(super) struct Data {
    pub(super) crc: u32,
    /// Bytes in the archive.
    pub(super) wire_len: u64,
    pub(super) text_len: u64,
    /// Or stored as it is.
    pub(super) deflated: bool,
}

impl Entry<'_> {
    pub(super) fn local_header(&self) -> Vec<u8> {
        let zip64 = self.zip64_sizes();
        let mut out = Vec::with_capacity(30 + self.name.len() + 4 + zip64.len());
        out.put_u32_le(LOCAL_HEADER);
        self.put_common(&zip64, &mut out);
        out.put_slice(self.name.as_bytes());
        put_zip64_extra(&zip64, &mut out);
        out
    }

    pub(super) fn put_central_header(&self, out: &mut Vec<u8>) {
        let mut zip64 = self.zip64_sizes();
        if exceeds_u32(self.offset) {
            zip64.put_u64_le(self.offset);
        }
        out.put_u32_le(CENTRAL_HEADER);
        out.put_u16_le(MADE_BY);
        self.put_common(&zip64, out);
        out.put_u16_le(0); // comment
        out.put_u16_le(0); // disk
        out.put_u16_le(0); // internal attributes
        out.put_u32_le(MODE);
        out.put_u32_le(saturate_u32(self.offset));
        out.put_slice(self.name.as_bytes());
        put_zip64_extra(&zip64, out);
    }

    /// From the version to the length of the extra field both headers are alike.
    fn put_common(&self, zip64: &[u8], out: &mut Vec<u8>) {
        let (method, version) = if self.data.deflated {
            (8, VERSION_DEFLATE)
        } else {
            (0, VERSION_STORE)
        };
        out.put_u16_le(if zip64.is_empty() {
            version
        } else {
            VERSION_ZIP64
        });
        out.put_u16_le(FLAGS);
        out.put_u16_le(method);
        out.put_u32_le(self.dos_time);
        out.put_u32_le(self.data.crc);
        // A local header with one size in ZIP64 must have both there (4.5.3), so the central one
        // has, too.
        let is_zip64 = self.has_zip64_sizes();
        out.put_u32_le(if is_zip64 {
            u32::MAX
        } else {
            saturate_u32(self.data.wire_len)
        });
        out.put_u32_le(if is_zip64 {
            u32::MAX
        } else {
            saturate_u32(self.data.text_len)
        });
        out.put_u16_le(u16::try_from(self.name.len()).expect("the archive cuts longer names"));
        let extra_len = if zip64.is_empty() { 0 } else { 4 + zip64.len() };
        out.put_u16_le(u16::try_from(extra_len).expect("three numbers of 8 bytes at most"));
    }

    fn has_zip64_sizes(&self) -> bool {
        exceeds_u32(self.data.wire_len) || exceeds_u32(self.data.text_len)
    }

    fn zip64_sizes(&self) -> Vec<u8> {
        let mut zip64 = Vec::new();
        if self.has_zip64_sizes() {
            zip64.put_u64_le(self.data.text_len);
            zip64.put_u64_le(self.data.wire_len);
        }
        zip64
    }
}

fn put_zip64_extra(zip64: &[u8], out: &mut Vec<u8>) {
    if !zip64.is_empty() {
        out.put_u16_le(ZIP64_EXTRA);
        out.put_u16_le(u16::try_from(zip64.len()).expect("three numbers of 8 bytes at most"));
        out.put_slice(zip64);
    }
}

/// What the end of the archive says about its central directory.
pub(super) struct Directory {
    pub(super) entries: u64,
    pub(super) len: u64,
    pub(super) offset: u64,
}

impl Directory {
    /// Everything behind the directory. `comment` is at most 65,535 bytes long.
    pub(super) fn end(&self, comment: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(56 + 20 + 22 + comment.len());
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        if entries == u16::MAX || exceeds_u32(self.len) || exceeds_u32(self.offset) {
            self.put_zip64_end(&mut out);
        }
        out.put_u32_le(END);
        out.put_u32_le(0); // this disk, and the disk of the directory
        out.put_u16_le(entries); // on this disk
        out.put_u16_le(entries);
        out.put_u32_le(saturate_u32(self.len));
        out.put_u32_le(saturate_u32(self.offset));
        out.put_u16_le(u16::try_from(comment.len()).expect("the archive cuts longer comments"));
        out.put_slice(comment.as_bytes());
        out
    }

    fn put_zip64_end(&self, out: &mut Vec<u8>) {
        out.put_u32_le(ZIP64_END);
        out.put_u64_le(44); // length of the rest of this record
        out.put_u16_le(MADE_BY);
        out.put_u16_le(VERSION_ZIP64);
        out.put_u64_le(0); // this disk, and the disk of the directory
        out.put_u64_le(self.entries); // on this disk
        out.put_u64_le(self.entries);
        out.put_u64_le(self.len);
        out.put_u64_le(self.offset);
        out.put_u32_le(ZIP64_LOCATOR);
        out.put_u32_le(0); // disk of the record above
        out.put_u64_le(self.offset + self.len); // where it starts
        out.put_u32_le(1); // disks
    }
}

/// All ones mean "see ZIP64", so the greatest number of a field is one less.
fn exceeds_u32(number: u64) -> bool {
    number >= u64::from(u32::MAX)
}

fn saturate_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
