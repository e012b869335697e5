import { LongshoreError } from "../errors/longshore-error.ts";

/** Optional host and port, path, optional tag, optional digest. */
const referencePattern =
  /^(?:[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*(?::\d{1,5})?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;
/** An image in a directory or archive of the host, by absolute path: no reference looks like it. */
const localPattern =
  /^(?:oci|oci-archive|docker-archive):\/[A-Za-z0-9._+/-]*(?::[A-Za-z0-9._/:-]+)?$/;
const digestPattern = /^\*@sha256:[0-9a-f]{64}$/;

/**
 * The full name of an image: `alpine` is `docker.io/library/alpine:latest`. A digest stays as it is, and a reference that
 * has one gets no tag. An image of the host, `oci:/DIR[:TAG]`, `oci-archive:/FILE[:TAG]` or
 * `docker-archive:/FILE[:REFERENCE]`, has no other name than this.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what is not an image reference
 */
export function normalizeImage(reference: string): string {
  if (isLocalImage(reference)) return reference;
  if (reference.length > 512 || !referencePattern.test(reference)) {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `${JSON.stringify(reference.slice(0, 200))} is not an image reference.`,
      { details: { image: reference.slice(0, 200) } },
    );
  }
  const [name = "", digest] = reference.split("@");
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  const hasHost = first.includes(".") || first.includes(":") || first === "localhost";
  const host = hasHost && !isDockerHub(first) ? first : "docker.io";
  const path = hasHost ? name.slice(slash + 1) : name;
  const fullPath = host === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  const isTagged = fullPath.slice(fullPath.lastIndexOf("/") + 1).includes(":");
  const tagged = isTagged || digest !== undefined ? fullPath : `${fullPath}:latest`;
  return `${host}/${tagged}${digest === undefined ? "" : `@${digest}`}`;
}

/**
 * Whether an image is meant by a pattern: an exact reference, `name:*` for any tag of that name, `registry/path/*` for
 * everything below, `*@sha256:<digest>` for those bytes under any name, or `*`. Images of the host (`oci:/DIR:TAG`) are
 * meant by their exact text only: whoever may use every image of every registry may not look into every directory.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what is not an image reference
 */
export function isImageMatch(reference: string, pattern: string): boolean {
  const image = normalizeImage(reference);
  if (isLocalImage(image) || isLocalImage(pattern)) return image === pattern;
  if (pattern === "*") return true;
  if (pattern.startsWith("*@"))
    return digestPattern.test(pattern) && image.endsWith(pattern.slice(1));
  if (pattern.endsWith("/*")) return image.startsWith(pathBelow(pattern.slice(0, -1)));
  if (pattern.endsWith(":*")) {
    const name = withoutTag(normalizeImage(pattern.slice(0, -2)));
    return withoutTag(image) === name && !image.includes("@");
  }
  return image === normalizeImage(pattern);
}

function isLocalImage(text: string): boolean {
  return text.length <= 512 && localPattern.test(text);
}

/** @throws {LongshoreError} `CONFIG_ERROR` for a pattern that {@link isImageMatch} cannot read */
export function assertImagePattern(pattern: string): void {
  if (pattern.startsWith("*@") && !digestPattern.test(pattern)) throw patternError(pattern);
  // Patterns for images of the host would mean nothing.
  if (/^(oci|oci-archive|docker-archive):\//.test(pattern) && !isLocalImage(pattern)) {
    throw patternError(pattern);
  }
  try {
    isImageMatch("any", pattern);
  } catch (error) {
    throw patternError(pattern, error);
  }
}

/** What the full names of all images below a path begin with. */
function pathBelow(path: string): string {
  const full = normalizeImage(`${path}x`);
  // `docker.io/` is the whole registry, although `docker.io/x` is short for `docker.io/library/x`.
  if (path.indexOf("/") === path.length - 1 && full.startsWith("docker.io/library/")) {
    return isDockerHub(path.slice(0, -1)) ? "docker.io/" : `docker.io/${path}`;
  }
  return full.slice(0, full.lastIndexOf("/") + 1);
}

function isDockerHub(host: string): boolean {
  return host === "docker.io" || host === "index.docker.io";
}

function patternError(pattern: string, cause?: unknown): LongshoreError {
  return new LongshoreError(
    "CONFIG_ERROR",
    `${JSON.stringify(pattern.slice(0, 200))} in policy.allowed_images is not an image pattern.`,
    { cause, details: { pattern: pattern.slice(0, 200) } },
  );
}

function withoutTag(image: string): string {
  const [name = ""] = image.split("@");
  const colon = name.lastIndexOf(":");
  return colon > name.lastIndexOf("/") ? name.slice(0, colon) : name;
}
