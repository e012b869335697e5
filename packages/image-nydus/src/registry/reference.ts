import { isDigest } from "./digest.ts";
import { invalid, shown } from "./registry-errors.ts";

/** An image in a registry, its name completed as Docker does. */
export interface ImageReference {
  /** Host with port when one is given: `docker.io`, `localhost:5000`, `[::1]:5000` */
  readonly registry: string;
  /** Path below the registry: `library/alpine` */
  readonly repository: string;
  /** `latest` when the text has neither tag nor digest */
  readonly tag?: string | undefined;
  /** `sha256:…`; wins over the tag */
  readonly digest?: string | undefined;
}

const maxLength = 1_024;
const maxRepositoryLength = 255;

const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const hostPattern = new RegExp(
  String.raw`^(?:${label}(?:\.${label})*|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$`,
);
const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** Whether a text can be the tag of an image. */
export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/**
 * Reads an image reference: `alpine` is `docker.io/library/alpine:latest`, `localhost/x` and `host:5000/x` name their
 * registry. A tag beside a digest is kept; digests are kept as they are.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what is not an image reference
 */
export function parseReference(text: string): ImageReference {
  const fail = (expected: string): Error =>
    invalid("image", `${shown(text)} is not an image reference: ${expected}`);
  if (text.length === 0) throw fail("it is empty");
  if (text.length > maxLength) throw fail(`it has more than ${maxLength} characters`);

  const at = text.indexOf("@");
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) {
    throw fail("after @ comes a digest, sha256: and 64 lower-case hexadecimal digits");
  }
  const { registry, path } = splitHost(at === -1 ? text : text.slice(0, at));
  if (!isHost(registry)) throw fail(`${shown(registry)} is not a host name with an optional port`);

  const colon = path.indexOf(":");
  const tag = colon === -1 ? undefined : path.slice(colon + 1);
  if (tag !== undefined && !isTag(tag)) {
    throw fail(
      "a tag is up to 128 letters, digits, _, . and -, and begins with none of the last two",
    );
  }
  const name = colon === -1 ? path : path.slice(0, colon);
  if (!repositoryPattern.test(name)) {
    throw fail("a name is lower-case letters and digits, parted by /, ., _, __ or dashes");
  }
  if (name === path && at === -1 && /^[0-9a-f]{64}$/.test(name)) {
    throw fail("64 hexadecimal digits are an image id, which only a store knows");
  }
  const repository = registry === "docker.io" && !name.includes("/") ? `library/${name}` : name;
  if (repository.length > maxRepositoryLength) {
    throw fail(`its name has more than ${maxRepositoryLength} characters`);
  }
  const effectiveTag = tag ?? (digest === undefined ? "latest" : undefined);
  return {
    registry,
    repository,
    ...(effectiveTag !== undefined && { tag: effectiveTag }),
    ...(digest !== undefined && { digest }),
  };
}

/** The full text of a reference; {@link parseReference} reads it back as the same reference. */
export function formatReference(reference: ImageReference): string {
  const { registry, repository, tag, digest } = reference;
  return [
    `${registry}/${repository}`,
    ...(tag === undefined ? [] : [`:${tag}`]),
    ...(digest === undefined ? [] : [`@${digest}`]),
  ].join("");
}

function splitHost(text: string): { readonly registry: string; readonly path: string } {
  const slash = text.indexOf("/");
  const first = text.slice(0, slash);
  const isNamed = slash !== -1 && (/[.:]/.test(first) || first === "localhost");
  if (!isNamed) return { registry: "docker.io", path: text };
  const registry = first === "index.docker.io" ? "docker.io" : first;
  return { registry, path: text.slice(slash + 1) };
}

function isHost(text: string): boolean {
  if (!hostPattern.test(text)) return false;
  const port = /:([0-9]+)$/.exec(text.replace(/^\[.*\]/, ""))?.[1];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return false;
  // The URL parser is the judge of IPv6 addresses.
  return URL.canParse(`http://${text}/`);
}
