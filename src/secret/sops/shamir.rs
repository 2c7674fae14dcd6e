//! Parts of a data key that was shared among key groups → the key (Shamir's scheme over GF(2⁸) with the polynomial of
//! AES; the last byte of a part is its x).

use zeroize::Zeroizing;

/// Puts the key together; nothing where the parts do not belong together.
pub(super) fn combine(parts: &[Zeroizing<Vec<u8>>]) -> Option<Zeroizing<Vec<u8>>> {
    let shares: Vec<(u8, &[u8])> =
        parts.iter().map(|part| part.split_last().map(|(x, ys)| (*x, ys))).collect::<Option<_>>()?;
    let (_, first) = shares.first()?;
    let length = first.len();
    let distinct = |index: usize, x: u8| shares.iter().skip(index + 1).all(|(other, _)| *other != x);
    if shares.iter().enumerate().any(|(index, (x, ys))| *x == 0 || ys.len() != length || !distinct(index, *x)) {
        return None;
    }
    let mut key = Zeroizing::new(vec![0; length]);
    for (x, ys) in &shares {
        // Lagrange's basis at 0.
        let mut basis = 1;
        for (other, _) in shares.iter().filter(|(other, _)| other != x) {
            basis = times(basis, times(*other, inverse(x ^ other)));
        }
        for (byte, y) in key.iter_mut().zip(ys.iter()) {
            *byte ^= times(basis, *y);
        }
    }
    Some(key)
}

fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & 0_u8.wrapping_sub(b & 1);
        a = (a << 1) ^ (0x1b & 0_u8.wrapping_sub(a >> 7));
        b >>= 1;
    }
    product
}

/// By Fermat: a²⁵⁴.
fn inverse(a: u8) -> u8 {
    (1..=7)
        .fold((1, a), |(product, power), _| {
            let square = times(power, power);
            (times(product, square), square)
        })
        .0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_an_inverse() {
        assert!((1..=255).all(|a| times(a, inverse(a)) == 1));
        assert_eq!(times(0x53, 0xca), 1);
    }

    #[test]
    fn parts_that_do_not_belong_together_give_nothing() {
        let part = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        // The line through (1, 5) and (2, 6) in GF(2⁸).
        assert!(combine(&[part(&[5, 1]), part(&[6, 2])]).is_some());
        for parts in
            [vec![], vec![part(&[])], vec![part(&[5, 1]), part(&[6, 1])], vec![part(&[5, 1]), part(&[6, 6, 2])]]
        {
            assert!(combine(&parts).is_none());
        }
    }
}
