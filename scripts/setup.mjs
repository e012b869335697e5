#!/usr/bin/env node
// Prepares a fresh checkout: the locked npm packages, a first build, then the system packages that the tests and the demo
// use.
// Plain JavaScript without imports from npm, because it runs before anything is installed, on any Node from 20 on. A shell
// remembers where it found that Node: scripts of package.json that go on with the pinned one say `hash -r` in between.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(root, "node_modules", ".longshore-setup");

/** Debian packages by the command that shows whether they are there. */
const systemPackages = {
  "apache2-utils": ["htpasswd"],
  attr: ["setfattr"],
  bsdutils: ["script"],
  buildah: ["buildah"],
  "busybox-static": ["busybox"],
  curl: ["curl"],
  "docker-registry": ["docker-registry"],
  dosfstools: ["mkfs.vfat"],
  e2fsprogs: ["mkfs.ext4", "debugfs"],
  "erofs-utils": ["dump.erofs", "fsck.erofs", "mkfs.erofs"],
  fdisk: ["sfdisk"],
  "inotify-tools": ["inotifywait"],
  iproute2: ["ip", "tc"],
  "iputils-ping": ["ping"],
  "libarchive-tools": ["bsdtar"],
  mmdebstrap: ["mmdebstrap"],
  mount: ["umount"],
  nftables: ["nft"],
  openssl: ["openssl"],
  prometheus: ["promtool"],
  python3: ["python3"],
  "qemu-system-x86": ["qemu-system-x86_64"],
  "qemu-utils": ["qemu-img"],
  "redis-server": ["redis-server"],
  crun: ["crun"],
  runc: ["runc"],
  runsc: ["runsc"],
  skopeo: ["skopeo"],
  umoci: ["umoci"],
  "util-linux": ["nsenter", "prlimit", "setpriv", "unshare"],
  zstd: ["zstd"],
};

installNpmPackages();
installSystemPackages();

function installNpmPackages() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const stamp = createHash("sha256")
    .update(lock)
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .update(process.platform + process.arch)
    .digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  console.log("setup: npm ci");
  run("npm", ["ci", "--no-audit", "--no-fund"]);
  // For programs that use the packages as they are published, like the examples run by plain `node`.
  console.log("setup: npm run build");
  run("npm", ["run", "--silent", "build"]);
  linkCommand();
  writeFileSync(stampFile, stamp);
}

// npm makes no link to a command that is still to be built: `npx longshore` would look for it elsewhere.
function linkCommand() {
  const link = join(root, "node_modules", ".bin", "longshore");
  const program = join("..", "@longshore", "cli", "dist", "main.js");
  chmodSync(join(dirname(link), program), 0o755);
  rmSync(link, { force: true });
  symlinkSync(program, link);
}

function installSystemPackages() {
  if (process.platform !== "linux") return;
  const missing = Object.entries(systemPackages)
    .filter(([, commands]) => !commands.every(hasCommand))
    .map(([name]) => name);
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid() !== 0 || !hasCommand("apt-get")) {
    console.warn(`setup: missing on this machine: ${missing.join(", ")}`);
    console.warn(`setup: install them with:  sudo apt-get update && sudo ${command}`);
    if (process.env.CI === "true") process.exit(1);
    return;
  }
  console.log(`setup: ${command}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update", "-qq"], env);
  // No service may start by itself: the tests start what they need, on ports of their own.
  run("apt-get", [...command.split(" ").slice(1), "-qq"], { ...env, RUNLEVEL: "1" });
}

function hasCommand(name) {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/bin"];
  return folders.some((folder) => folder !== "" && existsSync(join(folder, name)));
}

function run(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: "inherit" });
  if (status === 0) return;
  console.error(`setup: ${command} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}`);
  process.exit(status ?? 1);
}
