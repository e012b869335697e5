import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { admissionRules, configJsonSchema } from "../../src/index.ts";

const property = z.looseObject({
  description: z.string().optional(),
  default: z.unknown().optional(),
});
const section = z.looseObject({ properties: z.record(z.string(), z.unknown()) });

interface Key {
  readonly key: string;
  readonly description: string | undefined;
  readonly default: string | undefined;
}

/** Their keys are documented one by one; other objects are values of one key. */
const sections = new Set([
  "worker",
  "worker.capabilities",
  "policy",
  "policy.defaults",
  "policy.max",
  "api",
]);

function* keysIn(schema: unknown, path = ""): Generator<Key> {
  const { properties } = section.parse(schema);
  for (const [name, inner] of Object.entries(properties)) {
    const key = `${path}${name}`;
    if (sections.has(key)) {
      yield* keysIn(inner, `${key}.`);
      continue;
    }
    const { description, default: preset } = property.parse(inner);
    yield {
      key,
      description,
      default: preset === undefined ? undefined : JSON.stringify(preset),
    };
  }
}

/** The rows of the table whose first column has keys. */
async function documentedKeys(): Promise<readonly Key[]> {
  const text = await readFile(join(import.meta.dirname, "../../../../docs/config.md"), "utf8");
  const [, table = ""] = /\n(\| key +\| meaning [^]*?)\n\n/.exec(text) ?? [];
  return table
    .split("\n")
    .slice(2)
    .map((row) => {
      const [, key = "", description = "", preset = ""] = row.split("|").map((cell) => cell.trim());
      return {
        key: key.replaceAll("`", ""),
        description,
        default: preset === "" ? undefined : preset.replaceAll("`", ""),
      };
    });
}

describe("docs/config.md", () => {
  it("describes every key of the schema, and no other", async () => {
    const documented = await documentedKeys();
    const known = [...keysIn(configJsonSchema())];
    expect(documented.map(({ key }) => key)).toEqual(known.map(({ key }) => key));
  });

  it("says the same as the schema about each key", async () => {
    const documented = new Map((await documentedKeys()).map((row) => [row.key, row]));
    const differing = [...keysIn(configJsonSchema())].filter(({ key, ...said }) => {
      const { description, default: preset } = { ...said, ...documented.get(key) };
      const isDescribed = said.description === undefined || said.description === description;
      return !isDescribed || (said.default !== undefined && said.default !== preset);
    });
    expect(differing).toEqual([]);
  });

  it("says the defaults of limits that the worker really has", async () => {
    const documented = new Map((await documentedKeys()).map((row) => [row.key, row.default]));
    const { defaults, max } = admissionRules();
    expect({
      timeoutSeconds: documented.get("policy.defaults.timeout_seconds"),
      memoryMb: documented.get("policy.defaults.memory_mb"),
      cpus: documented.get("policy.defaults.cpus"),
      pids: documented.get("policy.defaults.pids"),
    }).toEqual(
      Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, String(value)])),
    );
    expect(documented.get("policy.max.timeout_seconds")).toBe(String(max.timeoutSeconds));
    expect(documented.get("policy.max.payload_bytes")).toBe(String(max.payloadBytes));
  });
});
