// Preloaded into every test process. Once nothing is left to wait for, Node frees its environment, and on rare occasions it
// waits there for a request that nobody answers any more, at full load and for ever (nodejs/node#47748). A file that leaves
// something open is still seen to hang: `beforeExit` comes only when the loop has emptied by itself.
process.once("beforeExit", () => {
  // Added this late, it is heard after the test runner's own listener, which sets the exit code.
  process.once("exit", (code) => process.exit(process.exitCode ?? code));
});
