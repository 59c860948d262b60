//! `co_linetable`: the part of the source that each code unit belongs to.

/// A part of the source. Columns are in bytes, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub line: u32,
    pub end_line: u32,
    pub column: u32,
    pub end_column: u32,
}

/// The parts of the source of one code object, by code unit. Columns are missing if the interpreter
/// was started with an option that removes them.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    /// The spans, each with the unit where it ends (exclusive).
    entries: Vec<(u32, Option<Span>)>,
}

impl Spans {
    /// Decodes `co_linetable`. The table ends at the first invalid byte.
    pub fn decode(table: &[u8], first_line: u32) -> Spans {
        let mut entries = Vec::new();
        let (mut line, mut units, mut at) = (i64::from(first_line), 0u32, 0);
        while let Some(&head) = table.get(at) {
            if head & 0x80 == 0 || units > 1 << 26 {
                break;
            }
            at += 1;
            units += u32::from(head & 7) + 1;
            let code = head >> 3 & 15;
            let mut byte = || {
                at += 1;
                table.get(at - 1).map(|byte| i64::from(*byte))
            };
            let found = match code {
                0..=9 => byte().map(|byte| {
                    let column = i64::from(code) << 3 | byte >> 4;
                    (0, 0, column, column + (byte & 15))
                }),
                10..=12 => match (byte(), byte()) {
                    (Some(column), Some(end)) => Some((i64::from(code) - 10, 0, column, end)),
                    _ => None,
                },
                13 => Some((signed(&mut byte), 0, -1, -1)),
                14 => {
                    let (lines, more) = (signed(&mut byte), number(&mut byte));
                    Some((lines, more, number(&mut byte) - 1, number(&mut byte) - 1))
                }
                _ => None,
            };
            let span = found.and_then(|(lines, more, column, end_column)| {
                line = line.saturating_add(lines);
                Some(Span {
                    line: line.try_into().ok()?,
                    end_line: line.saturating_add(more).try_into().ok()?,
                    column: column.try_into().ok()?,
                    end_column: end_column.try_into().ok()?,
                })
            });
            entries.push((units, span));
        }
        Spans { entries }
    }

    /// The part of the source that the instruction at a unit belongs to.
    pub fn span(&self, unit: u32) -> Option<Span> {
        let at = self.entries.partition_point(|(end, _)| *end <= unit);
        self.entries.get(at)?.1
    }
}

fn number(byte: &mut impl FnMut() -> Option<i64>) -> i64 {
    let (mut value, mut shift) = (0, 0);
    while let Some(next) = byte() {
        if shift < 60 {
            value |= (next & 63) << shift;
        }
        shift += 6;
        if next & 64 == 0 {
            break;
        }
    }
    value
}

fn signed(byte: &mut impl FnMut() -> Option<i64>) -> i64 {
    let value = number(byte);
    if value & 1 == 1 { -(value >> 1) } else { value >> 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `def f(x):\n    y = x + 1\n    return y\n` compiled by CPython 3.13.0 (first line 1).
    #[test]
    fn decodes_what_cpython_encodes() {
        let table = [
            0x80, 0x00, 0xd8, 0x08, 0x09, 0x88, 0x41, 0x89, 0x05, 0x80, 0x41, 0xd8, 0x0b, 0x0c,
            0x80, 0x48,
        ];
        let spans = Spans::decode(&table, 1);
        let span =
            |line, column, end_column| Some(Span { line, end_line: line, column, end_column });
        assert_eq!(spans.span(1), span(2, 8, 9));
        assert_eq!(spans.span(3), span(2, 8, 13));
        assert_eq!(spans.span(1000), None);
    }

    #[test]
    fn garbage_ends_the_table() {
        assert_eq!(Spans::decode(&[0x00, 0xff], 1).span(0), None);
        Spans::decode(&[0xf7, 0xff, 0xff, 0xff, 0xf0], u32::MAX);
    }
}
