//! Rows that a scan has found and hands out in batches.

use super::batch::ROWS;

pub(super) struct Found<R> {
    pub(super) rows: Vec<R>,
    /// The number of rows that were handed out.
    given: usize,
    /// Where the last batch begins.
    batch: usize,
}

impl<R> Default for Found<R> {
    fn default() -> Found<R> {
        Found { rows: Vec::new(), given: 0, batch: 0 }
    }
}

impl<R> Found<R> {
    /// Whether all rows were handed out. If so, removes them, and the scan has to find more.
    pub(super) fn is_over(&mut self) -> bool {
        let is_over = self.given == self.rows.len();
        if is_over {
            self.rows.clear();
            self.given = 0;
        }
        is_over
    }

    /// The rows of the next batch.
    pub(super) fn next(&mut self) -> &[R] {
        self.batch = self.given;
        self.given = self.rows.len().min(self.batch + ROWS);
        &self.rows[self.batch..self.given]
    }

    /// A row of the last batch.
    pub(super) fn row(&self, row: usize) -> Option<&R> {
        self.rows.get(self.batch + row)
    }
}
