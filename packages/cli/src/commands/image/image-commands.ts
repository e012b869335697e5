import { Option, type Command } from "commander";
import {
  attachments,
  chunkCompressions,
  layerCompressions,
  mountMethodNames,
} from "./image-choices.ts";
import {
  exitCodeHelp,
  namesHelp,
  sizesHelp,
  sourcesHelp,
  targetsHelp,
  usageHelp,
} from "./image-help.ts";

export interface ImageCommandOptions {
  readonly json: Option;
  readonly home: Option;
  /** Gets the exit code of the command that ran */
  done(exitCode: number): void;
}

/** Adds `image` with everything below it. */
export function addImageCommands(program: Command, options: ImageCommandOptions): void {
  const { json, home, done } = options;
  const image = program
    .command("image")
    .description("pull images, look at them, mount them")
    .addHelpText("after", exitCodeHelp);

  const command = (name: string, description: string, help = ""): Command =>
    image
      .command(name)
      .description(description)
      .addOption(home)
      .addOption(json)
      .addHelpText("after", help + exitCodeHelp);
  const plainHttp = new Option(
    "--plain-http <host>",
    "speak http to this registry (host or host:port); may be repeated; loopback needs no saying",
  ).argParser((host: string, hosts: readonly string[] | undefined) => [...(hosts ?? []), host]);
  const withAccess = (to: Command): Command =>
    to
      .addOption(plainHttp)
      .option("--username <name>", "user at the registry (default: what docker login stored)")
      .option("--password-stdin", "read the password from standard input");

  withAccess(
    command(
      "pull",
      "bring an image into the store; what it has already is not stored again",
      sourcesHelp,
    )
      .argument("<source>", "where the image is")
      .option(
        "--platform <platform>",
        "os/arch[/variant], e.g. linux/arm64 (default: this machine)",
      )
      .option(
        "--no-on-demand",
        "take the ordinary form of an image that has a Nydus form, too, and fetch all of it",
      ),
  ).action(async (source: string, flags) => {
    const { pullImage } = await import("./pull.ts");
    done(await pullImage(source, flags));
  });

  withAccess(
    command(
      "push",
      "write an image of the store elsewhere, as an ordinary image of one layer",
      namesHelp + targetsHelp,
    )
      .argument("<image>", "image in the store")
      .argument("[target]", "where to (default: the name of the image)")
      .addOption(choice("--compression <kind>", "of the layer (default: gzip)", layerCompressions)),
  ).action(async (ref: string, target: string | undefined, flags) => {
    const { pushImage } = await import("./push.ts");
    done(await pushImage({ ref, target }, flags));
  });

  withAccess(
    command(
      "convert",
      "write an image elsewhere such that it can be loaded on demand (Nydus)",
      namesHelp + targetsHelp,
    )
      .argument("<image>", "image in the store")
      .argument("<target>", "where to")
      .addOption(choice("--compression <kind>", "of chunks (default: zstd)", chunkCompressions))
      .addOption(
        choice(
          "--attach <how>",
          "keep the ordinary image under the name, too: list both in an index, or let the Nydus image name the other as " +
            "its subject (default: the name is the Nydus image's alone)",
          attachments,
        ),
      ),
  ).action(async (ref: string, target: string, flags) => {
    const { convertImage } = await import("./push.ts");
    done(await convertImage({ ref, target }, flags));
  });

  command("ls", "show the images of the store", sizesHelp)
    .alias("list")
    .action(async (flags) => {
      const { listImages } = await import("./list.ts");
      done(await listImages(flags));
    });

  command(
    "inspect",
    "print what the store knows of an image: names, blobs, manifest, configuration",
    namesHelp,
  )
    .argument("<image>", "image in the store")
    .action(async (ref: string, flags) => {
      const { inspectImage } = await import("./inspect.ts");
      done(await inspectImage(ref, flags));
    });

  command(
    "rm",
    "take names off images; an image goes with its last one, and an id means all of its names",
    namesHelp,
  )
    .argument("<image...>", "images in the store")
    .action(async (refs: readonly string[], flags) => {
      const { removeImages } = await import("./remove.ts");
      done(await removeImages(refs, flags));
    });

  command("mount", "show an image read-only at a directory (needs root)", namesHelp)
    .argument("<image>", "image in the store")
    .argument("<dir>", "existing directory")
    .addOption(
      choice(
        "--method <method>",
        "erofs: the kernel reads the store, from files or through loop devices; fuse: this process serves the image " +
          "until it is ended; nydusd: Nydus' daemon does, if it is installed (default: the first that works)",
        mountMethodNames,
      ),
    )
    .addOption(plainHttp)
    .action(async (ref: string, directory: string, flags) => {
      const { mountImage } = await import("./mount.ts");
      done(await mountImage(ref, directory, flags));
    });

  command("umount", "end a mount of an image, also one that a killed command left")
    .argument("<dir>", "where the image is mounted")
    .action(async (directory: string, flags) => {
      const { unmountDirectory } = await import("./mount.ts");
      done(await unmountDirectory(directory, flags));
    });

  command("df", "show what images take on disk, and what sharing saves", usageHelp).action(
    async (flags) => {
      const { showDiskUsage } = await import("./disk-usage.ts");
      done(await showDiskUsage(flags));
    },
  );

  command("gc", "delete what no image needs, e.g. what an interrupted pull left").action(
    async (flags) => {
      const { collectGarbage } = await import("./collect-garbage.ts");
      done(await collectGarbage(flags));
    },
  );

  command("verify", "read everything in the store again and compare it with its digests")
    .option("--repair", "fetch broken images again from where they came")
    .addOption(plainHttp)
    .action(async (flags) => {
      const { verifyImages } = await import("./verify.ts");
      done(await verifyImages(flags));
    });

  command("diff", "show what two images have in common, chunk by chunk", namesHelp)
    .argument("<image>", "image in the store")
    .argument("<other>", "image in the store")
    .action(async (first: string, second: string, flags) => {
      const { diffImages } = await import("./diff.ts");
      done(await diffImages(first, second, flags));
    });
}

/** An option that takes one of a few words. */
function choice(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}
