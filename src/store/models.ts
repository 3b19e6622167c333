import type { Model } from "../domain/model.js";
import { statement, type Transaction } from "./database.js";
import { modelTable } from "./tables.js";

const insertModel = statement(
  "models-insert",
  `insert into model (tenant_id, id, project_id, name, revision, digest, source)
   values ($1, $2, $3, $4, $5, $6, $7) on conflict (tenant_id, project_id, digest) do nothing`,
);

/** Registers a model. Where the project has one of this digest, that one is given back as it is. */
export async function registerModel(tx: Transaction, model: Omit<Model, "createdAt">): Promise<Model> {
  const { tenantId, projectId, digest } = model;
  const values = [tenantId, model.id, projectId, model.name, model.revision, digest, JSON.stringify(model.source)];
  await tx.run(insertModel, values);
  return tx.manager.findOneByOrFail(modelTable, { tenantId, projectId, digest });
}

/** The models with these ids, in no order. */
export function modelsById(tx: Transaction, tenantId: string, ids: readonly string[]): Promise<Model[]> {
  return tx.manager
    .createQueryBuilder(modelTable, "m")
    .where("m.tenantId = :tenantId and m.id = any(:ids)", { tenantId, ids })
    .getMany();
}

/** The models of a project with these digests, in no order. */
export function modelsByDigest(
  tx: Transaction,
  { tenantId, projectId }: Pick<Model, "tenantId" | "projectId">,
  digests: readonly string[],
): Promise<Model[]> {
  return tx.manager
    .createQueryBuilder(modelTable, "m")
    .where("m.tenantId = :tenantId and m.projectId = :projectId and m.digest = any(:digests)", {
      tenantId,
      projectId,
      digests,
    })
    .getMany();
}
