/**
 * Orders mounts so that none hides one before it: directories come before what lies in them, and else the order stays.
 */
export function sortMounts<T extends { readonly destination: string }>(
  mounts: readonly T[],
): readonly T[] {
  return mounts.toSorted((a, b) => depth(a.destination) - depth(b.destination));
}

function depth(path: string): number {
  return path.split("/").filter((name) => name !== "" && name !== ".").length;
}
