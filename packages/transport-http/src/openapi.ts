import { workerVersion } from "@longshore/core";
import type { ApiContent, ApiParameter, ApiRoute } from "./api-route.ts";
import { apiSchemas } from "./openapi-schemas.ts";

type Json = Record<string, unknown>;

/** The description of an API as OpenAPI 3.1, made of what its routes say and of the schemas that check the documents. */
export function openApiDocument(routes: readonly ApiRoute[], isOpen: boolean): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll("+}", "}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, isOpen) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Worker HTTP API",
      version: workerVersion,
      description: "Drives a Longshore worker: submits, follows and ends jobs.",
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
      schemas: apiSchemas(),
      ...(!isOpen && { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } }),
    },
  };
}

const tags: Readonly<Record<string, string>> = {
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
