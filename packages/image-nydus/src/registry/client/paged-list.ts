import type { Abortable } from "@longshore/core";
import { pullRefused } from "../registry-errors.ts";
import { fetchDocument, type DocumentRequest, type RemoteDocument } from "./fetch-document.ts";
import { headerOf, resolveLocation, type HttpAnswer } from "./http-exchange.ts";
import type { Repository } from "./repository.ts";

const maxPages = 500;

/** The pages of a list, each linked to by the one before. */
export async function* fetchPages(
  repository: Repository,
  first: DocumentRequest,
  options: Abortable = {},
): AsyncGenerator<RemoteDocument, void, undefined> {
  const visited = new Set<string>();
  let request: DocumentRequest | undefined = first;
  while (request !== undefined) {
    const address = String(request.target);
    if (visited.has(address) || visited.size >= maxPages) {
      throw pullRefused(`The list of ${first.name} has no end.`);
    }
    visited.add(address);
    const page: RemoteDocument = await fetchDocument(repository, request, options);
    yield page;
    const next = nextPage(page.answer, repository);
    request = next === undefined ? undefined : { ...first, target: next };
  }
}

function nextPage(answer: HttpAnswer, repository: Repository): URL | undefined {
  const link = headerOf(answer, "link")?.slice(0, 16_384) ?? "";
  const match = /<([^<>]*)>\s*;\s*rel\s*=\s*"?next"?(?:\s*[;,]|\s*$)/i.exec(link);
  if (match === null) return undefined;
  const next = resolveLocation(match[1] ?? "", answer.url);
  if (next.origin === repository.url.origin) return next;
  throw pullRefused(`${repository.url.host} continues a list at ${next.host}.`);
}
