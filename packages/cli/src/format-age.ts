const units = [
  ["minute", 60],
  ["hour", 3_600],
  ["day", 86_400],
] as const;

/** How long ago something was, for people: `just now`, `1 minute ago`, `40 days ago`. */
export function formatAge(ageMs: number): string {
  const seconds = ageMs / 1_000;
  const [unit, length] = units.findLast(([, size]) => seconds >= size) ?? [];
  if (unit === undefined || length === undefined) return "just now";
  const count = Math.floor(seconds / length);
  return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
}
