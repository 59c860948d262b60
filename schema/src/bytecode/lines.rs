//! `co_linetable`: the line that each code unit belongs to.
//!
//! The format is CPython's "location table", the same in 3.12, 3.13 and 3.14
//! (`Objects/locations.md` in its sources).

/// The entry in [`LineTable::by_unit`] of a unit without a line.
pub const NO_LINE: u32 = u32::MAX;

/// The lines of one code object, by code unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineTable {
    lines: Vec<u32>,
}

impl LineTable {
    /// Decodes `co_linetable`. The table ends at the first invalid byte; units after it have no
    /// line.
    pub fn decode(table: &[u8], first_line: u32) -> LineTable {
        let mut lines = Vec::new();
        let mut line = i64::from(first_line);
        let mut at = 0;
        while let Some(&head) = table.get(at) {
            if head & 0x80 == 0 || lines.len() > 1 << 26 {
                break;
            }
            at += 1;
            let units = usize::from(head & 7) + 1;
            let code = head >> 3 & 15;
            let mut has_line = true;
            match code {
                0..=9 => at += 1,
                10..=12 => {
                    line += i64::from(code) - 10;
                    at += 2;
                }
                13 => line += signed_varint(table, &mut at),
                14 => {
                    line += signed_varint(table, &mut at);
                    varint(table, &mut at);
                    varint(table, &mut at);
                    varint(table, &mut at);
                }
                _ => has_line = false,
            }
            let value = if has_line { u32::try_from(line).unwrap_or(NO_LINE) } else { NO_LINE };
            lines.resize(lines.len() + units, value);
        }
        LineTable { lines }
    }

    /// The line of the instruction at this code unit; `None` if it has none. Line 0 counts as none:
    /// CPython uses it for code that is on no line.
    pub fn line(&self, unit: u32) -> Option<u32> {
        self.lines.get(unit as usize).copied().filter(|line| is_line(*line))
    }

    /// The line of the first instruction from this code unit on that has a line. An exception
    /// handler begins with an instruction without one.
    pub fn line_from(&self, unit: u32) -> Option<u32> {
        self.lines.get(unit as usize..)?.iter().copied().find(|line| is_line(*line))
    }

    /// The smallest and largest line; `None` if no unit has a line.
    pub fn range(&self) -> Option<(u32, u32)> {
        let with_line = || self.lines.iter().copied().filter(|line| is_line(*line));
        Some((with_line().min()?, with_line().max()?))
    }

    /// The lines by code unit; 0 and [`NO_LINE`] where there is no line. CPython reports LINE
    /// events for 0, but not for [`NO_LINE`].
    pub fn by_unit(&self) -> &[u32] {
        &self.lines
    }
}

fn is_line(line: u32) -> bool {
    line != 0 && line != NO_LINE
}

fn varint(table: &[u8], at: &mut usize) -> u64 {
    let (mut value, mut shift) = (0u64, 0u32);
    while let Some(&byte) = table.get(*at) {
        *at += 1;
        if shift < 60 {
            value |= u64::from(byte & 63) << shift;
        }
        shift += 6;
        if byte & 64 == 0 {
            break;
        }
    }
    value
}

fn signed_varint(table: &[u8], at: &mut usize) -> i64 {
    let value = varint(table, at);
    let magnitude = (value >> 1) as i64;
    if value & 1 == 1 { -magnitude } else { magnitude }
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
        let lines = LineTable::decode(&table, 1);
        assert_eq!(lines.line(0), Some(1));
        assert_eq!(lines.line(1), Some(2));
        assert_eq!(lines.line(lines.by_unit().len() as u32 - 1), Some(3));
        assert_eq!(lines.range(), Some((1, 3)));
        assert_eq!(lines.line(1000), None);
        assert_eq!((lines.line_from(0), lines.line_from(1000)), (Some(1), None));
    }

    #[test]
    fn garbage_ends_the_table() {
        assert_eq!(LineTable::decode(&[0x00, 0xff], 1), LineTable::default());
        LineTable::decode(&[0xf7, 0xff, 0xff, 0xff], u32::MAX);
    }
}
