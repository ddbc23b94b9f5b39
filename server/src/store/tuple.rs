//! The encoding of keys: FoundationDB's tuple layer, byte for byte, so that its tools show our keys and tuples sort
//! as their elements do. The kinds we use: nothing, byte strings, texts, integers, UUIDs, versionstamps.
//!
//! <https://github.com/apple/foundationdb/blob/main/design/tuple.md>

const NULL: u8 = 0x00;
const BYTES: u8 = 0x01;
const TEXT: u8 = 0x02;
/// Integers have their length in their code: `INT_ZERO ± n` for n bytes.
const INT_ZERO: u8 = 0x14;
const UUID: u8 = 0x30;
const VERSIONSTAMP: u8 = 0x33;
/// Behind a zero byte inside a string.
const ESCAPE: u8 = 0xff;

/// Builds an encoded tuple, element by element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pack(Vec<u8>);

impl Pack {
    /// The empty tuple.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds nothing, as an element.
    #[must_use]
    pub fn null(mut self) -> Self {
        self.0.push(NULL);
        self
    }

    /// Adds a byte string.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.string(BYTES, bytes)
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.string(TEXT, text.as_bytes())
    }

    /// Adds a number.
    #[must_use]
    pub fn uint(mut self, number: u64) -> Self {
        let bytes = number.to_be_bytes();
        let (len, digits) = significant(&bytes);
        self.0.push(INT_ZERO + len);
        self.0.extend_from_slice(digits);
        self
    }

    /// Adds a number that may be negative.
    #[must_use]
    pub fn int(mut self, number: i64) -> Self {
        if number >= 0 {
            return self.uint(number.unsigned_abs());
        }
        let bytes = number.unsigned_abs().to_be_bytes();
        let (len, digits) = significant(&bytes);
        self.0.push(INT_ZERO - len);
        // One's complement, so that larger numbers sort behind.
        self.0.extend(digits.iter().map(|digit| !digit));
        self
    }

    /// Adds a UUID.
    #[must_use]
    pub fn uuid(mut self, uuid: [u8; 16]) -> Self {
        self.0.push(UUID);
        self.0.extend_from_slice(&uuid);
        self
    }

    /// Adds a versionstamp that is known: ten bytes of the commit's, two of the writer's own.
    #[must_use]
    pub fn versionstamp(mut self, stamp: [u8; 10], own: u16) -> Self {
        self.0.push(VERSIONSTAMP);
        self.0.extend_from_slice(&stamp);
        self.0.extend_from_slice(&own.to_be_bytes());
        self
    }

    /// Ends the part before a versionstamp that the commit fills in: `(prefix, suffix)` for
    /// [`Txn::set_versionstamped_key`](super::Txn::set_versionstamped_key). Several in one transaction differ by `own`.
    #[must_use]
    pub fn versionstamp_to_come(mut self, own: u16) -> (Vec<u8>, Vec<u8>) {
        self.0.push(VERSIONSTAMP);
        (self.0, own.to_be_bytes().to_vec())
    }

    /// The encoded tuple.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.0
    }

    fn string(mut self, code: u8, bytes: &[u8]) -> Self {
        self.0.push(code);
        for &byte in bytes {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(ESCAPE);
            }
        }
        self.0.push(0);
        self
    }
}

/// How many bytes a big-endian number needs, and those.
fn significant(bytes: &[u8; 8]) -> (u8, &[u8]) {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    (u8::try_from(digits.len()).unwrap_or(8), digits)
}

/// Bytes that are not the tuple that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the tuple it should be: expected {expected}")]
pub struct TupleError {
    expected: &'static str,
}

/// Takes an encoded tuple apart, element by element.
#[derive(Debug, Clone, Copy)]
pub struct Unpack<'a>(&'a [u8]);

impl<'a> Unpack<'a> {
    /// At the tuple's first element.
    #[must_use]
    pub fn new(tuple: &'a [u8]) -> Self {
        Self(tuple)
    }

    /// Takes a nothing.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn null(&mut self) -> Result<(), TupleError> {
        self.code(NULL, "nothing")
    }

    /// Takes a byte string.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn bytes(&mut self) -> Result<Vec<u8>, TupleError> {
        self.code(BYTES, "a byte string")?;
        self.string()
    }

    /// Takes a text.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn text(&mut self) -> Result<String, TupleError> {
        self.code(TEXT, "a text")?;
        String::from_utf8(self.string()?).map_err(|_| TupleError { expected: "UTF-8" })
    }

    /// Takes a number that is not negative.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn uint(&mut self) -> Result<u64, TupleError> {
        let error = TupleError { expected: "a number of at most 64 bits" };
        let len = self.peek().and_then(|code| code.checked_sub(INT_ZERO)).filter(|&len| len <= 8).ok_or(error)?;
        self.take(1)?;
        Ok(number(self.take(len.into())?))
    }

    /// Takes a number.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn int(&mut self) -> Result<i64, TupleError> {
        let error = TupleError { expected: "a number of at most 63 bits and a sign" };
        let code = self.peek().ok_or(error)?;
        if code >= INT_ZERO {
            return i64::try_from(self.uint()?).map_err(|_| error);
        }
        let len = INT_ZERO - code;
        if len > 8 {
            return Err(error);
        }
        self.take(1)?;
        let complement = self.take(len.into())?;
        let ones = u64::MAX.checked_shr(64 - 8 * u32::from(len)).unwrap_or(0);
        0i64.checked_sub_unsigned(number(complement) ^ ones).ok_or(error)
    }

    /// Takes a UUID.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn uuid(&mut self) -> Result<[u8; 16], TupleError> {
        self.code(UUID, "a UUID")?;
        self.array()
    }

    /// Takes a versionstamp: the commit's part and the writer's own.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn versionstamp(&mut self) -> Result<([u8; 10], u16), TupleError> {
        self.code(VERSIONSTAMP, "a versionstamp")?;
        Ok((self.array()?, u16::from_be_bytes(self.array()?)))
    }

    /// Takes what must come next, such as the elements that all keys of a range begin with.
    ///
    /// # Errors
    /// Where something else comes next.
    pub fn skip(&mut self, prefix: &[u8]) -> Result<(), TupleError> {
        self.0 = self.0.strip_prefix(prefix).ok_or(TupleError { expected: "the prefix of the range" })?;
        Ok(())
    }

    /// Whether that was all.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes sure that that was all.
    ///
    /// # Errors
    /// Where more comes.
    pub fn done(self) -> Result<(), TupleError> {
        if self.is_done() { Ok(()) } else { Err(TupleError { expected: "the end" }) }
    }

    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn code(&mut self, code: u8, expected: &'static str) -> Result<(), TupleError> {
        if self.peek() != Some(code) {
            return Err(TupleError { expected });
        }
        self.take(1).map(|_| ())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], TupleError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(TupleError { expected: "more bytes" })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TupleError> {
        self.take(N)?.try_into().map_err(|_| TupleError { expected: "more bytes" })
    }

    fn string(&mut self) -> Result<Vec<u8>, TupleError> {
        let mut string = Vec::new();
        loop {
            let [byte] = self.array()?;
            if byte == 0 {
                if self.peek() != Some(ESCAPE) {
                    return Ok(string);
                }
                self.take(1)?;
            }
            string.push(byte);
        }
    }
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, &digit| (number << 8) | u64::from(digit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Known from FoundationDB: its design document and the outputs of its Python binding.
    #[test]
    fn known_vectors() {
        assert_eq!(Pack::new().null().done(), b"\x00");
        assert_eq!(Pack::new().bytes(b"foo\x00bar").done(), b"\x01foo\x00\xffbar\x00");
        assert_eq!(Pack::new().bytes(b"").done(), b"\x01\x00");
        assert_eq!(Pack::new().text("F\u{d4}O\u{0}bar").done(), b"\x02F\xc3\x94O\x00\xffbar\x00");
        assert_eq!(Pack::new().int(-5_551_212).done(), b"\x11\xab\x4b\x93");
        let ints: [(i64, &[u8]); 13] = [
            (0, b"\x14"),
            (1, b"\x15\x01"),
            (-1, b"\x13\xfe"),
            (255, b"\x15\xff"),
            (256, b"\x16\x01\x00"),
            (-255, b"\x13\x00"),
            (-256, b"\x12\xfe\xff"),
            (65_535, b"\x16\xff\xff"),
            (65_536, b"\x17\x01\x00\x00"),
            (-65_536, b"\x11\xfe\xff\xff"),
            (i64::MAX, b"\x1c\x7f\xff\xff\xff\xff\xff\xff\xff"),
            (-i64::MAX, b"\x0c\x80\x00\x00\x00\x00\x00\x00\x00"),
            (i64::MIN, b"\x0c\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ];
        for (int, bytes) in ints {
            assert_eq!(Pack::new().int(int).done(), bytes, "{int}");
        }
        assert_eq!(Pack::new().uint(u64::MAX).done(), b"\x1c\xff\xff\xff\xff\xff\xff\xff\xff");
        let uuid: [u8; 16] = *b"0123456789abcdef";
        assert_eq!(Pack::new().uuid(uuid).done(), b"\x300123456789abcdef");
        let stamp = Pack::new().versionstamp(*b"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x02", 3).done();
        assert_eq!(stamp, b"\x33\x00\x00\x00\x00\x00\x00\x00\x01\x00\x02\x00\x03");
        let (prefix, suffix) = Pack::new().uint(1).versionstamp_to_come(3);
        assert_eq!((prefix.as_slice(), suffix.as_slice()), (&b"\x15\x01\x33"[..], &b"\x00\x03"[..]));
    }

    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
    enum Element {
        Null,
        Bytes(Vec<u8>),
        Text(String),
        Int(i64),
        Uuid([u8; 16]),
        Versionstamp([u8; 10], u16),
    }

    fn element() -> impl Strategy<Value = Element> {
        prop_oneof![
            Just(Element::Null),
            prop::collection::vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..6).prop_map(Element::Bytes),
            "[a-b\u{0}é]{0,4}".prop_map(Element::Text),
            prop_oneof![any::<i64>(), -300i64..300].prop_map(Element::Int),
            any::<[u8; 16]>().prop_map(Element::Uuid),
            (any::<[u8; 10]>(), any::<u16>()).prop_map(|(stamp, own)| Element::Versionstamp(stamp, own)),
        ]
    }

    fn pack(tuple: &[Element]) -> Vec<u8> {
        let packed = tuple.iter().fold(Pack::new(), |pack, element| match element {
            Element::Null => pack.null(),
            Element::Bytes(bytes) => pack.bytes(bytes),
            Element::Text(text) => pack.text(text),
            Element::Int(int) => pack.int(*int),
            Element::Uuid(uuid) => pack.uuid(*uuid),
            Element::Versionstamp(stamp, own) => pack.versionstamp(*stamp, *own),
        });
        packed.done()
    }

    proptest! {
        #[test]
        fn tuples_come_back(tuple in prop::collection::vec(element(), 0..5)) {
            let packed = pack(&tuple);
            let mut unpack = Unpack::new(&packed);
            for element in &tuple {
                let back = match element {
                    Element::Null => unpack.null().map(|()| Element::Null),
                    Element::Bytes(_) => unpack.bytes().map(Element::Bytes),
                    Element::Text(_) => unpack.text().map(Element::Text),
                    Element::Int(_) => unpack.int().map(Element::Int),
                    Element::Uuid(_) => unpack.uuid().map(Element::Uuid),
                    Element::Versionstamp(..) => unpack.versionstamp().map(|(s, o)| Element::Versionstamp(s, o)),
                };
                prop_assert_eq!(back.as_ref(), Ok(element));
            }
            prop_assert_eq!(unpack.done(), Ok(()));
        }

        #[test]
        fn bytes_sort_as_tuples_do(
            one in prop::collection::vec(element(), 0..4),
            other in prop::collection::vec(element(), 0..4),
        ) {
            prop_assert_eq!(pack(&one).cmp(&pack(&other)), one.cmp(&other));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let start = Unpack::new(&bytes);
            let _ = (start.clone().bytes(), start.clone().text(), start.clone().uint(), start.clone().int());
            let _ = (start.clone().uuid(), start.clone().versionstamp(), start.clone().null());
        }
    }
}
