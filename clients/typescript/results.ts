import { ExperimentControl } from "./control.js";
import { AssayRequestError } from "./errors.js";
import { allItems, given, type Page, type Payload } from "./payload.js";
import type { Comparison, ComparisonRequest, ExportFormat, ItemFilter, ItemResult } from "./results.types.js";
import * as documents from "./results-documents.js";
import { execute } from "./transport.js";
import type { Artifact } from "./types.js";

/** What can be asked of results. Every method throws AssayRequestError for what the service refuses. */
export class ExperimentResults extends ExperimentControl {
  /** The items of a run, with their texts. */
  runItems(runId: string, filter: ItemFilter = {}): Promise<ItemResult[]> {
    type Data = { run: { page: Page<ItemResult> } | null };
    const request = { document: documents.itemsDocument, variables: { id: runId, filter } };
    return allItems(this.endpoint, request, ({ run }: Data) => {
      if (run !== null) return run.page;
      throw new AssayRequestError([
        { code: "NOT_FOUND", message: `no run ${runId} is visible to this key`, path: ["id"] },
      ]);
    });
  }

  /** Holds candidates against a baseline over the items that both have; one comparison a candidate. */
  async compareRuns(request: ComparisonRequest): Promise<readonly Comparison[]> {
    type Data = { compareRuns: Payload & { comparisons: readonly Comparison[] } };
    const { baseline, candidates, metric, practicalThreshold: threshold } = request;
    const variables = { baseline, candidates, metric, threshold };
    const { compareRuns: payload } = await execute<Data>(this.endpoint, documents.compareDocument, variables);
    return given(payload, payload.comparisons);
  }

  /** The experiment's report in another form, to be downloaded. */
  async exportExperiment(experimentId: string, format: ExportFormat): Promise<Artifact> {
    type Data = { exportExperiment: Payload & { artifact: Artifact | null } };
    const variables = { input: { experimentId, format } };
    const { exportExperiment: payload } = await execute<Data>(this.endpoint, documents.exportDocument, variables);
    return given(payload, payload.artifact);
  }
}
