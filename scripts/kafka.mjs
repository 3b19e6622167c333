// A real Apache Kafka broker on this machine, for the tests and for `npm start -- --kafka`. Maven fetches the jars once; Java
// runs them. Run as a program it prints {"brokers":"host:port"} once the broker is up and stops it when its input ends; a line
// of input that is `down`, `up`, `hang` or `resume` kills the broker, starts it again on the same log, stops its process in its
// tracks and lets it go on, and each is answered with {"done":"<the word>"}.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { endWithThisProcess, freePorts, serve } from "./child-server.mjs";
import { digestOfFiles, isStamped, root, runVisibly, SetupError, stamp, unstamp, withLock } from "./toolbox.mjs";

const pom = join("scripts", "kafka", "pom.xml");
const folder = join(".cache", "kafka");
const startWithinMs = 120_000;
const stopWithinMs = 20_000;
const startTries = 3;

/** Why no broker can be started on this machine, in a sentence; undefined where one can. */
function whatIsMissing() {
  const java = spawnSync("java", ["-version"], { encoding: "utf8" });
  const version = java.stderr?.match(/version "(\d+)/)?.[1];
  if (version === undefined) return "A Kafka broker needs Java 17 or newer, but there is no java on the PATH.";
  if (Number(version) < 17) return `A Kafka broker needs Java 17 or newer, but java on the PATH is version ${version}.`;
  const isFetched = isStamped(folder, digestOfFiles([pom]));
  if (!isFetched && spawnSync("mvn", ["--version"]).status !== 0) {
    return "Kafka's jars come through Maven, but there is no mvn on the PATH.";
  }
  return undefined;
}

function fetchJars() {
  const digest = digestOfFiles([pom]);
  if (isStamped(folder, digest)) return;
  process.stderr.write("Apache Kafka: fetching its jars (about 45 MB) …\n");
  unstamp(folder);
  rmSync(join(root, folder, "lib"), { recursive: true, force: true });
  mkdirSync(join(root, folder), { recursive: true });
  const output = `-DoutputDirectory=${join(root, folder, "lib")}`;
  runVisibly("mvn", ["-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", output]);
  stamp(folder, digest);
}

/** Starts a broker with an empty log in a temporary folder and gives its address; `stop` ends it and removes the folder. */
export async function startKafka() {
  const missing = whatIsMissing();
  if (missing !== undefined) throw new SetupError(missing);
  await withLock(fetchJars);
  for (let tries = 1; ; tries += 1) {
    const data = mkdtempSync(join(tmpdir(), "assay-kafka-"));
    try {
      return await startBroker(data);
    } catch (error) {
      rmSync(data, { recursive: true, force: true });
      // Ports are free when they are chosen, but another program may take one before the broker does.
      if (tries === startTries || !/already in use/i.test(error.message)) throw error;
    }
  }
}

async function startBroker(data) {
  const [port, controllerPort] = await freePorts(2);
  const properties = join(data, "server.properties");
  writeFileSync(properties, propertiesOf({ data, port, controllerPort }));
  const clusterId = randomBytes(15).toString("hex").slice(0, 22);
  const formatted = spawnSync(
    "java",
    javaArgs("kafka.tools.StorageTool", "format", "-t", clusterId, "-c", properties),
    {
      encoding: "utf8",
    },
  );
  if (formatted.status !== 0) throw new SetupError(`Kafka's storage could not be made:\n${formatted.stderr}`);
  return aroundBroker(await launch(properties, data), { brokers: `127.0.0.1:${port}`, properties, data });
}

/** One process of the broker, up. */
async function launch(properties, data) {
  // In a group of its own, so that Ctrl-C reaches the service first, which then leaves the broker in order.
  const options = { stdio: ["ignore", "pipe", "pipe"], detached: true };
  const child = spawn("java", javaArgs("kafka.Kafka", properties), options);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const watcher = endWithThisProcess(child, data);
  const kill = async () => {
    watcher.kill("SIGKILL");
    child.kill("SIGKILL");
    if (child.pid !== undefined) await exited;
  };
  try {
    await started(child);
  } catch (error) {
    await kill();
    throw error;
  }
  return { child, watcher, exited, kill };
}

/** The broker as its user sees it, whichever process it is just now. */
function aroundBroker(first, { brokers, properties, data }) {
  let now = first;
  let lost;
  const ended = new Promise((resolve) => {
    lost = resolve;
  });
  const watch = (one) => void one.exited.then(() => one === now && lost());
  watch(first);
  const commands = {
    down: async () => {
      const { kill } = now;
      now = undefined;
      await kill();
    },
    up: async () => {
      now = await launch(properties, data);
      watch(now);
    },
    hang: () => now.child.kill("SIGSTOP"),
    resume: () => now.child.kill("SIGCONT"),
  };
  const stop = async () => {
    if (now !== undefined) {
      const { watcher, child, exited, kill } = now;
      watcher.kill("SIGKILL");
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      const timer = setTimeout(kill, stopWithinMs);
      await exited;
      clearTimeout(timer);
    }
    rmSync(data, { recursive: true, force: true });
  };
  return { brokers, stop, ended, commands };
}

/** Starts in two thirds of the time with the first compiler alone and the simple collector; enough for one machine. */
function javaArgs(...args) {
  const libraries = join(root, folder, "lib", "*");
  return ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", libraries, ...args];
}

function propertiesOf({ data, port, controllerPort }) {
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names=CONTROLLER",
    `log.dirs=${join(data, "log").replaceAll("\\", "/")}`,
    "auto.create.topics.enable=false",
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=3",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "transaction.state.log.num.partitions=3",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "group.initial.rebalance.delay.ms=0",
    "",
  ].join("\n");
}

function started(child) {
  return new Promise((resolve, reject) => {
    const last = [];
    const fail = (reason) => reject(new SetupError(`${reason}; Kafka's log ends with:\n${last.join("\n")}`));
    const timer = setTimeout(() => fail(`Kafka did not start within ${startWithinMs} ms`), startWithinMs);
    child.once("exit", (code) => fail(`Kafka ended with exit code ${code}`));
    child.once("error", (error) => fail(`java could not be started: ${error.message}`));
    // Read to the end of its life: a full pipe would stop the broker.
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on("line", (line) => {
        if (last.push(line) > 40) last.shift();
        if (!line.includes("Kafka Server started")) return;
        clearTimeout(timer);
        resolve();
      });
    }
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await serve(startKafka);
