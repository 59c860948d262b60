use super::*;
use crate::bytecode::code::{Control, plain_instructions};
use proptest::prelude::*;
use std::collections::BTreeSet;

const V: Version = Version::V3_13;
/// `POP_JUMP_IF_FALSE` with its cache, which skips this many units.
const fn jump(units: u8) -> [u8; 4] {
    [97, units, 0, 0]
}
const NOP: [u8; 2] = [30, 0];
const CALL: [u8; 8] = [53, 0, 0, 0, 0, 0, 0, 0];
const RETURN: [u8; 2] = [103, 0];
const RESUME: [u8; 2] = [149, 0];

fn implied(code: &[u8]) -> Vec<u32> {
    let control = Control::of(V, code);
    let units = plain_instructions(V, code);
    let is_branch = |unit: &&Unit| unit.is_start && unit.op == Op::PopJump;
    let branches = units.iter().filter(is_branch).map(|unit| unit.start);
    branches.filter(|unit| control.branches.is_implied(*unit)).collect()
}

#[test]
fn a_call_on_one_side_implies_the_branch() {
    // if a: f()
    let code = [&RESUME[..], &jump(4), &CALL, &RETURN].concat();
    assert_eq!(implied(&code), [1]);
    // if a: b = 1
    let code = [&RESUME[..], &jump(1), &NOP, &RETURN].concat();
    assert!(implied(&code).is_empty());
}

#[test]
fn of_two_conditions_the_first_is_implied() {
    // if a and b: f()
    let code = [&RESUME[..], &jump(6), &jump(4), &CALL, &RETURN].concat();
    assert_eq!(implied(&code), [1]);
}

#[test]
fn a_loop_keeps_an_event() {
    // JUMP_BACKWARD with its cache, to the branch.
    let code = [&RESUME[..], &NOP, &jump(4), &NOP, &NOP, &[77, 6, 0, 0], &RETURN].concat();
    assert!(implied(&code).is_empty());
    let code = [&RESUME[..], &NOP, &jump(6), &CALL, &[77, 8, 0, 0], &RETURN].concat();
    assert_eq!(implied(&code), [2]);
}

/// Returns every path from an instruction without a recorded event in between, by trying them all:
/// the instructions on the path, and where it leads. `None` if there are infinitely many.
fn paths(units: &[Unit], branches: &Branches, from: u32) -> Option<Vec<(Vec<u32>, u32)>> {
    let mut found = Vec::new();
    let mut open = vec![(vec![from], from)];
    while let Some((path, at)) = open.pop() {
        let Some(unit) = units.get(at as usize).filter(|unit| unit.is_start) else { continue };
        found.push((path.clone(), at));
        if path.len() > units.len() + 1 || found.len() > 5000 {
            return None;
        }
        for to in silent_successors(V, unit, branches.is_implied(at)) {
            if to != NO_UNIT {
                open.push(([&path[..], &[to]].concat(), to));
            }
        }
    }
    Some(found)
}

proptest! {
    /// From every place in the code there is one path to each place where something may happen
    /// next.
    #[test]
    fn there_is_one_path(parts in proptest::collection::vec((0u8..9, 0u8..14), 1..14)) {
        let mut code = RESUME.to_vec();
        for (part, operand) in parts {
            match part {
                0 | 1 => code.extend(NOP),
                2 | 3 => code.extend(CALL),
                4 | 5 => code.extend(jump(operand)),
                // FOR_ITER, JUMP_BACKWARD, SEND
                6 => code.extend([72, operand, 0, 0]),
                7 => code.extend([77, operand, 0, 0]),
                _ => code.extend([104, operand, 0, 0]),
            }
        }
        code.extend(RETURN);
        let control = Control::of(V, &code);
        let units = plain_instructions(V, &code);
        if !control.branches.flags.is_empty() {
            prop_assert!(!control.has_silent_cycle);
            for from in units.iter().filter(|unit| unit.is_start) {
                let paths = paths(&units, &control.branches, from.start);
                let paths = paths.expect("infinitely many paths");
                let places: BTreeSet<u32> = paths.iter().map(|(_, at)| *at).collect();
                prop_assert_eq!(places.len(), paths.len(), "from {}", from.start);
            }
        }
    }
}
