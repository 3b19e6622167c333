// A real S3-compatible server on this machine for the tests: SeaweedFS, which checks signatures, checksums and conditions. It comes
// as one program in a Python package. Run as a program it prints {"endpoint",…} once the server is up and stops it when its input ends.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { endWithThisProcess, freePorts, serve } from "./child-server.mjs";
import { installInto } from "./python.mjs";
import { digestOfFiles, isStamped, root, SetupError, stamp, unstamp, withLock } from "./toolbox.mjs";

const lock = join("scripts", "s3", "requirements.txt");
const folder = join(".cache", "s3");
const program = join(root, folder, "bin", "weed");
const bucket = "assay-tests";
const startWithinMs = 60_000;
const startTries = 3;

function install() {
  const digest = digestOfFiles([lock]);
  if (isStamped(folder, digest) && existsSync(program)) return;
  process.stderr.write("SeaweedFS: installing it (about 48 MB) …\n");
  rmSync(join(root, folder), { recursive: true, force: true });
  mkdirSync(join(root, folder), { recursive: true });
  unstamp(folder);
  try {
    installInto(folder, lock);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(`An S3 server needs the package of ${lock}, which could not be installed: ${error.message}`);
  }
  stamp(folder, digest);
}

/** Starts a server with one empty bucket and gives its address and a key; `stop` ends it and removes its files. */
export async function startS3() {
  await withLock(install);
  for (let tries = 1; ; tries += 1) {
    const data = mkdtempSync(join(tmpdir(), "assay-s3-"));
    try {
      return await startServer(data);
    } catch (error) {
      rmSync(data, { recursive: true, force: true });
      // Ports are free when they are chosen, but another program may take one before the server does.
      if (tries === startTries || !/address already in use/i.test(error.message)) throw error;
    }
  }
}

async function startServer(data) {
  const [port, ...others] = await freePorts(8);
  const key = { accessKeyId: "assay-tests", secretAccessKey: randomBytes(20).toString("hex") };
  writeFileSync(join(data, "s3.json"), JSON.stringify(identitiesOf(key)), { mode: 0o600 });
  const child = spawn(program, argumentsOf(data, port, others), { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const last = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (line) => {
      if (last.push(line) > 40) last.shift();
    });
  }
  const ended = new Promise((resolve) => child.once("close", resolve));
  const failed = new Promise((_, reject) => child.once("error", reject));
  const watcher = endWithThisProcess(child, data);
  const stop = async () => {
    watcher.kill("SIGKILL");
    // Asked to end in order it would take ten seconds, for files that go anyway.
    child.kill("SIGKILL");
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await Promise.race([ready(endpoint, key), failed, ended.then(() => Promise.reject(new Error("it ended")))]);
  } catch (error) {
    await stop();
    throw new SetupError(`SeaweedFS did not start: ${error.message}; its log ends with:\n${last.join("\n")}`);
  }
  return { endpoint, bucket, region: "us-east-1", ...key, stop, ended };
}

function identitiesOf({ accessKeyId: accessKey, secretAccessKey: secretKey }) {
  const actions = ["Admin", "Read", "Write", "List"];
  return { identities: [{ name: "tests", credentials: [{ accessKey, secretKey }], actions }] };
}

/** One process with all its parts, on this machine alone. It would tell its makers of itself; ours does not. */
function argumentsOf(data, port, [s3Grpc, master, masterGrpc, volume, volumeGrpc, filer, filerGrpc]) {
  return [
    "server",
    `-dir=${data}`,
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-master.telemetry=false",
    `-master.port=${master}`,
    `-master.port.grpc=${masterGrpc}`,
    "-master.volumeSizeLimitMB=64",
    `-volume.port=${volume}`,
    `-volume.port.grpc=${volumeGrpc}`,
    "-volume.max=50",
    "-filer",
    `-filer.port=${filer}`,
    `-filer.port.grpc=${filerGrpc}`,
    "-s3",
    `-s3.config=${join(data, "s3.json")}`,
    `-s3.port=${port}`,
    `-s3.port.grpc=${s3Grpc}`,
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",
  ];
}

/** Up once a bucket can be made and written to. */
async function ready(endpoint, credentials) {
  const client = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { ...credentials },
    maxAttempts: 1,
  });
  const deadline = Date.now() + startWithinMs;
  for (;;) {
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket })).catch((error) => {
        if (!["BucketAlreadyExists", "BucketAlreadyOwnedByYou"].includes(error.name)) throw error;
      });
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: "probe", Body: "probe" }));
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: "probe" }));
      client.destroy();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await pause(100);
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await serve(startS3);
