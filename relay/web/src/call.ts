// `/call`: a call that needs no people, to try a recorder on and to measure the way from here to a viewer's screen.
//
// Query: `participants=4…6` (default 6), `recorder=1` (shows that it is recorded), `join_ms=1000` (how long joining
// takes), `ends_in=SECONDS` (the call ends by itself). `document.body.dataset.call` is `connecting`, `joined` or
// `ended`; the console says START_RECORDING when joined and END_RECORDING when ended.
// For measuring, all of it on the machine's own UTC clock:
//   the code of call/barcode.ts at the bottom left, anew with each picture;
//   a white square at the top right (x from 19/20 W, y to 4/45 H) and a 1 kHz tone of 60 ms at each full second.

import { Avatar, LOOKS } from "./call/avatar";
import { BLOCKS, encodeBlocks } from "./call/barcode";
import { loudness, turnAt } from "./call/script";
import { CallSound } from "./call/sound";

const PAGE_FPS_MAX = 30;
/** Cameras send less often than the page is drawn; each picture is drawn in turn, so that the work is spread. */
const CAMERA_FPS = 15;
const FLASH_MS = 100;

const query = new URLSearchParams(location.search);
const participants = within(query.get("participants"), 4, 6, 6);
const tiles = byId("tiles");
const clock = byId("clock");
const flash = byId("flash");
const code = byId<HTMLCanvasElement>("code").getContext("2d", { alpha: false });
const strip = code?.createImageData(BLOCKS, 1);

interface Seat {
  readonly avatar: Avatar;
  readonly tile: HTMLElement;
  drawnFrame: number;
}

const seats: Seat[] = LOOKS.slice(0, participants).map((look, seed) => {
  const avatar = new Avatar(look, seed);
  const video = document.createElement("video");
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  video.srcObject = avatar.stream(CAMERA_FPS);
  const name = document.createElement("figcaption");
  name.textContent = look.name;
  const tile = document.createElement("figure");
  tile.className = "tile";
  tile.append(video, name);
  tiles.append(tile);
  void video.play().catch(() => {});
  return { avatar, tile, drawnFrame: -1 };
});
tiles.dataset["columns"] = participants <= 4 ? "2" : "3";

const sound = new CallSound(participants);
let joined = false;
let drawnPage = -1;

window.setTimeout(join, within(query.get("join_ms"), 0, 60_000, 1_000));

function join(): void {
  joined = true;
  document.body.dataset["call"] = "joined";
  byId("banner").hidden = query.get("recorder") !== "1";
  sound.start();
  requestAnimationFrame(frame);
  console.info("START_RECORDING");
  const endsIn = within(query.get("ends_in"), 0, 86_400, 0);
  if (endsIn > 0) window.setTimeout(end, endsIn * 1_000);
}

function end(): void {
  joined = false;
  document.body.dataset["call"] = "ended";
  byId("joining").textContent = "The call has ended.";
  sound.stop();
  for (const seat of seats) seat.tile.remove();
  console.info("END_RECORDING");
}

function frame(): void {
  if (!joined) return;
  requestAnimationFrame(frame);
  const now = Date.now();
  const pageFrame = Math.floor((now * PAGE_FPS_MAX) / 1_000);
  if (pageFrame === drawnPage) return;
  drawnPage = pageFrame;

  drawCode(now);
  clock.textContent = `${new Date(now).toISOString().slice(0, 23).replace("T", " ")} UTC`;
  flash.classList.toggle("on", now % 1_000 < FLASH_MS);
  drawSeats(now / 1_000);
}

function drawCode(now: number): void {
  if (!code || !strip) return;
  encodeBlocks(now).forEach((bit, block) => strip.data.fill(bit * 255, 4 * block, 4 * block + 3));
  for (let block = 0; block < BLOCKS; block += 1) strip.data[4 * block + 3] = 255;
  code.putImageData(strip, 0, 0);
}

function drawSeats(seconds: number): void {
  const turn = turnAt(seconds, participants);
  seats.forEach((seat, index) => {
    const cameraFrame = Math.floor(seconds * CAMERA_FPS + index / participants);
    if (cameraFrame === seat.drawnFrame) return;
    seat.drawnFrame = cameraFrame;
    const speaks = turn.speaker === index;
    seat.avatar.draw(seconds, speaks ? loudness(seconds, turn) : 0);
    seat.tile.classList.toggle("speaking", speaks);
  });
}

function within(text: string | null, least: number, most: number, otherwise: number): number {
  const number = text === null || text === "" ? NaN : Number(text);
  return Number.isFinite(number) ? Math.min(most, Math.max(least, Math.round(number))) : otherwise;
}

function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}
