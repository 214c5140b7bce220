//! Reading bits, as every codec's headers want it.

/// A place in some bytes, in bits.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bits, at most 32, most significant first; `None` at the end.
    pub(super) fn read(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    /// Passes over bits. Past the end it is the next read that fails.
    pub(super) fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// How many zero bits come before the next one bit, which is read too; `None` if there are 32 or more.
    fn leading_zeros(&mut self) -> Option<usize> {
        (0..32).find_map(|zeros| match self.flag() {
            None => Some(None),
            Some(true) => Some(Some(zeros)),
            Some(false) => None,
        })?
    }

    /// `ue(v)` of H.265 §9.2, which is `uvlc()` of AV1 §4.10.3: unsigned Exp-Golomb.
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let zeros = self.leading_zeros()?;
        let rest = self.read(zeros)?;
        Some(((1u64 << zeros) - 1) as u32 + rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_read_as_the_standards_list_them() {
        // 1 010 011 00100 00101, then nothing.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let read: Vec<_> = (0..5).map(|_| bits.exp_golomb()).collect();
        assert_eq!(read, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(bits.exp_golomb(), None);
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0xff]).exp_golomb(), None, "no code has 32 zeros");
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).exp_golomb(), Some(0xffff_fffe));
    }
}
