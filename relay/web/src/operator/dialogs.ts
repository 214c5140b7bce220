// The page's questions: stop, seize, release, drain, the token, and what to start. Each is one <dialog> of the page,
// filled before it opens; a refusal is shown in it as a sentence and leaves it open.

import { Refused, type Client } from "../api/client";
import type { CallKind, Claim, Recorder, StartStream, Stream } from "../api/rows";
import { nowMs } from "../net/clock";
import { byId, el, setText } from "./dom";
import { problemSentence } from "./words";

export interface Question {
  readonly title: string;
  readonly text: string;
  readonly act: string;
  /** Asks for a reason, which `send` gets; otherwise it gets an empty one. */
  readonly wantsReason: boolean;
  send(reason: string): Promise<unknown>;
}

export class Dialogs {
  private readonly ask = byId<HTMLDialogElement>("ask");
  private readonly start = byId<HTMLDialogElement>("start");
  private readonly block = byId<HTMLDialogElement>("block");
  private readonly token = byId<HTMLDialogElement>("token");
  private question: Question | null = null;
  /** Kept until the form changes or the start succeeds, so that a repeated try cannot start twice. */
  private idempotencyKey: string | null = null;

  constructor(
    private readonly client: Client,
    private readonly tokenGiven: () => void,
  ) {
    for (const dialog of [this.ask, this.start, this.block, this.token]) {
      dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
      dialog.addEventListener("click", (event) => {
        if (event.target === dialog) dialog.close();
      });
    }
    onSubmit(this.ask, () => this.answer());
    onSubmit(this.start, () => this.begin());
    onSubmit(this.block, () => this.beginBlock());
    onSubmit(this.token, () => this.takeToken());
    this.start.addEventListener("input", () => {
      this.idempotencyKey = null;
      this.clearFields();
    });
    byId<HTMLSelectElement>("start-kind").addEventListener("change", () => this.kindChanged());
  }

  stop(stream: Stream): void {
    this.open({
      title: `Stop ${stream.name}?`,
      text: "The recorder leaves the call, and viewers are told that the stream has ended.",
      act: "Stop the stream",
      wantsReason: false,
      send: () => this.client.send("DELETE", `/streams/${encodeURIComponent(stream.id)}`),
    });
  }

  seize(claim: Claim): void {
    this.open({
      title: `Seize ${claim.key}?`,
      text: `${claim.holder} loses the stream URL at once and is kept away from it for 60 seconds.`,
      act: "Seize it",
      wantsReason: true,
      send: (reason) => this.act(claim, "seize", reason),
    });
  }

  release(claim: Claim): void {
    this.open({
      title: `Release ${claim.key}?`,
      text: `${claim.holder} no longer holds the stream URL; whoever comes next may take it.`,
      act: "Release it",
      wantsReason: true,
      send: (reason) => this.act(claim, "release", reason),
    });
  }

  /** Asks for how long, and which name if none is given. */
  askBlock(name = ""): void {
    setText(byId("block-error"), "");
    for (const input of this.block.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    const field = byId<HTMLInputElement>("block-name");
    field.value = name;
    field.readOnly = name !== "";
    byId<HTMLInputElement>("block-reason").value = "";
    this.block.showModal();
    byId<HTMLInputElement>(name === "" ? "block-name" : "block-reason").focus();
  }

  unblock(name: string): void {
    this.open({
      title: `Unblock ${name}?`,
      text: "Whoever comes next may take it.",
      act: "Unblock it",
      wantsReason: true,
      send: (reason) => this.client.send("POST", "/claims/unblock", { name, reason }),
    });
  }

  drain(recorder: Recorder): void {
    this.open({
      title: `Drain ${recorder.id}?`,
      text: "It takes no new calls. Those that it carries go on.",
      act: "Drain it",
      wantsReason: false,
      send: () => this.client.send("POST", `/recorders/${encodeURIComponent(recorder.id)}/drain`),
    });
  }

  askStart(): void {
    this.clearFields();
    this.kindChanged();
    this.start.showModal();
  }

  askToken(): void {
    if (this.token.open) return;
    const refused = this.client.hasToken;
    setText(byId("token-error"), refused ? "The relay does not know this token, or it has ended." : "");
    for (const dialog of [this.ask, this.start, this.block]) dialog.close();
    this.token.showModal();
  }

  private act(claim: Claim, action: "seize" | "release", reason: string): Promise<unknown> {
    const body = { reason, expected_token: claim.token };
    return this.client.send("POST", `/claims/${encodeURIComponent(claim.id)}/${action}`, body);
  }

  private open(question: Question): void {
    this.question = question;
    setText(byId("ask-title"), question.title);
    setText(byId("ask-text"), question.text);
    setText(byId("ask-act"), question.act);
    setText(byId("ask-error"), "");
    byId("ask-why").hidden = !question.wantsReason;
    const reason = byId<HTMLInputElement>("ask-reason");
    reason.value = "";
    reason.required = question.wantsReason;
    this.ask.showModal();
  }

  private async answer(): Promise<void> {
    const question = this.question;
    if (!question) return;
    await attempt(this.ask, byId("ask-error"), () => question.send(byId<HTMLInputElement>("ask-reason").value.trim()));
  }

  private async beginBlock(): Promise<void> {
    const value = (id: string) => byId<HTMLInputElement>(id).value.trim();
    const body = { name: value("block-name"), reason: value("block-reason"), seconds: Number(value("block-seconds")) };
    const send = () => this.client.send("POST", "/claims/block", body);
    await attempt(this.block, byId("block-error"), send, (field) => markField(this.block, field));
  }

  private async begin(): Promise<void> {
    this.clearFields();
    this.idempotencyKey ??= randomKey();
    const headers = { "Idempotency-Key": this.idempotencyKey };
    const done = await attempt(
      this.start,
      byId("start-error"),
      () => this.client.send("POST", "/streams", this.wanted(), headers),
      (field) => markField(this.start, field),
    );
    if (!done) return;
    this.idempotencyKey = null;
    byId<HTMLInputElement>("start-url").value = "";
  }

  private wanted(): StartStream {
    const value = (id: string) => byId<HTMLInputElement>(id).value.trim();
    const url = value("start-url");
    return {
      call: { ...(url === "" ? {} : { url }), kind: value("start-kind") as CallKind },
      name: value("start-name"),
      profile: value("start-profile"),
      record: byId<HTMLInputElement>("start-record").checked,
    };
  }

  private kindChanged(): void {
    const isTest = byId<HTMLSelectElement>("start-kind").value === "test";
    byId<HTMLInputElement>("start-url").required = !isTest;
    byId("start-url-row").hidden = isTest;
    if (isTest) byId<HTMLInputElement>("start-url").value = "";
  }

  private clearFields(): void {
    setText(byId("start-error"), "");
    for (const input of this.start.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }

  private async takeToken(): Promise<void> {
    const input = byId<HTMLInputElement>("token-value");
    this.client.useToken(input.value.trim() || null);
    input.value = "";
    this.token.close();
    this.tokenGiven();
  }
}

/** A message at the page's edge that goes away by itself. */
export function toast(text: string): void {
  const element = el("p", { class: "toast", role: "status" }, text);
  byId("toasts").append(element);
  window.setTimeout(() => element.remove(), 6_000);
}

function markField(dialog: HTMLDialogElement, field: string): void {
  const input = dialog.querySelector<HTMLElement>(`[name="${CSS.escape(field)}"]`);
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
}

/** Sends, closes the dialog on success, and shows the refusal otherwise. */
async function attempt(
  dialog: HTMLDialogElement,
  error: HTMLElement,
  send: () => Promise<unknown>,
  fieldAtFault: (field: string) => void = () => {},
): Promise<boolean> {
  const act = dialog.querySelector<HTMLButtonElement>("button[type=submit]");
  if (act?.disabled) return false;
  if (act) act.disabled = true;
  setText(error, "");
  try {
    await send();
    dialog.close();
    return true;
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    const { problem } = refused;
    setText(error, problemSentence(problem, nowMs()));
    if (problem.field) fieldAtFault(problem.field);
    return false;
  } finally {
    if (act) act.disabled = false;
  }
}

function onSubmit(dialog: HTMLDialogElement, act: () => Promise<void>): void {
  dialog.querySelector("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    void act();
  });
}

/** 128 random bits. `crypto.randomUUID` exists on secure origins only; a relay may be used without TLS in a LAN. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
