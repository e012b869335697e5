import type { Abortable } from "@longshore/core";
import { z } from "zod";
import { parseBoundedJson } from "../bounded-json.ts";
import { checked } from "../manifest.ts";
import { isTag } from "../reference.ts";
import { invalid } from "../registry-errors.ts";
import { fetchPages } from "./paged-list.ts";
import type { Repository } from "./repository.ts";

const maxTags = 1_000_000;
const pageSchema = z.looseObject({ tags: z.array(z.string()).nullish() });

/** All tags of a repository, in the registry's order. */
export async function fetchTags(
  repository: Repository,
  options: Abortable = {},
): Promise<readonly string[]> {
  const tags = new Set<string>();
  const first = { target: "tags/list?n=1000", what: "tag list", name: repository.name };
  for await (const { bytes } of fetchPages(repository, first, options)) {
    const page = checked(pageSchema, parseBoundedJson(bytes, "tag list"), "tag list");
    for (const tag of page.tags ?? []) if (isTag(tag)) tags.add(tag);
    if (tags.size > maxTags) throw invalid("tag list", `has more than ${maxTags} tags`);
  }
  return [...tags];
}
