// What opens below a claim: who waits, who was turned away, whether it is blocked, and what happened to it.

import { Refused, type Client } from "../api/client";
import type { Claim, ClaimEvent, ClaimEvents } from "../api/rows";
import { nowMs } from "../net/clock";
import { clockTime, happening, turnedAway, type TurnedAway } from "./claim_story";
import { el, setText } from "./dom";
import { since } from "./since";
import { problemSentence, span } from "./words";

/** How many entries are shown at first, and how many more each time. */
const STEP = 20;
/** Beyond it the command line has more. */
const SHOWN_MAX = 200;
const HOUR_MS = 3_600_000;
/** What happens in a burst is asked for once. */
const SETTLE_MS = 200;

export interface BlockWishes {
  block(name: string): void;
  unblock(name: string): void;
}

/** The open ones, by the key that they are about. */
export class ClaimDetails {
  private readonly panels = new Map<string, Panel>();

  constructor(
    private readonly client: Client,
    private readonly wishes: BlockWishes,
    private readonly changed: () => void,
  ) {}

  isOpen(claim: Claim): boolean {
    return this.panels.has(subject(claim));
  }

  toggle(claim: Claim): void {
    const id = subject(claim);
    if (this.panels.has(id)) this.panels.delete(id);
    else this.panels.set(id, new Panel(this.client, this.wishes, claim));
    this.changed();
  }

  /** The opened panel, brought up to date. */
  element(claim: Claim): HTMLElement | null {
    const panel = this.panels.get(subject(claim));
    panel?.show(claim);
    return panel?.element ?? null;
  }

  /** Something happened to a key. */
  heard(key: string): void {
    for (const panel of this.panels.values()) if (panel.key === key) panel.reload();
  }

  /** Everything may have changed meanwhile. */
  reloadAll(): void {
    for (const panel of this.panels.values()) panel.reload();
  }

  /** Forgets what is about none of these. */
  keep(claims: Iterable<Claim>): void {
    const ids = new Set([...claims].map(subject));
    for (const id of this.panels.keys()) if (!ids.has(id)) this.panels.delete(id);
  }
}

/** A name stays open from one claim to the next; two targets can be shown alike, so theirs go by their claims. */
function subject(claim: Claim): string {
  return claim.kind === "ingest" ? claim.key : claim.id;
}

class Panel {
  readonly key: string;
  readonly element: HTMLElement;
  private readonly path: string;
  private readonly now = el("div", { class: "now" });
  private readonly story = el("ol", { class: "story" });
  private readonly words = el("p", { class: "note" }, "One moment.");
  private readonly more = el("button", { type: "button", class: "quiet", hidden: true, click: () => this.showMore() }, "Show older");
  private claim: Claim;
  private away: readonly TurnedAway[] = [];
  private wanted = STEP;
  private timer: number | undefined;
  private drawn = "";

  constructor(
    private readonly client: Client,
    private readonly wishes: BlockWishes,
    claim: Claim,
  ) {
    this.claim = claim;
    this.key = claim.key;
    this.path =
      claim.kind === "ingest"
        ? `/claims/events?key=${encodeURIComponent(claim.key)}`
        : `/claims/${encodeURIComponent(claim.id)}/events?`;
    this.element = el(
      "div",
      { class: "detail" },
      this.now,
      el("section", { "aria-label": `What happened to ${claim.key}` }, el("h3", {}, "What happened"), this.story, this.words, this.more),
    );
    this.draw();
    void this.load();
  }

  show(claim: Claim): void {
    this.claim = claim;
    this.draw();
  }

  reload(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      void this.load();
    }, SETTLE_MS);
  }

  private showMore(): void {
    this.wanted = Math.min(SHOWN_MAX, this.wanted + STEP);
    void this.load();
  }

  private async load(): Promise<void> {
    const hourAgo = new Date(nowMs() - HOUR_MS).toISOString();
    try {
      const [page, lately] = await Promise.all([
        this.ask(`&limit=${this.wanted}`),
        this.ask(`&since=${encodeURIComponent(hourAgo)}&limit=${SHOWN_MAX}`),
      ]);
      this.tell(page);
      this.away = turnedAway(lately.events, Date.parse(hourAgo));
      this.draw();
    } catch (refused) {
      if (!(refused instanceof Refused)) throw refused;
      this.words.hidden = false;
      setText(this.words, problemSentence(refused.problem, nowMs()));
    }
  }

  private async ask(query: string): Promise<ClaimEvents> {
    return (await this.client.send("GET", this.path + query)) as ClaimEvents;
  }

  private tell({ events, next }: ClaimEvents): void {
    this.story.replaceChildren(...events.map((event) => happened(event)));
    const isCut = next !== undefined && this.wanted >= SHOWN_MAX;
    this.words.hidden = events.length > 0 && !isCut;
    setText(this.words, isCut ? `All of it: sluice claims history ${this.key} --limit 500` : "Nothing is remembered.");
    this.more.hidden = next === undefined || isCut;
  }

  private draw(): void {
    const { block, contenders = [], kind, key } = this.claim;
    // Times count by themselves; all else is drawn anew only where it differs.
    const depends = JSON.stringify([block?.operator, block?.reason, block?.since, contenders, this.away]);
    if (depends === this.drawn) return;
    this.drawn = depends;
    const waiting = contenders.map(({ who, since: from }) => el("li", {}, who, " for ", since(from)));
    const away = this.away.map(({ who, times, at, why }) =>
      el("li", {}, times > 1 ? `${who}, ${times} times, last ` : `${who}, `, since(at), " ago", el("span", { class: "note" }, why)),
    );
    const hadFocus = this.now.contains(document.activeElement);
    this.now.replaceChildren(
      part("Waiting now", waiting, "Nobody waits."),
      part("Turned away in the last hour", away, "Nobody."),
      ...(kind === "ingest" ? [this.blocking(key)] : []),
    );
    if (hadFocus) this.now.querySelector("button")?.focus();
  }

  private blocking(key: string): HTMLElement {
    const block = this.claim.block;
    const head = el("h3", {}, "Block");
    if (!block) {
      const act = el("button", { type: "button", class: "quiet danger", "aria-label": `Block ${key}`, click: () => this.wishes.block(key) }, "Block…");
      return el("section", {}, head, el("p", {}, "The name is not blocked."), act);
    }
    const until = nowMs() + block.ends_in_ms;
    const words = `By ${block.operator}, until ${clockTime(new Date(until).toISOString(), nowMs())} (${span(block.ends_in_ms)}).`;
    const act = el("button", { type: "button", class: "quiet", "aria-label": `Unblock ${key}`, click: () => this.wishes.unblock(key) }, "Unblock…");
    return el("section", {}, head, el("p", {}, words, el("span", { class: "note" }, block.reason)), act);
  }
}

function part(title: string, items: readonly HTMLElement[], none: string): HTMLElement {
  return el("section", {}, el("h3", {}, title), items.length === 0 ? el("p", {}, none) : el("ul", {}, ...items));
}

function happened(event: ClaimEvent): HTMLElement {
  const [word, tone] = happening(event.what);
  const full = new Date(event.at).toLocaleString();
  return el(
    "li",
    { class: tone },
    el("time", { datetime: event.at, title: full }, clockTime(event.at, nowMs())),
    el(
      "div",
      {},
      el("strong", {}, word),
      ` ${event.who}`,
      event.token === undefined ? null : el("span", { class: "token" }, `token ${event.token}`),
      el("span", { class: "note" }, event.why),
    ),
  );
}
