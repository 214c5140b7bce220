// The least that a widget owes its Matrix client: answer what it asks, at once, and want nothing.
//
// A client offers its pop-out button only after the capability question is answered, and asks every user about each
// capability that a widget wants; so the answer is the empty list. `answerWidget` is pure: a question in, the answer out.

export interface WidgetRequest {
  readonly api: "toWidget";
  readonly requestId: string;
  readonly widgetId: string;
  readonly action: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface WidgetReply {
  readonly answer: WidgetRequest & { readonly response: Readonly<Record<string, unknown>> };
  /** The theme to switch to, if that was the question. */
  readonly theme: "light" | "dark" | null;
}

const VERSIONS = ["0.0.1", "0.0.2"];

/** Answers one message of the client; null if it is none. */
export function answerWidget(message: unknown): WidgetReply | null {
  if (typeof message !== "object" || message === null) return null;
  const request = message as Record<string, unknown>;
  const isRequest =
    request["api"] === "toWidget" &&
    typeof request["requestId"] === "string" &&
    typeof request["action"] === "string" &&
    !("response" in request);
  if (!isRequest) return null;

  const asked = request as unknown as WidgetRequest;
  const answer = (response: Record<string, unknown>, theme: WidgetReply["theme"] = null): WidgetReply => ({
    answer: { ...asked, response },
    theme,
  });
  switch (asked.action) {
    case "capabilities":
      return answer({ capabilities: [] });
    case "supported_api_versions":
      return answer({ supported_versions: VERSIONS });
    case "theme_change":
      return answer({}, themeOf(asked.data?.["name"]));
    default:
      return answer({});
  }
}

/** A client's theme name as one of ours: custom themes mostly carry the word in their name. */
export function themeOf(name: unknown): "light" | "dark" | null {
  if (typeof name !== "string") return null;
  if (/dark|black/i.test(name)) return "dark";
  if (/light/i.test(name)) return "light";
  return null;
}

/** Speaks to the Matrix client around us, if there is one. */
export function answerClient(themeChanged: (theme: "light" | "dark") => void): void {
  if (window.parent === window) return;
  window.addEventListener("message", (event) => {
    if (event.source !== window.parent) return;
    const reply = answerWidget(event.data);
    if (!reply) return;
    // The answer repeats the question and an empty wish list: nothing that another origin may not hear.
    window.parent.postMessage(reply.answer, event.origin === "null" ? "*" : event.origin);
    if (reply.theme) themeChanged(reply.theme);
  });
}
