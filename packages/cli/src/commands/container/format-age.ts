const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** How long ago, in the largest unit that fits: `3 h ago`. */
export function formatAge(ageMs: number): string {
  for (const [unit, sizeMs] of units) {
    if (ageMs >= sizeMs) return `${Math.floor(ageMs / sizeMs)} ${unit} ago`;
  }
  return "just now";
}
