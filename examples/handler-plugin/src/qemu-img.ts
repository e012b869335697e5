import { z } from "zod";
import type { DiskFormat } from "./open-disk.ts";
import { runTool } from "./run-tool.ts";

const infoSchema = z.object({
  "virtual-size": z.number(),
  "actual-size": z.number().optional(),
  "cluster-size": z.number().optional(),
  "dirty-flag": z.boolean().optional(),
  snapshots: z.array(z.object({ id: z.string(), name: z.string() })).optional(),
  "format-specific": z
    .object({
      data: z.object({
        compat: z.string().optional(),
        "compression-type": z.string().optional(),
        corrupt: z.boolean().optional(),
      }),
    })
    .optional(),
});
const checkSchema = z.object({
  "check-errors": z.number(),
  corruptions: z.number().default(0),
  leaks: z.number().default(0),
});

/** What qemu-img says about an image. */
export type ImageInfo = z.infer<typeof infoSchema>;

interface Target {
  /** The image, open */
  readonly fd: number;
  /** Given to qemu-img, so that the image's first bytes cannot make it guess another one */
  readonly format: DiskFormat;
  readonly signal: AbortSignal;
}

/** Facts of an image, also of one that a running machine uses. */
export async function imageInfo({ fd, format, signal }: Target): Promise<ImageInfo> {
  const args = ["info", "--output=json", "-U", "-f", format, "/dev/fd/3"];
  return infoSchema.parse(JSON.parse(await runTool("qemu-img", { args, fd, signal })));
}

/** Goes through all tables of a qcow2 image: how many places are wrong, and how many clusters nobody uses. */
export async function checkImage({
  fd,
  format,
  signal,
}: Target): Promise<{ readonly corruptions: number; readonly leaks: number }> {
  const args = ["check", "--output=json", "-U", "-f", format, "/dev/fd/3"];
  const text = await runTool("qemu-img", {
    args,
    fd,
    signal,
    timeoutMs: 600_000,
    exitCodes: [0, 2, 3],
  });
  const { corruptions, leaks } = checkSchema.parse(JSON.parse(text));
  return { corruptions, leaks };
}
