// Everything the operator page knows: rows by id, kept up to date by events. Pure.

import type { ApiEvent, Broadcast, Claim, Recorder, Stream, Target } from "../api/rows";

export interface Model {
  readonly streams: ReadonlyMap<string, Stream>;
  readonly broadcasts: readonly Broadcast[];
  readonly claims: ReadonlyMap<string, Claim>;
  readonly recorders: ReadonlyMap<string, Recorder>;
  readonly targets: readonly Target[];
}

export const EMPTY: Model = {
  streams: new Map(),
  broadcasts: [],
  claims: new Map(),
  recorders: new Map(),
  targets: [],
};

/** Ended streams beyond this many are forgotten, the oldest first; the API still has them. */
export const ENDED_MAX = 30;

/** The model after an event. Unknown events change nothing: a newer relay may send some. */
export function apply(model: Model, event: ApiEvent): Model {
  switch (event.event) {
    case "snapshot":
      return {
        streams: forgetOld(byKey(event.streams, (stream) => stream.id)),
        broadcasts: event.broadcasts,
        claims: byKey(event.claims, (claim) => claim.id),
        recorders: byKey(event.recorders, (recorder) => recorder.id),
        targets: event.targets ?? [],
      };
    case "stream":
      return { ...model, streams: forgetOld(withRow(model.streams, event.stream.id, event.stream)) };
    case "broadcasts":
      return { ...model, broadcasts: event.broadcasts };
    case "claim":
      return { ...model, claims: withClaim(model.claims, event.key, event.claim) };
    case "claims":
      return { ...model, claims: byKey(event.claims, (claim) => claim.id) };
    case "recorder":
      return { ...model, recorders: withRow(model.recorders, event.recorder.id, event.recorder) };
    case "targets":
      return { ...model, targets: event.targets };
    default:
      return model;
  }
}

/** What arrives on a stream now. Broadcasts are told each second, streams only when they change. */
export function mediaOf(model: Model, stream: Stream): Stream["media"] {
  const broadcast = model.broadcasts.find((broadcast) => broadcast.name === stream.name);
  return broadcast?.media ?? stream.media;
}

/** Live broadcasts that no bot started: encoders that publish by themselves. */
export function foreignBroadcasts(model: Model): Broadcast[] {
  const own = new Set([...model.streams.values()].filter((stream) => stream.state !== "ended").map(({ name }) => name));
  return model.broadcasts.filter((broadcast) => !own.has(broadcast.name));
}

function byKey<Row>(rows: readonly Row[], key: (row: Row) => string): Map<string, Row> {
  return new Map(rows.map((row) => [key(row), row]));
}

function withRow<Row>(rows: ReadonlyMap<string, Row>, key: string, row: Row): Map<string, Row> {
  return new Map(rows).set(key, row);
}

function withClaim(claims: ReadonlyMap<string, Claim>, key: string, claim: Claim | undefined): Map<string, Claim> {
  // A new grant for a key may come with a new id; the old row is then gone.
  const others = new Map([...claims].filter(([id, row]) => row.key !== key || id === claim?.id));
  return claim ? others.set(claim.id, claim) : new Map([...others].filter(([, row]) => row.key !== key));
}

function forgetOld(streams: Map<string, Stream>): Map<string, Stream> {
  const ended = [...streams.values()]
    .filter((stream) => stream.state === "ended")
    .sort((one, other) => other.state_since.localeCompare(one.state_since));
  for (const stream of ended.slice(ENDED_MAX)) streams.delete(stream.id);
  return streams;
}
