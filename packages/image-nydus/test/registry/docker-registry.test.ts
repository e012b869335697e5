import { expect, test } from "vitest";
import { startDockerRegistry } from "./docker-registry.ts";

test("a registry of its own answers on a free port", async () => {
  await using registry = await startDockerRegistry();
  const answer = await fetch(`${registry.url}/v2/`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
});

test("a registry with htpasswd lets in only its user", async () => {
  await using registry = await startDockerRegistry({
    basic: { username: "anna", password: "s3cret" },
  });
  const statusFor = async (password: string): Promise<number> => {
    const authorization = `Basic ${Buffer.from(`anna:${password}`).toString("base64")}`;
    return (await fetch(`${registry.url}/v2/`, { headers: { authorization } })).status;
  };
  expect(await statusFor("wrong")).toBe(401);
  expect(await statusFor("s3cret")).toBe(200);
});
