import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Fills a directory with a root filesystem of busybox, with two users and a few links that an attacker would try. */
export async function busyboxRoot(path: string): Promise<string> {
  for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "home", "work"]) {
    await mkdir(join(path, name), { recursive: true });
  }
  await chmod(join(path, "tmp"), 0o1777);
  await chmod(path, 0o755);
  await copyFile("/bin/busybox", join(path, "bin/busybox"));
  const { stdout } = await run("/bin/busybox", ["--list"]);
  for (const applet of stdout.trim().split("\n")) {
    if (applet !== "busybox") await symlink("busybox", join(path, "bin", applet));
  }
  await writeFile(
    join(path, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1234:App:/home/app:/bin/sh\n",
  );
  await writeFile(join(path, "etc/group"), "root:x:0:\nstaff:x:1234:\nvideo:x:44:app,root\n");
  return path;
}
