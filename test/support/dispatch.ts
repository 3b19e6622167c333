import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { ArtifactFolder } from "../../src/artifacts/folder.js";
import type { Bus } from "../../src/bus/bus.js";
import { MemoryBus } from "../../src/bus/memory.js";
import { Dispatcher, type DispatcherOptions } from "../../src/dispatch/dispatcher.js";
import type { ReusePolicy } from "../../src/domain/options.js";
import type { RunState } from "../../src/domain/run.js";
import type { Caller } from "../../src/domain/tenant.js";
import type { Log } from "../../src/log.js";
import { Relay, type RelayOptions } from "../../src/relay/relay.js";
import { Submitter } from "../../src/store/submit.js";
import { type TestDatabases, testDatabases } from "./databases.js";
import { eventually } from "./eventually.js";
import { quietLog, submission, type TestRun, testPlan } from "./store.js";
import { StubPod, type StubPodOptions } from "./stub-pod.js";

/** Everything between a submission and a pod, for one test file. */
export class DispatchRig {
  readonly addresses = new Set<string>();
  private readonly running = new Set<Dispatcher>();
  private readonly pods = new Set<StubPod>();

  private constructor(
    readonly databases: TestDatabases,
    readonly bus: Bus,
    readonly artifacts: ArtifactFolder,
    readonly artifactsFolder: string,
    private readonly submitter: Submitter,
  ) {}

  /** Opens it, on the bus in memory unless another one is given; everything ends after the file's last test. */
  static async open(
    bus: Bus = new MemoryBus({ log: quietLog }),
    relaying: Partial<RelayOptions> = {},
  ): Promise<DispatchRig> {
    let relay: Relay | undefined;
    const databases = await testDatabases(() => relay?.wake());
    await bus.start();
    relay = new Relay({ database: databases.work, bus, log: quietLog, ...relaying });
    relay.start();
    const folder = mkdtempSync(join(tmpdir(), "assay-artifacts-"));
    const rig = new DispatchRig(databases, bus, new ArtifactFolder(folder), folder, new Submitter(databases.app));
    after(async () => {
      await rig.reset();
      await relay?.stop();
      await bus.close();
      rmSync(folder, { recursive: true, force: true });
    });
    return rig;
  }

  /** A pod that dispatchers find. */
  async pod(options: Partial<StubPodOptions> = {}): Promise<StubPod> {
    const pod = await StubPod.start({ artifacts: this.artifacts, ...options });
    this.addresses.add(pod.address);
    this.pods.add(pod);
    return pod;
  }

  /** A dispatcher with quick polls. */
  async dispatcher(options: Partial<DispatcherOptions> = {}): Promise<Dispatcher> {
    const dispatcher = new Dispatcher({
      database: this.databases.work,
      bus: this.bus,
      pods: { addresses: () => [...this.addresses] },
      artifacts: this.artifacts,
      log: testLog,
      pollMs: 50,
      newsMs: 50,
      times: { beatMs: 200 },
      ...options,
    });
    await dispatcher.start();
    this.running.add(dispatcher);
    return dispatcher;
  }

  /** Submits a plan of these runs and gives the experiment's id. It is worked on afresh unless the wish says otherwise. */
  async submit(
    runs: readonly TestRun[],
    wish: { readonly caller?: Caller; readonly reuse?: ReusePolicy; readonly key?: string } = {},
  ): Promise<string> {
    const { caller = this.databases.caller, reuse = "NEVER", key } = wish;
    const made = submission(caller, testPlan(runs), key);
    return (await this.submitter.submit({ ...made, options: { ...made.options, reuse } })).experimentId;
  }

  /** The states of the experiment's runs, by position. */
  async states(experimentId: string): Promise<RunState[]> {
    const rows = await this.databases.query<{ state: RunState }>(
      "select state from run where experiment_id = $1 order by position",
      [experimentId],
    );
    return rows.map((row) => row.state);
  }

  /** Waits until the experiment has ended and gives the states of its runs. */
  async ended(experimentId: string): Promise<RunState[]> {
    await eventually(`experiment ${experimentId} to end`, async () => {
      const rows = await this.databases.query("select 1 from experiment where id = $1 and ended_at is not null", [
        experimentId,
      ]);
      return rows.length === 1;
    });
    return this.states(experimentId);
  }

  /** Stops every dispatcher and pod, and forgets what is left in the queue. */
  async reset(): Promise<void> {
    for (const dispatcher of this.running) await dispatcher.stop();
    for (const pod of this.pods) pod.kill();
    this.running.clear();
    this.pods.clear();
    this.addresses.clear();
  }

  /** A dispatcher was stopped by its test. */
  forget(dispatcher: Dispatcher): void {
    this.running.delete(dispatcher);
  }
}

/** Says nothing unless ASSAY_TEST_LOG is set. */
const testLog: Log = process.env["ASSAY_TEST_LOG"] === undefined ? quietLog : { info: say, warn: say, error: say };

function say(message: string, fields?: object): void {
  process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
}
