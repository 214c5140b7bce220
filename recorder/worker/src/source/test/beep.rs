//! The beep: 1 kHz for the first [`BEEP_MICROS`] of each second of UTC.

use std::f64::consts::TAU;

const SAMPLE_RATE: i64 = 48_000;
const TONE_HERTZ: f64 = 1_000.0;
const BEEP_MICROS: i64 = 80_000;
/// Half of full scale, so that no resampler clips it.
const AMPLITUDE: f64 = 16_000.0;

/// Overwrites interleaved stereo S16LE samples, the first of them at `utc_micros`.
pub(super) fn mix(samples: &mut [u8], utc_micros: i64) {
    for (index, frame) in samples.chunks_exact_mut(4).enumerate() {
        let since = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(1_000_000) / SAMPLE_RATE;
        let phase_micros = utc_micros.saturating_add(since).rem_euclid(1_000_000);
        let value = if phase_micros < BEEP_MICROS {
            (AMPLITUDE * (TAU * TONE_HERTZ * phase_micros as f64 / 1e6).sin()) as i16
        } else {
            0
        };
        let [low, high] = value.to_le_bytes();
        frame.copy_from_slice(&[low, high, low, high]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beep_begins_with_the_second_and_is_silent_after_it() {
        let mut samples = vec![1; 4 * 48_000];
        mix(&mut samples, 7_900_000); // a tenth before a second begins
        let loud: Vec<_> = samples.chunks(4).map(|frame| frame != [0; 4]).collect();
        let first = loud.iter().position(|&loud| loud).unwrap();
        let last = loud.iter().rposition(|&loud| loud).unwrap();
        assert!((4_800..4_805).contains(&first), "{first}");
        assert!((8_630..8_641).contains(&last), "{last}");
    }
}
