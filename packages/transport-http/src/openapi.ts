import { workerVersion } from "@longshore/core";
import type { ApiContent, ApiParameter, ApiRoute } from "./api-route.ts";
import { apiSchemas } from "./openapi-schemas.ts";

type Json = Record<string, unknown>;

/** What an API is called. */
export interface ApiTitle {
  readonly title: string;
  readonly description: string;
  /** Schemas of its own, by the names under which its routes have them */
  readonly schemas?: Readonly<Record<string, unknown>> | undefined;
}

/** The description of an API as OpenAPI 3.1, made of what its routes say and of the schemas that check the documents. */
export function openApiDocument(
  routes: readonly ApiRoute[],
  isOpen: boolean,
  about: ApiTitle,
): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll("+}", "}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, isOpen) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: about.title,
      version: workerVersion,
      description: about.description,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [
      { url: "/", description: "The root" },
      { url: "/api/v1", description: "The same" },
    ],
    tags: [...new Set(routes.map(({ description }) => description.tag))].map((name) => ({
      name,
      description: tags[name] ?? "Routes of another package",
    })),
    paths,
    components: {
      schemas: namedIn(paths, { ...apiSchemas(), ...about.schemas }),
      ...(!isOpen && { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } }),
    },
  };
}

/** The schemas that are named in a part of the description, and those that are named in them. */
function namedIn(part: unknown, all: Json): Json {
  const named: Json = {};
  const collect = (text: string): void => {
    for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (Object.hasOwn(named, name) || !Object.hasOwn(all, name)) continue;
      named[name] = all[name];
      collect(JSON.stringify(all[name]));
    }
  };
  collect(JSON.stringify(part));
  return named;
}

const tags: Readonly<Record<string, string>> = {
  master: "The master itself",
  polling: "What workers ask a master",
  worker: "The worker itself",
  jobs: "What it is given to do",
  admin: "Stopping it",
};

function operation({ access, description }: ApiRoute, isOpen: boolean): Json {
  const { operationId, summary, tag, parameters, requestBody, responses } = description;
  return {
    operationId,
    summary,
    tags: [tag],
    security: access === "public" || isOpen ? [] : [{ bearer: [] }],
    ...(parameters !== undefined && { parameters: parameters.map(parameter) }),
    ...(requestBody !== undefined && {
      requestBody: { required: requestBody.required, content: content(requestBody.content) },
    }),
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, response]) => [
        status,
        {
          description: response.description,
          ...(response.content !== undefined && { content: content(response.content) }),
        },
      ]),
    ),
  };
}

function parameter({ name, in: place, description, schema = { type: "string" } }: ApiParameter) {
  return { name, in: place, description, schema, ...(place === "path" && { required: true }) };
}

function content(types: ApiContent): Json {
  return Object.fromEntries(
    Object.entries(types).map(([type, { schema }]) => [
      type,
      {
        schema:
          typeof schema === "string" ? { $ref: `#/components/schemas/${schema}` } : (schema ?? {}),
      },
    ]),
  );
}
