import { LongshoreError } from "@longshore/core";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { SmartRouter } from "hono/router/smart-router";
import { TrieRouter } from "hono/router/trie-router";
import { HttpError } from "../http-error.ts";
import type { ApiRoute } from "../api-route.ts";

export interface MatchedRoute {
  readonly route: ApiRoute;
  readonly params: Readonly<Record<string, string>>;
}

/** Finds the route of a request. */
export interface RouteTable {
  /**
   * @param path as the client sent it, still percent-encoded
   * @throws {LongshoreError} `NOT_FOUND`, or `VALIDATION_ERROR` (405) for a path with other methods, and (400) for one
   *   that is not well encoded
   */
  match(method: string, path: string): MatchedRoute;
  /** Methods that a path has, for `Allow`; none for one that is not known. */
  methods(path: string): readonly string[];
}

/** Where the routes are served besides the root. */
const prefix = "/api/v1";
const anyMethod = "ANY";

/** @throws {TypeError} for two routes of one method and path */
export function routeTable(routes: readonly ApiRoute[]): RouteTable {
  const router = new SmartRouter<ApiRoute>({ routers: [new RegExpRouter(), new TrieRouter()] });
  const seen = new Set<string>();
  for (const route of routes) {
    const shape = `${route.method} ${route.path.replaceAll(/\{\w+/g, "{")}`;
    if (seen.has(shape)) throw new TypeError(`two routes are ${route.method} ${route.path}`);
    seen.add(shape);
    router.add(route.method, toPattern(route.path), route);
    router.add(anyMethod, toPattern(route.path), route);
  }

  function find(method: string, path: string) {
    const [matches, stash] = router.match(method, barePath(path));
    return matches.map(([route, params]) => ({ route, params, stash }));
  }

  function methods(path: string): readonly string[] {
    const known = new Set<string>(find(anyMethod, path).map(({ route }) => route.method));
    if (known.has("GET")) known.add("HEAD");
    if (known.size > 0) known.add("OPTIONS");
    return [...known].toSorted();
  }

  return {
    methods,
    match(method, path) {
      const [found] = find(method === "HEAD" ? "GET" : method, path);
      if (found === undefined) {
        const allowed = methods(path);
        if (allowed.length === 0) {
          throw new LongshoreError("NOT_FOUND", "There is nothing at this path.");
        }
        throw new HttpError("VALIDATION_ERROR", `The path takes ${allowed.join(", ")}.`, {
          status: 405,
          headers: { allow: allowed.join(", ") },
          details: { allow: allowed },
        });
      }
      const params: Record<string, string> = {};
      for (const [name, value] of Object.entries(found.params)) {
        const raw = typeof value === "number" ? found.stash?.[value] : value;
        if (raw !== undefined) params[name] = decodeOnce(raw);
      }
      return { route: found.route, params };
    },
  };
}

/** Whether a path is one of those besides the root. */
export function isVersioned(path: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}

/** The path without the prefix and without a slash at its end. */
function barePath(path: string): string {
  const own = isVersioned(path) ? path.slice(prefix.length) : path;
  return own.length > 1 && own.endsWith("/") ? own.slice(0, -1) : own;
}

/** `{name}` is one part of a path, `{name+}` all that remain. */
function toPattern(path: string): string {
  return path.replaceAll(/\{(\w+)(\+?)\}/g, (_, name: string, rest: string) =>
    rest === "" ? `:${name}` : `:${name}{.+}`,
  );
}

function decodeOnce(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new LongshoreError("VALIDATION_ERROR", "The path is not well percent-encoded.", {
      cause: error,
    });
  }
}
