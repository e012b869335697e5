import { Option, type Command } from "commander";
import { collectGarbage } from "./collect-garbage.ts";
import { diffImages } from "./diff.ts";
import { showDiskUsage } from "./disk-usage.ts";
import { inspectImage } from "./inspect.ts";
import { listImages } from "./list.ts";
import { mountImage, mountMethodNames, unmountDirectory } from "./mount.ts";
import { pullImage } from "./pull.ts";
import { removeImages } from "./remove.ts";
import { verifyImages } from "./verify.ts";

export interface ImageCommandOptions {
  readonly json: Option;
  readonly home: Option;
  /** Gets the exit code of the command that ran */
  done(exitCode: number): void;
}

const sources = `
Where images come from:
  alpine, ghcr.io/owner/app:1, HOST:5000/app@sha256:…   a registry
  oci:DIR[:TAG]                                          an OCI layout directory
  oci-archive:FILE[:TAG]                                 the same in one file
  docker-archive:FILE[:NAME]                             what docker save writes`;

const exitCodeHelp = `
Exit codes:
  0    all well
  1    the image could not be pulled or is damaged; verify found problems; gc must wait for a pull
  2    wrong flags, or no image reference
  3    the registry refused the credentials, or this machine cannot do it (longshore doctor tells why)
  4    there is no such image, in the registry or in the store
  70   something broke
  130  interrupted; nothing is left of what was begun`;

const names = `
IMAGE is a name (alpine, localhost/app:1), a name with a digest, or an id of image ls or its beginning.`;

/** Adds `image` with everything below it. */
export function addImageCommands(program: Command, options: ImageCommandOptions): void {
  const { json, home, done } = options;
  const plainHttp = new Option(
    "--plain-http <host...>",
    "speak http to these registries (host or host:port); loopback needs no saying",
  );

  const image = program
    .command("image")
    .description("pull images, look at them, mount them")
    .addHelpText("after", exitCodeHelp);
  const command = (nameAndArguments: string, description: string): Command =>
    image
      .command(nameAndArguments)
      .description(description)
      .addOption(home)
      .addOption(json)
      .addHelpText("after", exitCodeHelp);

  command("pull", "bring an image into the store; files that it has already are not stored again")
    .argument("<source>", "where the image is")
    .option("--platform <platform>", "os/arch[/variant], e.g. linux/arm64 (default: this machine)")
    .option("--no-on-demand", "fetch everything now, also of images that can be loaded on demand")
    .addOption(plainHttp)
    .option("--username <name>", "user at the registry (default: what docker login stored)")
    .option("--password-stdin", "read the password from standard input")
    .addHelpText("after", sources)
    .action(async (source: string, flags) => {
      done(await pullImage(source, flags));
    });
  command("ls", "show the images of the store")
    .alias("list")
    .action(async (flags) => {
      done(await listImages(flags));
    });
  command("inspect", "print what the store knows of an image: names, blobs, manifest, config")
    .argument("<image>")
    .addHelpText("after", names)
    .action(async (ref: string, flags) => {
      done(await inspectImage(ref, flags));
    });
  command("rm", "take names off images; an image goes with its last one, an id means all")
    .argument("<image...>")
    .addHelpText("after", names)
    .action(async (refs: readonly string[], flags) => {
      done(await removeImages(refs, flags));
    });
  command("mount", "show an image read-only at an existing directory (needs root)")
    .argument("<image>")
    .argument("<dir>", "existing directory")
    .addOption(
      new Option(
        "--method <method>",
        "the kernel reads the store (erofs, from files or by loop devices), or this process serves it until it is ended " +
          "(fuse) (default: the first that works)",
      ).choices(mountMethodNames),
    )
    .addOption(plainHttp)
    .addHelpText("after", names)
    .action(async (ref: string, directory: string, flags) => {
      done(await mountImage(ref, directory, flags));
    });
  command("umount", "end a mount of an image, also of a command that was killed")
    .argument("<dir>")
    .action(async (directory: string, flags) => {
      done(await unmountDirectory(directory, flags));
    });
  command("df", "show what images take on disk, and what sharing saves")
    .addHelpText(
      "after",
      `
size: all files of the image. own: disk space that its removal gives back. shared: disk space that other images need, too.
The ratio is that of all sizes to what the store takes on disk.`,
    )
    .action(async (flags) => {
      done(await showDiskUsage(flags));
    });
  command("gc", "delete what no image needs, e.g. what an interrupted pull left").action(
    async (flags) => {
      done(await collectGarbage(flags));
    },
  );
  command("verify", "read everything in the store again and compare it with its digests")
    .option("--repair", "fetch broken images again from where they came")
    .addOption(plainHttp)
    .action(async (flags) => {
      done(await verifyImages(flags));
    });
  command("diff", "show what two images have in common, chunk by chunk")
    .argument("<image>")
    .argument("<other>")
    .addHelpText("after", names)
    .action(async (first: string, second: string, flags) => {
      done(await diffImages(first, second, flags));
    });
}
