/**
 * The bytes of a base64url text, or `undefined` when it is not the one text of exactly that many bytes: no padding, no
 * other alphabet, no stray bits at the end.
 */
export function decodeBase64Url(text: string, byteLength: number): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.length === byteLength && bytes.toString("base64url") === text ? bytes : undefined;
}
