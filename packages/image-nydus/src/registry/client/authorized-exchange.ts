import type { Authenticator } from "../auth/authenticator.ts";
import {
  discard,
  exchange,
  type HttpAnswer,
  type HttpContext,
  type HttpRequest,
} from "./http-exchange.ts";

export interface AuthorizedRequest extends Omit<HttpRequest, "authorization"> {
  readonly authenticator: Authenticator;
  /** `repository:library/alpine:pull` */
  readonly scope: string;
}

/** A refused token, an answer without a challenge, and the token that comes of the challenge. */
const maxRefusals = 3;

/** A request with what the registry asks for to let us in. A 401 comes back only when all tries are used up. */
export async function authorizedExchange(
  context: HttpContext,
  request: AuthorizedRequest,
): Promise<HttpAnswer> {
  const { authenticator, scope, signal, url } = request;
  /** Whether a token was made for a challenge of this very request */
  let isFresh = false;
  for (let refusals = 0; ;) {
    const authorization = await authenticator.authorize(scope, { signal });
    const answer = await exchange(context, { ...request, authorization });
    // A 401 from where a redirect led is not the registry's: what it asks for is not answered.
    if (answer.status !== 401 || answer.url.origin !== url.origin) return answer;
    refusals += 1;
    if (refusals >= maxRefusals || (isFresh && authorization !== undefined)) return answer;
    const header = answer.headers["www-authenticate"];
    discard(answer);
    authenticator.handleRefusal({ header, scope, used: authorization });
    isFresh = header !== undefined;
  }
}
