// What the widget shows, derived from what is known: the status document, whether the relay answers, and how the
// player is doing. Pure, so that every sentence a viewer can see is tested without a browser.

import { isPlayable, type Status } from "./status";

export type PlayerState =
  | "none" // no playlist is loaded
  | "loading" // loading, nothing shown yet
  | "playing"
  | "paused" // by the viewer
  | "stalled" // it should play but does not
  | "over" // the playlist has ended and all of it was shown
  | "unsupported"; // this browser has no way to play

export interface Facts {
  /** `app/name`, or null if the page's address names none. */
  readonly stream: string | null;
  /** False once the relay did not answer the last questions. */
  readonly reached: boolean;
  /** The last status that was heard. */
  readonly status: Status | null;
  readonly player: PlayerState;
  /** Whether a picture was shown since the stream last began. */
  readonly played: boolean;
}

export type PhaseState = "waiting" | "starting" | "live" | "recovering" | "ended" | "error";

export interface Phase {
  readonly state: PhaseState;
  /** One plain sentence. */
  readonly title: string;
  /** A second one, or empty. */
  readonly detail: string;
  /** Whether the player should be loaded. */
  readonly attach: boolean;
  /** Whether the last picture stays visible behind the sentence. */
  readonly picture: boolean;
}

export function phaseOf(facts: Facts): Phase {
  const { stream, status, player, played } = facts;
  if (stream === null) {
    return say("error", "No stream was named.", "The address of this page needs ?stream=app/name.");
  }
  if (player === "unsupported") {
    return say("error", "This browser cannot play live video.", "A current Firefox, Chrome or Safari can.");
  }
  const shows = player === "playing" || player === "paused";
  if (!facts.reached) return unreachable(facts, shows);
  if (!status) return say("waiting", "One moment.", "Asking whether the stream is on.");

  switch (status.state) {
    case "idle":
      return say("waiting", "Nobody is streaming yet.", `It starts here by itself when ${stream} goes live.`);
    case "starting":
      return say("starting", "The stream is about to start.", status.detail ?? "A recorder is joining the call.");
    case "live":
      return live(player, played, shows);
    case "recovering":
      return {
        state: "recovering",
        title: "The stream was interrupted.",
        detail: status.detail ?? "It is being restored and goes on here by itself.",
        attach: true,
        picture: played,
      };
    case "ended":
      // What is still buffered is shown to its end.
      if (player === "playing") return showing();
      return say("ended", "The stream has ended.", status.detail ?? "If it comes back, it starts here by itself.");
  }
}

function live(player: PlayerState, played: boolean, shows: boolean): Phase {
  if (shows) return showing();
  if (!played && player !== "over") {
    return {
      ...say("starting", "The stream is live.", "The picture is on its way."),
      attach: true,
    };
  }
  return {
    state: "recovering",
    title: "The picture stopped.",
    detail: "It goes on here by itself.",
    attach: true,
    picture: true,
  };
}

function unreachable(facts: Facts, shows: boolean): Phase {
  // The picture is better news than the silence of the status document.
  if (shows) return showing();
  const attach = facts.status !== null && isPlayable(facts.status);
  if (facts.played && attach) {
    return {
      state: "recovering",
      title: "The connection was lost.",
      detail: "Trying again by itself.",
      attach,
      picture: true,
    };
  }
  return { ...say("error", "The relay does not answer.", "Trying again by itself; there is nothing to do here."), attach };
}

function showing(): Phase {
  return { state: "live", title: "The stream is live.", detail: "", attach: true, picture: true };
}

function say(state: PhaseState, title: string, detail: string): Phase {
  return { state, title, detail, attach: false, picture: false };
}
