import { canonicalJson, type Json } from "./digest.js";

/** What the cells of a grid differ in on purpose. */
const COMPARED = ["method", "spuriousness", "variant"] as const;
/** What a spec is, rather than how its model was made. A model's digest says more than where it lies. */
const LEFT_OUT = [...COMPARED, "step", "purpose", "capability", "version", "curve", "model.source"] as const;

/**
 * What else differs between two runs than the one thing that is compared: one sentence a field. Where runs differ in several of
 * method, rate and variant at once, each of these is named as well, since nothing tells their shares apart.
 */
export function confoundersOf(baseline: Json, candidate: Json): string[] {
  const [mine, theirs] = [leavesOf(baseline), leavesOf(candidate)];
  const names = [...new Set([...mine.keys(), ...theirs.keys()])].sort();
  const told = (name: string): string => `${name}: ${mine.get(name) ?? "none"} and ${theirs.get(name) ?? "none"}`;
  const differing = names.filter((name) => mine.get(name) !== theirs.get(name));
  const under = (name: string, field: string): boolean => name === field || name.startsWith(`${field}.`);
  const compared = COMPARED.filter((field) => differing.some((name) => under(name, field)));
  const others = differing.filter((name) => !LEFT_OUT.some((field) => under(name, field)));
  const several = compared.length > 1 ? differing.filter((name) => compared.some((field) => under(name, field))) : [];
  return [...others, ...several].map(told);
}

/** The values of a document by their paths. */
function leavesOf(document: Json): Map<string, string> {
  const leaves = new Map<string, string>();
  const walk = (value: Json, path: string): void => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      leaves.set(path, canonicalJson(value));
      return;
    }
    for (const [name, inner] of Object.entries(value)) {
      if (inner !== undefined) walk(inner, path === "" ? name : `${path}.${name}`);
    }
  };
  walk(document, "");
  return leaves;
}
