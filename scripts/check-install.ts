import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/**
 * Installs the packed packages into an empty project, as a user would, then typechecks and runs a program there that
 * imports each of them.
 */
const root = dirname(import.meta.dirname);
const project = mkdtempSync(join(tmpdir(), "longshore-install-"));
try {
  const manifests = globSync("packages/*/package.json", { cwd: root });
  const names: string[] = [];
  const tarballs: string[] = [];
  for (const manifest of manifests) {
    const { name } = JSON.parse(readFileSync(join(root, manifest), "utf8")) as { name: string };
    names.push(name);
    const [packed] = JSON.parse(
      run("npm", ["pack", "--json", "--pack-destination", project], dirname(join(root, manifest))),
    ) as [{ filename: string }];
    tarballs.push(`./${packed.filename}`);
  }
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  writeFileSync(
    join(project, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        module: "nodenext",
        moduleResolution: "nodenext",
        target: "es2024",
        lib: ["es2024", "esnext.disposable"],
        types: ["node"],
        strict: true,
        skipLibCheck: false,
      },
      include: ["main.ts"],
    }),
  );
  // A conformance suite needs its test runner to run: testkit is typechecked, not started.
  const started = names.filter((name) => !name.endsWith("/testkit"));
  writeFileSync(
    join(project, "main.ts"),
    [
      ...names.map((name, index) => `import * as package${index} from "${name}";`),
      `console.log(${names.map((_, index) => `typeof package${index}`).join(", ")});`,
      "",
    ].join("\n"),
  );
  const versions = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  const tools = ["@types/node", "vitest"].map(
    (name) => `${name}@${versions.devDependencies[name]}`,
  );
  run(
    "npm",
    ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...tarballs, ...tools],
    project,
  );
  run(resolve(root, "node_modules/.bin/tsc"), ["-p", project, "--noEmit"], project);
  for (const name of started) {
    run(
      process.execPath,
      ["-e", `await import(${JSON.stringify(name)})`, "--input-type=module"],
      project,
    );
  }
  console.log(`${names.length} packages install, typecheck and load`);
} finally {
  rmSync(project, { recursive: true, force: true });
}

function run(command: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(command, args, { cwd, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    if (error instanceof Error && "stdout" in error) console.error(String(error.stdout));
    throw error;
  }
}
