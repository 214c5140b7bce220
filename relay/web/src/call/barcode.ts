// A clock that a program can read from a picture: one row of black and white blocks at the bottom left of the page.
//
// Layout, as fractions of the page (W wide, H high):
//   the strip covers x from 0 to 40/60 W and y from 29/30 H to H; it has 40 blocks, each 1/60 W wide and 1/30 H high
//   (16 × 18 px at 960×540, 21⅓ × 24 px at 1280×720, 32 × 36 px at 1920×1080);
//   block i is read at x = (i + 0.5)/60 W, y = 59/60 H.
// Blocks, from the left; white is 1, black is 0:
//   0–1    1 0           where white and black of this picture are
//   2–33   32 bits       UTC milliseconds since the epoch modulo 2^32, most significant bit first
//   34–37  4 bits        exclusive or of the eight 4-bit groups of these 32 bits, most significant bit first
//   38–39  0 1           the end
// A block counts as 1 when its brightness is above the mean of blocks 0 and 1; a picture in which these two differ by
// less than 64 of 255, or whose end or check bits are wrong, has no code.

export const BLOCKS = 40;
/** The page is this many blocks wide and half as many high. */
export const BLOCKS_PER_WIDTH = 60;
export const BLOCKS_PER_HEIGHT = 30;
const CONTRAST_MIN = 64;

/** The blocks for a time in UTC milliseconds: 40 values of 0 and 1. */
export function encodeBlocks(utcMs: number): Uint8Array {
  const value = Math.floor(utcMs) % 2 ** 32;
  const blocks = new Uint8Array(BLOCKS);
  blocks[0] = 1;
  for (let bit = 0; bit < 32; bit += 1) blocks[2 + bit] = (value >>> (31 - bit)) & 1;
  const check = checkOf(value);
  for (let bit = 0; bit < 4; bit += 1) blocks[34 + bit] = (check >>> (3 - bit)) & 1;
  blocks[39] = 1;
  return blocks;
}

/** The milliseconds modulo 2^32 from the brightness (0–255) of the 40 blocks; null if there is no valid code. */
export function decodeBlocks(brightness: ArrayLike<number>): number | null {
  if (brightness.length < BLOCKS) return null;
  const white = brightness[0]!;
  const black = brightness[1]!;
  if (white - black < CONTRAST_MIN) return null;
  const bit = (block: number) => (brightness[block]! > (white + black) / 2 ? 1 : 0);

  let value = 0;
  for (let block = 2; block < 34; block += 1) value = ((value << 1) | bit(block)) >>> 0;
  let check = 0;
  for (let block = 34; block < 38; block += 1) check = (check << 1) | bit(block);
  const whole = check === checkOf(value) && bit(38) === 0 && bit(39) === 1;
  return whole ? value : null;
}

/** Reads the code from a picture of the page: RGBA bytes, as a canvas gives them. */
export function decodePicture(rgba: ArrayLike<number>, width: number, height: number): number | null {
  const y = Math.floor((1 - 0.5 / BLOCKS_PER_HEIGHT) * height);
  const brightness = Array.from({ length: BLOCKS }, (_, block) => {
    const x = Math.floor(((block + 0.5) / BLOCKS_PER_WIDTH) * width);
    const at = 4 * (y * width + x);
    return ((rgba[at] ?? 0) + (rgba[at + 1] ?? 0) + (rgba[at + 2] ?? 0)) / 3;
  });
  return decodeBlocks(brightness);
}

/** How old a code is at a time in UTC milliseconds; right for ages up to ±24 days. */
export function ageMs(code: number, utcMs: number): number {
  const difference = (Math.floor(utcMs) % 2 ** 32) - code;
  const half = 2 ** 31;
  return ((((difference + half) % 2 ** 32) + 2 ** 32) % 2 ** 32) - half;
}

function checkOf(value: number): number {
  let check = 0;
  for (let shift = 0; shift < 32; shift += 4) check ^= (value >>> shift) & 15;
  return check;
}
