import { monitorProgram } from "./src/perl/monitor-program.ts";
import { perlArguments } from "./src/perl/perl-program.ts";
import { writeFileSync } from "node:fs";
const [, p, , table] = perlArguments(monitorProgram, []);
writeFileSync("/tmp/ocidrv/monitor.pl", p);
writeFileSync("/tmp/ocidrv/table", table);
