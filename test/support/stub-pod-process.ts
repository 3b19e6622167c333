import { readFileSync } from "node:fs";
import { ArtifactFolder } from "../../src/artifacts/folder.js";
import { faultWork } from "../faults/work.js";
import { steadyWork } from "./steady-work.js";
import { StubPod } from "./stub-pod.js";

// A stub pod in a process of its own, so that a test can kill and stop it as machines do. Its settings are one JSON argument:
// {artifacts, port?, slots?, steps?, stepMs?, gate?, faulty?, zombie?, tls?: {ca, cert, key}}, the last three being files.

const { artifacts, port, slots, steps, stepMs, gate, faulty, zombie, tls } = JSON.parse(process.argv[2] ?? "{}");
const pod = await StubPod.start({
  artifacts: new ArtifactFolder(artifacts),
  port,
  slots,
  zombie: zombie ?? false,
  work: faulty === true ? faultWork({ stepMsMin: 10, stepMsMax: 200 }) : steadyWork({ steps, stepMs, gate }),
  ...(tls === undefined
    ? {}
    : { tls: { ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key) } }),
});
process.once("SIGTERM", () => {
  pod.kill();
  process.exit(0);
});
process.stdout.write(`${JSON.stringify({ event: "listening", address: pod.address, podId: pod.podId })}\n`);
