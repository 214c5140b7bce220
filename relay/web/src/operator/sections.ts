// The page's tables: which columns each has, and what stands in them.

import type { ClaimDetails } from "./claim_details";
import type { Broadcast, Claim, Media, Recorder, Stream } from "../api/rows";
import { sentence } from "../sentence";
import { el, type Child } from "./dom";
import { mediaOf, type Model } from "./model";
import { since } from "./since";
import { Table } from "./table";
import {
  bitRate,
  callKind,
  claimState,
  count,
  endReason,
  grouped,
  isGoodEnd,
  streamState,
  workerTone,
  type Tone,
} from "./words";

export interface Wishes {
  look(name: string, hls: string): void;
  stop(stream: Stream): void;
  seize(claim: Claim): void;
  release(claim: Claim): void;
  unblock(name: string): void;
  drain(recorder: Recorder): void;
}

interface StreamRow {
  readonly stream: Stream;
  readonly media: Media | undefined;
}

export class Sections {
  readonly streams: Table<StreamRow>;
  readonly ended: Table<Stream>;
  readonly foreign: Table<Broadcast>;
  readonly claims: Table<Claim>;
  readonly recorders: Table<Recorder>;
  private model: Model | null = null;

  constructor(
    wishes: Wishes,
    private readonly details: ClaimDetails,
  ) {
    this.streams = streamTable(wishes);
    this.ended = endedTable();
    this.foreign = foreignTable(wishes);
    this.claims = claimTable(wishes, details);
    this.recorders = recorderTable(wishes, (id) => this.model?.streams.get(id)?.name ?? "a stream");
  }

  show(model: Model, foreign: readonly Broadcast[]): void {
    this.model = model;
    const streams = [...model.streams.values()];
    this.streams.show(
      streams
        .filter((stream) => stream.state !== "ended")
        .sort((one, other) => one.name.localeCompare(other.name))
        .map((stream) => ({ stream, media: stream.state === "live" ? mediaOf(model, stream) : undefined })),
    );
    this.ended.show(
      streams
        .filter((stream) => stream.state === "ended")
        .sort((one, other) => other.state_since.localeCompare(one.state_since)),
    );
    this.foreign.show(foreign);
    this.details.keep(model.claims.values());
    this.claims.show([...model.claims.values()].sort((one, other) => one.key.localeCompare(other.key)));
    this.recorders.show([...model.recorders.values()].sort((one, other) => one.id.localeCompare(other.id)));
  }
}

function streamTable(wishes: Wishes): Table<StreamRow> {
  return new Table<StreamRow>(
    "Streams",
    "No bot has started a stream.",
    [
      {
        title: "Stream",
        depends: ({ stream }) => JSON.stringify([stream.name, stream.detail, stream.playback.widget]),
        cell: ({ stream }) => [nameLink(stream.name, stream.playback.widget), note(stream.detail)],
      },
      {
        title: "State",
        depends: ({ stream }) => stream.state,
        cell: ({ stream }) => [pill(...streamState(stream.state))],
      },
      {
        title: "Since",
        depends: ({ stream }) => stream.state_since,
        cell: ({ stream }) => [since(stream.state_since)],
      },
      {
        title: "Call",
        depends: ({ stream }) => JSON.stringify([stream.kind, stream.call_host, stream.record, stream.profile]),
        cell: ({ stream }) => [
          el("span", { class: "nowrap" }, callKind(stream.kind)),
          note([stream.call_host, stream.profile, stream.record ? "recorded" : null].filter(Boolean).join(" · ")),
        ],
      },
      {
        title: "Recorder",
        depends: ({ stream }) => JSON.stringify([stream.recorder, stream.incarnation]),
        cell: ({ stream }) => [
          stream.recorder ? el("span", { class: "nowrap" }, stream.recorder, incarnation(stream.incarnation)) : dash(),
        ],
      },
      {
        title: "Picture",
        kind: "figure",
        depends: ({ media }) => JSON.stringify(media ? [size(media), Math.round(media.frames_per_second)] : null),
        cell: ({ media }) => (media ? [`${Math.round(media.frames_per_second)} fps`, note(size(media))] : [dash()]),
      },
      {
        title: "Bit rate",
        kind: "figure",
        depends: ({ media }) => (media ? bitRate(media.bits_per_second) : ""),
        cell: ({ media }) => [media ? bitRate(media.bits_per_second) : dash()],
      },
      {
        title: "Viewers",
        kind: "figure",
        depends: ({ media }) => (media ? String(viewers(media)) : ""),
        cell: ({ media }) => [media ? grouped(viewers(media)) : dash()],
      },
      {
        title: "Actions",
        kind: "action",
        depends: ({ stream }) => JSON.stringify([stream.state, stream.name, stream.playback.hls]),
        cell: ({ stream }) => [
          stream.state === "live" ? lookButton(stream.name, stream.playback.hls, wishes) : null,
          stream.state === "stopping"
            ? null
            : button("Stop", `Stop ${stream.name}`, () => wishes.stop(stream), "quiet danger"),
        ],
      },
    ],
    ({ stream }) => `stream-${stream.id}`,
  );
}

function endedTable(): Table<Stream> {
  return new Table<Stream>(
    "Ended streams",
    "None.",
    [
      { title: "Stream", depends: ({ name }) => name, cell: ({ name }) => [el("span", { class: "name" }, name)] },
      {
        title: "Why",
        depends: ({ end_reason, detail }) => JSON.stringify([end_reason, detail]),
        cell: ({ end_reason, detail }) => [
          el("span", { class: isGoodEnd(end_reason) ? null : "bad-ink" }, sentence(endReason(end_reason))),
          note(detail),
        ],
      },
      {
        title: "Ended",
        depends: ({ state_since }) => state_since,
        cell: ({ state_since }) => [el("span", { class: "nowrap" }, since(state_since), " ago")],
      },
      { title: "Recorder", depends: ({ recorder }) => recorder ?? "", cell: ({ recorder }) => [recorder ?? dash()] },
    ],
    ({ id }) => `stream-${id}`,
  );
}

function foreignTable(wishes: Wishes): Table<Broadcast> {
  return new Table<Broadcast>(
    "Live without a bot",
    "Every live stream was started by a bot.",
    [
      {
        title: "Broadcast",
        depends: ({ name, playback }) => JSON.stringify([name, playback.widget]),
        cell: ({ name, playback }) => [nameLink(name, playback.widget)],
      },
      {
        title: "State",
        depends: ({ live }) => String(live),
        cell: ({ live }) => [live ? pill("Live", "good") : pill("Lingering", "warn")],
      },
      { title: "Since", depends: (row) => row.since, cell: (row) => [since(row.since)] },
      {
        title: "Picture",
        kind: "figure",
        depends: ({ media }) => JSON.stringify([size(media), Math.round(media.frames_per_second)]),
        cell: ({ media }) => [`${Math.round(media.frames_per_second)} fps`, note(size(media))],
      },
      {
        title: "Bit rate",
        kind: "figure",
        depends: ({ media }) => bitRate(media.bits_per_second),
        cell: ({ media }) => [bitRate(media.bits_per_second)],
      },
      {
        title: "Viewers",
        kind: "figure",
        depends: ({ media }) => String(viewers(media)),
        cell: ({ media }) => [grouped(viewers(media))],
      },
      {
        title: "Actions",
        kind: "action",
        depends: ({ live, name, playback }) => JSON.stringify([live, name, playback.hls]),
        cell: ({ live, name, playback }) => [live ? lookButton(name, playback.hls, wishes) : null],
      },
    ],
    ({ name }) => `broadcast-${name}`,
  );
}

function claimTable(wishes: Wishes, details: ClaimDetails): Table<Claim> {
  return new Table<Claim>(
    "Claims",
    "Nobody holds a stream URL.",
    [
      {
        title: "Stream URL",
        depends: (row) => JSON.stringify([row.key, row.kind, row.id]),
        cell: (row) => [disclosure(row, details), note(row.kind === "target" ? "pushed there" : "written here")],
      },
      {
        title: "State",
        depends: ({ state, block, contenders }) => JSON.stringify([state, block !== undefined, contenders?.length]),
        cell: ({ state, block, contenders = [] }) => [
          pill(...claimState(state)),
          block && state !== "blocked" ? pill("Blocked", "bad") : null,
          contenders.length > 0 ? note(`${contenders.length} waiting`) : null,
        ],
      },
      {
        title: "Holder",
        depends: ({ holder, token, state, block }) => JSON.stringify([holder, token, state, block?.reason]),
        cell: ({ holder, token, state, block }) =>
          state === "blocked" ? [`blocked by ${holder}`, note(block?.reason)] : [holder, note(`token ${token}`)],
      },
      { title: "Since", depends: (row) => row.since, cell: (row) => [since(row.since)] },
      {
        title: "Silent",
        kind: "figure",
        depends: ({ silent_ms }) => silence(silent_ms),
        cell: ({ silent_ms }) => [
          silent_ms === undefined ? dash() : el("span", { class: silent_ms > 2_000 ? "warn-ink" : null }, silence(silent_ms)),
        ],
      },
      {
        title: "Refused, last hour",
        depends: (row) => JSON.stringify([row.refused_last_hour, row.last_refusal]),
        cell: (row) => refusals(row),
      },
      {
        title: "Actions",
        kind: "action",
        depends: ({ id, token, state, holder }) => JSON.stringify([id, token, state, holder]),
        cell: (row) => [
          row.state === "blocked"
            ? button("Unblock", `Unblock ${row.key}`, () => wishes.unblock(row.key), "quiet")
            : button("Release", `Release ${row.key}`, () => wishes.release(row), "quiet"),
          row.state === "blocked" ? null : button("Seize", `Seize ${row.key}`, () => wishes.seize(row), "quiet danger"),
        ],
      },
    ],
    ({ id }) => `claim-${id}`,
    (row) => details.element(row),
  );
}

function disclosure(row: Claim, details: ClaimDetails): HTMLElement {
  const button = el(
    "button",
    { type: "button", class: "disclose", title: "What happened", click: () => toggle() },
    el("span", { class: "chevron", "aria-hidden": "true" }),
    el("span", { class: "name key" }, row.key),
  );
  // The button stays, so that it keeps the focus.
  const tell = () => button.setAttribute("aria-expanded", String(details.isOpen(row)));
  const toggle = () => {
    details.toggle(row);
    tell();
  };
  tell();
  return button;
}

function refusals({ refused_last_hour, last_refusal }: Claim): Child[] {
  if (!last_refusal) return [refused_last_hour > 0 ? grouped(refused_last_hour) : dash()];
  return [
    el("span", { class: "nowrap" }, `${grouped(refused_last_hour)}, last `, since(last_refusal.at), " ago"),
    note(`${last_refusal.who}: ${last_refusal.reason} (${last_refusal.reference})`),
  ];
}

function recorderTable(wishes: Wishes, nameOf: (streamId: string) => string): Table<Recorder> {
  return new Table<Recorder>(
    "Recorders",
    "No recorder has connected yet. Start one with: sluice-recorder run --relay URL",
    [
      {
        title: "Recorder",
        depends: ({ id, version }) => JSON.stringify([id, version]),
        cell: ({ id, version }) => [el("span", { class: "name" }, id), note(version)],
      },
      {
        title: "State",
        depends: ({ connected, draining }) => JSON.stringify([connected, draining]),
        cell: ({ connected, draining }) => [
          !connected ? pill("Out of reach", "bad") : draining ? pill("Draining", "warn") : pill("Connected", "good"),
        ],
      },
      { title: "Since", depends: (row) => row.since, cell: (row) => [since(row.since)] },
      {
        title: "Places",
        depends: ({ workers, slots }) => JSON.stringify([workers.length, slots]),
        cell: ({ workers, slots }) => [
          el("span", { class: "nowrap" }, `${workers.length} of ${slots} taken`),
          meter(slots === 0 ? 1 : workers.length / slots, "Places taken"),
        ],
      },
      {
        title: "Busy",
        depends: ({ stress }) => stress.toFixed(2),
        cell: ({ stress }) => [`${Math.round(stress * 100)} %`, meter(stress, "How busy it is")],
      },
      {
        title: "Workers",
        depends: ({ workers }) => JSON.stringify(workers.map((worker) => [nameOf(worker.stream_id), worker])),
        cell: ({ workers }) => [
          workers.length === 0 ? dash() : el("ul", { class: "workers" }, ...workers.map((worker) => workerItem(worker, nameOf))),
        ],
      },
      {
        title: "Actions",
        kind: "action",
        depends: ({ connected, draining }) => JSON.stringify([connected, draining]),
        cell: (row) => [
          row.connected && !row.draining ? button("Drain", `Drain ${row.id}`, () => wishes.drain(row), "quiet") : null,
        ],
      },
    ],
    ({ id }) => `recorder-${id}`,
  );
}

function workerItem(worker: Recorder["workers"][number], nameOf: (streamId: string) => string): HTMLElement {
  const facts = [
    worker.pid === undefined ? null : `pid ${worker.pid}`,
    `${grouped(worker.frames_sent)} pictures`,
    worker.frames_dropped > 0 ? `${grouped(worker.frames_dropped)} dropped` : null,
    worker.reconnects > 0 ? count(worker.reconnects, "reconnect") : null,
  ];
  return el(
    "li",
    {},
    el("span", { class: "nowrap" }, pill(worker.state, workerTone(worker.state)), ` ${nameOf(worker.stream_id)} `, incarnation(worker.incarnation)),
    note([worker.detail, ...facts].filter(Boolean).join(" · ")),
  );
}

function nameLink(name: string, widget: string): HTMLElement {
  // Only a path of this relay is linked, whatever the row says.
  if (!/^\/(?!\/)/.test(widget)) return el("span", { class: "name" }, name);
  return el("a", { class: "name", href: widget, target: "_blank", rel: "noopener", title: "Open the preview" }, name);
}

function lookButton(name: string, hls: string, wishes: Wishes): HTMLElement {
  return button("Look", `Look at ${name}`, () => wishes.look(name, hls), "quiet");
}

function button(text: string, label: string, act: () => void, style: string): HTMLElement {
  return el("button", { type: "button", class: style, "aria-label": label, click: act }, text);
}

function pill(text: string, tone: Tone): HTMLElement {
  return el("span", { class: `pill ${tone}` }, text);
}

function note(text: string | undefined): HTMLElement | null {
  return text ? el("span", { class: "note" }, text) : null;
}

function dash(): HTMLElement {
  return el("span", { class: "none", "aria-label": "none" }, "–");
}

function incarnation(number: number): HTMLElement | null {
  if (number < 1) return null;
  const title = number === 1 ? "The first worker of this stream" : `Worker number ${number} of this stream`;
  return el("span", { class: number > 1 ? "incarnation again" : "incarnation", title }, `#${number}`);
}

function meter(share: number, label: string): HTMLElement {
  const element = el("meter", { min: "0", max: "1", high: "0.9", "aria-label": label });
  element.value = Math.min(1, Math.max(0, share));
  return element;
}

function size(media: Media): string {
  return media.width && media.height ? `${media.width}×${media.height}` : "";
}

function viewers(media: Media): number {
  return media.hls_viewers + media.rtmp_players + media.flv_players;
}

function silence(ms: number | undefined): string {
  return ms === undefined ? "" : `${(ms / 1_000).toFixed(1)} s`;
}
