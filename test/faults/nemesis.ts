import { setTimeout as pause } from "node:timers/promises";
import type { TestProcess } from "../support/processes.js";
import type { Random } from "../support/seed.js";
import type { LinkState, TcpProxy } from "./tcp-proxy.js";

/** A server that can be taken away and brought back. */
export interface Server {
  readonly name: string;
  /** Ends it as a machine ends that loses its power, and starts it again. */
  readonly restart: () => Promise<void>;
  /** Holds it still for so long. */
  readonly hang: (ms: number) => Promise<void>;
}

/** What may be broken. */
export interface Targets {
  readonly processes: readonly TestProcess[];
  /** Links by what they join. */
  readonly links: ReadonlyMap<string, TcpProxy>;
  /** The link between two steps that belong together: seldom hit by chance in the moment that matters, so it is often reset. */
  readonly stormy: TcpProxy;
  readonly servers: readonly Server[];
  /** The lease's time to live, which decides what a long silence is. */
  readonly ttlMs: number;
}

/** Share of link faults that are resets without end of the stormy link. */
const STORM_SHARE = 0.3;

/** How the nemesis works. */
export interface NemesisOptions {
  readonly random: Random;
  /** Told of every fault before it is made. */
  readonly tell: (fault: string, fields: Readonly<Record<string, string | number>>) => void;
}

/** Something that is done to the service and taken back again; it resolves when all is as before. */
interface Fault {
  readonly weight: number;
  readonly act: () => Promise<void>;
}

/** Breaks processes, links and servers as its seed says, several at a time, and mends each again. */
export class Nemesis {
  private stopping = false;

  constructor(
    private readonly targets: Targets,
    private readonly options: NemesisOptions,
  ) {}

  /** Works until `stop`, and resolves when everything is mended. */
  async run(): Promise<void> {
    await Promise.all([
      this.loop([600, 2_500], () => this.processFault()),
      this.loop([400, 2_000], () => this.linkFault()),
      this.loop([12_000, 25_000], () => this.serverFault()),
    ]);
  }

  /** Begins no further fault. */
  stop(): void {
    this.stopping = true;
  }

  private async loop([min, max]: readonly [number, number], choose: () => Fault | undefined): Promise<void> {
    for (;;) {
      for (let left = this.between(min, max); left > 0 && !this.stopping; left -= 100) await pause(100);
      if (this.stopping) return;
      await choose()?.act();
    }
  }

  private processFault(): Fault | undefined {
    const one = this.any(this.targets.processes.filter((process) => process.isAlive));
    if (one === undefined) return undefined;
    const { name } = one.program;
    const away = this.between(0, 1_500);
    const still = this.between(0.3, 2.5) * this.targets.ttlMs;
    return this.weighed([
      { weight: 5, act: () => this.told("kill", { name, away }, () => again(one, away, () => one.kill())) },
      { weight: 1, act: () => this.told("terminate", { name, away }, () => again(one, away, () => one.terminate())) },
      { weight: 3, act: () => this.told("freeze", { name, ms: still }, () => frozen(one, still)) },
    ]);
  }

  private linkFault(): Fault | undefined {
    const { stormy } = this.targets;
    if (this.options.random.chance(STORM_SHARE)) {
      return { weight: 1, act: () => this.told("link", { state: "STORM" }, () => this.storm(stormy)) };
    }
    const found = this.any([...this.targets.links]);
    if (found === undefined) return undefined;
    const [name, link] = found;
    const brief = this.between(0.1, 0.5) * this.targets.ttlMs;
    const long = this.between(0.5, 2) * this.targets.ttlMs;
    const torn = (state: LinkState, ms: number) => () =>
      this.told("link", { name, state, ms }, async () => {
        await link.set(state);
        await pause(ms);
        await link.set("OPEN");
      });
    const cut = (what: string, act: () => void) => () => this.told("link", { name, state: what }, async () => act());
    return this.weighed([
      { weight: 3, act: cut("RESET", () => link.reset()) },
      { weight: 3, act: () => this.told("link", { name, state: "RESETS" }, () => this.storm(link)) },
      { weight: 2, act: cut("HALF_OPEN", () => link.halfOpen()) },
      { weight: 2, act: torn("DOWN", brief) },
      { weight: 2, act: torn("STALLED", long) },
      { weight: 1, act: torn("DEAF", long) },
      { weight: 1, act: torn("MUTE", long) },
    ]);
  }

  /** Resets without end, so that some fall between two steps that belong together. */
  private async storm(link: TcpProxy): Promise<void> {
    for (let left = 25; left > 0; left -= 1) {
      link.reset();
      await pause(this.between(10, 150));
    }
  }

  private serverFault(): Fault | undefined {
    const one = this.any(this.targets.servers);
    if (one === undefined) return undefined;
    const ms = this.between(0.5, 1.5) * this.targets.ttlMs;
    return this.weighed([
      { weight: 2, act: () => this.told("restart", { name: one.name }, one.restart) },
      { weight: 1, act: () => this.told("hang", { name: one.name, ms }, () => one.hang(ms)) },
    ]);
  }

  private async told(
    fault: string,
    fields: Readonly<Record<string, string | number>>,
    act: () => Promise<void>,
  ): Promise<void> {
    this.options.tell(fault, fields);
    await act();
  }

  private between(min: number, max: number): number {
    return min + (max - min) * this.options.random.next();
  }

  private any<T>(list: readonly T[]): T | undefined {
    return list[this.options.random.below(list.length)];
  }

  private weighed(faults: readonly Fault[]): Fault | undefined {
    let left = this.options.random.next() * faults.reduce((sum, { weight }) => sum + weight, 0);
    return faults.find(({ weight }) => {
      left -= weight;
      return left < 0;
    });
  }
}

async function again(one: TestProcess, awayMs: number, end: () => Promise<unknown>): Promise<void> {
  await end();
  await pause(awayMs);
  await started(one);
}

const START_TRIES = 60;

/** What supervises the process starts it again until it is up: without its database a role ends, and says why. */
async function started(one: TestProcess): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await one.start();
      return;
    } catch (error) {
      if (tries === START_TRIES) throw error;
      await pause(500);
    }
  }
}

async function frozen(one: TestProcess, ms: number): Promise<void> {
  one.freeze();
  await pause(ms);
  one.thaw();
}
