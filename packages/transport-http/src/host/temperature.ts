import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Names of the kernel's drivers for sensors in processors */
const processorSensors = /^(coretemp|k10temp|zenpower|cpu_thermal|soc_thermal|x86_pkg_temp)$/;

/** Highest temperature of the processors in °C (sysfs `hwmon`); `null` on hosts that have no such sensor. */
export async function processorTemperature(root = "/sys/class/hwmon"): Promise<number | null> {
  try {
    const readings: number[] = [];
    for (const device of await readdir(root)) {
      const name = await readFile(join(root, device, "name"), "utf8");
      if (!processorSensors.test(name.trim())) continue;
      for (const file of await readdir(join(root, device))) {
        if (!/^temp\d+_input$/.test(file)) continue;
        const milliDegrees = Number(await readFile(join(root, device, file), "utf8"));
        if (Number.isFinite(milliDegrees)) readings.push(milliDegrees / 1_000);
      }
    }
    return readings.length === 0 ? null : Math.max(...readings);
  } catch {
    // A sensor that cannot be read, or a host without the file system, is one without a temperature.
    return null;
  }
}
