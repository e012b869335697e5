const aliases: Readonly<Record<string, string>> = {
  bash: "shell",
  sh: "shell",
  python3: "python",
  nodejs: "node",
  "node.js": "node",
  rb: "ruby",
  golang: "go",
  jdk: "java",
  openjdk: "java",
  perl5: "perl",
  rscript: "r",
  builtin: "native",
  standalone: "native",
};

/** The one name of a runtime: lower case, `python3` is `python`, `bash` is `shell`. */
export function normalizeRuntime(name: string): string {
  const lower = name.trim().toLowerCase();
  return Object.hasOwn(aliases, lower) ? (aliases[lower] ?? lower) : lower;
}
