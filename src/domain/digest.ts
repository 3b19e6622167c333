import { hash, randomFillSync } from "node:crypto";

/** Anything that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * Canonical JSON: keys sorted by code unit, no white space, numbers as JavaScript prints them; absent for `undefined`.
 * Equal values give equal bytes, which is what digests are made of. Throws a RangeError for a number that JSON cannot say.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RangeError(`wanted a finite number, but got ${value}`);
  }
  if (value === null || typeof value !== "object") {
    return JSON.stringify(value);
  }
  if (isList(value)) {
    return `[${value.map(canonicalJson).join(",")}]`;
  }
  // A plan of thousands of runs spends most of its time here.
  let fields = "";
  for (const key of Object.keys(value).sort()) {
    const field = value[key];
    if (field !== undefined) fields += `${fields === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(field)}`;
  }
  return `{${fields}}`;
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}

/** Lower-case hex SHA-256. */
export function sha256(bytes: string | Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

/** Lower-case hex SHA-256 of the canonical JSON of a value. */
export function digestOf(value: Json): string {
  return sha256(canonicalJson(value));
}

const ID_BYTES = 16;
/** Random bytes in store: drawing them one id at a time costs more than the rest of a large plan's ids. */
const random = Buffer.alloc(256 * ID_BYTES);
let drawn = random.length;

/** A new UUID version 7: rises with time, so that keys of one table lie near one another. */
export function newId(nowMs: number = Date.now()): string {
  if (drawn === random.length) {
    randomFillSync(random);
    drawn = 0;
  }
  const bytes = random.subarray(drawn, drawn + ID_BYTES);
  drawn += ID_BYTES;
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
