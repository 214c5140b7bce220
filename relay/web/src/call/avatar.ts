// One participant's picture: a face of a few shapes that breathes, looks about, blinks, and moves its mouth with its
// voice. Drawn small and seldom, as a camera over a thin line would send it, and played through a <video>, so that
// whoever watches the page for playing media finds some.

import { noise } from "./script";

export const AVATAR_WIDTH = 320;
export const AVATAR_HEIGHT = 180;

export interface Look {
  readonly name: string;
  readonly wall: string;
  readonly shirt: string;
  readonly skin: string;
  readonly hair: string;
}

export const LOOKS: readonly Look[] = [
  { name: "Ada", wall: "#1f4e52", shirt: "#e0a458", skin: "#e8b998", hair: "#3a2a24" },
  { name: "Bashir", wall: "#3d3a63", shirt: "#5fb49c", skin: "#b9805b", hair: "#191514" },
  { name: "Chloé", wall: "#6a3d4a", shirt: "#f1e3d3", skin: "#f0c8a8", hair: "#a4552d" },
  { name: "Dmitri", wall: "#2d4a6b", shirt: "#c8553d", skin: "#e6bd9f", hair: "#8a8580" },
  { name: "Eun-ji", wall: "#4a5a34", shirt: "#84a9c0", skin: "#efc9a5", hair: "#15161b" },
  { name: "Folake", wall: "#6b4a2b", shirt: "#9d4edd", skin: "#7d5139", hair: "#201511" },
];

export class Avatar {
  private readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  private drawnVoice = 0;

  constructor(
    private readonly look: Look,
    private readonly seed: number,
  ) {
    this.canvas.width = AVATAR_WIDTH;
    this.canvas.height = AVATAR_HEIGHT;
    const context = this.canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser has no 2D canvas");
    this.context = context;
    this.draw(0, 0);
  }

  /** The picture as a camera's stream. */
  stream(framesPerSecond: number): MediaStream {
    return this.canvas.captureStream(framesPerSecond);
  }

  /** Draws the face at a time in seconds, its mouth opened by its voice (0 to 1). */
  draw(seconds: number, voice: number): void {
    const { context, look } = this;
    // The mouth follows a little late and softly.
    this.drawnVoice += (voice - this.drawnVoice) * 0.6;
    const slow = seconds * 0.7 + this.seed * 2.1;
    const sway = Math.sin(slow) * 5 + Math.sin(slow * 2.3) * 2;
    const bob = Math.sin(slow * 1.6) * 2.5 + this.drawnVoice * 2.5;
    const x = AVATAR_WIDTH / 2 + sway;
    const y = 84 + bob;

    context.fillStyle = look.wall;
    context.fillRect(0, 0, AVATAR_WIDTH, AVATAR_HEIGHT);
    this.ellipse(AVATAR_WIDTH / 2 + sway * 0.4, 192, 74, 58, look.shirt);
    context.fillStyle = look.skin;
    context.fillRect(x - 13 - sway * 0.3, y + 30, 26, 26);
    this.ellipse(x, y - 8, 45, 50, look.hair);
    this.ellipse(x, y + 4, 37, 45, look.skin);
    this.fringe(x, y);
    this.eyes(x, y, seconds);
    this.mouth(x, y);
  }

  private fringe(x: number, y: number): void {
    const { context, look } = this;
    context.fillStyle = look.hair;
    context.beginPath();
    context.ellipse(x - 4 + (this.seed % 3) * 4, y - 32, 36, 15, -0.08 + (this.seed % 2) * 0.16, 0, 2 * Math.PI);
    context.fill();
  }

  private eyes(x: number, y: number, seconds: number): void {
    const beat = Math.floor(seconds / 3 + this.seed * 0.37);
    const sinceBlink = seconds / 3 + this.seed * 0.37 - beat;
    const open = sinceBlink < 0.05 ? 0.6 : 4.6;
    const gaze = (noise(beat + this.seed * 101) - 0.5) * 4;
    this.ellipse(x - 14 + gaze, y, 4, open, "#1c1a1a");
    this.ellipse(x + 14 + gaze, y, 4, open, "#1c1a1a");
  }

  private mouth(x: number, y: number): void {
    const open = 1.6 + this.drawnVoice * 9;
    this.ellipse(x, y + 27, 11 - this.drawnVoice * 2, open, "#7c2d33");
  }

  private ellipse(x: number, y: number, across: number, down: number, colour: string): void {
    const { context } = this;
    context.fillStyle = colour;
    context.beginPath();
    context.ellipse(x, y, across, down, 0, 0, 2 * Math.PI);
    context.fill();
  }
}
