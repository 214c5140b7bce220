// The status document of a stream: `GET /api/v1/status/{app}/{stream}`, and the same as event `status`.

import { sentence } from "../sentence";

export const STATUS_STATES = ["idle", "starting", "live", "recovering", "ended"] as const;
export type StatusState = (typeof STATUS_STATES)[number];

export interface Status {
  readonly state: StatusState;
  /** Since when, RFC 3339. */
  readonly since: string | null;
  /** The multivariant playlist; always a path of this relay. */
  readonly hls: string | null;
  /** The fencing token that it is written under. */
  readonly token: number | null;
  /** A sentence for the viewer. */
  readonly detail: string | null;
}

/** Reads the document; null if it is none. */
export function parseStatus(json: unknown): Status | null {
  if (typeof json !== "object" || json === null) return null;
  const fields = json as Record<string, unknown>;
  const state = STATUS_STATES.find((known) => known === fields["state"]);
  if (!state) return null;
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value.slice(0, 500) : null);
  const hls = text(fields["hls"]);
  const detail = text(fields["detail"]);
  return {
    state,
    since: text(fields["since"]),
    // Only a path of our own origin is ever played, whatever the document says.
    hls: hls && /^\/(?!\/)/.test(hls) ? hls : null,
    token: typeof fields["token"] === "number" ? fields["token"] : null,
    detail: detail === null ? null : sentence(detail),
  };
}

/** Whether a playlist can be expected. */
export function isPlayable(status: Status): boolean {
  return status.state === "live" || status.state === "recovering";
}
