#!/usr/bin/env node
import { keepCompiledCode } from "./compile-cache.ts";

keepCompiledCode();
// Not before: what is loaded by then would be compiled anew each time.
const { run } = await import("./program.ts");

process.exitCode = await run(process.argv.slice(2));
