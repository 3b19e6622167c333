import type { Json } from "./digest.js";

// Rows that a pod wrote are read with care: what is not of the kind that is asked for counts as absent.

/** Fields of an object by their names. */
export type Fields = { readonly [key: string]: Json | undefined };

/** The fields of an object; none for anything else. */
export function objectOf(value: Json | undefined): Fields {
  return value !== null && typeof value === "object" && !isList(value) ? value : {};
}

/** The entries of a list; none for anything else. */
export function listOf(value: Json | undefined): readonly Json[] {
  return value !== null && typeof value === "object" && isList(value) ? value : [];
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

/** A field that is a finite number, or null. */
export function numberIn(row: Fields, name: string): number | null {
  const value = row[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** A field that is a text, or null. */
export function textIn(row: Fields, name: string): string | null {
  const value = row[name];
  return typeof value === "string" ? value : null;
}

/** A field that is true or false, or null. */
export function truthIn(row: Fields, name: string): boolean | null {
  const value = row[name];
  return typeof value === "boolean" ? value : null;
}
