import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  checkAdmission,
  findCommand,
  isImageMatch,
  LongshoreError,
  normalizeImage,
  writeFiles,
  type HandlerContext,
} from "@longshore/core";
import { buildahCommands, buildkitCommands, type BuildPlace } from "./builder-commands.ts";
import type { ContainerHandlerOptions } from "./container-handler-options.ts";
import { dockerfileImages } from "./dockerfile-images.ts";
import type { PolicyGate } from "./policy-gate.ts";
import { runBuilder } from "./run-builder.ts";
import { invalid, sandboxWishes } from "./sandbox-wishes.ts";

interface BuildField {
  readonly dockerfile: string;
  readonly context: Readonly<Record<string, string>>;
  readonly args: Readonly<Record<string, string>>;
  readonly tag: string | undefined;
}

export interface BuildOptions {
  readonly gate: PolicyGate;
  /** Bytes of the build's context */
  readonly maxBytes: number;
  /** Name of the image when the job gives it none */
  readonly temporaryName: string;
}

/**
 * Builds the image of a job from its Dockerfile, without network, and puts it into the store. Resolves to its id.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` without a builder, `IMAGE_NOT_ALLOWED` for an image it begins with,
 *   `POLICY_DENIED`, `VALIDATION_ERROR`, `EXECUTION_ERROR` when the build fails
 */
export async function buildImage(
  context: HandlerContext,
  options: ContainerHandlerOptions,
  { gate, maxBytes, temporaryName }: BuildOptions,
): Promise<string> {
  const { document, signal, workDir } = context;
  const { rules, importImage } = options;
  checkAdmission(document, rules);
  const field = readBuild(document.runtime?.build);
  for (const image of dockerfileImages(field.dockerfile)) {
    if (!rules.allowedImages.some((pattern) => isImageMatch(image, pattern))) {
      throw new LongshoreError(
        "IMAGE_NOT_ALLOWED",
        `The Dockerfile uses the image "${image}", which is not in policy.allowed_images.`,
        { phase: "validation", details: { image } },
      );
    }
    await gate.assert(`image:${normalizeImage(image)}`, "write");
  }
  const reference = tagOf(field.tag) ?? temporaryName;
  await gate.assert(`image:${reference}`, "write");
  const commands = await findBuilder();
  if (importImage === undefined) throw unsupported("this worker cannot take built images in");

  const place: BuildPlace = {
    contextDir: join(workDir, "build-context"),
    dockerfile: join(workDir, "build", "Dockerfile"),
    stateDir: join(workDir, "build-state"),
    layout: join(workDir, "build-layout"),
  };
  for (const path of [place.contextDir, join(workDir, "build"), place.stateDir]) await mkdir(path);
  await writeFile(place.dockerfile, field.dockerfile, { flag: "wx" });
  const files = Object.entries(field.context).map(
    ([path, content]) => [path, { content }] as const,
  );
  await writeFiles(Object.fromEntries(files), {
    workDir: place.contextDir,
    maxBytes,
    user: undefined,
    field: "runtime.build.context",
  });
  context.progress({ phase: "image_build" });
  const { resources } = sandboxWishes(document.runtime ?? { mode: "build" }, options);
  for (const command of commands(place, { args: field.args, resources })) {
    await runBuilder(context, command);
  }
  return importImage({ directory: place.layout, reference }, { signal });
}

type Commands = typeof buildahCommands;

async function findBuilder(): Promise<Commands> {
  const path = process.env["PATH"] ?? "";
  if ((await findCommand("buildah", path)) !== undefined) return buildahCommands;
  if ((await findCommand("buildctl", path)) !== undefined) return buildkitCommands;
  throw unsupported("neither buildah nor BuildKit (buildctl) is installed on this worker");
}

/** A name that no image of anybody else can have: jobs must not put theirs in its place. */
function tagOf(tag: string | undefined): string | undefined {
  if (tag === undefined) return undefined;
  const reference = normalizeImage(tag);
  if (reference.startsWith("localhost/") && !reference.includes("@")) return reference;
  throw invalid("runtime.build.tag", 'must be below "localhost/"');
}

function readBuild(value: unknown): BuildField {
  if (typeof value !== "object" || value === null) throw invalid("runtime.build", "is needed");
  const fields = value as Readonly<Record<string, unknown>>;
  const { dockerfile, context = {}, args = {}, tag, archive } = fields;
  if (typeof dockerfile !== "string" || dockerfile.trim() === "") {
    throw invalid("runtime.build.dockerfile", "must be the text of a Dockerfile");
  }
  if (archive !== undefined || typeof context === "string") {
    throw unsupported("the context of a build must be files, not an archive");
  }
  if (tag !== undefined && typeof tag !== "string")
    throw invalid("runtime.build.tag", "must be text");
  const argNames = Object.keys(texts(args, "runtime.build.args"));
  if (!argNames.every((name) => /^[A-Za-z_]\w*$/.test(name))) {
    throw invalid("runtime.build.args", "has a name that is none");
  }
  return {
    dockerfile,
    context: texts(context, "runtime.build.context"),
    args: texts(args, "runtime.build.args"),
    tag,
  };
}

function texts(value: unknown, path: string): Readonly<Record<string, string>> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (isObject && Object.values(value).every((text) => typeof text === "string")) {
    return value as Readonly<Record<string, string>>;
  }
  throw invalid(path, "must be an object of texts");
}

function unsupported(reason: string): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", `The image cannot be built: ${reason}.`, {
    phase: "validation",
  });
}
