import { AssayRequestError } from "./errors.js";
import { allItems, type Page, unknownExperiment } from "./payload.js";
import { ExperimentResults } from "./results.js";
import type {
  Leaderboard,
  QueryDiff,
  QueryReceipt,
  QueryReceiptFilter,
  RankingDiff,
  RetrievalRowChoice,
} from "./retrieval.types.js";
import * as documents from "./retrieval-documents.js";
import { execute } from "./transport.js";

/** What is held against what: two rows of the leaderboard, over all test queries or one. */
export interface RankingDiffRequest {
  readonly baseline: RetrievalRowChoice;
  readonly candidate: RetrievalRowChoice;
  readonly query?: string;
}

/** What can be asked of retrieval experiments. Every method throws AssayRequestError for what the service refuses. */
export class RetrievalResults extends ExperimentResults {
  /** The figures of the experiment's report; null until there is one. */
  async leaderboard(experimentId: string): Promise<Leaderboard | null> {
    type Data = { experiment: { leaderboard?: Leaderboard | null } | null };
    const variables = { id: experimentId };
    const { experiment } = await execute<Data>(this.endpoint, documents.leaderboardDocument, variables);
    return ofRetrieval(experiment?.leaderboard, { found: experiment !== null, experimentId });
  }

  /** What every system made of each test query, sieved or all. */
  queryReceipts(experimentId: string, filter: QueryReceiptFilter = {}): Promise<QueryReceipt[]> {
    type Data = { experiment: { page?: Page<QueryReceipt> } | null };
    const request = { document: documents.receiptsDocument, variables: { id: experimentId, filter } };
    return allItems(this.endpoint, request, ({ experiment }: Data) =>
      ofRetrieval(experiment?.page, { found: experiment !== null, experimentId }),
    );
  }

  /** Two rows of the leaderboard held against one another, query by query; null until there is a report. */
  async rankingDiff(experimentId: string, request: RankingDiffRequest): Promise<RankingDiff | null> {
    type Diff = Omit<RankingDiff, "queries"> & { page: Page<QueryDiff> };
    type Data = { experiment: { diff?: Diff | null } | null };
    const sums: Omit<RankingDiff, "queries">[] = [];
    const variables = { id: experimentId, ...request };
    const queries = await allItems(
      this.endpoint,
      { document: documents.rankingDiffDocument, variables },
      ({ experiment }: Data) => {
        const diff = ofRetrieval(experiment?.diff, { found: experiment !== null, experimentId });
        if (diff === null) return { edges: [], pageInfo: { hasNextPage: false, endCursor: null } };
        const { page, ...rest } = diff;
        sums.push(rest);
        return page;
      },
    );
    const [first] = sums;
    return first === undefined ? null : { ...first, queries };
  }
}

/** What only retrieval experiments answer. */
function ofRetrieval<Value>(value: Value | undefined, asked: { found: boolean; experimentId: string }): Value {
  if (!asked.found) throw unknownExperiment(asked.experimentId);
  if (value !== undefined) return value;
  const message = `wanted a retrieval experiment, but ${asked.experimentId} is of another kind`;
  throw new AssayRequestError([{ code: "UNSUPPORTED_COMBINATION", message, path: ["id"] }]);
}
