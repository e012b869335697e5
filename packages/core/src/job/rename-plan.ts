import { z } from "zod";

/**
 * How one level of a document is renamed between its wire form (`snake_case`) and its API form (`camelCase`). Built once
 * from a schema, so that renaming costs one look-up per field and never looks into maps or payloads.
 */
export interface RenamePlan {
  readonly toApi: ReadonlyMap<string, RenamedField>;
  readonly toWire: ReadonlyMap<string, RenamedField>;
}

interface RenamedField {
  readonly name: string;
  /** For a field that holds an object, or a list of objects, of known shape */
  readonly plan: RenamePlan | undefined;
}

export function renamePlan(schema: z.ZodObject): RenamePlan {
  const toApi = new Map<string, RenamedField>();
  const toWire = new Map<string, RenamedField>();
  for (const [wireName, fieldSchema] of Object.entries(schema.shape)) {
    const apiName = toCamelCase(wireName);
    const inner = objectInside(fieldSchema);
    const plan = inner === undefined ? undefined : renamePlan(inner);
    toApi.set(wireName, { name: apiName, plan });
    toWire.set(apiName, { name: wireName, plan });
  }
  return { toApi, toWire };
}

/**
 * A copy of the value with its known fields renamed. Unknown fields keep their names; one that has the name a known
 * field would get is left out, because it could pass for a checked value.
 */
export function rename(value: unknown, plan: RenamePlan, direction: keyof RenamePlan): unknown {
  if (Array.isArray(value)) {
    return value.map((item: unknown) => rename(item, plan, direction));
  }
  if (typeof value !== "object" || value === null) return value;
  const fields = plan[direction];
  const reserved = plan[direction === "toApi" ? "toWire" : "toApi"];
  const renamed: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined || key === "__proto__") continue;
    const known = fields.get(key);
    if (known === undefined) {
      if (!reserved.has(key)) renamed[key] = field;
    } else {
      renamed[known.name] = known.plan === undefined ? field : rename(field, known.plan, direction);
    }
  }
  return renamed;
}

/** Paths of the fields, in wire names, that the schema does not know. */
export function unknownFields(value: unknown, plan: RenamePlan, path = ""): readonly string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => unknownFields(item, plan, `${path}[${index}]`));
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, field]) => {
    const fieldPath = path === "" ? key : `${path}.${key}`;
    const known = plan.toApi.get(key);
    if (known === undefined) return [fieldPath];
    return known.plan === undefined ? [] : unknownFields(field, known.plan, fieldPath);
  });
}

function objectInside(schema: z.core.$ZodType): z.ZodObject | undefined {
  if (schema instanceof z.ZodObject) return schema;
  if (schema instanceof z.ZodArray) return objectInside(schema.element);
  if (schema instanceof z.ZodUnion) return schema.options.map(objectInside).find(Boolean);
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  ) {
    return objectInside(schema.unwrap());
  }
  return undefined;
}

function toCamelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}
