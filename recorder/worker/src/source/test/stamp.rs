//! The burnt-in clock and the flash.
//!
//! Everything is measured in dots of height/90 pixels. The clock stands on a black band of 23 characters from dot
//! (6, 4): `2026-01-31 23:59:59.967`, UTC, the time of the picture; a character is 5 by 7 dots of light gray in a cell
//! of 6 by 7, black between. The flash is a square of 20 dots from dot (6, 16), white in the pictures of the first
//! tenth of each second and black otherwise. Both lie clear of the blocks around them, so they survive encoding.

use jiff::Timestamp;

const DOTS_HIGH: usize = 90;
const LEFT: usize = 6;
const CLOCK_TOP: usize = 4;
const CELL_WIDTH: usize = 6;
const GLYPH_HEIGHT: usize = 7;
const CLOCK_CHARS: usize = 23;
const FLASH_TOP: usize = 16;
const FLASH_SIZE: usize = 20;
const FLASH_MICROS: i64 = 100_000;

/// Luma of black and white in video range.
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const NO_COLOUR: u8 = 128;

/// One glyph: seven rows, the leftmost dot in bit 4.
type Glyph = [u8; GLYPH_HEIGHT];

const DIGITS: [Glyph; 10] = [
    [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
    [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
    [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
];
const DASH: Glyph = [0, 0, 0, 0b11111, 0, 0, 0];
const COLON: Glyph = [0, 0b00100, 0b00100, 0, 0b00100, 0b00100, 0];
const DOT: Glyph = [0, 0, 0, 0, 0, 0b00110, 0b00110];
const SPACE: Glyph = [0; GLYPH_HEIGHT];

fn glyph(character: char) -> Glyph {
    match character {
        '-' => DASH,
        ':' => COLON,
        '.' => DOT,
        digit => digit.to_digit(10).map_or(SPACE, |digit| DIGITS[digit as usize]),
    }
}

/// A picture in planar YUV 4:2:0 without padding (all our widths are multiples of eight).
struct Picture<'a> {
    planes: &'a mut [u8],
    width: usize,
    height: usize,
}

impl Picture<'_> {
    /// Fills a rectangle, in pixels, with a gray. What lies outside the picture is left out.
    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, gray: u8) {
        let luma = self.width * self.height;
        fill_plane(&mut self.planes[..luma], self.width, [x, y, width, height], gray);
        let chroma = [x / 2, y / 2, width / 2, height / 2];
        for plane in self.planes[luma..].chunks_mut(luma / 4) {
            fill_plane(plane, self.width / 2, chroma, NO_COLOUR);
        }
    }
}

fn fill_plane(plane: &mut [u8], stride: usize, [x, y, width, height]: [usize; 4], value: u8) {
    for row in plane.chunks_mut(stride).skip(y).take(height) {
        let end = (x + width).min(row.len());
        if let Some(part) = row.get_mut(x..end) {
            part.fill(value);
        }
    }
}

/// Draws clock and flash into a picture of the given wall time. Leaves a picture of another layout alone.
pub(super) fn draw(planes: &mut [u8], width: usize, height: usize, utc_micros: i64) {
    let whole = width >= DOTS_HIGH && height >= DOTS_HIGH && planes.len() == width * height * 3 / 2;
    let Ok(time) = Timestamp::from_microsecond(utc_micros) else { return };
    if !whole {
        return;
    }
    let mut picture = Picture { planes, width, height };
    let dot = height / DOTS_HIGH;

    let text = time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
    picture.fill(
        0,
        (CLOCK_TOP - 2) * dot,
        (LEFT * 2 + CLOCK_CHARS * CELL_WIDTH) * dot,
        (GLYPH_HEIGHT + 4) * dot,
        BLACK,
    );
    for (index, character) in text.chars().take(CLOCK_CHARS).enumerate() {
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                let x = LEFT + index * CELL_WIDTH + column;
                picture.fill(x * dot, (CLOCK_TOP + row) * dot, dot, dot, WHITE);
            }
        }
    }

    let flashing = utc_micros.rem_euclid(1_000_000) < FLASH_MICROS;
    let side = FLASH_SIZE * dot;
    picture.fill(LEFT * dot, FLASH_TOP * dot, side, side, if flashing { WHITE } else { BLACK });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the clock as a program would: the brightness at the middle of each dot.
    fn read_clock(planes: &[u8], width: usize, height: usize) -> String {
        let dot = height / DOTS_HIGH;
        let lit = |x: usize, y: usize| planes[(y * dot + dot / 2) * width + x * dot + dot / 2] > 125;
        (0..CLOCK_CHARS)
            .map(|index| {
                let rows: Glyph = std::array::from_fn(|row| {
                    (0..5).fold(0, |bits, column| {
                        bits << 1 | u8::from(lit(LEFT + index * CELL_WIDTH + column, CLOCK_TOP + row))
                    })
                });
                "0123456789-:. ".chars().find(|&known| glyph(known) == rows).unwrap_or('?')
            })
            .collect()
    }

    #[test]
    fn the_clock_reads_back_in_every_profile() {
        for (width, height) in [(960, 540), (1280, 720), (1920, 1080)] {
            let mut planes = vec![77; width * height * 3 / 2];
            draw(&mut planes, width, height, 1_700_000_000_967_000);
            assert_eq!(read_clock(&planes, width, height), "2023-11-14 22:13:20.967");
        }
    }

    #[test]
    fn the_flash_is_white_for_the_first_tenth_of_a_second() {
        let (width, height) = (960, 540);
        let mut planes = vec![77; width * height * 3 / 2];
        for (micros, gray) in [(0, WHITE), (99_999, WHITE), (100_000, BLACK), (999_999, BLACK)] {
            draw(&mut planes, width, height, 1_700_000_000_000_000 + micros);
            let middle = (FLASH_TOP + 10) * 6 * width + (LEFT + 10) * 6;
            assert_eq!(planes[middle], gray, "{micros} µs");
        }
    }

    #[test]
    fn a_picture_of_another_size_is_left_alone() {
        let mut planes = vec![77; 100];
        draw(&mut planes, 960, 540, 0);
        assert!(planes.iter().all(|&byte| byte == 77));
    }
}
