//! Stands in for `dashcam_schema::value::chunk::Builder` until that is there.

use dashcam_schema::FormatError;
use dashcam_schema::value::{
    Class, ClassNumber, GroupKind, Object, Shape, ShapeNumber, TextNumber, Value,
};
use std::fmt::Write as _;

/// Gathers what a chunk of values holds.
#[derive(Default)]
pub(super) struct Builder {
    text: String,
    texts: TextNumber,
    classes: ClassNumber,
    shapes: ShapeNumber,
}

impl Builder {
    pub(super) fn text(&mut self, text: &[u8]) -> TextNumber {
        let _ = writeln!(self.text, "text {}", text.escape_ascii());
        self.texts += 1;
        self.texts - 1
    }

    pub(super) fn class(&mut self, class: Class) -> ClassNumber {
        let _ = writeln!(self.text, "{class:?}");
        self.classes += 1;
        self.classes - 1
    }

    pub(super) fn shape(&mut self, shape: Shape) -> ShapeNumber {
        let _ = writeln!(self.text, "{shape:?}");
        self.shapes += 1;
        self.shapes - 1
    }

    pub(super) fn group(&mut self, ordinal: u64, kind: GroupKind, values: &[Value]) {
        let _ = writeln!(self.text, "{ordinal} {kind:?} {values:?}");
    }

    pub(super) fn object(&mut self, object: Object) {
        let _ = writeln!(self.text, "{object:?}");
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(super) fn seal(&mut self, _level: i32) -> Result<Vec<u8>, FormatError> {
        Ok(std::mem::take(self).text.into_bytes())
    }
}
