import { type Experiment, experimentState } from "../../domain/experiment.js";
import { AssayError, notFound } from "../../errors.js";
import { encoderOf, type RunFile } from "../../store/runs.js";
import type { Context } from "../context.js";
import { exportFormats } from "../enums.js";
import { keyIn } from "../ids.js";
import type { Reads } from "../reads.js";
import type { ExportExperimentInput } from "./export.input.js";

/** The file that an export stands for. Throws NOT_FOUND, STATE_CONFLICT without a report, UNSUPPORTED_COMBINATION. */
export async function exported({ experimentId, format }: ExportExperimentInput, { reads }: Context): Promise<RunFile> {
  const key = keyIn(experimentId, "Experiment");
  const experiment = key === null ? null : await reads.experiment(key);
  if (experiment === null) throw notFound(["input", "experimentId"], "experiment", experimentId);
  const files = await filesOf(experiment, reads);
  const file = files.find(({ kind }) => kind === format);
  if (file !== undefined) return file;
  const supported = exportFormats.filter((known) => files.some(({ kind }) => kind === known));
  throw new AssayError("UNSUPPORTED_COMBINATION", `input.format: its report was not written as ${format}`, {
    path: ["input", "format"],
    detail: { supported },
  });
}

/** The files of the report, and beside them the distilled encoder, which a train run made. */
async function filesOf(experiment: Experiment, reads: Reads): Promise<readonly RunFile[]> {
  const [files, encoder] = await Promise.all([
    reads.reportFiles(experiment.id),
    reads.within((tx) => encoderOf(tx, experiment.id)),
  ]);
  if (files !== null) return encoder === null ? files : [...files, encoder];
  const { counts, ...completeness } = await reads.tally(experiment.id);
  const currentState = experimentState(experiment, counts, completeness);
  throw new AssayError(
    "STATE_CONFLICT",
    `input.experimentId: wanted an experiment with a report, but it is ${currentState} and has none`,
    {
      path: ["input", "experimentId"],
      detail: { currentState, allowedFrom: ["SUCCEEDED", "PARTIAL"] },
    },
  );
}
