//! The virtual tables, a file each.

/// Numbers the columns of a table in the order given, which must be that of the declaration.
macro_rules! columns {
    ($($name:ident)*) => {
        columns!(@number 0; $($name)*);
        #[cfg(test)]
        pub(in crate::sql) const COLUMNS: &[&str] = &[$(stringify!($name)),*];
    };
    (@number $n:expr; $name:ident $($rest:ident)*) => {
        // Columns that are always NULL are never mentioned.
        #[allow(dead_code)]
        const $name: usize = $n;
        columns!(@number $n + 1; $($rest)*);
    };
    (@number $n:expr;) => {};
}

mod at;
mod calls;
mod candidates;
mod changes;
mod events;
mod exceptions;
mod locals_at;
mod mutations;
mod object_at;
mod replay;
mod stack_at;
mod variables;

pub(super) use calls::Calls;
pub(super) use events::Events;
pub(super) use exceptions::Exceptions;
pub(super) use locals_at::LocalsAt;
pub(super) use mutations::Mutations;
pub(super) use object_at::ObjectAt;
pub(super) use stack_at::StackAt;
pub(super) use variables::Variables;

/// A row's identity, of its run and its number there.
fn rowid(run_id: i64, seq: i64) -> i64 {
    run_id.wrapping_shl(44) ^ seq
}

/// For columns of SQL, which has no larger integers.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    /// The numbers used in the code are the positions in the declaration.
    #[test]
    fn columns_are_in_the_order_of_the_declaration() {
        for (table, columns) in [
            ("events", super::events::COLUMNS),
            ("calls", super::calls::COLUMNS),
            ("exceptions", super::exceptions::COLUMNS),
            ("variables", super::variables::COLUMNS),
            ("mutations", super::mutations::COLUMNS),
            ("stack_at", super::stack_at::COLUMNS),
            ("locals_at", super::locals_at::COLUMNS),
            ("object_at", super::object_at::COLUMNS),
        ] {
            let declared = dashcam_schema::tables::find(table).expect(table).columns;
            let declared: Vec<_> = declared.iter().map(|c| c.name.to_uppercase()).collect();
            assert_eq!(columns, declared, "{table}");
        }
    }
}
