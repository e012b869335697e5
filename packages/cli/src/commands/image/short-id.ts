/** A digest as people read it: twelve digits, without `sha256:`. */
export function shortId(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}
