//! Computes `+ - * / // %` on numbers, exactly as Python does.

use super::error::InspectError;
use super::evaluate::Evaluated;
use super::operand::Operand;
use super::parse::Arithmetic;
use num_bigint::{BigInt, BigUint};
use num_traits::{Signed, ToPrimitive, Zero};

/// Maximum number of bits of both operands together.
const BITS_MAX: u64 = 1 << 17;

fn invalid(message: &str) -> InspectError {
    InspectError::Invalid(message.to_owned())
}

/// Computes a binary operator on two numbers.
///
/// # Errors
/// If Python would raise an exception, or an operand is not an int, bool or float.
pub(super) fn compute(
    a: &Operand,
    how: Arithmetic,
    b: &Operand,
) -> Result<Evaluated, InspectError> {
    let int = |operand: &Operand| match operand {
        Operand::Int(value) => Some(value.clone()),
        Operand::Bool(value) => Some(BigInt::from(*value)),
        _ => None,
    };
    if let (Some(a), Some(b)) = (int(a), int(b)) {
        return ints(&a, how, &b);
    }
    let float = |operand: &Operand| match operand {
        Operand::Float(value) => Ok(*value),
        other => match int(other) {
            Some(value) => to_float(&value),
            None => Err(not_computed(a, how, b)),
        },
    };
    floats(float(a)?, how, float(b)?).map(Evaluated::Float)
}

fn not_computed(a: &Operand, how: Arithmetic, b: &Operand) -> InspectError {
    let sign = match how {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::FloorDivide => "//",
        Arithmetic::Modulo => "%",
    };
    let (a, b) = (a.class(), b.class());
    InspectError::Invalid(format!(
        "{sign} is computed of int and float only, not of '{a}' and '{b}'"
    ))
}

fn ints(a: &BigInt, how: Arithmetic, b: &BigInt) -> Result<Evaluated, InspectError> {
    if a.bits() + b.bits() > BITS_MAX {
        return Err(invalid("the number gets too large"));
    }
    let divides = matches!(how, Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo);
    if divides && b.is_zero() {
        return Err(invalid("division by zero"));
    }
    // The quotient is rounded down, so the remainder has the sign of the divisor.
    let rest = || {
        let rest = a % b;
        if !rest.is_zero() && rest.is_negative() != b.is_negative() { rest + b } else { rest }
    };
    Ok(Evaluated::Int(match how {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => return divide(a, b).map(Evaluated::Float),
        Arithmetic::FloorDivide => (a - rest()) / b,
        Arithmetic::Modulo => rest(),
    }))
}

/// An int as the nearest float.
fn to_float(value: &BigInt) -> Result<f64, InspectError> {
    divide(value, &BigInt::from(1)).map_err(|_| invalid("int too large to convert to float"))
}

/// The quotient of two ints as a float, rounded once.
fn divide(a: &BigInt, b: &BigInt) -> Result<f64, InspectError> {
    if a.is_zero() {
        return Ok(0.0);
    }
    let is_negative = a.is_negative() != b.is_negative();
    let (a, b) = (a.magnitude(), b.magnitude());
    // With this shift the quotient has 55 or 56 bits, at least two more than a float has. These and
    // `is_exact` decide how it is rounded.
    let shift = 55 - (a.bits() as i64 - b.bits() as i64);
    let (a, b) = match shift >= 0 {
        true => (a << shift.unsigned_abs(), b.clone()),
        false => (a.clone(), b << shift.unsigned_abs()),
    };
    let quotient: BigUint = &a / &b;
    let is_exact = (&quotient * &b) == a;
    let mut bits = quotient.to_u64().unwrap_or(u64::MAX);
    let mut exponent = -shift;
    // Bits that do not fit into the float. A float below the smallest normal one holds fewer bits.
    let length = i64::from(64 - bits.leading_zeros());
    let lost = (length - 53).max(-1074 - exponent);
    if lost > 60 {
        return Ok(if is_negative { -0.0 } else { 0.0 });
    }
    let lost = lost.max(0);
    let (mask, half) = ((1u64 << lost) - 1, (1u64 << lost) >> 1);
    let rest = bits & mask;
    bits >>= lost;
    exponent += lost;
    let is_more = rest > half || (rest == half && !is_exact);
    if lost > 0 && (is_more || (rest == half && bits & 1 == 1)) {
        bits += 1;
    }
    let length = i64::from(64 - bits.leading_zeros());
    if length + exponent > 1024 {
        return Err(invalid("integer division result too large for a float"));
    }
    // Both multiplications are exact: there are at most 53 bits, and none below the smallest float.
    let first = exponent.clamp(-1000, 900);
    let power = |exponent: i64| 2f64.powi(exponent as i32);
    let value = bits as f64 * power(first) * power(exponent - first);
    Ok(if is_negative { -value } else { value })
}

fn floats(a: f64, how: Arithmetic, b: f64) -> Result<f64, InspectError> {
    let divides = matches!(how, Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo);
    if divides && b == 0.0 {
        return Err(invalid("division by zero"));
    }
    // As in CPython's `float_divmod`.
    let rest = || {
        let rest = a % b;
        match rest == 0.0 {
            true => 0f64.copysign(b),
            false if (b < 0.0) != (rest < 0.0) => rest + b,
            false => rest,
        }
    };
    Ok(match how {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Modulo => rest(),
        Arithmetic::FloorDivide => {
            let first = a % b;
            let mut quotient = (a - first) / b;
            if first != 0.0 && (b < 0.0) != (first < 0.0) {
                quotient -= 1.0;
            }
            if quotient == 0.0 {
                return Ok(0f64.copysign(a / b));
            }
            let floor = quotient.floor();
            if quotient - floor > 0.5 { floor + 1.0 } else { floor }
        }
    })
}

/// The negated number.
pub(super) fn negative(of: &Operand) -> Result<Evaluated, InspectError> {
    match of {
        Operand::Int(value) => Ok(Evaluated::Int(-value)),
        Operand::Bool(value) => Ok(Evaluated::Int(-BigInt::from(*value))),
        Operand::Float(value) => Ok(Evaluated::Float(-value)),
        other => Err(InspectError::Invalid(format!(
            "- is computed of int and float only, not of '{}'",
            other.class()
        ))),
    }
}
