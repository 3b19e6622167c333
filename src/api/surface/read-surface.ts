import type { Json } from "../../domain/digest.js";
import { robustnessTasks, spuriousArtifacts, type TuningMethod, tuningMethods } from "../../domain/robustness.js";
import {
  type CellVerdict,
  cellVerdicts,
  controlKinds,
  degradationVerdicts,
  ranksOf,
  unreadable,
} from "../../domain/surface.js";
import { cellOf, fieldOf, itemsOf, numberOf, oneOf, textOf } from "../run/json.js";
import { estimateIn, groupsIn } from "./read-estimates.js";
import type {
  ControlResultType,
  DegradationType,
  MethodRankType,
  MissingCellType,
  RobustnessPointType,
  RobustnessSurfaceType,
  UntrainedPointType,
} from "./surface.type.js";

/** The report's schema that is read here. */
export const REPORT_SCHEMA = "assay.robustness.report/2";

/** A report of another version says so; one of ours is read. */
export type ReadReport = { readonly schema: string } | { readonly surface: RobustnessSurfaceType };

/** Reads a report; a text says what is wrong with it. What a verdict forbids stays null, whatever the document holds. */
export function readReport(document: Json): ReadReport | string {
  const schema = textOf(fieldOf(document, "schema"));
  if (schema === null) return "wanted a report with its schema";
  if (schema !== REPORT_SCHEMA) return { schema };
  const level = numberOf(fieldOf(fieldOf(document, "statistics"), "confidence")) ?? 0.95;
  const reader = new SurfaceReader(document, level);
  const points = listIn(document, "cells").map((cell) => reader.point(cell));
  const fault = points.indexOf(null);
  if (fault >= 0) return `wanted cell ${fault} with a method and a verdict that is known`;
  return {
    surface: {
      summary: textsIn(document, "summary"),
      points: points.filter((point) => point !== null),
      untrained: [...reader.untrained("base", false), ...reader.untrained("start", true)],
      degradations: reader.degradations(),
      missingCells: listIn(document, "missingCells").flatMap(missingOf),
      ranking: rankingOf(document),
      notShown: textsIn(document, "notShown"),
      caveats: textsIn(document, "caveats"),
    },
  };
}

class SurfaceReader {
  readonly #document: Json;
  readonly #level: number;

  constructor(document: Json, level: number) {
    this.#document = document;
    this.#level = level;
  }

  point(cell: Json): RobustnessPointType | null {
    const [named, verdict] = [cellOf(cell), oneOf(fieldOf(cell, "verdict"), cellVerdicts)];
    if (named === null || verdict === null) return null;
    const derived = (name: string): RobustnessPointType["gap"] => this.#derived(verdict, fieldOf(cell, name), name);
    const worst = fieldOf(cell, "worstGroup");
    const [estimate, group] = [derived("worstGroup"), textOf(fieldOf(worst, "group"))];
    const lost = listIn(this.#document, "degradation").find(
      (row) => sameCell(row, cell) && fieldOf(row, "to") === fieldOf(cell, "spuriousness"),
    );
    return {
      cell: { ...named, model: null },
      seeds: listIn(cell, "seeds").flatMap((seed) => numberOf(seed) ?? []),
      verdict,
      reason: textOf(fieldOf(cell, "reason")) ?? "",
      groups: groupsIn(fieldOf(cell, "groups"), this.#level),
      gap: derived("gap"),
      controlAdjustedGap: derived("controlAdjustedGap"),
      baseAdjustedGap: derived("baseAdjustedGap"),
      degradation: this.#derived(verdict, fieldOf(lost, "estimate"), "degradation"),
      worstGroup: estimate === null || group === null ? null : { group, estimate },
      reliance: derived("reliance"),
      controls: this.#controlsOf(cell),
    };
  }

  untrained(name: "base" | "start", warmedUp: boolean): UntrainedPointType[] {
    return listIn(this.#document, name).map((point) => ({
      ...familyOf(point),
      warmedUp,
      groups: groupsIn(fieldOf(point, "groups"), this.#level),
      gap: estimateIn(fieldOf(point, "gap"), "gap", this.#level),
    }));
  }

  degradations(): DegradationType[] {
    return listIn(this.#document, "degradation").flatMap((row) => {
      const [from, to] = [numberOf(fieldOf(row, "from")), numberOf(fieldOf(row, "to"))];
      const named = cellOf(row);
      if (named === null || from === null || to === null) return [];
      const verdict = oneOf(fieldOf(row, "verdict"), degradationVerdicts) ?? "NOT_MEASURABLE";
      const readable = verdict !== "NOT_MEASURABLE";
      return {
        cell: { ...named, spuriousness: to, model: null },
        from,
        to,
        verdict,
        reason: textOf(fieldOf(row, "reason")),
        estimate: readable ? estimateIn(fieldOf(row, "estimate"), "degradation", this.#level) : null,
        adjustedPValue: readable ? numberOf(fieldOf(row, "adjustedP")) : null,
      };
    });
  }

  #derived(verdict: CellVerdict, found: Json | undefined, name: string): RobustnessPointType["gap"] {
    return unreadable.includes(verdict) ? null : estimateIn(found, name, this.#level);
  }

  /** The base, the method's own rate 0, and rate 1 of the method or else of whichever had one. */
  #controlsOf(cell: Json): ControlResultType[] {
    const family = listIn(this.#document, "controls").filter((control) => sameFamily(control, cell));
    const own = (control: Json): boolean => fieldOf(control, "method") === fieldOf(cell, "method");
    const ones = family.filter((control) => fieldOf(control, "kind") === "RATE_ONE");
    return [
      ...family.filter((control) => fieldOf(control, "kind") === "UNTRAINED_BASE"),
      ...family.filter((control) => fieldOf(control, "kind") === "RATE_ZERO" && own(control)),
      ...(ones.some(own) ? ones.filter(own) : ones),
    ].flatMap((control) => {
      const [kind, method] = [oneOf(fieldOf(control, "kind"), controlKinds), methodIn(control, "method")];
      if (kind === null || method === null) return [];
      const name = ["gap", "cueEffect", "marginGapChange"].find((known) => fieldOf(control, known) !== undefined);
      return {
        kind,
        method,
        passed: fieldOf(control, "passed") === true,
        reason: textOf(fieldOf(control, "reason")) ?? "",
        estimate: name === undefined ? null : estimateIn(fieldOf(control, name), name, this.#level),
      };
    });
  }
}

/** Ranks by family, from the report's comparisons of pairs of methods. */
function rankingOf(document: Json): MethodRankType[] {
  const rows = listIn(document, "methodByRate");
  const families = Map.groupBy(rows, (row) => JSON.stringify(familyOf(row)));
  return [...families.values()].flatMap((family) => {
    const pairs = family.map((row) => ({
      method: textOf(fieldOf(row, "method")) ?? "",
      against: textOf(fieldOf(row, "against")) ?? "",
      verdict: textOf(fieldOf(row, "verdict")) ?? "",
    }));
    return ranksOf(pairs).flatMap(({ method, tiedWith, ...places }) => {
      const known = oneOf(method, tuningMethods);
      const tied = tiedWith.flatMap((other) => oneOf(other, tuningMethods) ?? []);
      return known === null ? [] : { ...familyOf(family[0] ?? null), method: known, ...places, tiedWith: tied };
    });
  });
}

function missingOf(row: Json): MissingCellType[] {
  const [cell, seed] = [cellOf(row), numberOf(fieldOf(row, "seed"))];
  if (cell === null || seed === null) return [];
  return [{ cell: { ...cell, model: null }, seed, reason: textOf(fieldOf(row, "reason")) ?? "" }];
}

function familyOf(row: Json): Pick<UntrainedPointType, "task" | "artifact"> {
  return {
    task: oneOf(fieldOf(row, "task"), robustnessTasks),
    artifact: oneOf(fieldOf(row, "artifact"), spuriousArtifacts),
  };
}

function sameFamily(one: Json, other: Json): boolean {
  return (
    ["task", "artifact", "learningRate"].every(
      (name) => (fieldOf(one, name) ?? null) === (fieldOf(other, name) ?? null),
    ) || isBaseOf(one, other)
  );
}

/** The untrained base has no learning rate, and serves every one. */
function isBaseOf(one: Json, other: Json): boolean {
  return (
    fieldOf(one, "kind") === "UNTRAINED_BASE" &&
    ["task", "artifact"].every((name) => (fieldOf(one, name) ?? null) === (fieldOf(other, name) ?? null))
  );
}

function sameCell(one: Json, other: Json): boolean {
  const plain = (value: Json | undefined): string => JSON.stringify(value ?? null);
  return ["task", "artifact", "method", "variant", "learningRate"].every(
    (name) => plain(fieldOf(one, name)) === plain(fieldOf(other, name)),
  );
}

function methodIn(row: Json, name: string): TuningMethod | null {
  return oneOf(fieldOf(row, name), tuningMethods);
}

function listIn(value: Json, name: string): readonly Json[] {
  return itemsOf(fieldOf(value, name));
}

function textsIn(value: Json, name: string): string[] {
  return listIn(value, name).flatMap((text) => textOf(text) ?? []);
}
