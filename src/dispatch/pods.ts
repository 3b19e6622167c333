import { type Log, reasonOf } from "../log.js";
import { PodClient, type PodDescription, type PodTls } from "./pod.js";

/** Says which pods there should be. The answer may change at any time: an embedded pod comes back on another port. */
export interface PodDirectory {
  /** `host:port` of every pod. */
  addresses(): readonly string[] | Promise<readonly string[]>;
}

/** A pod that can be given runs. */
export interface FreePod {
  readonly client: PodClient;
  readonly podId: string;
  readonly freeSlots: number;
}

/** How pods are asked. */
export interface PodsOptions {
  readonly deadlineMs: number;
  /** Told whenever a pod has answered. */
  readonly answered: () => void;
  /** Undefined for plain connections. */
  readonly tls?: PodTls | undefined;
}

interface Known {
  readonly client: PodClient;
  description: PodDescription | undefined;
  /** Whether it was said that the pod does not answer, so that it is said once. */
  isMissed: boolean;
  /** Attempts of ours that the pod's free slots did not count yet when it was last asked. */
  mine: number;
  /** How often that number changed. */
  turns: number;
  /** Slots that the pod said others use. */
  foreign: number;
  listed: boolean;
  asking: boolean;
}

/** The pods that this dispatcher talks to, and how many slots each has left. */
export class Pods {
  private readonly known = new Map<string, Known>();

  constructor(
    private readonly directory: PodDirectory,
    private readonly log: Log,
    private readonly options: PodsOptions,
  ) {}

  /** Asks the directory for the pods, and every pod for its slots. Waits for no pod: `answered` tells of each that does. */
  async refresh(): Promise<void> {
    const listed = new Set(await this.directory.addresses());
    for (const address of listed) this.entry(address);
    for (const [address, pod] of this.known) {
      pod.listed = listed.has(address);
      if (!pod.listed && pod.mine === 0) {
        pod.client.close();
        this.known.delete(address);
      }
    }
    for (const pod of this.known.values()) {
      if (pod.listed && !pod.asking) void this.ask(pod);
    }
  }

  /** The client of the pod at an address, listed or not. */
  client(address: string): PodClient {
    return this.entry(address).client;
  }

  /** Listed pods with free slots. */
  free(): FreePod[] {
    return [...this.known.values()].flatMap(({ client, description, mine, foreign, listed }) => {
      const freeSlots = (description?.slots ?? 0) - mine - foreign;
      return listed && description !== undefined && freeSlots > 0
        ? [{ client, podId: description.podId, freeSlots }]
        : [];
    });
  }

  /** An attempt of ours takes a slot of the pod; call the answer when it has ended, once or more. */
  occupy(address: string): () => void {
    const pod = this.entry(address);
    pod.mine += 1;
    pod.turns += 1;
    let isFree = false;
    return () => {
      if (isFree) return;
      isFree = true;
      pod.mine -= 1;
      pod.turns += 1;
    };
  }

  /** The pod failed a call: it gets nothing more until it answers again. */
  doubt(address: string): void {
    const pod = this.known.get(address);
    if (pod !== undefined) pod.description = undefined;
  }

  /** Closes every connection. */
  close(): void {
    for (const pod of this.known.values()) pod.client.close();
    this.known.clear();
  }

  private entry(address: string): Known {
    const found = this.known.get(address);
    if (found !== undefined) return found;
    const made = {
      client: new PodClient(address, this.options.tls),
      description: undefined,
      isMissed: false,
      mine: 0,
      turns: 0,
      foreign: 0,
      listed: false,
      asking: false,
    };
    this.known.set(address, made);
    return made;
  }

  /** Never rejects. */
  private async ask(pod: Known): Promise<void> {
    const before = pod.turns;
    pod.asking = true;
    try {
      const description = await pod.client.describe(this.options.deadlineMs);
      // While attempts of ours came and went, nobody can say which of them the answer counted. Then what was known stays:
      // a pod that is fuller than it looks refuses a run, which costs nothing; one that looks full by mistake stands idle.
      if (pod.turns === before) pod.foreign = Math.max(0, description.slots - description.freeSlots - pod.mine);
      if (pod.description?.podId !== description.podId) {
        const { podId, device, slots } = description;
        this.log.info("pod answers", { address: pod.client.address, podId, device, slots });
      }
      pod.description = description;
      pod.isMissed = false;
      this.options.answered();
    } catch (error) {
      if (!pod.isMissed) {
        this.log.warn("pod does not answer", { address: pod.client.address, reason: reasonOf(error) });
      }
      pod.isMissed = true;
      pod.description = undefined;
    }
    pod.asking = false;
  }
}
