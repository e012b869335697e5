/** What the first bytes of a connection are. */
export type FirstBytes =
  | { readonly kind: "incomplete" }
  | { readonly kind: "other" }
  /** A TLS ClientHello; the name is absent when the client names none */
  | { readonly kind: "tls"; readonly serverName?: string | undefined };

/** A hello beyond this is no honest client's. */
const maxHelloBytes = 32_768;
const handshakeRecord = 0x16;
const clientHello = 0x01;
const serverNameExtension = 0;

/** Reads the server name from a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3), also one split over records. */
export function readClientHello(bytes: Buffer): FirstBytes {
  if (bytes.length === 0) return { kind: "incomplete" };
  const message: Buffer[] = [];
  let size = 0;
  for (let at = 0; ;) {
    if (at >= bytes.length) return { kind: "incomplete" };
    if (bytes[at] !== handshakeRecord) return { kind: "other" };
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return { kind: "other" };
    if (at + 5 > bytes.length) return { kind: "incomplete" };
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0) return { kind: "other" };
    const part = bytes.subarray(at + 5, at + 5 + length);
    message.push(part);
    size += part.length;
    const start = message.length === 1 ? part : Buffer.concat(message);
    if (start.length > 0 && start[0] !== clientHello) return { kind: "other" };
    if (start.length >= 4) {
      const wanted = 4 + start.readUIntBE(1, 3);
      if (wanted > maxHelloBytes) return { kind: "other" };
      if (size >= wanted) return parseHello(start.subarray(4, wanted));
    }
    at += 5 + length;
  }
}

function parseHello(body: Buffer): FirstBytes {
  try {
    let at = 2 + 32;
    at += 1 + body.readUInt8(at);
    at += 2 + body.readUInt16BE(at);
    at += 1 + body.readUInt8(at);
    if (at === body.length) return { kind: "tls" };
    const end = at + 2 + body.readUInt16BE(at);
    at += 2;
    if (end !== body.length) return { kind: "other" };
    let serverName: string | undefined;
    while (at < end) {
      const type = body.readUInt16BE(at);
      const length = body.readUInt16BE(at + 2);
      const data = body.subarray(at + 4, at + 4 + length);
      if (data.length !== length) return { kind: "other" };
      if (type === serverNameExtension) {
        // Two names are a trick: which one the server takes is its secret.
        if (serverName !== undefined) return { kind: "other" };
        serverName = parseServerName(data);
        if (serverName === undefined) return { kind: "other" };
      }
      at += 4 + length;
    }
    return { kind: "tls", serverName };
  } catch (error) {
    if (error instanceof RangeError) return { kind: "other" };
    throw error;
  }
}

/** A list with exactly one entry, of type host_name. */
function parseServerName(data: Buffer): string | undefined {
  if (data.length < 5 || data.readUInt16BE(0) !== data.length - 2 || data[2] !== 0)
    return undefined;
  const name = data.subarray(5);
  return data.readUInt16BE(3) === name.length ? name.toString("latin1") : undefined;
}
