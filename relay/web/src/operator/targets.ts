// The table of pushes: where streams go besides their viewers.

import type { Target } from "../api/rows";
import { el } from "./dom";
import { since } from "./since";
import { Table } from "./table";
import { count, size, targetState } from "./words";

export function targetTable(): Table<Target> {
  return new Table<Target>(
    "Targets",
    "Nothing is pushed anywhere.",
    [
      {
        title: "Target",
        depends: ({ url, detail, last_error }) => JSON.stringify([url, detail, last_error]),
        cell: ({ url, detail, last_error }) => [
          el("span", { class: "name key" }, url),
          detail ? el("span", { class: "note" }, detail) : null,
          !detail && last_error
            ? el("span", { class: "note" }, "last error ", since(last_error.at), ` ago: ${last_error.detail}`)
            : null,
        ],
      },
      { title: "Stream", depends: ({ name }) => name, cell: ({ name }) => [name] },
      {
        title: "State",
        depends: ({ state, gap_since }) => JSON.stringify([state, gap_since]),
        cell: ({ state, gap_since }) => {
          const [text, tone] = targetState(state);
          return [
            el("span", { class: `pill ${tone}` }, text),
            gap_since ? el("span", { class: "note" }, "nothing comes for ", since(gap_since)) : null,
          ];
        },
      },
      { title: "Since", depends: (row) => row.since, cell: (row) => [since(row.since)] },
      {
        title: "Sent",
        kind: "figure",
        depends: ({ bytes, reconnects }) => JSON.stringify([size(bytes), reconnects]),
        cell: ({ bytes, reconnects }) => [
          size(bytes),
          reconnects > 0 ? el("span", { class: "note" }, count(reconnects, "reconnect")) : null,
        ],
      },
      {
        title: "Behind",
        kind: "figure",
        depends: ({ lag_ms }) => (lag_ms / 1_000).toFixed(1),
        cell: ({ lag_ms }) => [
          el("span", { class: lag_ms > 2_000 ? "warn-ink" : null }, `${(lag_ms / 1_000).toFixed(1)} s`),
        ],
      },
    ],
    ({ stream_id, index }) => `target-${stream_id}-${index}`,
  );
}
