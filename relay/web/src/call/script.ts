// Who speaks when: a plan of turns that is the same for everybody who opens the call, since it follows from the time
// alone. Pure.

export interface Turn {
  /** Which participant. */
  readonly speaker: number;
  /** Seconds of the turn's own begin and end, on the axis that was asked for. */
  readonly from: number;
  readonly to: number;
}

/** Turns are cut on this raster, in seconds. */
const TURN_SECONDS = 4;
/** The silence at the end of each turn. */
const PAUSE_SECONDS = 0.45;

/** Whose turn it is at a time in seconds, among so many participants. */
export function turnAt(seconds: number, participants: number): Turn {
  const index = Math.floor(seconds / TURN_SECONDS);
  const from = index * TURN_SECONDS;
  return { speaker: speakerOf(index, participants), from, to: from + TURN_SECONDS - PAUSE_SECONDS };
}

/** Whether somebody speaks in this very moment, between the pauses. */
export function isSpeaking(seconds: number, turn: Turn): boolean {
  return seconds >= turn.from && seconds < turn.to;
}

/** How loud a voice is within its turn, 0 to 1: syllables of uneven length and weight. */
export function loudness(seconds: number, turn: Turn): number {
  if (!isSpeaking(seconds, turn)) return 0;
  const syllable = Math.floor(seconds * SYLLABLES_PER_SECOND);
  const within = seconds * SYLLABLES_PER_SECOND - syllable;
  const weight = noise(syllable);
  if (weight < 0.14) return 0;
  return Math.sin(Math.PI * Math.min(1, within * 1.15)) * (0.45 + 0.55 * weight);
}

export const SYLLABLES_PER_SECOND = 4.6;

/** A number from 0 to 1 that looks random but is always the same for the same integer. */
export function noise(integer: number): number {
  let mixed = Math.imul(integer ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

/** Every other turn is for the seats with even numbers, so that nobody has two in a row. */
function speakerOf(index: number, participants: number): number {
  const side = index % 2;
  const seats = Math.ceil((participants - side) / 2);
  return side + 2 * Math.floor(noise(index) * seats);
}
