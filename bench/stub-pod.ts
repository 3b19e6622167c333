import { ArtifactFolder } from "../src/artifacts/folder.js";
import { StubPod } from "../test/support/stub-pod.js";

/**
 * The stub pod as a process of its own: it speaks the whole contract, and its runs make no files. Arguments: slots, folder, and
 * "tell" to be told the id of each run that it takes, with the instant, by the clock that all processes of a machine share.
 */
const [slots = "1", folder = ".", tell] = process.argv.slice(2);
const pod = await StubPod.start({
  artifacts: new ArtifactFolder(folder),
  slots: Number(slots),
  storesResult: false,
  took: (id) => {
    if (tell === "tell") process.send?.({ id, at: Number(process.hrtime.bigint()) });
  },
});
process.on("disconnect", () => process.exit());
process.send?.(pod.address);
