// Asks the relay's API, with the token that the operator gave for this tab.

import type { Problem } from "./rows";

const PREFIX = "/api/v1";
const ANSWER_MS_MAX = 20_000;
const TOKEN_KEY = "sluice.token";

/** A request that the relay refused, or that got no answer. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

export class Client {
  private token = stored();

  /** Called when the relay wants a token, or another one. */
  onUnauthenticated: () => void = () => {};

  path(path: string): string {
    return PREFIX + path;
  }

  headers(): Record<string, string> {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  get hasToken(): boolean {
    return this.token !== null;
  }

  /** Keeps the token for this tab, until it is closed. */
  useToken(token: string | null): void {
    this.token = token;
    try {
      if (token) sessionStorage.setItem(TOKEN_KEY, token);
      else sessionStorage.removeItem(TOKEN_KEY);
    } catch {
      // Without storage it is asked for again after a reload.
    }
  }

  /** One request. Throws `Refused` for everything but success. */
  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<unknown> {
    const abort = new AbortController();
    const timer = window.setTimeout(() => abort.abort(), ANSWER_MS_MAX);
    try {
      const response = await fetch(PREFIX + path, {
        method,
        headers: {
          ...this.headers(),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        cache: "no-store",
        signal: abort.signal,
      });
      if (response.status === 401) this.onUnauthenticated();
      if (!response.ok) throw new Refused(await readProblem(response));
      const text = await response.text();
      return text === "" ? null : JSON.parse(text);
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new Refused(noAnswer());
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The problem in an answer, or one made of its status. */
export async function readProblem(response: Response): Promise<Problem> {
  const plain: Problem = {
    title: "the relay refused",
    status: response.status,
    code: "unknown",
    detail: `The relay answered with status ${response.status}.`,
  };
  try {
    const json: unknown = await response.json();
    if (typeof json !== "object" || json === null) return plain;
    return { ...plain, ...(json as Partial<Problem>) };
  } catch {
    return plain;
  }
}

function noAnswer(): Problem {
  return { title: "no answer", status: 0, code: "no_answer", detail: "The relay did not answer. Please try again." };
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null;
  }
}
