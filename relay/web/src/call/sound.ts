// The call's sound: voices that are recognisably speech-like without saying anything, and each UTC second a short
// 1 kHz blip for measuring picture against sound. One oscillator and three filters serve all voices, since only one
// speaks at a time.

import { isSpeaking, noise, SYLLABLES_PER_SECOND, turnAt } from "./script";

/** Sound is planned this far ahead, in seconds, so that a late timer is not heard. */
const AHEAD_SECONDS = 1.5;
const PLAN_EVERY_MS = 400;
export const BLIP_SECONDS = 0.06;
const BLIP_HERTZ = 1_000;
/** Neutral vowels: the first three resonances of a voice, in hertz. */
const VOWELS = [
  [730, 1090, 2440],
  [530, 1840, 2480],
  [270, 2290, 3010],
  [570, 840, 2410],
  [300, 870, 2240],
  [490, 1350, 1690],
] as const;
/** Each participant's pitch in hertz. */
const PITCHES = [196, 118, 221, 104, 208, 182] as const;

export class CallSound {
  private readonly context = new AudioContext({ latencyHint: "interactive" });
  private readonly voice = this.context.createOscillator();
  private readonly loud = this.context.createGain();
  private readonly blip = this.context.createGain();
  private readonly filters: BiquadFilterNode[];
  private plannedTo = 0;

  constructor(private readonly participants: number) {
    const { context } = this;
    this.voice.type = "sawtooth";
    this.loud.gain.value = 0;
    this.filters = [0, 1, 2].map((formant) => {
      const filter = context.createBiquadFilter();
      filter.type = "bandpass";
      filter.Q.value = 7 + 2 * formant;
      const level = context.createGain();
      level.gain.value = [0.9, 0.5, 0.22][formant]!;
      this.voice.connect(filter).connect(level).connect(this.loud);
      return filter;
    });
    this.loud.connect(context.destination);

    const tone = context.createOscillator();
    tone.frequency.value = BLIP_HERTZ;
    this.blip.gain.value = 0;
    tone.connect(this.blip).connect(context.destination);
    tone.start();
    this.voice.start();
  }

  /** Begins to sound; without permission it stays silent until the page is touched. */
  start(): void {
    const wake = () => void this.context.resume().catch(() => {});
    wake();
    document.addEventListener("pointerdown", wake);
    window.setInterval(() => this.plan(), PLAN_EVERY_MS);
    this.plan();
  }

  stop(): void {
    void this.context.close().catch(() => {});
  }

  /** Writes what is to be heard until AHEAD_SECONDS from now. */
  private plan(): void {
    if (this.context.state !== "running") return;
    const utcNow = Date.now() / 1000;
    const toContext = this.heardNow() - utcNow;
    const until = utcNow + AHEAD_SECONDS;
    // A gap, as after a suspended tab, is skipped, not caught up with.
    const from = Math.max(this.plannedTo, utcNow + 0.05);
    this.planBlips(from, until, toContext);
    this.planSyllables(from, until, toContext);
    this.plannedTo = until;
  }

  /** The context's time of the sound that leaves the loudspeaker now. */
  private heardNow(): number {
    const { contextTime, performanceTime } = this.context.getOutputTimestamp();
    if (contextTime === undefined || performanceTime === undefined || performanceTime === 0) {
      return this.context.currentTime;
    }
    return contextTime + (performance.now() - performanceTime) / 1000;
  }

  private planBlips(from: number, until: number, toContext: number): void {
    for (let second = Math.ceil(from); second < until; second += 1) {
      const begin = second + toContext;
      const { gain } = this.blip;
      gain.setValueAtTime(0, begin);
      gain.linearRampToValueAtTime(0.5, begin + 0.002);
      gain.setValueAtTime(0.5, begin + BLIP_SECONDS - 0.004);
      gain.linearRampToValueAtTime(0, begin + BLIP_SECONDS);
    }
  }

  private planSyllables(from: number, until: number, toContext: number): void {
    const last = Math.ceil(until * SYLLABLES_PER_SECOND);
    for (let syllable = Math.ceil(from * SYLLABLES_PER_SECOND); syllable < last; syllable += 1) {
      const begin = syllable / SYLLABLES_PER_SECOND;
      const turn = turnAt(begin, this.participants);
      const weight = noise(syllable);
      if (!isSpeaking(begin + 0.1, turn) || weight < 0.14) continue;
      this.planSyllable(begin + toContext, syllable, weight, turn.speaker);
    }
  }

  private planSyllable(at: number, syllable: number, weight: number, speaker: number): void {
    const pitch = PITCHES[speaker % PITCHES.length]! * (0.92 + 0.2 * noise(syllable * 7 + 3));
    this.voice.frequency.setTargetAtTime(pitch, at, 0.03);
    const vowel = VOWELS[Math.floor(noise(syllable * 13 + 5) * VOWELS.length)]!;
    this.filters.forEach((filter, formant) => filter.frequency.setTargetAtTime(vowel[formant]!, at, 0.025));
    const length = 0.85 / SYLLABLES_PER_SECOND;
    const { gain } = this.loud;
    gain.setTargetAtTime(0.16 * (0.45 + 0.55 * weight), at, 0.025);
    gain.setTargetAtTime(0, at + length * 0.6, 0.03);
  }
}
