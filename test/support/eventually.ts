import { setTimeout as pause } from "node:timers/promises";
import { AssayError } from "../../src/errors.js";

/** Waits until the probe gives something other than undefined, null or false. The bound catches hangs, not slowness. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | null | false | Promise<T | undefined | null | false>,
  boundMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + boundMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > deadline)
      throw new AssayError("INTERNAL", `wanted ${what} within ${boundMs} ms, but it did not come`);
    await pause(20);
  }
}
