
/// `coefficient` ÷ 2^`shift` × `value`, rounded up; saturates.
#[allow(dead_code, clippy::cast_possible_truncation)]
const fn scaled(coefficient: u64, shift: u32, value: u128) -> u64 {
    let (product, is_too_large) = value.overflowing_mul(coefficient as u128);
    if is_too_large || value == u128::MAX {
        return u64::MAX;
    }
    let mut bound = product >> shift;
    if bound << shift != product {
        bound += 1;
    }
    if bound > u64::MAX as u128 {
        return u64::MAX;
    }
    bound as u64
}

#[allow(dead_code)]
const fn linear(n: u64) -> u128 {
    n as u128
}

#[allow(dead_code)]
const fn quadratic(n: u64) -> u128 {
    n as u128 * n as u128
}

#[allow(dead_code)]
const fn cubic(n: u64) -> u128 {
    quadratic(n).saturating_mul(n as u128)
}

/// The logarithm to base 2, times 2^16, rounded up; 0 at 0.
#[allow(dead_code)]
const fn logarithmic(n: u64) -> u128 {
    if n <= 1 {
        return 0;
    }
    let whole = n.ilog2();
    if n.is_power_of_two() {
        return (whole as u128) << 16;
    }
    // From 1 to 2, times 2^63; squared, it tells one binary digit after the other.
    let mut mantissa = (n as u128) << (63 - whole);
    let mut digits = whole as u128;
    let mut place = 0;
    while place < 16 {
        mantissa = (mantissa * mantissa) >> 63;
        let digit = mantissa >> 64;
        mantissa >>= digit;
        digits = (digits << 1) | digit;
        place += 1;
    }
    digits + 1
}

#[allow(dead_code)]
const fn linearithmic(n: u64) -> u128 {
    logarithmic(n).saturating_mul(n as u128)
}
