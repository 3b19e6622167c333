import { buffer } from "node:stream/consumers";
import { ArtifactFolder } from "../../src/artifacts/folder.js";

// half-writer-main.js FOLDER SHA256: begins to store what comes on standard input, says so once half of it is written, and
// then writes nothing more until it is killed.

const [folder = "", sha256 = ""] = process.argv.slice(2);
const bytes = await buffer(process.stdin);

async function* half(): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, bytes.length / 2);
  process.stdout.write("half\n");
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}

await new ArtifactFolder(folder).put(half(), { maxBytes: bytes.length, sha256 });
