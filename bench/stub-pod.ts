import { ArtifactFolder } from "../src/artifacts/folder.js";
import { StubPod } from "../test/support/stub-pod.js";

/** The stub pod as a process of its own: it speaks the whole contract, and its runs make no files. Arguments: slots, folder. */
const [slots = "1", folder = "."] = process.argv.slice(2);
const pod = await StubPod.start({
  artifacts: new ArtifactFolder(folder),
  slots: Number(slots),
  storesResult: false,
});
process.on("disconnect", () => process.exit());
process.send?.(pod.address);
