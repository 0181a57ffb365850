//! The elements of a BSON document, read from its bytes.
//!
//! `bson` has an iterator for the same. This one leaves out what decoding does not need: the text of every key is not
//! checked, a key that comes as expected is not even looked through for its end, and an error is no text. It reads
//! nothing beyond the bytes it was given, whatever they hold.

use crate::error::Error;

/// Documents within documents, and fields of a path, beyond which nothing is read. MongoDB stores no more than 180.
pub(crate) const DEPTH_MAX: usize = 200;

/// A value where it lies. A text is bytes, for nobody has said that it is UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Double(f64),
    String(&'a [u8]),
    Document(&'a [u8]),
    Array(&'a [u8]),
    Binary(&'a [u8]),
    Undefined,
    ObjectId(&'a [u8]),
    Boolean(bool),
    DateTime(i64),
    Null,
    Regex {
        pattern: &'a [u8],
        options: &'a [u8],
    },
    DbPointer {
        namespace: &'a [u8],
        id: &'a [u8],
    },
    Code(&'a [u8]),
    Symbol(&'a [u8]),
    CodeWithScope {
        code: &'a [u8],
        scope: &'a [u8],
    },
    Int32(i32),
    Timestamp {
        time: u32,
        increment: u32,
    },
    Int64(i64),
    Decimal128(u128),
    MinKey,
    MaxKey,
}

/// What is left of a document.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    /// From the next element on, with the zero that ends the document.
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Of one whole document.
    pub(crate) fn of(document: &'a [u8]) -> Result<Self, Error> {
        let (length, rest) = document.split_first_chunk().ok_or(Error::Malformed)?;
        let is_whole = usize::try_from(i32::from_le_bytes(*length)) == Ok(document.len());
        if !is_whole || rest.last() != Some(&0) {
            return Err(Error::Malformed);
        }
        Ok(Self { rest })
    }

    /// The type of the next element, whose key and value follow.
    pub(crate) fn next_tag(&mut self) -> Result<Option<u8>, Error> {
        match self.rest {
            [0] => Ok(None),
            [tag, rest @ ..] if *tag != 0 => {
                self.rest = rest;
                Ok(Some(*tag))
            }
            _ => Err(Error::Malformed),
        }
    }

    /// Whether the key is this one, which ends with a zero; if so, the value is next.
    pub(crate) fn skip_key(&mut self, key_and_zero: &[u8]) -> bool {
        match self.rest.strip_prefix(key_and_zero) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(crate) fn key(&mut self) -> Result<&'a [u8], Error> {
        let length = self.rest.iter().position(|&byte| byte == 0);
        let (key, rest) = self.rest.split_at(length.ok_or(Error::Malformed)?);
        self.rest = &rest[1..];
        Ok(key)
    }

    pub(crate) fn value(&mut self, tag: u8) -> Result<Value<'a>, Error> {
        Ok(match tag {
            0x01 => Value::Double(f64::from_le_bytes(self.array()?)),
            0x02 => Value::String(self.text()?),
            0x03 => Value::Document(self.document()?),
            0x04 => Value::Array(self.document()?),
            0x05 => Value::Binary(self.binary()?),
            0x06 => Value::Undefined,
            0x07 => Value::ObjectId(self.bytes(12)?),
            0x08 => match self.array()? {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                [_] => return Err(Error::Malformed),
            },
            0x09 => Value::DateTime(i64::from_le_bytes(self.array()?)),
            0x0A => Value::Null,
            0x0B => Value::Regex {
                pattern: self.key()?,
                options: self.key()?,
            },
            0x0C => Value::DbPointer {
                namespace: self.text()?,
                id: self.bytes(12)?,
            },
            0x0D => Value::Code(self.text()?),
            0x0E => Value::Symbol(self.text()?),
            0x0F => self.code_with_scope()?,
            0x10 => Value::Int32(i32::from_le_bytes(self.array()?)),
            0x11 => Value::Timestamp {
                increment: u32::from_le_bytes(self.array()?),
                time: u32::from_le_bytes(self.array()?),
            },
            0x12 => Value::Int64(i64::from_le_bytes(self.array()?)),
            0x13 => Value::Decimal128(u128::from_le_bytes(self.array()?)),
            0x7F => Value::MaxKey,
            0xFF => Value::MinKey,
            _ => return Err(Error::Malformed),
        })
    }

    /// The key and value of the next element.
    pub(crate) fn next(&mut self) -> Result<Option<(&'a [u8], Value<'a>)>, Error> {
        let Some(tag) = self.next_tag()? else {
            return Ok(None);
        };
        Ok(Some((self.key()?, self.value(tag)?)))
    }

    /// So many bytes; never the zero that ends the document.
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(length) {
            Some((bytes, rest)) if !rest.is_empty() => {
                self.rest = rest;
                Ok(bytes)
            }
            _ => Err(Error::Malformed),
        }
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Error::Malformed)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn length(&mut self) -> Result<usize, Error> {
        usize::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| Error::Malformed)
    }

    /// A text with its length before it and a zero behind it, which its length counts.
    fn text(&mut self) -> Result<&'a [u8], Error> {
        let length = self.length()?;
        match self.bytes(length)? {
            [text @ .., 0] => Ok(text),
            _ => Err(Error::Malformed),
        }
    }

    fn document(&mut self) -> Result<&'a [u8], Error> {
        let length = self.rest.first_chunk().ok_or(Error::Malformed)?;
        let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| Error::Malformed)?;
        match self.bytes(length)? {
            document @ [_, _, _, _, .., 0] => Ok(document),
            _ => Err(Error::Malformed),
        }
    }

    fn binary(&mut self) -> Result<&'a [u8], Error> {
        let length = self.length()?;
        let [subtype] = self.array()?;
        let bytes = self.bytes(length)?;
        // An old form says the length once more.
        Ok(match bytes.split_first_chunk() {
            Some((inner, data))
                if subtype == 2
                    && usize::try_from(i32::from_le_bytes(*inner)) == Ok(data.len()) =>
            {
                data
            }
            _ => bytes,
        })
    }

    fn code_with_scope(&mut self) -> Result<Value<'a>, Error> {
        let length = self.length()?.checked_sub(4).ok_or(Error::Malformed)?;
        let rest = self.bytes(length)?;
        let mut rest = Elements { rest };
        let code = rest.text()?;
        match Elements::of(rest.rest) {
            Ok(_) => Ok(Value::CodeWithScope {
                code,
                scope: rest.rest,
            }),
            Err(error) => Err(error),
        }
    }
}

impl Value<'_> {
    /// MongoDB's name of the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Document(_) => "object",
            Self::Array(_) => "array",
            Self::Binary(_) => "binData",
            Self::Undefined => "undefined",
            Self::ObjectId(_) => "objectId",
            Self::Boolean(_) => "bool",
            Self::DateTime(_) => "date",
            Self::Null => "null",
            Self::Regex { .. } => "regex",
            Self::DbPointer { .. } => "dbPointer",
            Self::Code(_) => "javascript",
            Self::Symbol(_) => "symbol",
            Self::CodeWithScope { .. } => "javascriptWithScope",
            Self::Int32(_) => "int",
            Self::Timestamp { .. } => "timestamp",
            Self::Int64(_) => "long",
            Self::Decimal128(_) => "decimal",
            Self::MinKey => "minKey",
            Self::MaxKey => "maxKey",
        }
    }
}
