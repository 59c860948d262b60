//! The columns of a chunk of values, decompressed.

use super::{COLUMN_BYTES_MAX, COLUMNS, Column, Header, VALUES_MAX};
use crate::chunk::{self, HEADER, Int, PREFIX, VALUES_MAGIC, unpack};
use crate::error::FormatError;

/// A chunk whose header was checked.
pub(super) struct Columns<'a> {
    bytes: &'a [u8],
    pub(super) header: Header,
    offsets: [usize; COLUMNS],
}

impl<'a> Columns<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Columns<'a>, FormatError> {
        let (magic, header, mut offset): (_, Header, _) = chunk::read_header(bytes)?;
        if magic != VALUES_MAGIC {
            return Err(FormatError::invalid(HEADER, 0, "not the header of a chunk of values"));
        }
        if header.columns.len() != COLUMNS {
            return Err(FormatError::invalid(HEADER, PREFIX, "impossible number of columns"));
        }
        let mut offsets = [0; COLUMNS];
        for (at, column) in offsets.iter_mut().zip(&header.columns) {
            *at = offset;
            offset += column.packed as usize;
        }
        Ok(Columns { bytes, header, offsets })
    }

    pub(super) fn raw(&self, column: Column) -> Result<Vec<u8>, FormatError> {
        let (header, offset) = (&self.header.columns[column as usize], self.offset(column));
        header.read(self.bytes, column.name(), offset, COLUMN_BYTES_MAX)
    }

    pub(super) fn ints<T: Int>(&self, column: Column) -> Result<Vec<T>, FormatError> {
        let count = self.header.columns[column as usize].count as usize;
        if count > VALUES_MAX {
            return Err(self.invalid(column, "longer than a column may be"));
        }
        let raw = self.raw(column)?;
        unpack(&raw, count).ok_or_else(|| self.invalid(column, "malformed integers"))
    }

    /// Returns numbers of 64 bits whose halves are in separate columns.
    pub(super) fn wide(&self, low: Column, high: Column) -> Result<Vec<u64>, FormatError> {
        let (mut wide, highs) = (self.ints::<u64>(low)?, self.ints::<u32>(high)?);
        if wide.len() != highs.len() {
            return Err(self.invalid(high, "halves of unequal number"));
        }
        let mut lows = 0;
        for (low, high) in wide.iter_mut().zip(highs) {
            lows |= *low;
            *low |= u64::from(high) << 32;
        }
        if lows > u32::MAX.into() {
            return Err(self.invalid(low, "malformed integers"));
        }
        Ok(wide)
    }

    fn offset(&self, column: Column) -> usize {
        self.offsets[column as usize]
    }

    pub(super) fn invalid(&self, column: Column, what: impl ToString) -> FormatError {
        FormatError::invalid(column.name(), self.offset(column), what)
    }
}
