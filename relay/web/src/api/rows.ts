// What the relay's API says, as its crate `api` defines it. Only the fields that a page reads.

export type StreamState = "queued" | "claiming" | "joining" | "live" | "recovering" | "stopping" | "ended";
export type CallKind = "auto" | "jitsi" | "janus" | "element-call" | "bbb" | "galene" | "web" | "test";
export type ClaimState = "reserved" | "live" | "probing" | "lingering" | "blocked";

export interface Media {
  readonly width: number | null;
  readonly height: number | null;
  readonly frames_per_second: number;
  readonly bits_per_second: number;
  readonly video_codec: string | null;
  readonly audio_codec: string | null;
  readonly rtmp_players: number;
  readonly flv_players: number;
  readonly hls_viewers: number;
  readonly silent_ms: number;
}

export interface Playback {
  readonly hls: string;
  readonly widget: string;
}

export interface Stream {
  readonly id: string;
  readonly name: string;
  readonly state: StreamState;
  readonly end_reason?: string;
  readonly detail?: string;
  readonly kind: CallKind;
  readonly call_host?: string;
  readonly profile: string;
  readonly record: boolean;
  readonly created_at: string;
  readonly state_since: string;
  readonly live_since?: string;
  readonly starts_at?: string;
  readonly ends_at?: string;
  readonly claims: readonly string[];
  readonly playback: Playback;
  readonly recorder?: string;
  readonly incarnation: number;
  readonly media?: Media;
}

export interface Broadcast {
  readonly name: string;
  readonly live: boolean;
  readonly token: number;
  readonly since: string;
  readonly media: Media;
  readonly playback: Playback;
}

export interface Refusal {
  readonly at: string;
  readonly who: string;
  readonly reason: string;
  readonly reference: string;
}

/** That nobody may take a key, and by whose word. */
export interface Block {
  readonly operator: string;
  readonly reason: string;
  readonly since: string;
  readonly ends_in_ms: number;
}

/** One who waits for a decision. */
export interface Contender {
  readonly who: string;
  readonly since: string;
}

/** One entry of the audit log. Refusals and blocks have neither claim nor token: they are no holder's doing. */
export interface ClaimEvent {
  readonly number: number;
  readonly at: string;
  readonly what: string;
  readonly key: string;
  readonly claim_id?: string;
  readonly token?: number;
  readonly who: string;
  readonly why: string;
}

/** One page of them, newest first. */
export interface ClaimEvents {
  readonly events: readonly ClaimEvent[];
  readonly next?: number;
}

export interface Claim {
  readonly id: string;
  readonly kind: "ingest" | "target";
  readonly key: string;
  readonly state: ClaimState;
  readonly token: number;
  readonly holder: string;
  readonly stream_id?: string;
  readonly since: string;
  readonly silent_ms?: number;
  readonly ends_in_ms?: number;
  readonly block?: Block;
  readonly contenders?: readonly Contender[];
  readonly refused_last_hour: number;
  readonly last_refusal?: Refusal;
}

export interface Worker {
  readonly stream_id: string;
  readonly incarnation: number;
  readonly state: string;
  readonly detail?: string;
  readonly pid?: number;
  readonly frames_sent: number;
  readonly frames_dropped: number;
  readonly reconnects: number;
}

export interface Recorder {
  readonly id: string;
  readonly version: string;
  readonly connected: boolean;
  readonly since: string;
  readonly slots: number;
  readonly stress: number;
  readonly draining: boolean;
  readonly workers: readonly Worker[];
}

export type TargetState = "waiting" | "connecting" | "pushing" | "held" | "failed";

export interface Target {
  readonly stream_id: string;
  readonly name: string;
  readonly index: number;
  readonly url: string;
  readonly state: TargetState;
  readonly since: string;
  readonly detail?: string;
  readonly last_error?: { readonly detail: string; readonly at: string };
  readonly bytes: number;
  readonly reconnects: number;
  readonly lag_ms: number;
  readonly gap_since?: string;
}

export type ApiEvent =
  | {
      readonly event: "snapshot";
      readonly streams: readonly Stream[];
      readonly broadcasts: readonly Broadcast[];
      readonly claims: readonly Claim[];
      readonly recorders: readonly Recorder[];
      readonly targets?: readonly Target[];
    }
  | { readonly event: "stream"; readonly stream: Stream }
  | { readonly event: "broadcasts"; readonly broadcasts: readonly Broadcast[] }
  | {
      readonly event: "claim";
      readonly what: string;
      readonly claim?: Claim;
      readonly key: string;
      readonly detail: string;
      readonly at: string;
    }
  | { readonly event: "claims"; readonly claims: readonly Claim[] }
  | { readonly event: "recorder"; readonly recorder: Recorder }
  | { readonly event: "targets"; readonly targets: readonly Target[] };

export interface StartStream {
  readonly call: { readonly url?: string; readonly kind: CallKind };
  readonly name: string;
  readonly profile: string;
  readonly record: boolean;
}

/** An RFC 9457 problem. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly field?: string;
  readonly holder?: { readonly label: string; readonly since: string };
  readonly retry_after_seconds?: number;
}
