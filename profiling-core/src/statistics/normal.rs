//! The standard normal distribution.

/// How likely a value above `z` is; its error is below 1.2 parts in ten million of it (the Chebyshev fit of
/// Press et al., "Numerical Recipes", 2nd edition, section 6.2).
pub(super) fn above(z: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + x / 2.0);
    let exponent = COEFFICIENTS.iter().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let tail = t * (exponent - x * x).exp() / 2.0;
    if z < 0.0 { 1.0 - tail } else { tail }
}

/// The value that is exceeded with this probability.
pub(super) fn exceeded_with(probability: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    while high - low > 1e-9 {
        let middle = f64::midpoint(low, high);
        if above(middle) > probability { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_tables() {
        for (z, tail) in [(0.0, 0.5), (1.0, 0.158_655_254), (1.959_963_985, 0.025), (-1.281_551_566, 0.9)] {
            assert!((above(z) / tail - 1.0).abs() < 1e-6, "{z}");
            assert!((exceeded_with(tail) - z).abs() < 1e-5, "{tail}");
        }
        assert!((above(6.0) / 9.865_876_45e-10 - 1.0).abs() < 1e-6);
    }
}
