import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from "type-graphql";
import type { ArtifactStore } from "../../artifacts/store.js";
import type { Experiment } from "../../domain/experiment.js";
import { AssayError } from "../../errors.js";
import type { RunFile } from "../../store/runs.js";
import type { Context } from "../context.js";
import { RobustnessExperimentType } from "../experiment/experiment.type.js";
import { inputArgument } from "../ids.js";
import { DigestCache, jsonDocumentOf } from "../item/digest-cache.js";
import { type Answer, answered, demand } from "../present.js";
import { fieldOf, textOf } from "../run/json.js";
import { ExportExperimentInput, ExportExperimentPayload } from "./export.input.js";
import { exported } from "./export.js";
import { REPORT_SCHEMA, type ReadReport, readReport } from "./read-surface.js";
import { type RobustnessPointType, RobustnessSurfaceType } from "./surface.type.js";

const REPORTS_BYTES_MAX = 64 * 2 ** 20;

/** The report of an experiment, as figures and as files. */
@Resolver(() => RobustnessExperimentType)
export class SurfaceResolver {
  readonly #reports: DigestCache<ReadReport>;

  constructor(artifacts: ArtifactStore) {
    this.#reports = new DigestCache(artifacts, jsonDocumentOf(readReport), REPORTS_BYTES_MAX);
  }

  @FieldResolver(() => RobustnessSurfaceType, {
    nullable: true,
    description: "The figures of its report; null until there is one.",
  })
  async surface(@Root() experiment: Experiment, @Ctx() { reads }: Context): Promise<RobustnessSurfaceType | null> {
    const file = await reads.report(experiment.id);
    if (file === null) return null;
    const read = await this.#reports.get(file.sha256);
    if ("schema" in read) throw otherSchema(read.schema);
    const digest = textOf(fieldOf(experiment.spec, "modelDigest"));
    const model = digest === null ? null : await reads.modelOfDigest(digest);
    return withModel(read.surface, model);
  }

  @Mutation(() => ExportExperimentPayload, {
    description:
      "Where an experiment's report can be downloaded in another form, or its distilled encoder. Needs the scope READ.",
  })
  exportExperiment(
    @Arg("input", () => ExportExperimentInput, inputArgument) input: ExportExperimentInput,
    @Ctx() context: Context,
  ): Promise<{ artifact: RunFile | null } & Answer> {
    return answered<{ artifact: RunFile | null }>(input, { artifact: null }, async () => {
      demand(context, "READ");
      return { artifact: await exported(input, context) };
    });
  }
}

function otherSchema(schema: string): AssayError {
  return new AssayError(
    "UNSUPPORTED_COMBINATION",
    `wanted a report of ${REPORT_SCHEMA}, but this one is of ${schema}`,
    {
      path: ["surface"],
      detail: { supported: [REPORT_SCHEMA] },
    },
  );
}

/** Every cell names the model that was tuned. */
function withModel(surface: RobustnessSurfaceType, model: object | null): RobustnessSurfaceType {
  const cellOf = <T extends { readonly cell: RobustnessPointType["cell"] }>(one: T): T => ({
    ...one,
    cell: { ...one.cell, model },
  });
  return {
    ...surface,
    points: surface.points.map(cellOf),
    degradations: surface.degradations.map(cellOf),
    missingCells: surface.missingCells.map(cellOf),
  };
}
