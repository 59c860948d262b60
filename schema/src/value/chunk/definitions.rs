//! The column of classes and shapes. The forms of classes come at the end, since version 8 had
//! none.

use super::COLUMN_BYTES_MAX;
use crate::chunk::bounded;
use crate::value::{Class, Form, Shape, Sort};
use bincode::error::{DecodeError, EncodeError};

pub(super) fn encode(classes: &[Class], shapes: &[Shape]) -> Result<Vec<u8>, EncodeError> {
    let parts = classes.iter().map(|class| (&*class.name, class.sort, class.is_exact));
    let parts: Vec<(&str, Sort, bool)> = parts.collect();
    let forms = classes.iter().zip(0u32..).filter(|(class, _)| class.form != Form::default());
    let forms: Vec<(u32, &Form)> = forms.map(|(class, number)| (number, &class.form)).collect();
    bincode::encode_to_vec((parts, shapes, forms), bounded::<COLUMN_BYTES_MAX>())
}

/// A class without its form.
type Stored = (String, Sort, bool);

pub(super) fn decode(bytes: &[u8]) -> Result<(Vec<Class>, Vec<Shape>), DecodeError> {
    let ((parts, shapes), used): ((Vec<Stored>, _), usize) =
        bincode::decode_from_slice(bytes, bounded::<COLUMN_BYTES_MAX>())?;
    let plain = |(name, sort, is_exact)| Class { name, sort, is_exact, form: Form::default() };
    let mut classes: Vec<Class> = parts.into_iter().map(plain).collect();
    if let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
        let (forms, _): (Vec<(u32, Form)>, usize) =
            bincode::decode_from_slice(rest, bounded::<COLUMN_BYTES_MAX>())?;
        for (number, form) in forms {
            let class = classes.get_mut(number as usize);
            class.ok_or(DecodeError::Other("a form of an unknown class"))?.form = form;
        }
    }
    Ok((classes, shapes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Style;

    #[test]
    fn classes_without_forms_are_read_as_before() {
        let shapes = vec![Shape { names: vec!["x".to_owned()] }];
        let old = (vec![("Point", Sort::Instance, false)], &shapes);
        let old = bincode::encode_to_vec(old, bounded::<COLUMN_BYTES_MAX>()).expect("encoded");
        let plain = Class::plain("Point", Sort::Instance, false);
        assert_eq!(decode(&old).expect("decoded"), (vec![plain.clone()], shapes.clone()));

        let form = Form { style: Style::Items, name: "P".to_owned(), fields: vec!["x".to_owned()] };
        let classes = vec![plain, Class { form, ..Class::plain("P", Sort::Tuple, false) }];
        let new = encode(&classes, &shapes).expect("encoded");
        assert_eq!(decode(&new).expect("decoded"), (classes, shapes));
    }
}
