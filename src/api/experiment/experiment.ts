import type { Json } from "../../domain/digest.js";
import type { Experiment } from "../../domain/experiment.js";
import { additionsIn } from "../../domain/extension.js";
import { robustnessTasks, spuriousArtifacts, tuningMethods } from "../../domain/robustness.js";
import { idsIn, type WaveFacts } from "../../store/waves.js";
import type { Typed } from "../node/node.type.js";
import { fieldOf, itemsOf, numberOf, oneOf } from "../run/json.js";
import { experimentTypenames, type RobustnessGridType, type WaveType } from "./experiment.type.js";

/** An experiment that says which published type it is. */
export function typedExperiment(experiment: Experiment): Experiment & Typed {
  return { ...experiment, __typename: experimentTypenames[experiment.capability] };
}

/** The grid in a robustness experiment's spec, with what was added to it since. */
export function gridOf(spec: Json, waves: readonly WaveFacts[]): RobustnessGridType {
  const added = waves.map(publishedWave);
  const known = <T>(name: string, read: (item: Json) => T | null): T[] =>
    itemsOf(fieldOf(spec, name)).flatMap((item) => {
      const value = read(item);
      return value === null ? [] : [value];
    });
  return {
    methods: known("methods", (item) => oneOf(item, tuningMethods)),
    tasks: known("tasks", (item) => oneOf(item, robustnessTasks)),
    artifacts: known("artifacts", (item) => oneOf(item, spuriousArtifacts)),
    spuriousness: [...known("spuriousness", numberOf), ...added.flatMap((wave) => wave.addedSpuriousness)],
    seeds: [...known("seeds", numberOf), ...added.flatMap((wave) => wave.addedSeeds)],
  };
}

/** A wave as it is answered. */
export function publishedWave({ kind, body, at }: WaveFacts): WaveType {
  const { addSeeds, addSpuriousness } = additionsIn(body);
  return {
    kind,
    at,
    retriedRuns: idsIn(body, "runIds").length,
    addedSeeds: addSeeds,
    addedSpuriousness: addSpuriousness,
  };
}
