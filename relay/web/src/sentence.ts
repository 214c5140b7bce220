// Sentences from what a program says of itself, which may lack a capital letter or a full stop. Pure.

/** Capital letter first, full stop last. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === "" ? "" : fullStop(trimmed[0]!.toUpperCase() + trimmed.slice(1));
}

/** A full stop last; for what begins with a name, which keeps its letters. */
export function fullStop(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}
