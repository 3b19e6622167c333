import { after } from "node:test";

const GRACE_MS = 5_000;

/**
 * Ends the process of a test file soon after its last test, even where a connection that was torn on purpose still waits for
 * its other side. Everything that is to be shown has been by then. Call it at the top of the file.
 */
export function leaveAfterTests(): void {
  after(() => {
    setTimeout(() => process.exit(), GRACE_MS).unref();
  });
}
