/** An event as the API gives it; the fields are those of the query below. */
export interface ExperimentEvent {
  readonly sequence: number;
  readonly at: string;
  readonly kind: string;
  readonly message: string | null;
  readonly state: string | null;
  readonly experimentState: string | null;
  readonly run: { readonly id: string } | null;
}

/** Events of one answer. */
export const PAGE = 100;

const QUERY = `query ($id: ID!, $after: Int!) {
  experiment(id: $id) {
    events(first: ${PAGE}, afterSequence: $after) {
      edges { node { sequence at kind message state experimentState run { id } } }
    }
  }
}`;

interface Answer {
  readonly data?: {
    readonly experiment: { readonly events: { readonly edges: readonly { readonly node: ExperimentEvent }[] } } | null;
  };
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

/** What a consumer asks of Assay's GraphQL API. */
export class AssayApi {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = `${url.replace(/\/+$/, "")}/graphql`;
    this.#key = key;
  }

  /**
   * A page of events of the experiment after a sequence, in order; null for an experiment that the key may not see.
   * Throws when the API is away or refuses the key: then Kafka delivers the record again.
   */
  async eventsAfter(experimentId: string, afterSequence: number): Promise<readonly ExperimentEvent[] | null> {
    const id = Buffer.from(`Experiment:${experimentId}`).toString("base64url");
    const response = await fetch(this.#url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.#key}` },
      body: JSON.stringify({ query: QUERY, variables: { id, after: afterSequence } }),
      signal: AbortSignal.timeout(10_000),
    });
    const answer: Answer = JSON.parse(await response.text());
    if (answer.data === undefined || answer.errors !== undefined) {
      throw new Error(`wanted events, but got ${response.status} ${JSON.stringify(answer.errors)}`);
    }
    return answer.data.experiment?.events.edges.map((edge) => edge.node) ?? null;
  }
}
