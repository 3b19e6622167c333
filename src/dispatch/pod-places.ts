import { lookup } from "node:dns/promises";
import { type Log, reasonOf } from "../log.js";
import type { PodDirectory } from "./pods.js";

/** One pod by its address, or a name that stands for as many as it resolves to. */
export type PodPlace = { readonly address: string } | { readonly name: string; readonly port: number };

/** Every address that a name resolves to now; of a headless service, one for each pod. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** What a look-up works with; the system's own resolver and clock unless they are given. */
export interface LookUp {
  readonly resolve: Resolve;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

const RESOLVE_MS = 5_000;

/** The pods that an operator named. Names are resolved again every five seconds, for pods come and go behind them. */
export class PodPlaces implements PodDirectory {
  private readonly resolved = new Map<string, { readonly addresses: readonly string[]; readonly at: number }>();

  constructor(
    private readonly places: readonly PodPlace[],
    private readonly log: Log,
    private readonly lookUp: LookUp = { resolve: allAddresses, now: () => performance.now() },
  ) {}

  /** `host:port` of every pod. */
  async addresses(): Promise<readonly string[]> {
    const lists = await Promise.all(
      this.places.map((place) => ("address" in place ? [place.address] : this.behind(place))),
    );
    return lists.flat();
  }

  private async behind({ name, port }: { name: string; port: number }): Promise<readonly string[]> {
    const known = this.resolved.get(name);
    if (known !== undefined && this.lookUp.now() - known.at < RESOLVE_MS) return withPort(known.addresses, port);
    const addresses = await this.lookUp.resolve(name).catch((error: unknown) => {
      // The name service being away says nothing about the pods; a name that it does not know has none.
      this.log.warn("pods could not be looked up", { name, reason: reasonOf(error) });
      return isUnknown(error) ? [] : (known?.addresses ?? []);
    });
    this.resolved.set(name, { addresses, at: this.lookUp.now() });
    return withPort(addresses, port);
  }
}

function withPort(addresses: readonly string[], port: number): string[] {
  return addresses.map((address) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`));
}

/** By the system's resolver, which knows search domains and the hosts file. */
async function allAddresses(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

function isUnknown(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOTFOUND";
}
