import type { LikeRuns } from "../domain/robustness-estimate.js";
import { statement, type Transaction } from "./transaction.js";

const costs = statement(
  "estimate-costs",
  `select c.step, c.seconds from typical_cost c where c.project_id = $1 and c.capability = $2
   union all
   select null, sum(c.runs * c.seconds) / sum(c.runs) from typical_cost c where c.capability = $2 having count(*) > 0`,
);

/** Seconds that runs of a capability took: of each step in the project, and of any step anywhere in the tenant. */
export function likeRuns(tx: Transaction, projectId: string, capability: string): Promise<LikeRuns[]> {
  return tx.rows<LikeRuns>(costs, [projectId, capability]);
}

const answered = statement(
  "estimate-answered",
  `select distinct r.digest from run r join experiment e on e.tenant_id = r.tenant_id and e.id = r.experiment_id
   where r.digest = any($1) and e.project_id = $2 and r.state = 'SUCCEEDED' and not r.partial and r.reused_from is null
     and r.superseded_by is null and r.files_gone_at is null`,
);

/** Of these digests, those that a run of the project has answered in full. */
export async function answeredDigests(
  tx: Transaction,
  projectId: string,
  digests: readonly string[],
): Promise<Set<string>> {
  const rows = await tx.rows<{ digest: string }>(answered, [digests, projectId]);
  return new Set(rows.map(({ digest }) => digest));
}
