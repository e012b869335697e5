import { z } from "zod";
import { parseBoundedJson } from "./bounded-json.ts";
import { checked } from "./manifest.ts";
import type { Platform } from "./platform.ts";

/** The configuration of an image, in the names of its file. Fields that are not named here are kept, too. */
export interface ImageConfigFile {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly "os.version"?: string | undefined;
  readonly "os.features"?: readonly string[] | undefined;
  /** RFC 3339 */
  readonly created?: string | undefined;
  readonly author?: string | undefined;
  /** What containers start with */
  readonly config?: ImageProcessConfig | undefined;
  readonly rootfs: {
    readonly type: string;
    /** Digests of the uncompressed layers, lowest first */
    readonly diff_ids: readonly string[];
  };
  readonly history?: readonly ImageHistoryEntry[] | undefined;
}

export interface ImageProcessConfig {
  readonly User?: string | undefined;
  readonly Env?: readonly string[] | undefined;
  readonly Entrypoint?: readonly string[] | undefined;
  readonly Cmd?: readonly string[] | undefined;
  readonly WorkingDir?: string | undefined;
  readonly StopSignal?: string | undefined;
  readonly Labels?: Readonly<Record<string, string>> | undefined;
  readonly ExposedPorts?: Readonly<Record<string, unknown>> | undefined;
  readonly Volumes?: Readonly<Record<string, unknown>> | undefined;
}

export interface ImageHistoryEntry {
  readonly created?: string | undefined;
  readonly created_by?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  /** Whether this step made no layer */
  readonly empty_layer?: boolean | undefined;
}

const text = z.string().nullish();
const list = z.array(z.string()).nullish();
const map = z.record(z.string(), z.unknown()).nullish();

const schema = z.looseObject({
  os: z.string().max(255).default(""),
  architecture: z.string().max(255).default(""),
  variant: text,
  "os.version": text,
  "os.features": list,
  created: text,
  author: text,
  config: z
    .looseObject({
      User: text,
      Env: list,
      Entrypoint: list,
      Cmd: list,
      WorkingDir: text,
      StopSignal: text,
      Labels: z.record(z.string(), z.string()).nullish(),
      ExposedPorts: map,
      Volumes: map,
    })
    .nullish(),
  rootfs: z.looseObject({
    type: z.string(),
    diff_ids: z.array(z.string().max(255)).max(4_096).nullish(),
  }),
  history: z
    .array(
      z.looseObject({
        created: text,
        created_by: text,
        author: text,
        comment: text,
        empty_layer: z.boolean().nullish(),
      }),
    )
    .max(65_536)
    .nullish(),
});

/**
 * Parses the configuration of an image.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function parseImageConfigFile(bytes: Uint8Array): ImageConfigFile {
  const parsed = checked(schema, parseBoundedJson(bytes, "config"), "config");
  const { rootfs } = parsed;
  const file: unknown = {
    ...withoutNulls(parsed),
    ...(parsed.config && { config: withoutNulls(parsed.config) }),
    rootfs: { ...rootfs, diff_ids: rootfs.diff_ids ?? [] },
    ...(parsed.history && { history: parsed.history.map(withoutNulls) }),
  };
  return file as ImageConfigFile;
}

/** What an image runs on by its configuration; undefined when that does not say. */
export function configPlatform(config: ImageConfigFile): Platform | undefined {
  const { os, architecture, variant } = config;
  if (os === "" || architecture === "") return undefined;
  const osVersion = config["os.version"];
  const osFeatures = config["os.features"];
  return {
    os,
    architecture,
    ...(variant !== undefined && variant !== "" && { variant }),
    ...(osVersion !== undefined && osVersion !== "" && { osVersion }),
    ...(osFeatures !== undefined && osFeatures.length > 0 && { osFeatures }),
  };
}

function withoutNulls(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}
