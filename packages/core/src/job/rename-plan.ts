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
  /** For a map of free keys to objects of known shape */
  readonly valuePlan: RenamePlan | undefined;
}

/** A field that the schema does not know. */
export interface UnknownField {
  /** In wire names: `execution.x_rate`, `history[2].x` */
  readonly path: string;
  /** The known field whose API name it has; {@link rename} leaves such a field out */
  readonly meant: string | undefined;
}

export function renamePlan(schema: z.ZodObject): RenamePlan {
  const toApi = new Map<string, RenamedField>();
  const toWire = new Map<string, RenamedField>();
  for (const [wireName, fieldSchema] of Object.entries(schema.shape)) {
    const apiName = toCamelCase(wireName);
    const inner = unwrapped(fieldSchema);
    const plan = planInside(inner);
    const valuePlan = inner instanceof z.ZodRecord ? planInside(inner.valueType) : undefined;
    toApi.set(wireName, { name: apiName, plan, valuePlan });
    toWire.set(apiName, { name: wireName, plan, valuePlan });
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
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined || key === "__proto__") continue;
    const known = fields.get(key);
    if (known === undefined) {
      if (!reserved.has(key)) renamed[key] = field;
    } else if (known.plan !== undefined) {
      renamed[known.name] = rename(field, known.plan, direction);
    } else if (known.valuePlan === undefined) {
      renamed[known.name] = field;
    } else {
      renamed[known.name] = renameValues(field, known.valuePlan, direction);
    }
  }
  return renamed;
}

function renameValues(map: unknown, plan: RenamePlan, direction: keyof RenamePlan): unknown {
  if (typeof map !== "object" || map === null) return map;
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [key, rename(value, plan, direction)]),
  );
}

/** The fields that the schema does not know, in the order of the document. */
export function unknownFields(value: unknown, plan: RenamePlan): readonly UnknownField[] {
  const found: UnknownField[] = [];
  collectUnknown(value, { plan, path: "", found });
  return found;
}

interface Collecting {
  readonly plan: RenamePlan;
  readonly path: string;
  readonly found: UnknownField[];
}

function collectUnknown(value: unknown, { plan, path, found }: Collecting): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    value.forEach((item: unknown, index) => {
      collectUnknown(item, { plan, path: `${path}[${index}]`, found });
    });
    return;
  }
  for (const [key, field] of Object.entries(value)) {
    const known = plan.toApi.get(key);
    if (known === undefined) {
      found.push({ path: join(path, key), meant: plan.toWire.get(key)?.name });
    } else if (known.plan !== undefined) {
      collectUnknown(field, { plan: known.plan, path: join(path, key), found });
    } else if (known.valuePlan !== undefined && typeof field === "object" && field !== null) {
      for (const [name, item] of Object.entries(field)) {
        const itemPath = join(join(path, key), name);
        collectUnknown(item, { plan: known.valuePlan, path: itemPath, found });
      }
    }
  }
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function planInside(schema: z.core.$ZodType): RenamePlan | undefined {
  const inner = objectInside(schema);
  return inner === undefined ? undefined : renamePlan(inner);
}

function objectInside(schema: z.core.$ZodType): z.ZodObject | undefined {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodObject) return inner;
  if (inner instanceof z.ZodArray) return objectInside(inner.element);
  if (inner instanceof z.ZodUnion) return inner.options.map(objectInside).find(Boolean);
  return undefined;
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const isWrapper =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault;
  return isWrapper ? unwrapped(schema.unwrap()) : schema;
}

function toCamelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}
