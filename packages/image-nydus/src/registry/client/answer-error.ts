import { z } from "zod";
import { authFailed, imageNotFound, pullFailed, pullRefused } from "../registry-errors.ts";
import { discard, headerOf, type HttpAnswer } from "./http-exchange.ts";
import { retryAfterMs } from "./retry.ts";

const maxBodyBytes = 16_384;
const bodySchema = z.looseObject({
  errors: z.array(z.looseObject({ code: z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/) })).max(100),
});

/**
 * The error that an answer means which was not hoped for. The body is used up. What the registry says in its own words is
 * left out, since it could repeat what it was sent; its error codes are kept.
 *
 * @param what names what was asked for, e.g. `docker.io/library/alpine:9`
 */
export async function answerError(answer: HttpAnswer, what: string): Promise<Error> {
  const { status } = answer;
  const codes = await errorCodes(answer);
  const reason = [String(status), ...codes].join(" ");
  const where = answer.url.host;
  if (status === 401 || status === 403) {
    return authFailed(`${where} does not give access to ${what} (${reason}).`);
  }
  if (status === 404) return imageNotFound(`${where} has no ${what} (${reason}).`);
  const message = `${where} answered ${reason} when asked for ${what}.`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return pullFailed(message, { retryAfterMs: retryAfterMs(headerOf(answer, "retry-after")) });
  }
  return pullRefused(message);
}

async function errorCodes(answer: HttpAnswer): Promise<readonly string[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.body) {
      size += (chunk as Buffer).length;
      if (size > maxBodyBytes) break;
      chunks.push(chunk as Buffer);
    }
    const parsed = bodySchema.safeParse(JSON.parse(Buffer.concat(chunks).toString("utf8")));
    return (parsed.data?.errors ?? []).slice(0, 3).map(({ code }) => code);
  } catch {
    // The status says enough; the body was only to say more.
    return [];
  } finally {
    discard(answer);
  }
}
