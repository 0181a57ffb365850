//! Documents and conditions by chance, for tables whose columns are declared.

use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};

/// The columns that every table of chance has, as the configuration declares them.
pub(super) const COLUMNS: &str = r#"columns = [
    { name = "k", type = "BIGINT", path = "_id" },
    { name = "s", type = "STRING" },
    { name = "n", type = "BIGINT" },
    { name = "d", type = "DOUBLE" },
    { name = "b", type = "BOOLEAN" },
    { name = "t", type = "TIMESTAMP" },
    { name = "o", type = "OBJECTID" },
    { name = "x", type = "BINARY" },
    { name = "j", type = "JSON" },
    { name = "ps", type = "STRING", path = "p.s" },
    { name = "pn", type = "BIGINT", path = "p.n" },
    { name = "pqt", type = "TIMESTAMP", path = "p.q.t" },
]"#;

/// Name and what a value of the column is.
pub(super) const KINDS: [(&str, Kind); 12] = [
    ("k", Kind::Integer),
    ("s", Kind::Text),
    ("n", Kind::Integer),
    ("d", Kind::Double),
    ("b", Kind::Boolean),
    ("t", Kind::Instant),
    ("o", Kind::ObjectId),
    ("x", Kind::Binary),
    ("j", Kind::Json),
    ("ps", Kind::Text),
    ("pn", Kind::Integer),
    ("pqt", Kind::Instant),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Double,
    Boolean,
    Instant,
    ObjectId,
    Binary,
    Json,
}

const TEXTS: [&str; 14] = [
    "",
    "a",
    "ab",
    "abc",
    "A",
    "B",
    "b",
    "é",
    "Z",
    "zz",
    "10",
    "it's",
    "a%",
    "\u{1F980}",
];
const INTEGERS: [i64; 14] = [
    0,
    1,
    -1,
    2,
    3,
    7,
    100,
    2_147_483_648,
    9_007_199_254_740_991,
    9_007_199_254_740_992,
    9_007_199_254_740_993,
    i64::MAX,
    i64::MIN,
    -9_007_199_254_740_993,
];
const DOUBLES: [f64; 11] = [
    0.0,
    1.0,
    1.5,
    -1.0,
    2.0,
    3.25,
    -0.5,
    1e300,
    9_007_199_254_740_992.0,
    1e-7,
    7.0,
];
/// 2024-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_704_067_200_000;
const INSTANTS: [i64; 9] = [
    NEW_YEAR,
    NEW_YEAR - 1,
    NEW_YEAR + 1,
    NEW_YEAR + 86_400_000,
    NEW_YEAR + 86_399_999,
    0,
    -1,
    -86_400_000,
    4_102_444_800_000,
];
const IDS: [&str; 4] = [
    "000000000000000000000000",
    "65ab0000000000000000000f",
    "65ab00000000000000000010",
    "ffffffffffffffffffffffff",
];

/// Pseudo-random choices.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % end as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A document: most values fit their column, some are of any type, missing or null.
    pub(super) fn document(&mut self, id: i32) -> Document {
        let mut document = doc! {"_id": id};
        for (name, kind) in KINDS {
            if name.len() == 1 && name != "k" {
                self.put(&mut document, name, kind);
            }
        }
        match self.below(10) {
            0 => {}
            1 => {
                let any = self.any(2);
                document.insert("p", any);
            }
            // A list on the way to a column: nothing of it is seen.
            2 => {
                let list = vec![Bson::Document(self.parts()), Bson::Document(self.parts())];
                document.insert("p", list);
            }
            _ => {
                let parts = self.parts();
                document.insert("p", parts);
            }
        }
        document
    }

    fn parts(&mut self) -> Document {
        let mut parts = Document::new();
        self.put(&mut parts, "s", Kind::Text);
        self.put(&mut parts, "n", Kind::Integer);
        let mut deeper = Document::new();
        self.put(&mut deeper, "t", Kind::Instant);
        match self.below(6) {
            0 => {}
            1 => {
                parts.insert("q", vec![Bson::Document(deeper)]);
            }
            _ => {
                parts.insert("q", deeper);
            }
        }
        parts
    }

    fn put(&mut self, document: &mut Document, name: &str, kind: Kind) {
        let value = match self.below(10) {
            0 => return,
            1 => Bson::Null,
            2 | 3 => self.any(2),
            _ => self.value(kind),
        };
        document.insert(name, value);
    }

    fn value(&mut self, kind: Kind) -> Bson {
        match kind {
            Kind::Text => Bson::String(self.of(&TEXTS).to_owned()),
            Kind::Integer => {
                let number = self.of(&INTEGERS);
                match i32::try_from(number) {
                    Ok(small) if self.one_in(2) => Bson::Int32(small),
                    _ => Bson::Int64(number),
                }
            }
            Kind::Double if self.one_in(4) => self.value(Kind::Integer),
            Kind::Double => Bson::Double(self.of(&DOUBLES)),
            Kind::Boolean => Bson::Boolean(self.one_in(2)),
            Kind::Instant => Bson::DateTime(DateTime::from_millis(self.of(&INSTANTS))),
            Kind::ObjectId => Bson::ObjectId(ObjectId::parse_str(self.of(&IDS)).unwrap()),
            Kind::Binary => Bson::Binary(Binary {
                subtype: BinarySubtype::Generic,
                bytes: vec![0xA5; self.below(3)],
            }),
            Kind::Json => self.any(2),
        }
    }

    /// A value of any type; lists hold no lists, which FerretDB does not take.
    fn any(&mut self, depth: usize) -> Bson {
        let kinds = [
            Kind::Text,
            Kind::Integer,
            Kind::Double,
            Kind::Boolean,
            Kind::Instant,
            Kind::ObjectId,
            Kind::Binary,
        ];
        match self.below(10) {
            0 if depth > 0 => {
                let mut document = Document::new();
                for name in ["s", "n", "a"] {
                    if self.one_in(2) {
                        let value = self.any(depth - 1);
                        document.insert(name, value);
                    }
                }
                Bson::Document(document)
            }
            1 | 2 if depth > 0 => {
                let count = self.below(4);
                Bson::Array((0..count).map(|_| self.element(depth - 1)).collect())
            }
            3 => Bson::Null,
            _ => {
                let kind = self.of(&kinds);
                self.value(kind)
            }
        }
    }

    fn element(&mut self, depth: usize) -> Bson {
        loop {
            match self.any(depth) {
                Bson::Array(_) => {}
                element => return element,
            }
        }
    }

    /// A condition over the columns.
    pub(super) fn condition(&mut self, depth: usize) -> String {
        if depth > 0 && !self.one_in(3) {
            let one = self.condition(depth - 1);
            return match self.below(5) {
                0 => format!("NOT ({one})"),
                1 | 2 => format!("({one} AND {})", self.condition(depth - 1)),
                _ => format!("({one} OR {})", self.condition(depth - 1)),
            };
        }
        let (name, kind) = self.of(&KINDS);
        match self.below(12) {
            0 => format!("{name} IS NULL"),
            1 => format!("{name} IS NOT NULL"),
            2 | 3 => self.list(name, kind),
            4 => {
                let not = self.of(&["", "NOT "]);
                let (low, high) = (self.literal(kind), self.literal(kind));
                format!("{name} {not}BETWEEN {low} AND {high}")
            }
            5 => self.special(name, kind),
            6 => {
                let (comparison, literal) = (self.comparison(), self.literal(kind));
                format!("{literal} {comparison} {name}")
            }
            _ => {
                let (comparison, literal) = (self.comparison(), self.literal(kind));
                format!("{name} {comparison} {literal}")
            }
        }
    }

    fn comparison(&mut self) -> &'static str {
        self.of(&["=", "<>", "<", "<=", ">", ">="])
    }

    fn list(&mut self, name: &str, kind: Kind) -> String {
        let not = self.of(&["", "NOT "]);
        let mut literals: Vec<String> =
            (0..1 + self.below(5)).map(|_| self.literal(kind)).collect();
        if self.one_in(8) {
            literals.push("NULL".to_owned());
        }
        format!("{name} {not}IN ({})", literals.join(", "))
    }

    /// What only some kinds know.
    #[expect(clippy::too_many_lines, reason = "a list")]
    fn special(&mut self, name: &str, kind: Kind) -> String {
        match kind {
            Kind::Text | Kind::ObjectId | Kind::Json => {
                let like = self.of(&["LIKE", "NOT LIKE", "ILIKE"]);
                let pattern = self.of(&[
                    "a%",
                    "%",
                    "_",
                    "a",
                    "%b",
                    "a_%",
                    "é%",
                    "65ab%",
                    "\u{1F980}%",
                    "A%",
                    "10",
                    "a\\%",
                    "",
                    "%a%",
                ]);
                format!("{name} {like} '{pattern}'")
            }
            Kind::Integer => {
                let (comparison, literal) = (self.comparison(), self.literal(Kind::Double));
                self.of(&[
                    format!("{name} {comparison} {literal}").as_str(),
                    &format!("{name} {comparison} k"),
                    &format!("{name} % 2 = 1"),
                    &format!("CAST({name} AS DOUBLE) {comparison} {literal}"),
                ])
                .to_owned()
            }
            Kind::Double => {
                let comparison = self.comparison();
                self.of(&[
                    format!("{name} {comparison} n").as_str(),
                    &format!("{name} {comparison} 1"),
                    &format!("-{name} {comparison} 0.0"),
                ])
                .to_owned()
            }
            Kind::Boolean => {
                let test = self.of(&[
                    "",
                    " IS TRUE",
                    " IS NOT TRUE",
                    " IS FALSE",
                    " IS NOT FALSE",
                    " IS NOT NULL",
                    " = true",
                ]);
                format!("{name}{test}")
            }
            Kind::Instant => {
                let comparison = self.comparison();
                let day = self.of(&[
                    "2023-12-31",
                    "2024-01-01",
                    "2024-01-02",
                    "1970-01-01",
                    "1969-12-31",
                ]);
                self.of(&[
                    format!("CAST({name} AS DATE) {comparison} DATE '{day}'").as_str(),
                    &format!("DATE({name}) {comparison} '{day}'"),
                    &format!("{name} {comparison} DATE '{day}'"),
                    &format!("{name} {comparison} '{day}'"),
                    &format!("year({name}) {comparison} 2024"),
                    &format!("date_trunc('day', {name}) {comparison} DATE '{day}'"),
                    &format!("{name} {comparison} pqt"),
                ])
                .to_owned()
            }
            Kind::Binary => format!("length({name}) > 1"),
        }
    }

    fn literal(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Text => {
                let text = self.of(&TEXTS).replace('\'', "''");
                format!("'{text}'")
            }
            Kind::Integer => match self.of(&INTEGERS) {
                // The digits of the lowest are none of a number with a minus before it.
                i64::MIN => "-9223372036854775807".to_owned(),
                number => number.to_string(),
            },
            Kind::Double if self.one_in(4) => self.literal(Kind::Integer),
            Kind::Double => format!("CAST('{:?}' AS DOUBLE)", self.of(&DOUBLES)),
            Kind::Boolean => self.of(&["true", "false"]).to_owned(),
            Kind::Instant => {
                let millis = self.of(&INSTANTS);
                let instant = chrono::DateTime::from_timestamp_millis(millis).unwrap();
                let micros = self.of(&["", "500"]);
                let text = instant.format("%Y-%m-%dT%H:%M:%S%.3f");
                match self.of(&[true, false]) {
                    true => format!("TIMESTAMP '{text}{micros}Z'"),
                    false => format!("'{text}{micros}Z'"),
                }
            }
            Kind::ObjectId => {
                let id = self.of(&[
                    IDS[0],
                    IDS[1],
                    IDS[2],
                    IDS[3],
                    "",
                    "65AB0000000000000000000F",
                    "65ab",
                    "g",
                ]);
                format!("'{id}'")
            }
            Kind::Binary => self.of(&["X'A5'", "X''", "X'A5A5'"]).to_owned(),
            Kind::Json => self
                .of(&[
                    "'\"a\"'",
                    "'1'",
                    "'true'",
                    "'[]'",
                    "'{}'",
                    "''",
                    "'{\"s\":\"a\"}'",
                    "'1.5'",
                ])
                .to_owned(),
        }
    }
}
