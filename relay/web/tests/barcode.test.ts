import assert from "node:assert/strict";
import { test } from "node:test";
import { ageMs, BLOCKS, decodeBlocks, decodePicture, encodeBlocks } from "../src/call/barcode";

const NOW = 1_795_000_000_123;
const TIMES = [0, 1, NOW, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 7, 8.64e15];

/** A page with the code painted as its layout says, brightness between `black` and `white`. */
function picture(width: number, height: number, utcMs: number, white = 255, black = 0): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(90);
  const blocks = encodeBlocks(utcMs);
  for (let y = Math.round((29 / 30) * height); y < height; y += 1) {
    for (let x = 0; x < Math.round((40 / 60) * width); x += 1) {
      const value = blocks[Math.min(BLOCKS - 1, Math.floor((x / width) * 60))]! ? white : black;
      rgba.fill(value, 4 * (y * width + x), 4 * (y * width + x) + 3);
    }
  }
  return rgba;
}

test("a time comes back from its blocks", () => {
  for (const time of TIMES) {
    const brightness = Array.from(encodeBlocks(time), (bit) => bit * 255);
    assert.equal(decodeBlocks(brightness), time % 2 ** 32);
  }
});

test("a time comes back from pictures of every size, also from a narrow range of brightness", () => {
  for (const [width, height] of [[960, 540], [1280, 720], [1920, 1080], [640, 360], [854, 480]] as const) {
    assert.equal(decodePicture(picture(width, height, NOW, 222, 31), width, height), NOW % 2 ** 32, `${width}×${height}`);
  }
});

test("a single wrong block is noticed, whichever it is", () => {
  for (let block = 0; block < BLOCKS; block += 1) {
    const brightness = Array.from(encodeBlocks(NOW), (bit) => bit * 255);
    brightness[block] = 255 - brightness[block]!;
    assert.equal(decodeBlocks(brightness), null, `block ${block}`);
  }
});

test("black, white and grey pictures have no code", () => {
  for (const grey of [0, 16, 128, 235, 255]) assert.equal(decodeBlocks(new Array(BLOCKS).fill(grey)), null);
  assert.equal(decodeBlocks([]), null);
});

test("an age is right across the wrap of the code", () => {
  const wrap = Math.ceil(NOW / 2 ** 32) * 2 ** 32;
  assert.equal(ageMs((wrap - 400) % 2 ** 32, wrap + 600), 1_000);
  assert.equal(ageMs((wrap + 5) % 2 ** 32, wrap - 5), -10);
  assert.equal(ageMs(NOW % 2 ** 32, NOW + 1_234), 1_234);
});
