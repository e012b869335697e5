/** What an answer carries: text, bytes, or parts that are written as they come and no faster than they are read. */
export type ApiBody = string | Uint8Array | AsyncIterable<string | Uint8Array>;

export interface ApiAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: ApiBody | undefined;
}

/** A request that was authenticated, as a route sees it. */
export interface ApiRequest {
  /** `HEAD` comes as `GET`, its body is not sent */
  readonly method: string;
  /** Whether the client asked for the headers alone */
  readonly isHead: boolean;
  readonly requestId: string;
  /** Who asks, as a policy knows it */
  readonly subject: string;
  /** Who a limit per client counts for: the subject, or the address of an anonymous client */
  readonly client: string;
  /** Values of the path's parameters, percent-decoded once */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Aborts when the client is gone, or the server closes */
  readonly signal: AbortSignal;
  /** First value of a header, by its name in lower case */
  header(name: string): string | undefined;
  /**
   * The whole body.
   *
   * @throws {LongshoreError} `INVALID_BODY` (413) when it is larger than allowed, (400) when it breaks off
   */
  body(): Promise<Uint8Array>;
  /** @throws {LongshoreError} `POLICY_DENIED` */
  authorize(object: string, action: string): Promise<void>;
  isAllowed(object: string, action: string): Promise<boolean>;
}

/**
 * Who may call a route. `public`: everybody, without credentials. An object with an action: whom the policy lets.
 * `route`: the route itself asks, by `authorize` or `isAllowed`; an answer of one that did not is withheld. `inside`:
 * whoever has credentials; what the route calls asks about each thing it does, by the subject that it is handed.
 */
export type ApiAccess =
  | "public"
  | "route"
  | "inside"
  | { readonly object: string; readonly action: string };

/** A parameter of a path or query, for the API's description. */
export interface ApiParameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description: string;
  /** JSON Schema. @default a string */
  readonly schema?: Readonly<Record<string, unknown>> | undefined;
}

/** One kind of content: a schema of `components`, or JSON Schema. */
export type ApiContent = Readonly<
  Record<string, { readonly schema?: string | Readonly<Record<string, unknown>> | undefined }>
>;

/** What a client has to know of a route, for `/openapi.json`. */
export interface ApiDescription {
  readonly operationId: string;
  readonly summary: string;
  readonly tag: string;
  readonly parameters?: readonly ApiParameter[] | undefined;
  readonly requestBody?: { readonly required: boolean; readonly content: ApiContent } | undefined;
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: ApiContent | undefined }>
  >;
}

/**
 * One method of one path. Routes of other packages are served beside the worker's own, at `/` and at `/api/v1`.
 *
 * What a route throws becomes an error answer by its code; what is no `LongshoreError` is logged, and told to nobody.
 */
export interface ApiRoute {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Literal names and parameters, e.g. `"/jobs/{id}"`; a last `{name+}` takes the rest of the path */
  readonly path: string;
  readonly access: ApiAccess;
  /** Larger bodies are refused, in bytes. @default what the server allows */
  readonly maxBodyBytes?: number | undefined;
  readonly description: ApiDescription;
  handle(request: ApiRequest): Promise<ApiAnswer> | ApiAnswer;
}

/** An answer of JSON. */
export function jsonAnswer(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): ApiAnswer {
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
    body: JSON.stringify(value),
  };
}
