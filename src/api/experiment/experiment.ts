import type { Json } from "../../domain/digest.js";
import type { Experiment } from "../../domain/experiment.js";
import { robustnessTasks, spuriousArtifacts, tuningMethods } from "../../domain/robustness.js";
import type { Typed } from "../node/node.type.js";
import { fieldOf, itemsOf, numberOf, oneOf } from "../run/json.js";
import { experimentTypenames, type RobustnessGridType } from "./experiment.type.js";

/** An experiment that says which published type it is. */
export function typedExperiment(experiment: Experiment): Experiment & Typed {
  return { ...experiment, __typename: experimentTypenames[experiment.capability] };
}

/** The grid in a robustness experiment's spec. */
export function gridOf(spec: Json): RobustnessGridType {
  const known = <T>(name: string, read: (item: Json) => T | null): T[] =>
    itemsOf(fieldOf(spec, name)).flatMap((item) => {
      const value = read(item);
      return value === null ? [] : [value];
    });
  return {
    methods: known("methods", (item) => oneOf(item, tuningMethods)),
    tasks: known("tasks", (item) => oneOf(item, robustnessTasks)),
    artifacts: known("artifacts", (item) => oneOf(item, spuriousArtifacts)),
    spuriousness: known("spuriousness", numberOf),
    seeds: known("seeds", numberOf),
  };
}
