/** One way to log in that a `WWW-Authenticate` header offers. */
export interface Challenge {
  /** Lower case: `bearer`, `basic` */
  readonly scheme: string;
  /** Names in lower case */
  readonly parameters: ReadonlyMap<string, string>;
}

const maxLength = 16_384;
const token = String.raw`[!#$%&'*+\-.^_\x60|~0-9A-Za-z]+`;
const parameterPattern = new RegExp(
  String.raw`\s*(${token})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)`,
  "y",
);
const schemePattern = new RegExp(String.raw`[\s,]*(${token})(?:\s+|\s*$|\s*,)`, "y");

/** Reads `WWW-Authenticate` headers (RFC 9110, 11.6.1). What cannot be read is left out. */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const lines = typeof header === "string" ? [header] : (header ?? []);
  return lines.flatMap((line) => parseLine(line.slice(0, maxLength)));
}

function parseLine(line: string): Challenge[] {
  const challenges: Challenge[] = [];
  let position = 0;
  while (position < line.length) {
    schemePattern.lastIndex = position;
    const scheme = schemePattern.exec(line);
    if (scheme === null) break;
    position = schemePattern.lastIndex;
    const parameters = new Map<string, string>();
    for (;;) {
      parameterPattern.lastIndex = position;
      const match = parameterPattern.exec(line);
      if (match === null) break;
      position = parameterPattern.lastIndex;
      const [, name = "", quoted, plain = ""] = match;
      parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, "$1") ?? plain);
    }
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters });
  }
  return challenges;
}
