import { fromByteString, type ByteString, type FileTime } from "../tree/inode.ts";

/** Keywords of a PAX header with their values. */
export type PaxValues = ReadonlyMap<ByteString, Buffer | ByteString>;

/** The body of a PAX header: records `LENGTH KEYWORD=VALUE\n`, whose length counts itself. Values may be any bytes. */
export function encodePaxRecords(values: PaxValues): Buffer {
  return Buffer.concat([...values].map(([keyword, value]) => encodeRecord(keyword, value)));
}

function encodeRecord(keyword: ByteString, value: Buffer | ByteString): Buffer {
  const bytes = typeof value === "string" ? fromByteString(value) : value;
  // A space, the equals sign and the line feed
  const rest = keyword.length + bytes.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.concat([fromByteString(`${length} ${keyword}=`), bytes, Buffer.from("\n")]);
}

/** Extended attributes as PAX records, in byte order of their names. */
export function xattrRecords(
  xattrs: ReadonlyMap<ByteString, Buffer>,
): (readonly [ByteString, Buffer | ByteString])[] {
  return [...xattrs.keys()].toSorted().map((name) => {
    const value = xattrs.get(name) ?? Buffer.alloc(0);
    if (!name.includes("=")) return [`SCHILY.xattr.${name}`, value];
    // A keyword ends at its first equals sign; this one's names are encoded.
    return [`LIBARCHIVE.xattr.${encodeUrl(name)}`, value.toString("base64").replace(/=+$/, "")];
  });
}

/** Seconds with as many digits behind the point as it takes. */
export function formatPaxTime({ seconds, nanoseconds }: FileTime): string {
  if (nanoseconds === 0) return String(seconds);
  const isNegative = seconds < 0;
  const whole = isNegative ? -seconds - 1 : seconds;
  const fraction = isNegative ? 1_000_000_000 - nanoseconds : nanoseconds;
  const digits = String(fraction).padStart(9, "0").replace(/0+$/, "");
  return `${isNegative ? "-" : ""}${whole}.${digits}`;
}

function encodeUrl(name: ByteString): string {
  return name.replaceAll(
    /[^A-Za-z0-9._-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
