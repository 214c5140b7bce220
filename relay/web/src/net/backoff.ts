// How long to wait before trying again: doubling from a first wait up to a longest one, spread by ±50 % so that many
// viewers that lost the same relay do not come back in one moment.

export interface BackoffRange {
  readonly firstMs: number;
  readonly longestMs: number;
}

export class Backoff {
  private failures = 0;

  constructor(
    private readonly range: BackoffRange,
    private readonly random: () => number = Math.random,
  ) {}

  /** The wait after one more failure, in milliseconds. */
  next(): number {
    // 2^20 is far above any longest wait; the cap keeps the power finite after days of failures.
    const doublings = Math.min(this.failures, 20);
    this.failures += 1;
    const plain = Math.min(this.range.firstMs * 2 ** doublings, this.range.longestMs);
    return spread(plain, 0.5, this.random);
  }

  /** How many failures there were since the last success. */
  get attempts(): number {
    return this.failures;
  }

  /** It worked: the next failure waits the first wait again. */
  reset(): void {
    this.failures = 0;
  }
}

/** A duration moved at random by up to a share of itself, both ways. */
export function spread(ms: number, share: number, random: () => number = Math.random): number {
  return ms * (1 + share * (2 * random() - 1));
}
