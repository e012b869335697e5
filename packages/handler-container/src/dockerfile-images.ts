import { invalid } from "./sandbox-wishes.ts";

const field = "runtime.build.dockerfile";

/**
 * Images that building a Dockerfile would fetch: of `FROM`, and of `--from` and `--mount` that name no stage.
 *
 * It is read the way builders do, and more strictly: what could fetch something that cannot be seen here is refused, like
 * variables in an image's name, `# syntax`, or `ADD` of a URL.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function dockerfileImages(text: string): readonly string[] {
  const physical = text.split(/\r?\n/);
  refuseDirectives(physical);
  const stages = new Set<string>();
  let stageCount = 0;
  const images = new Set<string>();
  const use = (name: string): void => {
    const isStage =
      stages.has(name.toLowerCase()) || (/^\d+$/.test(name) && Number(name) < stageCount);
    if (!isStage && name !== "scratch") images.add(name);
  };
  const from = (rest: string): void => {
    if (/[$\\`"']/.test(rest)) throw refused("FROM with a variable, quote or continued line");
    const words = rest.trim().split(/\s+/);
    while (words[0]?.startsWith("--") === true) words.shift();
    const [image, as, name, ...more] = words;
    if (image === undefined || image === "") throw refused("FROM without an image");
    const isNamed = as?.toLowerCase() === "as" && name !== undefined;
    if ((as !== undefined && !isNamed) || more.length > 0) throw refused("a FROM that is none");
    use(image);
    if (isNamed) stages.add(name.toLowerCase());
    stageCount += 1;
  };

  for (const line of logicalLines(physical)) {
    const [, word = "", rest = ""] = /^\s*([a-z]+)\b([^]*)$/i.exec(line) ?? [];
    switch (word.toUpperCase()) {
      case "FROM":
        from(rest);
        break;
      case "COPY":
      case "ADD":
        if (word.toUpperCase() === "ADD") refuseFetch(rest);
        for (const flag of flagsOf(rest)) {
          if (flag.name === "from") use(plain(flag.value));
        }
        break;
      case "RUN":
        for (const flag of flagsOf(rest)) {
          if (flag.name !== "mount") throw refused(`RUN --${flag.name}`);
          const source = /(?:^|,)from=([^,]*)/.exec(flag.value)?.[1];
          if (source !== undefined) use(plain(source));
        }
        break;
      default:
        break;
    }
  }
  if (stageCount === 0) throw refused("no FROM");
  // Where a builder ends a line earlier than we do, a FROM would be out of sight.
  for (const line of physical) {
    const [, rest] = /^\s*FROM\s+(.*)$/i.exec(line) ?? [];
    if (rest !== undefined) from(rest);
  }
  return [...images];
}

/** Comments left out, continued lines put together, as builders do. */
function logicalLines(physical: readonly string[]): readonly string[] {
  const lines: string[] = [];
  let open = "";
  for (const line of physical) {
    if (/^\s*#/.test(line)) continue;
    const [, begun] = /^([^]*)\\[ \t]*$/.exec(line) ?? [];
    if (begun === undefined) {
      lines.push(open + line);
      open = "";
    } else {
      open += begun;
    }
  }
  return open === "" ? lines : [...lines, open];
}

function refuseDirectives(physical: readonly string[]): void {
  for (const line of physical) {
    const [, name] = /^\s*#\s*(syntax|escape)\s*=/i.exec(line) ?? [];
    if (name !== undefined) throw refused(`the directive "# ${name}"`);
  }
}

function refuseFetch(rest: string): void {
  if (/[a-z]+:\/\/|git@|\$/i.test(rest)) throw refused("ADD of a URL or a variable");
}

function* flagsOf(rest: string): Generator<{ readonly name: string; readonly value: string }> {
  for (const word of rest.trim().split(/\s+/)) {
    const [, name, value = ""] = /^--([a-z-]+)(?:=(.*))?$/i.exec(word) ?? [];
    if (name === undefined) return;
    yield { name: name.toLowerCase(), value };
  }
}

function plain(name: string): string {
  if (/[$\\`"']/.test(name) || name === "")
    throw refused("an image's name with a variable or quote");
  return name;
}

function refused(what: string) {
  return invalid(field, `${what} is not accepted`);
}
