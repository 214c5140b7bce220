// Small, silent live pictures, only of the streams that the operator asked to see. Two at most: each keeps
// connections open, of which a browser has six per HTTP/1.1 server, and the events need one.

import { Player } from "../preview/player";
import { byId, el, setText } from "./dom";

const LOOKS_MAX = 2;

interface Look {
  readonly name: string;
  readonly element: HTMLElement;
  readonly player: Player;
}

export class Looks {
  private looks: Look[] = [];
  private readonly place = byId("looks");

  /** Shows a stream; asked again for one that is shown, closes it. */
  toggle(name: string, hls: string): void {
    const shown = this.looks.find((look) => look.name === name);
    if (shown) return this.close(shown);
    while (this.looks.length >= LOOKS_MAX) this.close(this.looks[0]!);
    const look = this.build(name);
    this.looks.push(look);
    this.place.append(look.element);
    this.place.hidden = false;
    look.player.attach(hls);
    look.element.scrollIntoView({ block: "nearest" });
  }

  /** Closes what no longer runs. */
  keep(names: ReadonlySet<string>): void {
    for (const look of this.looks.filter(({ name }) => !names.has(name))) this.close(look);
  }

  private build(name: string): Look {
    const video = el("video", { playsinline: true, tabindex: "-1", "aria-label": `Live picture of ${name}` });
    video.muted = true;
    const words = el("span", { class: "look-words" }, "The picture is on its way.");
    const player = new Player(video, {
      lowLatency: true,
      changed: (state) => {
        words.hidden = state === "playing";
        setText(words, state === "loading" ? "The picture is on its way." : "The picture stopped.");
      },
      soundBlocked: () => {},
    });
    const close = el("button", { type: "button", class: "quiet", "aria-label": `Close the picture of ${name}` }, "Close");
    const element = el("figure", { class: "look" }, video, words, el("figcaption", {}, el("span", {}, name), close));
    const look = { name, element, player };
    close.addEventListener("click", () => this.close(look));
    return look;
  }

  private close(look: Look): void {
    look.player.detach();
    look.element.remove();
    this.looks = this.looks.filter((other) => other !== look);
    this.place.hidden = this.looks.length === 0;
  }
}
