import { askCommand, type AskOptions } from "./ask-command.ts";
import { findCommand } from "./find-command.ts";

/** Feature by the command that gives it */
const featureCommands: Readonly<Record<string, string>> = {
  "qemu-img": "qemu-img",
  lvm: "lvm",
  nbd: "qemu-nbd",
  prlimit: "prlimit",
  git: "git",
};
/** Where tools for administrators are, which a user's `PATH` leaves out */
const systemFolders = "/usr/sbin:/sbin";
/** Formats of disk images, among all the protocols and filters that qemu-img counts as formats */
const diskFormats = ["raw", "qcow2", "qcow", "qed", "vdi", "vhdx", "vmdk", "vpc"];

/** Features that the tools of this machine give. */
export async function findFeatures(path: string): Promise<readonly string[]> {
  const features = await Promise.all(
    Object.entries(featureCommands).map(async ([feature, command]) => {
      const file = await findCommand(command, `${path}:${systemFolders}`);
      return file === undefined ? undefined : feature;
    }),
  );
  return features.filter((feature) => feature !== undefined);
}

/** Formats that the tools of this machine read. */
export async function findFormats(
  options: AskOptions,
): Promise<{ readonly disk?: readonly string[] }> {
  const file = await findCommand("qemu-img", `${options.path}:${systemFolders}`);
  if (file === undefined) return {};
  const help = await askCommand(file, ["--help"], options);
  const listed =
    /^Supported formats:(.*)$/m
      .exec(help ?? "")?.[1]
      ?.trim()
      .split(/\s+/) ?? [];
  const disk = diskFormats.filter((format) => listed.includes(format));
  return disk.length === 0 ? {} : { disk };
}
