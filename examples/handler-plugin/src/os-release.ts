/** What `/etc/os-release` says: names in lower case. */
export type OsRelease = Readonly<Record<string, string>>;

const maxFields = 100;
const maxValueLength = 1_000;

/** Reads the assignments of an os-release file; lines that are none are left out. No shell is asked. */
export function parseOsRelease(text: string): OsRelease {
  const fields: [string, string][] = [];
  for (const line of text.split("\n")) {
    const [, name, value] = /^\s*([A-Z][A-Z0-9_]*)=(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined || fields.length === maxFields) continue;
    fields.push([name.toLowerCase(), unquote(value).slice(0, maxValueLength)]);
  }
  return Object.fromEntries(fields);
}

function unquote(value: string): string {
  const quote = value.at(0);
  if (value.length < 2 || quote !== value.at(-1)) return value;
  if (quote === "'") return value.slice(1, -1);
  return quote === '"' ? value.slice(1, -1).replaceAll(/\\(["$`\\])/g, "$1") : value;
}
